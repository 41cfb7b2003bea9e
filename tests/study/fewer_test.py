"""Fewer rows by a variant: which they are, for whom, and in what trials."""

import re

import jax
from ml_collections import ConfigDict
import numpy as np
import pytest

from bam_jax.stages import forecast, session
from bam_jax.study import fewer
from bam_jax.study.workdir import Workdir
from bam_jax.training.checkpoint import load_params
from tests import small

METHODS = (
  "single,single@few,single->multi,single->multi@few,rte+single,rte@some+single"
)
LIMITS = {"few": "cola=9", "some": "rte=11"}


def study(run, methods=METHODS, given=LIMITS, **more):
  config = small.settings(run.glue, run.encoder, methods=methods, **more)
  config.variants = ConfigDict(
    {name: {"data": {"limit": text}} for name, text in given.items()}
  )
  return config


@pytest.fixture(scope="module")
def here(small_run):
  """A session whose teachers are finished, and have taught all rows."""
  return session.opened(study(small_run), Workdir(small_run.workdir))


def learned(here, name):
  """Returns {task: {index: what its target is made of}} of a run's pool."""
  run = here.experiment.run(name)
  (pool,) = here.batches(run, (0,))._pools
  own = pool.learned["example"]
  rows = [own.label, *own.teacher.T] if run.teachers else [own.label]
  told = np.stack(rows, axis=-1)
  return {
    task: dict(
      zip(
        pool.index[pool.task == i].tolist(),
        told[pool.task == i].tolist(),
        strict=True,
      )
    )
    for i, task in enumerate(run.tasks)
  }


@pytest.mark.parametrize(
  "name", ["single{}.cola", "single-to-multi{}.cola+stsb"]
)
def test_fewer_rows_have_the_labels_and_teachers_that_they_had(here, name):
  whole, few = (learned(here, name.format(x)) for x in ("", "@few"))
  assert len(few["cola"]) == 9 and len(whole["cola"]) == small.ROWS["train"]
  for task, rows in few.items():
    assert rows == {index: whole[task][index] for index in rows}
  # Of a task that the variant does not name all rows are there.
  assert few.get("stsb") == whole.get("stsb")


def test_a_limit_of_what_comes_first_is_another_trial_of_all_behind_it(here):
  content = {
    run.name: here.lineage.content(run, 0) for run in here.experiment.runs
  }
  for name, few in (
    ("single.rte", "single@some.rte"),
    ("rte+single.cola", "rte@some+single.cola"),
    ("single.cola", "single@few.cola"),
  ):
    assert content[name] != content[few]
  # What reads the same rows is the same trial.
  assert content["single.stsb"] == content["single@few.stsb"]
  assert len(learned(here, "single@some.rte")["rte"]) == 11
  assert len(learned(here, "rte@some+single.cola")["cola"]) == 50


def test_it_trains_as_a_study_of_so_many_rows_does(small_run, tmp_path):
  # An example's dropout is that of its number, of which there are more here.
  still = small.write_encoder(
    tmp_path / "encoder", hidden_dropout=0.0, attention_dropout=0.0
  )
  asked = {"tasks": "cola", "encoder": str(still), "head_dropout": 0.0}
  small.execute(study(small_run, "single@few", **asked), tmp_path / "few")
  small.execute(
    study(small_run, "single", {}, data__limit="cola=9", **asked),
    tmp_path / "all",
  )
  few, every = (
    load_params(Workdir(tmp_path / place).params(run, 0))[0]
    for place, run in (("few", "single@few.cola"), ("all", "single.cola"))
  )
  jax.tree.map(np.testing.assert_array_equal, few, every)


def test_the_steps_that_are_told_are_those_of_the_rows(small_run, tmp_path):
  config = study(small_run, max_steps=0)
  here = session.opened(config, Workdir(tmp_path / "W"))
  samples = forecast.samples_of(here)
  found = {cost.run.name: cost.steps for cost in forecast.costs(here, samples)}
  # Three epochs in batches of 8.
  assert found["single.cola"] == 3 * 7 and found["single@few.cola"] == 3 * 2
  assert found["single@some.rte"] == 3 * 2 and found["single.rte"] == 3 * 7


@pytest.mark.parametrize(
  ("text", "methods", "said"),
  [
    ("cola=13", "single@x", "reads 13 rows of cola, of which the study reads"),
    ("", "single@x", "x: data.limit is '', and a variant reads fewer"),
    ("cola=4", "rte@x+single", "cola, which no run of it trains on; they have"),
    ("mnli=4", "single@x", "x: data.limit has 'mnli=4'"),
  ],
)
def test_a_limit_that_nothing_reads_is_refused(
  small_run, tmp_path, text, methods, said
):
  config = study(small_run, methods, {"x": text}, data__limit="cola=12")
  with pytest.raises(ValueError, match=re.escape(said)):
    small.execute(config, tmp_path / "W")
  assert not (tmp_path / "W").exists()


def test_more_rows_than_there_are_is_all_of_them(small_run, tmp_path):
  config = study(small_run, "single@x", {"x": "99"})
  here = session.opened(config, Workdir(tmp_path / "W"))
  run = here.experiment.run("single@x.cola")
  assert fewer.of(here.experiment, run) == {"cola": 99}
  assert len(here.materials.rows(run, here.experiment.tasks[0])) == 50
