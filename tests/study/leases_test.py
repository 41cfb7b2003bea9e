"""Several commands in one workdir: all is done, nothing twice, none waits long.

Locks of one process on two openings of a file are as foreign to each other as
those of two processes.
"""

import contextlib
import functools
import json
import os
from pathlib import Path
import subprocess
import sys
import time

import pytest

from bam_jax.stages import session, values
from bam_jax.study import leases, locks
from bam_jax.study.leases import Leases
from bam_jax.study.workdir import Workdir
from bam_jax.training import loop
from tests import small

ROOT = Path(__file__).resolve().parents[2]
RUNS = ("single.cola", "single-to-multi.cola")


@pytest.fixture
def pair(tmp_path):
  """Two commands in one workdir, and a run's folder."""
  return *(Leases(tmp_path, share=True) for _ in range(2)), tmp_path / "runs/x"


def take(mine: Leases, folder: Path, groups: list):
  """Returns an iterator over the groups that a command may do."""
  return mine.each(folder, lambda: groups)


def test_what_another_command_does_is_left_to_it(pair):
  one, other, folder = pair
  first = take(one, folder, [[0, 1], [2]])
  assert next(first) == [0, 1]
  # Another number of trials at once makes other groups of the same trials.
  groups = [[0], [1, 2], [3]]
  assert list(take(other, folder, groups)) == [[3]]
  assert f"process {os.getpid()}" in other._met["x"]
  assert next(first) == [2]
  # What the first one has done it does not do again, though it is free now.
  assert list(take(other, folder, groups)) == [[0], [3]]
  assert next(first, None) is None
  assert list(take(other, folder, groups)) == groups
  assert list(folder.iterdir()) == []


def test_a_piece_of_work_is_held_by_one_and_free_after_an_error(pair):
  one, other, folder = pair
  with contextlib.suppress(KeyError), one.hold(folder, "logits-rte-0") as mine:
    assert mine
    with other.hold(folder, "logits-rte-0") as also:
      assert not also
    raise KeyError
  with other.hold(folder, "logits-rte-0") as also:
    assert also


def test_a_command_alone_claims_nothing(tmp_path):
  alone, folder = Leases(tmp_path, share=False), tmp_path / "runs/x"
  assert list(take(alone, folder, [[0, 1], [2]])) == [[0, 1], [2]]
  with alone.hold(folder, "logits-rte-0") as mine, alone.writing():
    assert mine
  assert list(tmp_path.iterdir()) == []


def test_the_claim_of_a_killed_command_is_taken_over(pair):
  _, other, folder = pair
  code = (
    "import sys, time; from pathlib import Path\n"
    "from bam_jax.study.leases import Leases\n"
    "folder = Path(sys.argv[1])\n"
    "mine = Leases(folder.parent.parent, share=True)\n"
    "for seeds in mine.each(folder, lambda: [[0, 1]]):\n"
    "  print('has it', flush=True)\n"
    "  time.sleep(600)\n"
  )
  holder = subprocess.Popen(
    [sys.executable, "-c", code, folder], cwd=ROOT, stdout=subprocess.PIPE
  )
  with holder:
    try:
      assert holder.stdout.readline() == b"has it\n"
      assert list(take(other, folder, [[0], [1]])) == []
    finally:
      holder.kill()
  assert (folder / "claim-0-1").exists()
  assert list(take(other, folder, [[0], [1]])) == [[0], [1]]
  assert not (folder / "claim-0-1").exists()


def test_who_waits_says_for_whom_once_and_ends_when_all_is_done(
  pair, monkeypatch, capsys
):
  monkeypatch.setattr(leases, "POLL", 0)
  one, other, folder = pair
  first, looks = take(one, folder, [[0]]), []
  next(first)

  def ask():
    looks.append(len(looks))
    if len(looks) == 3:
      first.close()

  done = other.repeat(lambda: list(take(other, folder, [[0]])), ask)
  assert (done, looks) == ([[0]], [0, 1, 2])
  said = capsys.readouterr().out
  assert said.count(f"waits for x: process {os.getpid()} on ") == 1


def test_a_workdir_is_shared_only_among_those_that_say_so(tmp_path):
  shared = functools.partial(locks.lock, tmp_path, share=True)
  with shared() as first, shared() as second:
    assert "sharing it" in locks.holder(tmp_path)
    with pytest.raises(ValueError, match=r"in use by .*sharing it"):
      locks.lock(tmp_path).__enter__()
    assert not first()
    assert second()
  assert locks.holder(tmp_path) == ""


def test_the_last_command_alone_hears_so(tmp_path):
  with contextlib.ExitStack() as stack:
    asked = [
      stack.enter_context(locks.lock(tmp_path, share=True)) for _ in range(3)
    ]
    assert [last() for last in asked] == [False, False, True]


@pytest.mark.parametrize(
  ("key", "value", "alone", "said"),
  [
    ("stage", "predict", True, "share=True with stage=predict"),
    ("stage", "evaluate", True, "all, train, teach: --config.share=False"),
    ("stage", "all", False, "commands of one process each"),
    ("reuse", "V", True, "share=True with reuse=V"),
    ("profile", "5:8", True, "share=True with profile=5:8"),
    ("trials_at_once", 0, True, "say how many: --config.trials_at_once=1"),
  ],
)
def test_what_cannot_be_shared_is_refused(monkeypatch, key, value, alone, said):
  monkeypatch.setattr(values.distributed, "alone", lambda: alone)
  config = small.settings("glue", "encoder", share=True, **{key: value})
  with pytest.raises(ValueError, match=said):
    values.sharing(config)


def test_a_waiting_command_can_be_stopped(tmp_path):
  config = small.settings("glue", "encoder", share=True)
  made = session.opened(config, Workdir(tmp_path), lambda: True)
  with pytest.raises(loop.Stopped, match="waited for other commands"):
    made.ask()


STUDY = {
  "methods": "single,single->multi",
  "trials": 2,
  "checkpoint_every": 2,
  "max_steps": 24,
  "single.epochs": 10.0,
  "multi.epochs": 10.0,
}


@pytest.fixture(scope="module")
def reference(small_run):
  """The study by one command."""
  config = small.settings(small_run.glue, small_run.encoder, tasks="cola")
  config.update_from_flattened_dict(STUDY)
  small.execute(config, small_run.root / "study")
  return small_run.root / "study"


@contextlib.contextmanager
def commands(run, workdir, compiled, count):
  """Starts commands that share a workdir; none outlives the test."""
  config = run.config
  same = ("max_length", "log_every", "eval_batch_size")
  values = {
    "data.glue_dir": run.glue,
    "encoder": run.encoder,
    "data.packing": False,
    **{key: config[key] for key in same},
    **{
      f"{kind}.{key}": config[kind][key]
      for kind in small.STAGES
      for key in ("batch_size", "rate")
    },
    **STUDY,
    "share": True,
  }
  args = [
    *(sys.executable, "-m", "bam_jax.main", f"--workdir={workdir}"),
    "--config=configs/glue_bam.py:cola",
    *(f"--config.{key}={value}" for key, value in values.items()),
  ]
  environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(compiled)}
  started = [
    subprocess.Popen(
      args,
      cwd=ROOT,
      env=environment,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for _ in range(count)
  ]
  try:
    yield started
  finally:
    for process in started:
      process.kill()
      process.communicate()


def lines_of(workdir, run) -> dict[int, list[str]]:
  """Returns the lines of metrics.jsonl by trial."""
  text = (workdir / "runs" / run / "metrics.jsonl").read_text()
  found: dict[int, list[str]] = {}
  for line in text.splitlines():
    found.setdefault(json.loads(line)["seed"], []).append(line)
  return found


def results_of(workdir) -> dict:
  found = json.loads((workdir / "results.json").read_text())
  # What was typed and how long it took.
  del found["seconds"], found["joules"], found["command"]
  return found


def at_work(workdir, process) -> bool:
  """Tells whether a process has saved a state of a run that it claims."""
  for path in workdir.glob("runs/*/claim-*"):
    with contextlib.suppress(OSError):
      states = path.parent / "checkpoints" / f"training-{path.name[6:]}"
      mine = path.read_text().startswith(f"process {process.pid} ")
      if mine and list(states.glob("[0-9]*")):
        return True
  return False


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_two_commands_do_what_one_does(
  small_run, reference, compiled, tmp_path, killed
):
  workdir = tmp_path / "W"
  with commands(small_run, workdir, compiled, 2) as (one, other):
    if killed:
      while not at_work(workdir, one) and one.poll() is None:
        time.sleep(0.005)
      assert one.poll() is None, one.communicate()
      one.kill()
      one.wait()
      left = list(workdir.glob("runs/*/claim-*"))
      assert left
    said = [process.communicate(timeout=300) for process in (one, other)]
  codes = [one.returncode, other.returncode]
  assert codes == ([-9, 0] if killed else [0, 0]), said
  for run in RUNS:
    assert lines_of(workdir, run) == lines_of(reference, run)
  found, wanted = results_of(workdir), results_of(reference)
  assert found == wanted
  assert not list(workdir.glob("runs/*/claim-*"))
  if not killed:
    wrote = [text.count("wrote ") for text, _ in said]
    assert sorted(wrote) == [0, 1], said
    for run in RUNS:
      for seed in (0, 1):
        done = [f"{run} seed {seed}: " in text for text, _ in said]
        assert sum(done) == 1, said
