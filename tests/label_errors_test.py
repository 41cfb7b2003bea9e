"""Which labels are suspected, from folds to what annotation tools import."""

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import threading

from ml_collections import ConfigDict
import numpy as np
import pytest
import scipy

from bam_jax import label_errors
from bam_jax.data.sources import own as own_files
from bam_jax.stats import confident
from bam_jax.study import predictions
from bam_jax.tasks import own as own_tasks
from tests import small

RUN = "single.cola"
ROWS = small.ROWS["train"]


@pytest.fixture(scope="module")
def workdir(small_run, tmp_path_factory):
  """Two folds, two trials each, trained here and not in a process each."""
  found = tmp_path_factory.mktemp("errors")
  for fold in (0, 1):
    config = small.settings(
      small_run.glue,
      small_run.encoder,
      tasks="cola",
      methods="single",
      trials=2,
      data__holdout=0.5,
      data__fold=fold,
    )
    small.execute(config, found / f"fold-{fold}-of-2")
  return found


@pytest.fixture
def ask(workdir, tmp_path, capsys):
  """Runs the command and returns what it writes."""

  def command(*flags):
    out = tmp_path / "out"
    said = [f"--workdir={workdir}", "--task=cola", "--folds=2", f"--out={out}"]
    label_errors.main([*said, *flags])
    return out.read_text("utf-8"), capsys.readouterr().err

  return command


def answered(workdir):
  """f[2, 50, 2] and i[50], by the row, of models that were not shown it."""
  chances, labels = np.zeros((2, ROWS, 2)), np.full(ROWS, -1)
  for fold in (0, 1):
    run = workdir / f"fold-{fold}-of-2" / "runs" / RUN
    for seed in (0, 1):
      said = predictions.read(predictions.path(run, seed))["cola", "holdout"]
      chances[seed, said.index] = scipy.special.softmax(said.logits, -1)
      labels[said.index] = said.labels
  assert labels.min() >= 0
  return chances, labels


def test_rows_are_judged_by_those_that_were_not_shown_them(
  ask, workdir, small_run
):
  written, said = ask()
  records = [json.loads(line) for line in written.splitlines()]
  chances, labels = answered(workdir)
  expected = confident.suspects(chances, labels)
  assert [each["row"] for each in records] == expected.rows.tolist()
  assert f"cola: {len(records)} of {ROWS} labels are suspected" in said
  assert records
  lines = (small_run.glue / "CoLA" / "train.tsv").read_text().splitlines()
  for each in records:
    cells = lines[each["row"]].split("\t")
    names = "unacceptable", "acceptable"
    assert each["given"] == names[int(cells[1])]
    assert each["texts"] == {"sentence": cells[3]}
    assert each["answer"]["label"] == names[1 - int(cells[1])]


def test_a_row_is_that_of_the_file_also_where_others_are_dev(
  small_run, tmp_path, capsys
):
  """Two folds of a task of one's own, of whose file a part is dev."""
  rows = [f"the dog sees {n},{'yes' if n % 3 else 'no'}" for n in range(40)]
  rows[5] = "the cat,-"  # left out
  (tmp_path / "t.csv").write_text("\n".join(["text,label", *rows]) + "\n")
  (tmp_path / "t.toml").write_text(
    '[mine]\ntrain = "t.csv"\ndev_share = 0.3\ntext = "text"\n'
    'label = "label"\nmetric = "accuracy"\n'
    'labels = ["no", "yes"]\nignore = ["-"]\n'
  )
  own = own_files.complete(
    own_tasks.read(tmp_path / "t.toml"), tmp_path / "t.toml"
  )
  for fold in (0, 1):
    config = small.settings(
      small_run.glue,
      small_run.encoder,
      tasks="mine",
      tasks_file=str(tmp_path / "t.toml"),
      methods="single",
      data__holdout=0.5,
      data__fold=fold,
    )
    with config.unlocked():
      config.own_tasks = ConfigDict(own)
    small.execute(config, tmp_path / f"fold-{fold}-of-2")
  capsys.readouterr()
  label_errors.main([f"--workdir={tmp_path}", "--task=mine", "--folds=2"])
  records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
  assert records
  for each in records:
    assert rows[each["row"]] == f"{each['texts']['text']},{each['given']}"


def test_a_table_has_what_is_given_and_what_is_said(ask):
  records = [json.loads(line) for line in ask("--most=3")[0].splitlines()]
  table = list(
    csv.DictReader(ask("--most=3", "--output-format=csv")[0].splitlines())
  )
  assert len(table) == len(records) <= 3
  for line, record in zip(table, records, strict=True):
    assert line["given"] == record["given"] != line["answer"]
    assert int(line["row"]) == record["row"]


@pytest.mark.parametrize(
  ("flags", "says"),
  [
    (["--folds=1"], "--folds is 1; it is 2 or more"),
    (["--most=-1"], "--most is -1"),
    (["--folds=3"], "fold-0-of-3 is no working directory"),
    (["--task=colla"], "of colla there are none"),
    (["--run=multi.cola"], "of cola there are single.cola"),
    (["--config.trials=3"], "--config is missing"),
    (["--config=c.py", "--config.data.fold=1"], "is said by --folds"),
  ],
)
def test_what_is_wrong_is_a_sentence(ask, capsys, flags, says):
  with pytest.raises(SystemExit) as ended:
    ask(*flags)
  assert ended.value.code == 2
  assert says in capsys.readouterr().err


def test_a_fold_that_ends_wrongly_ends_the_command(tmp_path, capfd):
  with pytest.raises(SystemExit) as ended:
    label_errors.main(
      ["--config=configs/nowhere.py", f"--workdir={tmp_path}", "--task=cola"]
    )
  assert ended.value.code == 2
  out, said = capfd.readouterr()
  assert "no config file 'configs/nowhere.py'" in said
  assert not out


def test_a_signal_lets_the_fold_save(tmp_path, monkeypatch):
  """The child says that it waits; then this process is told to stop."""
  child = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
    f"open({str(tmp_path / 'ready')!r}, 'w').close()\n"
    "time.sleep(60)\n"
  )
  real = subprocess.Popen

  def started(command, **rest):
    return real([sys.executable, "-c", child], **(rest | {"stdout": None}))

  monkeypatch.setattr(subprocess, "Popen", started)

  def stop():
    while not (tmp_path / "ready").exists():
      pass
    os.kill(os.getpid(), signal.SIGTERM)

  flags = argparse.Namespace(workdir=str(tmp_path), folds=2, config="c.py")
  threading.Thread(target=stop, daemon=True).start()
  with pytest.raises(SystemExit) as ended:
    label_errors.train(flags, [], 0)
  assert ended.value.code == 3
