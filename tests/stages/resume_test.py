"""Wherever a run is cut, the same command ends in the same bits."""

import json
import shutil

import jax
import numpy as np
import pytest

from bam_jax.stages import evaluate, session, train
from bam_jax.study.workdir import Workdir
from bam_jax.training import checkpoint, loop
from bam_jax.training import forward as forward_pass
from bam_jax.training.checkpoint import load_params
from tests import small

RUN = "multi.cola+stsb"
CHANGES = dict(
  methods="multi",
  trials=2,
  trials_at_once=2,
  max_steps=7,
  log_every=3,
  checkpoint_every=2,
  eval_every=2,
  select__by="stsb",
  # As Wang et al. (2019) train: each trial's rate falls by its own evaluations,
  # which end it too, and one task ends before the other.
  optim__kind="amsgrad",
  optim__schedule="plateau",
  plateau__patience=0,
  select__patience=2,
  data__limit="cola=9",
  sampling__kind="uniform",
  sampling__max_epochs="cola=1",
)


class Killed(BaseException):
  """Stands for the end of the process: nothing catches it."""


def outcome(workdir) -> tuple:
  """Returns all that must be the same: parameters, metrics, scores."""
  found = [load_params(Workdir(workdir).params(RUN, seed)) for seed in (0, 1)]
  results = json.loads((workdir / "results.json").read_text())
  for key in ("seconds", "joules", "commit"):
    results.pop(key)
  return (
    [params for params, _ in found],
    [meta["step"] for _, meta in found],
    (workdir / "runs" / RUN / "metrics.jsonl").read_bytes(),
    results,
  )


@pytest.fixture(scope="module")
def pair(small_run):
  """Two trials at once, their best steps kept, never cut."""
  config = small.settings(small_run.glue, small_run.encoder, **CHANGES)
  workdir = small_run.root / "pair"
  small.execute(config, workdir)
  return config, workdir, outcome(workdir)


def kill(monkeypatch, module, name, *, at):
  """Ends the process when a function is called for the n-th time."""
  calls, real = iter(range(1, 1000)), getattr(module, name)

  def mortal(*args, **kwargs):
    if next(calls) == at:
      raise Killed
    return real(*args, **kwargs)

  monkeypatch.setattr(module, name, mortal)


@pytest.mark.parametrize(
  ("module", "name", "at"),
  [
    (checkpoint, "_items", 2),  # at the second save of the state
    (train, "save_params", 1),
    (train, "save_params", 2),  # one of two trials is kept already
    (evaluate, "score", 1),
    (evaluate, "score", 2),
  ],
)
def test_a_run_cut_anywhere_ends_in_the_same_bits(
  pair, module, name, at, tmp_path, monkeypatch
):
  config, whole, want = pair
  workdir = tmp_path / "W"
  shutil.copytree(whole / "data", workdir / "data")
  with monkeypatch.context() as patch:
    kill(patch, module, name, at=at)
    with pytest.raises(Killed):
      small.execute(config, workdir)
  small.execute(config, workdir)
  jax.tree.map(np.testing.assert_array_equal, outcome(workdir), want)
  left = {p.name for p in (workdir / "runs" / RUN / "checkpoints").iterdir()}
  assert left == {"seed-0", "seed-1"}


def test_the_rates_that_end_alike_have_fallen(pair):
  _, workdir, _ = pair
  lines = (workdir / "runs" / RUN / "metrics.jsonl").read_text().splitlines()
  rows = [json.loads(line) for line in lines]
  rates = [row["rate"] for row in rows if "rate" in row]
  assert min(rates) <= max(rates) / 2


def test_the_run_that_ends_alike_has_lost_a_task_on_the_way(pair):
  _, workdir, _ = pair
  lines = (workdir / "runs" / RUN / "metrics.jsonl").read_text().splitlines()
  rows = [json.loads(line) for line in lines]
  for seed in (0, 1):
    counts = [
      r["task_count"]["cola"] for r in rows if "loss" in r and r["seed"] == seed
    ]
    # One epoch of its nine rows, in the first three steps.
    assert counts == [9, 0, 0]


def test_the_step_that_was_kept_is_told_and_its_scores_are_in_the_curve(pair):
  _, workdir, (_, steps, metrics, results) = pair
  rows = [json.loads(line) for line in metrics.splitlines()]
  scored = [row for row in rows if "scores" in row]
  assert [row["step"] for row in scored if row["seed"] == 0] == [2, 4, 6, 7]
  assert [row["step"] for row in rows if "loss" in row] == [3, 3, 6, 6, 7, 7]
  records = json.loads((workdir / "runs" / RUN / "scores.json").read_text())
  for seed in (0, 1):
    curve = {
      r["step"]: r["scores"]["stsb"] for r in scored if r["seed"] == seed
    }
    # The first of the best.
    assert steps[seed] == max(curve, key=lambda step: (curve[step], -step))
    assert records[str(seed)]["step"] == steps[seed]
    final = results["methods"]["multi"]["stsb"]["scores"][seed]
    assert final == pytest.approx(curve[steps[seed]], abs=1e-3)


def test_a_group_too_large_by_now_is_trained_in_smaller_ones(
  pair, tmp_path, monkeypatch
):
  config, whole, _ = pair
  workdir = tmp_path / "W"
  shutil.copytree(whole / "data", workdir / "data")
  with monkeypatch.context() as patch:
    kill(patch, train, "save_params", at=2)
    with pytest.raises(Killed):
      small.execute(config, workdir)

  def grouped(**changes):
    config.update(changes)
    made = session.opened(config, Workdir(workdir))
    groups = train.groups(made, made.experiment.runs[0])
    return [list(group) for group in groups]

  config = config.copy_and_resolve_references()
  assert grouped() == [[0, 1]]
  assert grouped(trials_at_once=1) == [[1]]
  assert grouped(trials=5, trials_at_once=3) == [[0, 1], [2, 3, 4]]


def test_a_task_that_is_never_drawn_is_refused(small_run, tmp_path):
  config = small.settings(
    small_run.glue, small_run.encoder, methods="multi", max_steps=1
  )
  config.multi.batch_size = 1
  with pytest.raises(
    ValueError, match=r"no example of (cola|stsb) .* raise --config\.max_steps"
  ):
    small.execute(config, tmp_path)


def test_answers_that_are_all_alike_are_told(
  small_run, tmp_path, monkeypatch, capsys
):
  workdir = shutil.copytree(small_run.workdir, tmp_path / "W")
  real = forward_pass.outputs

  def alike(*args, **kwargs):
    found = real(*args, **kwargs)
    return {key: np.zeros_like(logits) for key, logits in found.items()}

  monkeypatch.setattr(forward_pass, "outputs", alike)
  config = small.settings(
    small_run.glue, small_run.encoder, stage="evaluate", methods="single"
  )
  small.execute(config, workdir)
  said = "single.cola seed 0 answers all 21 cola validation rows alike"
  assert said in capsys.readouterr().out
  scores = json.loads((workdir / "runs/single.cola/scores.json").read_text())
  assert said in scores["0"]["warnings"][0]


def test_a_nan_is_stopped_before_and_can_be_looked_at(
  small_run, tmp_path, monkeypatch, capsys
):
  from bam_jax import replay

  config = small.settings(
    small_run.glue, small_run.encoder, methods="single", tasks="stsb"
  )
  real = session.Session.batches

  def poisoned(self, run, seeds):
    made = real(self, run, seeds)
    number = made._orders[0, 4, 3]
    made._pools[0].learned["example"].label[number] = np.nan
    return made

  monkeypatch.setattr(session.Session, "batches", poisoned)
  with pytest.raises(loop.NotFinite) as raised:
    small.execute(config, tmp_path)
  said = str(raised.value)
  assert "not finite at step" in said
  words = said.split("python -m bam_jax.replay ")[1].split(";")[0].split()
  state = tmp_path / "runs" / "single.stsb" / "checkpoints" / "training-0-0"
  step = int(words[1].removeprefix("--step="))
  assert words[0] == f"--state={state}"
  # What is kept is right before that step.
  assert (state / str(step - 1)).is_dir()
  before = sorted(p for p in tmp_path.rglob("*"))
  capsys.readouterr()
  replay.main(words)
  shown = capsys.readouterr().out
  assert "nan" in shown
  assert "the parameters before the step are finite" in shown
  assert sorted(p for p in tmp_path.rglob("*")) == before
  for args, problem in (
    ([f"--state={tmp_path}", "--step=1"], "is no training state"),
    ([words[0], "--step=99"], "has steps 1 to 6"),
  ):
    with pytest.raises(SystemExit) as ended:
      replay.main(args)
    assert ended.value.code == 2
    assert problem in capsys.readouterr().err


def test_what_replay_shows_is_what_the_step_saw(small_run, tmp_path):
  from bam_jax import replay

  config = small.settings(
    small_run.glue, small_run.encoder, methods="single", tasks="cola"
  )
  config.log_every, config.checkpoint_every = 1, 2
  asked = iter(range(100))
  with pytest.raises(loop.Stopped):
    small.execute(config, tmp_path, lambda: next(asked) >= 4)
  run = tmp_path / "runs" / "single.cola"
  lines = (run / "metrics.jsonl").read_text().splitlines()
  rows = [json.loads(line) for line in lines]
  found = replay.replay(run / "checkpoints" / "training-0-0", 4)
  want = next(row for row in rows if row["step"] == 4)
  assert len(found["loss"][0]) == want["task_count"]["cola"] == 8
  assert np.mean(found["loss"][0]) == pytest.approx(want["loss"], rel=1e-5)
