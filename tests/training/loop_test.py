"""The loop: when it reads, saves and stops, and what it says of a NaN."""

import functools
import json
import threading
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from bam_jax.training import loop, sharding
from bam_jax.training import state as states
from bam_jax.training.checkpoint import Checkpoints
from bam_jax.training.writer import Writer
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
      "bad": np.array([int(np.isnan(batch))]),
    }
    params = state.params + 1
    return state.replace(params=params, step=params), sums

  def save(self, step, state, meta):
    assert meta == {"window": self.rows}
    self.notes.append(("save", step))

  def wait(self):
    self.notes.append("wait")

  def add(self, rows):
    self.rows += len(rows)

  def window(self):
    return {"window": self.rows}

  def log(self, done):
    self.notes.append(("log", done, self.rows))
    self.rows = 0

  def scores(self, done, scores):
    self.notes.append(("scores", done, *scores))

  def loop(
    self,
    steps,
    *,
    start=0,
    stop=lambda: False,
    bad=(),
    scores=(),
    put=None,
    **changes,
  ):
    one = np.zeros((1, 1, 1), np.int32)
    batches = [{"task": one, "index": one, "norm": 0.5} for _ in range(steps)]
    for k in bad:
      batches[k]["norm"] = np.nan
    self.rows = 0
    number = np.array([start], np.int32)
    best = None
    if scores:
      zero = np.array([0], np.int32)
      best = states.Best(np.float32([-np.inf]), zero, zero, number)
    state = states.TrainState(number, number, None, None, number * 0, best)
    given = iter(scores)
    job = SimpleNamespace(
      batches=batches,
      put=put or (lambda k: batches[k]["norm"]),
      tasks=tiny.TASKS,
      settings=tiny.settings(**EVERY, **changes),
    )
    watch = loop.Watch(
      checkpoints=self,
      writer=self,
      stop=stop,
      evaluate=lambda params: [{"rte": next(given)}],
    )
    return loop.loop(self.step, state, job, watch, start=start)


@pytest.fixture
def recorder(tmp_path):
  return Recorder(tmp_path)


def test_the_device_is_read_only_when_it_must_be(recorder, monkeypatch):
  reads = []
  get = jax.device_get
  monkeypatch.setattr(
    jax, "device_get", lambda x: reads.append(recorder.ran) or get(x)
  )
  assert recorder.loop(7).params == 7
  assert reads == [3, 4, 6, 7]
  # A line is written every third step, whatever was saved in between.
  assert recorder.notes == [
    ("log", 3, 3),
    ("save", 4),
    ("log", 6, 3),
    ("log", 7, 1),
  ]


def test_a_loop_goes_on_from_its_start_and_never_saves_the_last_step(recorder):
  assert recorder.loop(8, start=6).params == 8
  assert recorder.ran == 2
  assert recorder.notes == [("log", 8, 2)]


def test_a_stopped_loop_waits_until_its_state_is_saved(recorder):
  with pytest.raises(loop.Stopped, match="after step 2 of 7"):
    recorder.loop(7, stop=lambda: recorder.ran == 2)
  assert recorder.notes == [("save", 2), "wait"]


def test_a_stop_at_the_last_step_is_none(recorder):
  assert recorder.loop(2, stop=lambda: recorder.ran == 2).params == 2
  assert recorder.notes == [("log", 2, 2)]


def test_before_a_nan_all_is_saved_and_after_it_nothing(recorder):
  with pytest.raises(loop.NotFinite, match="at step 6 ") as raised:
    recorder.loop(9, bad=[5])
  assert raised.value.step == 5
  assert recorder.notes == [("log", 3, 3), ("save", 4), ("save", 5), "wait"]


def test_skipped_steps_are_told_and_their_number_is_limited(recorder, capsys):
  skip = {"nonfinite.policy": "skip", "nonfinite.limit": 1}
  assert recorder.loop(3, bad=[1], **skip).params == 3
  said = capsys.readouterr().out
  assert "not finite at step 2 " in said
  assert "that update is left out" in said
  skip["nonfinite.limit"] = 0
  with pytest.raises(loop.NotFinite, match=r"more than nonfinite\.limit=0"):
    recorder.loop(3, bad=[1], **skip)


def test_one_batch_is_made_before_it_is_asked_for_and_no_more():
  made, there = [], threading.Event()

  def put(k):
    made.append(k)
    if k == 6:
      there.set()
    return -k

  ready = sharding.ahead(put, range(5, 9))
  assert next(ready) == -5
  assert there.wait(60), "nothing is made while a step runs"
  ready.close()
  assert made == [5, 6]
  assert list(sharding.ahead(put, range(7, 9))) == [-7, -8]
  assert list(sharding.ahead(put, range(9, 9))) == []


def test_what_fails_in_making_a_batch_is_raised_at_its_step(recorder):
  def broken(k):
    if k == 2:
      raise OSError("no more")
    return 0.5

  threads = set(threading.enumerate())
  with pytest.raises(OSError, match="no more"):
    recorder.loop(7, put=broken)
  assert recorder.ran == 2
  assert set(threading.enumerate()) <= threads
  with pytest.raises(loop.Stopped):
    recorder.loop(7, put=broken, stop=lambda: recorder.ran == 4)
  assert set(threading.enumerate()) <= threads


SELECT = {"eval_every": 2, "select.by": "average"}


def test_the_best_evaluation_is_kept_and_the_first_of_equals(recorder):
  state = recorder.loop(7, scores=[50.0, 70.0, 70.0, 60.0], **SELECT)
  assert [n for n in recorder.notes if n[0] == "scores"] == [
    ("scores", step, {"rte": score})
    for step, score in ((2, 50.0), (4, 70.0), (6, 70.0), (7, 60.0))
  ]
  assert int(state.best.step[0]) == int(state.best.params[0]) == 4
  assert float(state.best.score[0]) == 70.0


def test_a_run_ends_when_it_has_waited_enough(recorder):
  scores = [50.0, 70.0, 60.0, float("nan"), 99.0]
  more = SELECT | {"select.patience": 2}
  state = recorder.loop(12, scores=scores, **more)
  assert recorder.ran == 8
  assert int(state.best.step[0]) == 4
  assert recorder.notes[-1] == ("log", 8, 2)


STOP = tiny.config().nonfinite


def blamed(*, loss, norm, done=12):
  """Returns what is said of two trials' sums at steps 11 and 12."""
  batch = {
    "task": np.array([[[0, 2, -1]], [[1, 1, 2]]]),
    "index": np.array([[[7, 5, -1]], [[9, 4, 6]]]),
  }
  count = np.array([[1, 0, 1], [0, 2, 1]])
  good = {"loss": np.ones((2, 3)), "count": count, "grad_norm": np.ones(2)}
  rows = [good, good | {"loss": np.array(loss), "grad_norm": np.array(norm)}]
  batches = [None] * (done - 1) + [batch]
  with pytest.raises(loop.NotFinite) as raised:
    loop.check_finite(rows, done, batches, tiny.TASKS, STOP)
  assert raised.value.step == done - 1
  return str(raised.value)


def test_a_nan_names_step_trial_task_and_examples():
  said = blamed(loss=[[1, 0, 1], [0, np.nan, 1]], norm=[1, np.nan])
  assert (
    "at step 12 (trial 1; stsb examples [4, 9]; neighbours in the row" in said
  )


def test_a_gradient_without_a_culprit_names_all_tasks_of_its_trial():
  said = blamed(loss=np.ones((2, 3)), norm=[np.inf, 1])
  assert "(trial 0; mnli examples [7]; rte examples [5]; neighbours" in said


def test_finite_sums_pass():
  row = {"loss": np.ones((1, 3)), "grad_norm": np.ones(1)}
  loop.check_finite([row, row], 2, [], tiny.TASKS, STOP)


class Run:
  """One run of one trial in a directory, as `loop.train` sees it."""

  seeds = (3,)

  def __init__(self, path, monkeypatch):
    self.path, self.steps = path, []
    real = loop.loop

    def spied(step, state, *args, **kwargs):
      self.steps.append(step.__wrapped__)  # what counts compilations
      self.start, self.begun = int(state.step[0]), state
      return real(step, state, *args, **kwargs)

    monkeypatch.setattr(loop, "loop", spied)
    # Unoptimised, see tiny.functions.
    quick = {"xla_backend_optimization_level": 0}
    jit = functools.partial(jax.jit, compiler_options=quick)
    monkeypatch.setattr(jax, "jit", jit)

  def train(self, *, stop=lambda: False, batches=None, given=None):
    """Trains, goes on, or stops; returns the parameters."""
    checkpoints = Checkpoints(self.path / "checkpoints")
    job = loop.Job(
      model=tiny.model(),
      batches=batches or tiny.batches(),
      seeds=self.seeds,
      settings=tiny.settings(**EVERY),
      mesh=sharding.make_mesh(1, 1, 1),
    )
    file = self.path / "metrics.jsonl"
    watch = loop.Watch(
      checkpoints=checkpoints,
      writer=Writer(file, "multi", tiny.TASKS, self.seeds),
      stop=stop,
      evaluate=None,
    )
    try:
      profile = self.path / "profile"
      return loop.train(job, given or {}, watch, profile=profile)[0]
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
  with pytest.raises(loop.Stopped, match="after step 2 of 5"):
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
    (step, seed) for step in (3, 5) for seed in Run.seeds
  ]
  assert lines[-1]["lambda"] == pytest.approx(4 / 5)


def test_a_nan_in_the_data_ends_the_run_with_its_name(tmp_path, monkeypatch):
  # An order in which the bad example comes at the second step and no other.
  order = np.where(np.arange(tiny.STEPS)[:, None] == 1, 19, 0)
  order = np.where(np.arange(tiny.BATCH) == 2, order, np.arange(tiny.BATCH))
  batches = tiny.batches(taught=False, order=order[None].astype(np.int32))
  features = batches._pools[0].features
  batches._pools[0].learned["example"].label[19] = np.nan
  with pytest.raises(loop.NotFinite) as raised:
    Run(tmp_path, monkeypatch).train(batches=batches)
  assert (
    f"at step 2 (trial 0; stsb examples [{features.index[19]}]; neigh"
    in str(raised.value)
  )
  assert not (tmp_path / "metrics.jsonl").read_text()
  # The state before that step is there to be looked at.
  assert (tmp_path / "checkpoints" / "1").is_dir()
