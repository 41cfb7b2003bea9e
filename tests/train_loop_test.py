"""The loop: when it reads, saves and stops, and what it says of a NaN."""

import functools
import json

import jax
import numpy as np
import pytest

from bam_jax import sharding, train
from bam_jax.checkpoint import Checkpoints
from bam_jax.writer import Writer
from tests import tiny

EVERY = {"log_every": 3, "checkpoint_every": 4}


class Recorder:
  """Stands for checkpoints, writer and step, and notes what they are told."""

  def __init__(self, path):
    self.path, self.notes, self.ran = path, [], 0

  def step(self, state, batch):
    self.ran += 1
    sums = {
      "loss": np.array([[1.0, batch, 0.0]]),
      "count": np.array([[2, 3, 0]]),
      "grad_norm": np.array([batch]),
    }
    return state + 1, sums

  def save(self, step, state):
    assert state == step
    self.notes.append(("save", step))

  def wait(self):
    self.notes.append("wait")

  def steps(self, done, rows):
    self.notes.append(("log", done, len(rows)))

  def loop(self, steps, *, start=0, stop=lambda: False, bad=None):
    one = np.zeros((1, 1, 1), np.int32)
    batches = [{"task": one, "index": one, "norm": 0.5} for _ in range(steps)]
    if bad is not None:
      batches[bad]["norm"] = np.nan
    return train.loop(
      self.step,
      start,
      batches,
      put=lambda batch: batch["norm"],
      tasks=tiny.TASKS,
      start=start,
      config=tiny.config(**EVERY),
      checkpoints=self,
      writer=self,
      stop=stop,
    )


@pytest.fixture
def recorder(tmp_path):
  return Recorder(tmp_path)


def test_the_device_is_read_on_log_steps_only(recorder, monkeypatch):
  reads = []
  get = jax.device_get
  monkeypatch.setattr(
    jax, "device_get", lambda x: reads.append(recorder.ran) or get(x)
  )
  assert recorder.loop(7) == 7
  assert reads == [3, 4, 6, 7]
  assert recorder.notes == [
    ("log", 3, 3),
    ("log", 4, 1),
    ("save", 4),
    ("log", 6, 2),
    ("log", 7, 1),
  ]


def test_a_loop_goes_on_from_its_start_and_never_saves_the_last_step(recorder):
  assert recorder.loop(8, start=6) == 8
  assert recorder.ran == 2
  assert recorder.notes == [("log", 8, 2)]


def test_a_stopped_loop_waits_until_its_state_is_saved(recorder):
  with pytest.raises(train.Stopped, match="after step 2 of 7"):
    recorder.loop(7, stop=lambda: recorder.ran == 2)
  assert recorder.notes == [("log", 2, 2), ("save", 2), "wait"]


def test_a_stop_at_the_last_step_is_none(recorder):
  assert recorder.loop(2, stop=lambda: recorder.ran == 2) == 2
  assert recorder.notes == [("log", 2, 2)]


def test_nothing_is_saved_after_a_nan(recorder):
  with pytest.raises(train.NotFinite, match="at step 4 "):
    recorder.loop(9, bad=3)
  assert recorder.notes == [("log", 3, 3)]


def blamed(path, *, loss, norm, done=12):
  """Returns what is said of two trials' sums at steps 11 and 12."""
  batch = {
    "task": np.array([[[0, 2, -1]], [[1, 1, 2]]]),
    "index": np.array([[[7, 5, -1]], [[9, 4, 6]]]),
  }
  count = np.array([[1, 0, 1], [0, 2, 1]])
  good = {"loss": np.ones((2, 3)), "count": count, "grad_norm": np.ones(2)}
  rows = [good, good | {"loss": np.array(loss), "grad_norm": np.array(norm)}]
  batches = [None] * (done - 1) + [batch]
  with pytest.raises(train.NotFinite) as raised:
    train.check_finite(rows, done, batches, tiny.TASKS, path)
  return str(raised.value)


def test_a_nan_names_step_trial_task_examples_and_checkpoint(tmp_path):
  for name in ("4", "8", "8.orbax-checkpoint-tmp"):
    (tmp_path / name).mkdir()
  said = blamed(tmp_path, loss=[[1, 0, 1], [0, np.nan, 1]], norm=[1, np.nan])
  assert "at step 12 (trial 1; stsb examples [4, 9])" in said
  assert f"Last good checkpoint: step 8 in {tmp_path}" in said


def test_a_gradient_without_a_culprit_names_all_tasks_of_its_trial(tmp_path):
  said = blamed(tmp_path, loss=np.ones((2, 3)), norm=[np.inf, 1])
  assert "(trial 0; mnli examples [7]; rte examples [5])" in said
  assert "checkpoint: none yet" in said


def test_finite_sums_pass(tmp_path):
  row = {"loss": np.ones((1, 3)), "grad_norm": np.ones(1)}
  train.check_finite([row, row], 2, [], tiny.TASKS, tmp_path)


class Run:
  """One run of one trial in a directory, as `train.train` sees it."""

  seeds = (3,)

  def __init__(self, path, monkeypatch):
    self.path, self.steps = path, []
    loop = train.loop

    def spied(step, state, *args, **kwargs):
      self.steps.append(step)
      self.start, self.begun = int(state.step[0]), state
      return loop(step, state, *args, **kwargs)

    monkeypatch.setattr(train, "loop", spied)
    # Unoptimised, see tiny.functions.
    quick = {"xla_backend_optimization_level": 0}
    jit = functools.partial(jax.jit, compiler_options=quick)
    monkeypatch.setattr(jax, "jit", jit)

  def train(self, *, stop=lambda: False, batches=None, given=None):
    """Trains, goes on, or stops; returns the parameters."""
    checkpoints = Checkpoints(self.path / "checkpoints")
    c = tiny.config(**EVERY)
    try:
      return train.train(
        tiny.model(),
        batches or tiny.batches(),
        seeds=self.seeds,
        given=given or {},
        settings=c.multi,
        config=c,
        mesh=sharding.make_mesh(1, 1, 1),
        checkpoints=checkpoints,
        writer=Writer(
          self.path / "metrics.jsonl", "multi", tiny.TASKS, self.seeds
        ),
        stop=stop,
      )
    finally:
      checkpoints.close()


@pytest.fixture(scope="module")
def whole():
  """The parameters of the same run without a pause, and those it began with."""
  init, step = tiny.functions(tiny.model(), tiny.config())
  state = first = tiny.start(init, Run.seeds)
  batches = tiny.batches()
  for k in range(tiny.STEPS):
    state, _ = step(state, batches[k])
  return first.params, state.params


def test_a_stopped_run_goes_on_as_if_nothing_had_been(
  whole, tmp_path, monkeypatch
):
  first, last = whole
  run = Run(tmp_path, monkeypatch)
  asked = iter([False, True])
  with pytest.raises(train.Stopped, match="after step 2 of 5"):
    run.train(stop=lambda: next(asked))
  begun = run.begun
  # Its own checkpoint comes before whatever is given.
  given = jax.tree.map(np.zeros_like, jax.device_get(first))
  params = run.train(given=given)
  assert run.start == 2
  assert tiny.difference(params, last) < 1e-5
  assert tiny.difference(first, last) > 1e-3
  for state in (begun, run.begun):
    leaves = jax.tree.leaves((state.params, state.opt_state))
    assert all(x.is_deleted() for x in leaves), "the state is not donated"
  # Neither the first state nor a restored one makes XLA compile again.
  assert [step._cache_size() for step in run.steps] == [1, 1]
  lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
  lines = [json.loads(line) for line in lines]
  assert [(x["step"], x["seed"]) for x in lines] == [
    (step, seed) for step in (2, 3, 4, 5) for seed in Run.seeds
  ]
  assert lines[-1]["lambda"] == pytest.approx(4 / 5)


def test_a_nan_in_the_data_ends_the_run_with_its_name(tmp_path, monkeypatch):
  # An order in which the bad example comes at the second step and no other.
  order = np.where(np.arange(tiny.STEPS)[:, None] == 1, 19, 0)
  order = np.where(np.arange(tiny.BATCH) == 2, order, np.arange(tiny.BATCH))
  batches = tiny.batches(taught=False, order=order[None].astype(np.int32))
  features = batches._pools[0].features
  features.labels[19] = np.nan
  with pytest.raises(train.NotFinite) as raised:
    Run(tmp_path, monkeypatch).train(batches=batches)
  assert f"at step 2 (trial 0; stsb examples [{features.index[19]}])" in str(
    raised.value
  )
  assert not (tmp_path / "metrics.jsonl").read_text()
