"""Two studies share what is of one lineage, and nothing else."""

import os
import shutil

import jax
import numpy as np
import pytest

from bam_jax.data import logits as logits_lib
from bam_jax.runtime.files import read_json
from bam_jax.stages import reuse, session, teach
from bam_jax.study import predictions
from bam_jax.study.workdir import Workdir
from bam_jax.training import loop
from bam_jax.training.checkpoint import load_params
from tests import small

TEACHERS = {"single.cola", "single.stsb"}
STUDENTS = {"multi.cola+stsb", "single-to-multi.cola+stsb"}


class Killed(BaseException):
  """Stands for the end of the process: nothing catches it."""


def asked(run, **changes):
  """The config of a second study that may take from the first."""
  reused = {"reuse": str(run.workdir), **changes}
  return small.settings(run.glue, run.encoder, **reused)


def trained(monkeypatch) -> list[set[str]]:
  """Returns what is filled with the tasks of every run that is trained."""
  found, real = [], loop.train

  def noted(job, *args, **kwargs):
    found.append(set(job.tasks))
    return real(job, *args, **kwargs)

  monkeypatch.setattr(loop, "train", noted)
  return found


def results_of(workdir) -> dict:
  found = read_json(workdir / "results.json", cure="")
  del found["seconds"], found["joules"]
  found["settings"].pop("reuse")
  return found


@pytest.fixture(scope="module")
def teachers(small_run):
  """A finished study of single-task models that have taught."""
  place = shutil.copytree(small_run.workdir, small_run.root / "teachers")
  for name in STUDENTS:
    shutil.rmtree(place / "runs" / name)
  return place


def test_a_second_study_trains_only_its_students(
  small_run, teachers, tmp_path, monkeypatch, capsys
):
  found, taught = trained(monkeypatch), []
  monkeypatch.setattr(
    teach.Parts, "join", lambda *args, **kwargs: taught.append(args)
  )
  # Other methods, the same teachers.
  config = asked(small_run, reuse=str(teachers), methods="single,single->multi")
  small.execute(config, tmp_path / "W")
  assert found == [{"cola", "stsb"}]
  assert not taught
  there, here = results_of(small_run.workdir), results_of(tmp_path / "W")
  for method in ("single", "single->multi"):
    assert here["methods"][method] == there["methods"][method]
  for name in TEACHERS:
    entry = Workdir(tmp_path / "W").scores(name)["0"]
    source = teachers / "runs" / name / "checkpoints" / "seed-0"
    assert entry.pop("taken_from") == str(source)
    assert entry == Workdir(small_run.workdir).scores(name)["0"]
    (mine, theirs) = (
      predictions.read(predictions.path(place / "runs" / name, 0))
      for place in (tmp_path / "W", teachers)
    )
    assert mine.keys() == theirs.keys()
    lines = [
      (place / "runs" / name / "metrics.jsonl").read_text()
      for place in (tmp_path / "W", teachers)
    ]
    assert lines[0] == lines[1] != ""
  for place in (Workdir(tmp_path / "W"), Workdir(small_run.workdir)):
    params, _ = load_params(place.params("single-to-multi.cola+stsb", 0))
    if place.path == tmp_path / "W":
      mine = params
  jax.tree.map(np.testing.assert_array_equal, mine, params)
  # Scored again, it is still known where it comes from.
  config.stage = "evaluate"
  small.execute(config, tmp_path / "W")
  assert "taken_from" in Workdir(tmp_path / "W").scores("single.cola")["0"]


def content(config, workdir, name="single.cola") -> str:
  it = session.opened(config, Workdir(workdir))
  return it.lineage.content(it.experiment.run(name), 0)


@pytest.mark.parametrize(
  "changes",
  [
    {"methods": "single"},
    {"methods": "single->multi+finetune", "trials": 3, "log_every": 1},
    {"multi__rate": 0.5, "teacher__schedule": "constant"},
    {"tasks": "cola,rte,stsb", "sampling__kind": "uniform"},
    {
      "checkpoint_every": 1,
      "eval_batch_size": 32,
      "teacher__trials": "matched",
    },
  ],
)
def test_what_does_not_shape_a_trial_is_not_in_its_hash(
  small_run, tmp_path, changes
):
  assert content(asked(small_run, **changes), tmp_path) == content(
    small_run.config, small_run.workdir
  )


@pytest.mark.parametrize(
  "changes",
  [
    {"single__rate": 2e-2},
    {"max_steps": 5},
    {"head_dropout": 0.2},
    {"max_length": 16},
    {"sampling__kind": "copies"},
    {"data__holdout": 0.1},
    {"optim__clip": 2.0},
    {"eval_every": 2},
  ],
)
def test_what_shapes_a_trial_is_in_its_hash(small_run, tmp_path, changes):
  assert content(asked(small_run, **changes), tmp_path) != content(
    small_run.config, small_run.workdir
  )


def test_a_students_hash_has_its_teachers_and_a_finetuned_ones_its_start(
  small_run, tmp_path
):
  changes = dict(methods="single->multi,multi+finetune")

  def both(**more):
    config = asked(small_run, **changes, **more)
    names = ("single-to-multi.cola+stsb", "multi+finetune.cola")
    return [content(config, tmp_path, name) for name in names]

  student, tuned = both()
  other = both(single__rate=2e-2)
  assert other[0] != student
  assert other[1] == tuned
  assert both(multi__rate=2e-2)[1] != tuned
  seeds = both(teacher__trials="ensemble", trials=2)
  assert seeds[0] != student
  assert seeds[1] == tuned
  assert both(teacher__trials="ensemble")[0] == student


def test_other_data_and_other_weights_are_other_trials(small_run, tmp_path):
  same = content(small_run.config, tmp_path)
  for split in ("train", "dev"):
    glue = shutil.copytree(small_run.glue, tmp_path / split)
    assert content(small.settings(glue, small_run.encoder), tmp_path) == same
    file = glue / "CoLA" / f"{split}.tsv"
    file.write_text(file.read_text().replace("dog", "cat", 1))
    assert content(small.settings(glue, small_run.encoder), tmp_path) != same
  for seed in (0, 1):
    encoder = small.write_encoder(tmp_path / f"encoder-{seed}", seed=seed)
    other = content(small.settings(small_run.glue, encoder), tmp_path)
    assert (other == same) == (seed == 0)


def test_a_trial_of_another_rate_is_trained_and_the_difference_is_named(
  small_run, tmp_path, monkeypatch
):
  config = asked(small_run, tasks="cola", methods="single", single__rate=2e-2)
  it = session.opened(config, Workdir(tmp_path / "W"))
  (run,) = it.experiment.runs
  assert reuse.find(it, run, 0) is None
  said = reuse.unlike(it, run, 0)
  assert "kind.rate is 0.01 there and 0.02 here" in said

  def kill(*args, **kwargs):
    raise Killed

  monkeypatch.setattr(loop, "train", kill)
  with pytest.raises(Killed):
    small.execute(config, tmp_path / "W")


def spoil(path):
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 255
  path.unlink()
  path.write_bytes(data)


def spoil_all(folder):
  # Some of what Orbax writes is read by nobody.
  for path in sorted(folder.rglob("d/*")):
    spoil(path)


@pytest.mark.parametrize(
  "harm",
  [
    lambda run: spoil_all(run / "checkpoints" / "seed-0" / "state"),
    lambda run: spoil(run / "dev_logits" / "seed-0.npz"),
    lambda run: (run / "dev_logits" / "seed-0.npz").unlink(),
    lambda run: rename_content(run, "single.cola"),
  ],
  ids=["parameters", "dev logits", "no dev logits", "other trial"],
)
def test_a_damaged_source_is_told_of_and_trained_anew(
  small_run, teachers, tmp_path, monkeypatch, capsys, harm
):
  source = shutil.copytree(teachers, tmp_path / "source")
  harm(source / "runs" / "single.cola")
  found = trained(monkeypatch)
  config = asked(small_run, reuse=str(source), tasks="cola", methods="single")
  small.execute(config, tmp_path / "W")
  assert found == [{"cola"}]
  out = capsys.readouterr().out
  assert "is not taken, single.cola seed 0 is trained" in out
  run = tmp_path / "W" / "runs" / "single.cola"
  assert [p.name for p in (run / "checkpoints").iterdir()] == ["seed-0"]
  assert "taken_from" not in Workdir(tmp_path / "W").scores("single.cola")["0"]


def rename_content(run, name):
  """Lets the scores of one trial name the content of another's parameters."""
  shutil.rmtree(run / "checkpoints" / "seed-0")
  other = run.parent / "single.stsb" / "checkpoints" / "seed-0"
  shutil.copytree(other, run / "checkpoints" / "seed-0")


def test_damaged_teacher_logits_are_made_anew(
  small_run, teachers, tmp_path, capsys
):
  source = shutil.copytree(teachers, tmp_path / "source")
  (shard,) = (
    source / "data" / "teachers" / "single.cola" / "cola" / "seed-0"
  ).glob("*array_record*")
  spoil(shard)
  config = asked(
    small_run, reuse=str(source), tasks="cola", methods="single->multi"
  )
  small.execute(config, tmp_path / "W")
  assert "they are not taken, single.cola teaches cola anew" in (
    capsys.readouterr().out
  )
  places = [Workdir(tmp_path / "W"), Workdir(small_run.workdir)]
  mine, theirs = (
    logits_lib.read(place.teacher("single.cola", "cola", 0), expected={}).values
    for place in places
  )
  np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("at", ["link", "read", "rename"])
def test_a_killed_copy_leaves_nothing_half(
  small_run, teachers, tmp_path, monkeypatch, at
):
  def kill(*args, **kwargs):
    raise Killed

  place = {"link": (reuse.os, "link"), "read": (reuse.predictions, "read")}
  owner, name = place.get(at, (reuse.os, "rename"))
  config = asked(small_run, reuse=str(teachers), tasks="cola", methods="single")
  with monkeypatch.context() as patch:
    patch.setattr(owner, name, kill)
    with pytest.raises(Killed):
      small.execute(config, tmp_path / "W")
  workdir = Workdir(tmp_path / "W")
  assert not workdir.finished("single.cola", 0)
  found = trained(monkeypatch)
  small.execute(config, tmp_path / "W")
  assert not found
  folder = workdir.run("single.cola") / "checkpoints"
  assert [p.name for p in folder.iterdir()] == ["seed-0"]
  assert results_of(tmp_path / "W")["methods"]["single"]["cola"]["seeds"] == [0]


def test_a_file_system_without_links_is_copied_to(tmp_path, monkeypatch):
  def refuse(*args):
    raise OSError(18, "Invalid cross-device link")

  (tmp_path / "a" / "b").mkdir(parents=True)
  (tmp_path / "a" / "b" / "c").write_text("x")
  reuse.link(tmp_path / "a", tmp_path / "linked")
  assert (tmp_path / "linked" / "b" / "c").stat().st_nlink == 2
  monkeypatch.setattr(os, "link", refuse)
  reuse.link(tmp_path / "a", tmp_path / "linked")
  assert (tmp_path / "linked" / "b" / "c").stat().st_nlink == 1
  assert (tmp_path / "linked" / "b" / "c").read_text() == "x"


def test_a_directory_that_is_none_is_refused(small_run, tmp_path):
  config = asked(small_run, reuse=f"{small_run.workdir},{tmp_path / 'no'}")
  with pytest.raises(
    ValueError, match=r"reuse names .*no, which is no working"
  ):
    small.execute(config, tmp_path / "W")
  assert not (tmp_path / "W").exists()


def test_a_group_in_training_goes_on_as_it_was(
  small_run, teachers, tmp_path, monkeypatch
):
  config = asked(small_run, reuse=str(teachers), tasks="cola", methods="single")
  it = session.opened(config, Workdir(tmp_path / "W"))
  it.workdir.training("single.cola", [0]).mkdir(parents=True)
  monkeypatch.setattr(reuse, "take_trial", lambda *a: pytest.fail("taken"))
  reuse.take(it, it.experiment.runs[0])
