"""Holds the table of tasks to the papers, the GLUE server and the hub."""

import pytest

from bam_jax.tasks import table as tasks
from bam_jax.tasks.table import TASKS

GLUE = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli")
COURSE = ("sst5", "quora", "sts")
SYNTHETIC = (
  "acceptability",
  "sentiment",
  "paraphrase",
  "entailment",
  "similarity",
)


def test_every_task_has_a_row_under_its_own_name():
  assert tuple(TASKS) == (*GLUE, "ax", *COURSE, *SYNTHETIC)
  assert all(name == task.name for name, task in TASKS.items())
  # jit and caches take a task as a static argument.
  assert len({hash(task) for task in TASKS.values()}) == len(TASKS)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_row_does_not_contradict_itself(task):
  assert len(task.text) in (1, 2)
  assert len(task.labels) == len(set(task.labels))
  assert (task.range is None) == bool(task.labels)
  assert task.headline in task.metrics
  assert set(task.submission) <= set(task.test)
  if task.glue:
    assert len(task.text) == len(task.glue.text)
    assert len(task.labels) == len(task.glue.labels)
    assert set(task.glue.files) >= set(task.splits)
  if task.course:
    assert len(task.labels) == len(task.course.labels)
    assert set(task.course.files) == set(task.splits)
    assert set(task.course.answers) == {*task.dev, *task.test}
  assert not (task.symmetric and len(task.text) == 1)
  assert TASKS[task.head].labels == task.labels


def test_label_order_is_the_reference_codes():
  assert TASKS["mnli"].labels == ("contradiction", "entailment", "neutral")
  for name in ("qnli", "rte"):
    assert TASKS[name].labels == ("entailment", "not_entailment")
  for name in ("cola", "sst2", "mrpc", "qqp", "wnli"):
    assert TASKS[name].glue.labels == ("0", "1")
  assert TASKS["wnli"].labels == ("not_entailment", "entailment")
  assert TASKS["entailment"].labels == TASKS["mnli"].labels


def test_width_of_the_head_is_one_for_regression():
  classes = {name: TASKS[name].classes for name in GLUE}
  assert classes == dict.fromkeys(GLUE, 2) | {"mnli": 3, "stsb": 1}
  assert TASKS["stsb"].kind == TASKS["similarity"].kind == "regression"
  assert TASKS["mnli"].kind == "classification"


def test_headlines_and_average_are_the_papers():
  headline = {name: TASKS[name].headline for name in GLUE}
  assert headline == dict.fromkeys(GLUE, "accuracy") | {
    "cola": "matthews",
    "stsb": "spearman",
  }
  assert set(TASKS["mrpc"].metrics) == {"accuracy", "f1"}
  assert set(TASKS["qqp"].metrics) == {"accuracy", "f1"}
  assert set(TASKS["stsb"].metrics) == {"spearman", "pearson"}
  left_out = {task.name for task in TASKS.values() if not task.in_average}
  assert left_out == {"wnli", "ax"}


def test_only_the_tasks_that_the_reference_code_swaps_are_symmetric():
  assert {name for name in GLUE if TASKS[name].symmetric} == {"mrpc", "stsb"}


def test_mnli_has_two_dev_and_two_test_sets_and_lends_ax_its_head():
  mnli, ax = TASKS["mnli"], TASKS["ax"]
  assert mnli.splits == (
    "train",
    "validation_matched",
    "validation_mismatched",
    "test_matched",
    "test_mismatched",
  )
  assert mnli.glue.files["validation_matched"] == ("MNLI/dev_matched.tsv",)
  assert (ax.head, ax.train, ax.splits) == ("mnli", "", ("test",))


def test_file_names_are_the_glue_servers():
  names = {
    file for name in (*GLUE, "ax") for file in TASKS[name].submission.values()
  }
  stems = "AX CoLA MNLI-m MNLI-mm MRPC QNLI QQP RTE SST-2 STS-B WNLI"
  assert names == {f"{stem}.tsv" for stem in stems.split()}


def test_tasks_come_in_the_order_they_were_asked_for():
  assert tasks.get_tasks(["rte", "cola"]) == (TASKS["rte"], TASKS["cola"])


@pytest.mark.parametrize(
  ("asked", "near"),
  [("STS-B", "stsb"), ("SST-2", "sst2"), ("MNLI", "mnli"), ("mprc", "mrpc")],
)
def test_unknown_task_names_the_nearest_and_lists_all(asked, near):
  with pytest.raises(ValueError, match=f"did you mean '{near}'") as error:
    tasks.get_tasks(["rte", asked])
  assert repr(asked) in str(error.value)
  assert all(name in str(error.value) for name in TASKS)


def test_a_name_unlike_any_task_gets_no_guess():
  with pytest.raises(ValueError, match="no task 'xxxxxxxx'; the tasks are"):
    tasks.get_tasks(["xxxxxxxx"])


def test_no_task_and_the_same_task_twice_are_refused():
  with pytest.raises(ValueError, match="no task named; choose from cola"):
    tasks.get_tasks([])
  with pytest.raises(ValueError, match="'rte' is named twice"):
    tasks.get_tasks(["rte", "cola", "rte"])
