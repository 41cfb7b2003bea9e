"""The dry run: what it tells is what is then done, and it writes nothing."""

from pathlib import Path
import shutil
import subprocess
import sys

import pytest

from bam_jax import main
from bam_jax.models import flops
from bam_jax.stages import forecast, lessons, session, speed
from bam_jax.study.workdir import Workdir
from bam_jax.tasks.table import get_tasks
from bam_jax.training import heads
from tests import small

ROOT = Path(__file__).resolve().parents[2]
STUDENT = "single-to-multi.cola+stsb"


def files(folder) -> dict:
  return {
    path: path.stat().st_mtime_ns
    for path in sorted(folder.rglob("*"))
    if path.is_file()
  }


def asked(run, **changes):
  return small.settings(run.glue, run.encoder, **changes)


def costs_of(config, workdir) -> dict:
  it = session.opened(config, Workdir(workdir))
  found = forecast.costs(it, forecast.samples_of(it))
  return {cost.run.name: cost for cost in found}


def test_steps_and_flops_are_those_of_the_batches_that_are_trained(
  small_run, tmp_path
):
  # Every row is in the sample, and every one is drawn as often: exact.
  config = asked(small_run, max_steps=0, methods="single->multi")
  config.single.epochs, config.single.batch_size = 3.0, 10
  found = costs_of(config, tmp_path)
  assert not list(tmp_path.iterdir())
  it = session.opened(config, Workdir(tmp_path / "W"))
  for run in it.experiment.runs:
    batches = it.batches(run, [0], taught=False)
    assert found[run.name].steps == len(batches)
    useful, half = 0, len(batches) // 2
    tasks = get_tasks(run.tasks)
    for k, batch in enumerate(batches):
      if k == half:
        # What a trial that ended there is said to have cost.
        shape = it.materials.encoder.shape
        cost = lessons.useful(shape, tasks, batches, 0, half)
        assert cost == useful > 0
      for number, task in enumerate(tasks):
        for row, at in zip(
          *(batch["task"][0] == number).nonzero(), strict=True
        ):
          length = (batch["segments"][0, row] == at + 1).sum()
          useful += flops.train(
            it.materials.encoder.shape, [length], head=heads.spec(task)
          )[0]
    whole = lessons.useful(
      it.materials.encoder.shape, tasks, batches, 0, len(batches)
    )
    assert whole == useful
    exact = len(run.tasks) == 1
    assert found[run.name].trial == pytest.approx(
      useful, rel=1e-12 if exact else 0.03
    )
    # Each teacher reads its training rows once more.
    teaching = found[run.name].whole - found[run.name].trial
    rows = [it.materials.corpus.taught(task) for task in tasks]
    once = sum(
      flops.forward(
        it.materials.encoder.shape, r.lengths, head=heads.spec(t)
      ).sum()
      for r, t in zip(rows, tasks, strict=True)
    )
    wanted = once if run.name.startswith("single.") else 0
    assert teaching == pytest.approx(wanted, rel=0.02)


def test_what_is_finished_interrupted_and_to_be_copied_is_told(
  small_run, tmp_path, capsys
):
  workdir = shutil.copytree(small_run.workdir, tmp_path / "W")
  before = files(workdir)
  config = asked(
    small_run,
    trials=4,
    methods="single,single->multi",
    reuse=str(small_run.workdir),
  )
  shutil.rmtree(workdir / "runs" / "single.stsb")
  checkpoints = workdir / "runs" / STUDENT / "checkpoints"
  (checkpoints / "training-1-2" / "4").mkdir(parents=True)
  before = files(workdir)
  found = costs_of(config, workdir)
  assert found["single.cola"].state == "1 finished, 3 to train"
  assert found["single.stsb"].state == (
    f"1 to be copied from {small_run.workdir}, 3 to train"
  )
  student = found[STUDENT]
  assert student.state == "1 finished, 2 interrupted at step 4, 1 to train"
  # 6 steps each, of which two trials have done 4.
  assert student.left == pytest.approx(student.trial * (1 + 2 * 2 / 6))
  forecast.show(config, Workdir(workdir))
  assert files(workdir) == before
  out = " ".join(capsys.readouterr().out.split())
  assert "the speed of the 2 trials that were trained here" in out
  assert "taught by 1, 2" in out


def test_another_trial_of_that_name_is_told_and_not_taken(
  small_run, tmp_path, capsys, monkeypatch
):
  monkeypatch.setattr(forecast, "measured", lambda *a, **k: (1e9, 4, 1))
  config = asked(
    small_run,
    tasks="cola",
    methods="single",
    single__rate=0.5,
    reuse=str(small_run.workdir),
  )
  forecast.show(config, Workdir(tmp_path / "W"))
  out = " ".join(capsys.readouterr().out.split())
  assert "kind.rate is 0.01 there and 0.5 here" in out
  assert "1 to train" in out
  assert "copied" not in out
  assert not (tmp_path / "W").exists()


def test_nothing_known_and_nothing_left_is_said(
  small_run, monkeypatch, tmp_path, capsys
):
  forecast.show(small_run.config, Workdir(small_run.workdir))
  assert "No estimate of time: nothing is left" in capsys.readouterr().out
  monkeypatch.setattr(forecast.distributed, "alone", lambda: False)
  forecast.show(small_run.config, Workdir(tmp_path / "W"))
  out = " ".join(capsys.readouterr().out.split())
  assert "No estimate of time: no trial is finished here" in out
  assert " s " not in out.partition("Total")[2]


def test_the_measured_speed_is_that_of_real_steps(small_run, tmp_path):
  config = asked(small_run, trials=2, trials_at_once=2)
  it = session.opened(config, Workdir(tmp_path))
  run, samples = it.experiment.runs[-1], forecast.samples_of(it)
  rate, steps, trials = speed.measured(it, run, samples, at_most=2)
  assert rate > 0
  assert (steps, trials) == (speed.STEPS, 2)
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
  ("number", "text"),
  [(0, "0 "), (2.5e6, "2.5 M"), (1.23e13, "12.3 T"), (4e18, "4 E")],
)
def test_amounts(number, text):
  assert forecast.amount(number) == text


@pytest.mark.parametrize(
  ("seconds", "text"),
  [(3.2, "3 s"), (120, "2 min"), (5400, "1 h 30 min"), (12_000, "3 h 20 min")],
)
def test_times(seconds, text):
  assert forecast.duration(seconds) == text


def test_the_command_writes_nothing_and_refuses_what_a_run_would(tmp_path):
  def ran(*args):
    return subprocess.run(
      [sys.executable, "-m", "bam_jax.main", "--config=configs/quickstart.py",
       f"--workdir={tmp_path / 'W'}", "--dry_run",
       "--config.methods=single", "--config.scratch.layers=1", *args],
      cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

  done = ran("--config.tasks=sentiment", "--config.trials_at_once=auto")
  assert done.returncode == 0, done.stderr
  assert "Runs in order, 1 trial each" in done.stdout
  assert "1 to train" in done.stdout
  assert "just now" in done.stdout
  assert not (tmp_path / "W").exists()
  done = ran("--config.tasks=sentimental")
  assert done.returncode == 2
  assert done.stderr.startswith("error: ")
  assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
  ("given", "read"),
  [
    (["--config.trials_at_once=auto"], ["--config.trials_at_once=0"]),
    (["-config.trials_at_once=auto"], ["-config.trials_at_once=0"]),
    (["--config.trials_at_once", "auto"], ["--config.trials_at_once", "0"]),
    (["--workdir=auto", "auto"], ["--workdir=auto", "auto"]),
    (["--workdir", "auto"], ["--workdir", "auto"]),
  ],
)
def test_auto_is_read_as_the_number_it_stands_for(given, read):
  assert main.automatic(["main", *given]) == ["main", *read]
