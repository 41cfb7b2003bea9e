"""Every method as its graph of runs, and what methods share."""

import re

import pytest

from bam_jax.study.chains import KINDS, parse, sets_of
from bam_jax.study.plan import OUTSIDE, Firsts, plan, scored
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
    ("", "chain of single, multi and frozen"),
    ("mnly+single", "did you mean 'mnli+single'"),
    ("mood+single", "'mood' first, which is no task with training rows"),
    ("mnli+", "TASK+ before"),
    ("multi+mnli+single", "has 'multi'"),
    ("mnli", "has 'mnli'"),
    ("+finetune", "chain of single, multi and frozen"),
  ],
)
def test_no_such_method_is_told_the_nearest(method, hint):
  with pytest.raises(ValueError, match=re.escape(hint)):
    parse(method, ("mnli",))


@pytest.mark.parametrize("methods", [[], ["multi", "multi"]])
def test_methods_are_named_once_and_at_least_one(methods):
  with pytest.raises(ValueError, match="name each once"):
    plan(methods, TASKS, outside=(), subsets={})


SETS = {"inference": ("mnli", "rte")}


def first(method, tasks=TASKS, own=False):
  known = Firsts(("mnli", "qnli", *TASKS), SETS, own)
  return plan([method], tasks, outside=(), subsets={}, first=known)[method]


def test_an_encoder_is_trained_on_a_task_first_and_heads_are_new():
  before, *runs = first("mnli+single")
  assert before == runs_of("single", ("mnli",))[0]
  assert [run.name for run in runs] == [f"mnli+single.{t}" for t in TASKS]
  for run in runs:
    assert (run.start, run.fresh, run.teachers) == ("single.mnli", True, ())
  path = first("mnli+qnli+multi")
  assert [(run.name, run.start) for run in path] == [
    ("single.mnli", ""),
    ("mnli+single.qnli", "single.mnli"),
    ("mnli+qnli+multi.rte+mrpc+cola", "mnli+single.qnli"),
  ]


def test_a_target_may_come_first_and_is_then_trained_twice():
  runs = {run.name: run for run in first("rte+single")}
  assert runs["rte+single.rte"].start == "single.rte"
  assert scored(tuple(runs.values()), "rte").name == "rte+single.rte"


def test_what_comes_first_may_be_taught_by_what_does_not():
  *teachers, before, student = first("single->mnli+multi")
  assert [run.start for run in teachers] == ["", "", ""]
  assert dict(student.teachers) == {t: f"single.{t}" for t in TASKS}
  assert (before.name, student.start) == ("single.mnli", "single.mnli")
  assert student.name == "single-to-mnli+multi.rte+mrpc+cola"


@pytest.mark.parametrize("student", ["multi", "mnli+multi"])
def test_a_student_starts_where_its_teachers_did(student):
  runs = first(f"mnli+single->{student}")
  assert [run.name for run in runs].count("single.mnli") == 1
  assert {run.start for run in runs[1:]} == {"single.mnli"}
  assert dict(runs[-1].teachers)["rte"] == "mnli+single.rte"


def test_a_run_fine_tuned_after_keeps_its_heads():
  last = first("mnli+multi+finetune")[-1]
  assert last.start == "mnli+multi.rte+mrpc+cola" and not last.fresh


def test_tasks_that_come_first_together_are_one_run():
  path = first("mnli&qnli+cola+single", ("rte",))
  assert [(run.name, run.kind, run.start) for run in path] == [
    ("multi.mnli+qnli", "multi", ""),
    ("mnli-and-qnli+single.cola", "single", "multi.mnli+qnli"),
    ("mnli-and-qnli+cola+single.rte", "single", "mnli-and-qnli+single.cola"),
  ]
  named = first("inference+frozen", ("cola",))
  assert [run.name for run in named] == [
    "multi.mnli+rte",
    "inference+frozen.cola",
  ]
  # It is the very run of a study of these tasks.
  assert named[0] == runs_of("multi", ("mnli", "rte"))[0]


def test_a_variant_of_what_comes_first_is_not_one_of_the_last_stage():
  path = first("mnli@small+single->mnli@small+multi@slow", ("rte",))
  assert [(run.name, run.variant) for run in path] == [
    ("single@small.mnli", "small"),
    ("mnli@small+single.rte", ""),
    ("mnli@small+single-to-mnli@small+multi@slow.rte", "slow"),
  ]
  assert path[2].start == path[1].start == "single@small.mnli"
  whole = first("mnli+single", ("rte",))
  assert not {run.name for run in whole} & {run.name for run in path}


def test_settings_of_its_own_make_another_run_of_what_comes_first():
  path = first("mnli+inference+single", ("cola",), own=True)
  assert [(run.name, run.first) for run in path] == [
    ("first.mnli", True),
    ("mnli+first.mnli+rte", True),
    ("mnli+inference+single.cola", False),
  ]


def test_a_random_encoder_stands_at_the_very_beginning():
  path = first("random+mnli+single->multi", ("rte",))
  assert [(run.name, run.random) for run in path] == [
    ("random+single.mnli", True),
    ("random+mnli+single.rte", False),
    ("random+mnli+single-to-multi.rte", False),
  ]
  assert {run.start for run in path[1:]} == {"random+single.mnli"}
  alone = first("random+single->multi", ("rte",))
  assert [(run.start, run.random) for run in alone] == [("", True)] * 2
  with pytest.raises(ValueError, match=r"random behind a task"):
    parse("mnli+random+single", ("mnli",))


@pytest.mark.parametrize(
  ("method", "said"),
  [
    ("mnli&mnli+single", "name each task once"),
    ("mnli&qnly+single", "did you mean 'mnli&qnli+single'"),
    ("mnli@+single", "a variant of what is trained first stands behind it"),
    ("random@x+single", "a variant of what is trained first"),
    ("single@x->multi", "its name comes last"),
    ("mnli&+single", "trains on '' first"),
  ],
)
def test_what_comes_first_is_refused_in_a_sentence(method, said):
  with pytest.raises(ValueError, match=re.escape(said)):
    parse(method, ("mnli", "qnli"))


@pytest.mark.parametrize(
  ("sets", "said"),
  [
    ({"mnli": "qnli,rte"}, "sets has 'mnli', which stands for something else"),
    ({"single": "qnli,rte"}, "sets has 'single'"),
    ({"both": "qnli"}, "sets.both is 'qnli'; it is two tasks or more"),
    ({"both": "qnli,qnli"}, "each once"),
  ],
)
def test_a_set_that_cannot_be_is_refused(sets, said):
  with pytest.raises(ValueError, match=re.escape(said)):
    sets_of(sets, ("mnli", "qnli", "rte"))


def test_two_runs_are_never_called_alike():
  known = Firsts(("mnli", "qnli", "mnli-and-qnli"))
  with pytest.raises(
    ValueError, match=r"would be called mnli-and-qnli\+single"
  ):
    plan(
      ["mnli&qnli+single", "mnli-and-qnli+single"],
      ("rte",),
      outside=(),
      subsets={},
      first=known,
    )
