"""Every method as its graph of runs, and what methods share."""

import re

import pytest

from bam_jax.study.plan import KINDS, OUTSIDE, parse, plan, scored
from bam_jax.training import settings

TASKS = ("rte", "mrpc", "cola")


def runs_of(method, tasks=TASKS, outside=()):
  return plan([method], tasks, outside=outside, subsets={})[method]


def test_every_kind_of_run_has_settings_of_its_own():
  assert tuple(KINDS) == settings.KINDS


@pytest.mark.parametrize(
  ("method", "count", "last"),
  [
    ("single", 3, ("single.rte", "single.mrpc", "single.cola")),
    ("multi", 1, ("multi.rte+mrpc+cola",)),
    (
      "single->single",
      6,
      tuple(f"single-to-single.{task}" for task in TASKS),
    ),
    ("multi->multi", 2, ("multi-to-multi.rte+mrpc+cola",)),
    ("single->multi", 4, ("single-to-multi.rte+mrpc+cola",)),
    (
      "single->multi->single->multi",
      8,
      ("single-to-multi-to-single-to-multi.rte+mrpc+cola",),
    ),
    (
      "multi+finetune",
      4,
      tuple(f"multi+finetune.{task}" for task in TASKS),
    ),
  ],
)
def test_methods_end_in_the_runs_that_are_scored(method, count, last):
  runs = runs_of(method)
  assert len(runs) == count
  assert tuple(run.name for run in runs[-len(last) :]) == last
  assert {scored(runs, task).name for task in TASKS} == set(last)


def test_every_run_stands_after_what_it_needs():
  runs = runs_of("single->multi->single->multi+finetune")
  seen = set()
  for run in runs:
    needs = {name for _, name in run.teachers} | ({run.start} - {""})
    assert needs <= seen, run
    seen.add(run.name)


def test_each_task_is_taught_by_its_own_teacher():
  student = runs_of("single->multi")[-1]
  assert dict(student.teachers) == {task: f"single.{task}" for task in TASKS}
  last = runs_of("single->multi->single->multi")
  by_name = {run.name: run for run in last}
  for task, teacher in last[-1].teachers:
    # The third stage is single again, and was itself taught by one multi run.
    ((of, upper),) = by_name[teacher].teachers
    assert (of, upper) == (task, "single-to-multi.rte+mrpc+cola")


def test_finetune_starts_where_the_method_ends_and_has_no_teacher():
  for run in runs_of("single->multi+finetune")[-3:]:
    assert run.kind == "finetune"
    assert run.start == "single-to-multi.rte+mrpc+cola"
    assert run.teachers == ()


def test_methods_share_equal_runs_and_no_others():
  methods = plan(
    ["single", "single->multi", "multi", "multi->multi"],
    TASKS,
    outside=(),
    subsets={},
  )
  names = [run.name for runs in methods.values() for run in runs]
  runs = {run for runs in methods.values() for run in runs}
  assert len(names) == 3 + 4 + 1 + 2
  # Equal names must be equal runs, or one would stand for the other.
  assert len(runs) == len(set(names)) == 3 + 1 + 1 + 1


def test_nothing_is_trained_only_to_teach_what_a_file_teaches():
  runs = runs_of("single->multi", outside=("mrpc",))
  assert [run.name for run in runs] == [
    "single.rte",
    "single.cola",
    "single-to-multi.rte+mrpc+cola",
  ]
  assert dict(runs[-1].teachers)["mrpc"] == OUTSIDE
  assert len(runs_of("single->multi", outside=TASKS)) == 1


def test_a_single_run_keeps_its_only_task_order():
  assert runs_of("multi", ("cola", "rte"))[0].tasks == ("cola", "rte")


@pytest.mark.parametrize(
  ("method", "hint"),
  [
    ("singel", "did you mean 'single'"),
    ("single->mutli", "did you mean 'single->multi'"),
    ("single>multi", "single->multi"),
    ("multi+finetun", "+finetune"),
    ("", "chain of single and multi"),
    ("+finetune", "chain of single and multi"),
  ],
)
def test_no_such_method_is_told_the_nearest(method, hint):
  with pytest.raises(ValueError, match=re.escape(hint)):
    parse(method)


@pytest.mark.parametrize("methods", [[], ["multi", "multi"]])
def test_methods_are_named_once_and_at_least_one(methods):
  with pytest.raises(ValueError, match="name each once"):
    plan(methods, TASKS, outside=(), subsets={})
