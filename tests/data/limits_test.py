"""Rows that are read at most: which, of what splits, and what is no limit."""

import numpy as np
import pytest

from bam_jax.data import limits
from bam_jax.data.sources.examples import Examples
from bam_jax.stages import session
from bam_jax.study import experiment
from bam_jax.study.workdir import Workdir
from bam_jax.tasks.table import TASKS as TABLE
from tests import small

TASKS = ("rte", "mnli", "stsb")


def rows(count: int, labelled: bool = True) -> Examples:
  texts = ([f"text {i}" for i in range(count)],)
  labels = np.arange(count, dtype=np.float32) if labelled else None
  return Examples("rte", "train", texts, labels, "file")


def read(examples, trains, **more):
  found = limits.limited(
    examples, trains=trains, **({"train": {}, "dev": {}} | more)
  )
  return found.labels.astype(int).tolist()


def test_fewer_rows_are_among_more_and_in_the_order_of_the_file():
  some = {n: read(rows(31), True, train={"rte": n}) for n in (4, 9, 30)}
  for n, found in some.items():
    assert len(found) == n and found == sorted(found)
  assert {*some[4]} < {*some[9]} < {*some[30]}
  # Drawn, not cut off: files are often sorted by label.
  assert some[9] != [*range(9)]


def test_what_is_scored_is_cut_off_and_what_is_predicted_is_whole():
  assert read(rows(31), False, dev={"rte": 5}) == [0, 1, 2, 3, 4]
  assert read(rows(31), False, train={"rte": 5}) == [*range(31)]
  unlabelled = rows(31, labelled=False)
  found = limits.limited(
    unlabelled, trains=False, train={"rte": 5}, dev={"rte": 5}
  )
  assert len(found) == 31


def test_a_limit_above_what_is_there_changes_nothing():
  examples = rows(7)
  for most in (7, 8):
    found = limits.limited(examples, trains=True, train={"rte": most}, dev={})
    assert found is examples


def test_one_number_is_for_all_and_a_named_task_for_itself():
  assert limits.counts("data.limit", "", TASKS) == {}
  assert limits.counts("data.limit", "40", TASKS) == dict.fromkeys(TASKS, 40)
  said = " mnli=4000, rte = 25"
  assert limits.counts("data.limit", said, TASKS) == {"mnli": 4000, "rte": 25}


@pytest.mark.parametrize(
  ("said", "message"),
  [
    ("0", "data.limit has '0'; it is a number of rows for all tasks"),
    ("-3", "data.limit has '-3'"),
    ("1e3", "data.limit has '1e3'"),
    ("rte=", "data.limit has 'rte='"),
    ("rte=some", "data.limit has 'rte=some'"),
    ("40,rte=5", "data.limit has '40'; it is a number of rows for all tasks"),
    ("mlni=40", "did you mean 'mnli'?"),
    ("cola=40", "TASK=ROWS,TASK=ROWS with tasks of rte, mnli, stsb"),
    ("rte=4,rte=5", "data.limit names rte twice; name it once"),
  ],
)
def test_what_is_no_number_of_rows_is_refused(said, message):
  with pytest.raises(ValueError, match=r"data\.limit") as error:
    limits.counts("data.limit", said, TASKS)
  assert message in str(error.value)


def test_a_study_reads_the_rows_that_its_config_allows(tmp_path):
  glue = small.write_glue(tmp_path / "glue")
  encoder = small.write_encoder(tmp_path / "encoder")
  said = {"data__limit": "cola=13", "data__dev_limit": "stsb=5"}
  c = small.settings(glue, encoder, **said)
  texts = session.opened(c, Workdir(tmp_path / "W")).materials.texts
  found = {
    (name, split): texts.facts(TABLE[name], split)["rows"]
    for name in ("cola", "stsb")
    for split in ("train", "validation", "test")
  }
  assert found == {
    ("cola", "train"): 13,
    ("cola", "validation"): small.ROWS["dev"],
    ("cola", "test"): small.ROWS["test"],
    ("stsb", "train"): small.ROWS["train"],
    ("stsb", "validation"): 5,
    ("stsb", "test"): small.ROWS["test"],
  }
  # A file of soft labels numbers the rows that are not left out.
  file = tmp_path / "soft.jsonl"
  file.write_text('{"index": 0, "probs": [0.5, 0.5]}\n')
  c = small.settings(glue, encoder, teacher__files=f"cola={file}", **said)
  with pytest.raises(ValueError, match="are those of all of cola; leave cola"):
    experiment.read(c)
