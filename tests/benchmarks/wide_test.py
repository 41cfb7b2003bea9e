"""The table that is measured has ten columns; peers read the same labels."""

import csv

import numpy as np

from bam_jax.data.sources import own as own_files
from bam_jax.tasks import own as own_tasks
from benchmarks import columns


def test_ours_and_the_peer_learn_from_the_same_labels(tmp_path):
  path = columns.write(tmp_path, train=60, dev=11)
  tasks = own_tasks.table(own_tasks.read(path), path)
  assert len(tasks) == 10 and {task.table for task in tasks.values()} == {
    "table.1"
  }
  with (tmp_path / "train.csv").open() as file:
    table = list(csv.DictReader(file))
  gaps = 0
  for name, task in tasks.items():
    ours = own_files.read(task, "train")
    assert ours.texts[0] == [row["text"] for row in table]
    for row, label in zip(table, ours.labels, strict=True):
      missing = row[name] in ("", columns.MISSING)
      gaps += missing
      if not missing:
        theirs = columns.target(columns.COLUMNS[name], row[name])
        np.testing.assert_allclose(label, theirs, rtol=1e-6)
      else:
        assert np.isnan(label).all()
  assert 20 < gaps < 120
