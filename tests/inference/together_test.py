"""Models that can be asked together, and those that cannot."""

import dataclasses
from pathlib import Path
import types

import pytest

from bam_jax.inference import model as inference
from bam_jax.inference import together
from bam_jax.tasks.description import Head
from bam_jax.tasks.table import TASKS

COLA, RTE, STSB = (Head.of(TASKS[name]) for name in ("cola", "rte", "stsb"))
TURNED = dataclasses.replace(COLA, labels=COLA.labels[::-1])
RUNS = {"A": (COLA, STSB), "B": (COLA, RTE, STSB), "C": (TURNED, STSB)}


@pytest.fixture
def runs(monkeypatch):
  def prepare(path, task, trial):
    del task, trial
    heads = {head.name: head for head in RUNS[path.name]}
    return types.SimpleNamespace(heads=heads), list(heads)

  monkeypatch.setattr(inference, "prepare", prepare)


def ask(names, task):
  return together.prepare([*map(Path, names)], task, None)


def test_runs_are_asked_what_all_of_them_have(runs):
  model, tasks = ask("BA", "all")
  assert tasks == ["cola", "stsb"]
  assert model.left == "one of the runs has no rte"


def test_labels_in_another_order_are_not_averaged(runs):
  model, tasks = ask("AC", "all")
  assert tasks == ["stsb"]
  assert model.left.startswith(f"cola has labels {COLA.labels} in one run")
  with pytest.raises(ValueError, match=r"labels .* in another; ask one model"):
    ask("AC", "cola")


def test_a_run_counts_once(runs):
  with pytest.raises(ValueError, match=r"--run=A is given twice"):
    ask("ABA", "cola")
