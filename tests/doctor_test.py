"""The doctor: what it says of a machine and of whole and broken workdirs."""

import importlib.metadata
import json
import os
from pathlib import Path
import platform
import shutil
import subprocess
import sys

import pytest

from bam_jax import doctor
from bam_jax.runtime import machine, versions
from bam_jax.runtime.findings import Level
from bam_jax.study import integrity
from bam_jax.study.workdir import Workdir
from bam_jax.training import loop
from tests import small
from tests.found import copied, only, said

# When one read fails, Orbax leaves the others' futures without their loop.
pytestmark = pytest.mark.filterwarnings(
  "ignore::pytest.PytestUnraisableExceptionWarning"
)
ROOT = Path(__file__).resolve().parent.parent
MULTI, STUDENT = "multi.cola+stsb", "single-to-multi.cola+stsb"


def snapshot(path):
  """Returns all that is in a folder, and when it was changed."""
  return {
    file: (file.stat().st_mtime_ns, file.is_file() and file.read_bytes())
    for file in sorted(path.rglob("*"))
  }


def tested(monkeypatch) -> None:
  """Makes what is installed here what was tested."""
  here = {name: importlib.metadata.version(name) for name in versions.TESTED}
  monkeypatch.setattr(versions, "TESTED", here)
  monkeypatch.setattr(versions, "PYTHON", platform.python_version())


@pytest.fixture
def look(monkeypatch):
  """Returns a function that looks, and asserts that nothing is changed."""
  monkeypatch.setattr(machine, "SECONDS", 0.01)
  # A check that breaks is no finding here.
  monkeypatch.setenv("BAM_JAX_TRACEBACK", "1")
  tested(monkeypatch)

  def look(path=None, encoder="", glue_dir=""):
    before = snapshot(path) if path else None
    found = list(doctor.diagnose(path, str(encoder), str(glue_dir)))
    assert path is None or snapshot(path) == before
    return found

  return look


def returned(steps):
  """Returns what a generator returns."""
  found = []

  def through():
    found.append((yield from steps))

  assert all(through())
  return found[0]


def flip(path):
  """Changes one bit of a file, or of every file of a folder."""
  # Some bytes of a checkpoint are read by nobody, so one file is not enough.
  for file in path.rglob("*") if path.is_dir() else [path]:
    if file.is_file() and (data := bytearray(file.read_bytes())):
      data[len(data) // 2] ^= 4
      file.write_bytes(data)


def test_a_finished_workdir_is_well_and_not_changed(small_run, look):
  found = look(small_run.workdir)
  assert said(found, Level.PROBLEM) == []
  # The toy GLUE folder is not the official one, and says so.
  assert [f.name for f in found if f.level is Level.WARNING] == [
    "GLUE cola",
    "GLUE stsb",
    "GLUE rte",
  ]
  assert "train 50, validation 21, test 7" in only(found, "GLUE rte").text
  assert "1 layers, 16 wide" in only(found, "encoder").text
  for name in ("single.cola", "single.stsb", MULTI, STUDENT):
    assert only(found, f"run {name}").text == (
      "1 of 1 trials finished and whole, 3 lines of metrics"
    )
  assert only(found, "features").text == "4 of 4 datasets are whole"
  assert only(found, "teacher logits").text == "2 of 2 datasets are whole"
  assert "single->multi: it says what" in only(found, "results.json").text
  assert "one device: nothing to test" in only(found, "collective").text


def test_a_run_in_training_names_its_last_whole_state(
  small_run, tmp_path, look
):
  path = copied(small_run, tmp_path)
  config = small.settings(
    small_run.glue, small_run.encoder, trials=2, checkpoint_every=2
  )
  asked = iter(range(100))
  with pytest.raises(loop.Stopped, match="after step 5"):
    small.execute(config, path, lambda: next(asked) == 4)
  found = look(path)
  assert said(found, Level.PROBLEM) == []
  assert only(found, "run single.cola").text.startswith(
    "1 of 2 trials finished and whole, seed 1 in training, at step 5, "
  )
  assert only(found, "run single.stsb").text.startswith("1 of 2 trials")
  states = path / "runs" / "single.cola" / "checkpoints" / "training-1-1"
  flip(states / "5" / "state")
  (line,) = said(list(integrity.runs(Workdir(path), None)), Level.PROBLEM)[1:]
  assert line.startswith(f"run single.cola: {states}/5 ")
  assert line.endswith("run the same command again: it goes on from step 4")


def test_an_encoder_that_has_gone_is_a_problem_until_all_is_trained(
  small_run, tmp_path
):
  path = copied(small_run, tmp_path)
  config = json.loads((path / "config.json").read_text())
  gone = f"{tmp_path}/gone"
  config["config"]["encoder"] = config["config"]["data"]["glue_dir"] = gone
  (path / "config.json").write_text(json.dumps(config))
  inputs = ("encoder", "GLUE cola", "GLUE stsb")

  def levels(**flags):
    experiment = returned(integrity.config(Workdir(path)))
    given = {"encoder": "", "glue_dir": ""} | flags
    found = list(doctor.inputs(Workdir(path), experiment, **given))
    return [only(found, name).level for name in inputs]

  assert levels() == [Level.WARNING] * 3
  asked = levels(encoder=gone, glue_dir=str(small_run.glue))
  assert asked[0] is Level.PROBLEM
  # There, though not the official rows.
  assert asked[1:] == [Level.WARNING] * 2
  (path / "runs" / MULTI / "scores.json").unlink()
  assert levels() == [Level.PROBLEM] * 3


@pytest.fixture(scope="module")
def damaged(small_run, tmp_path_factory):
  """A workdir with something wrong everywhere."""
  path = copied(small_run, tmp_path_factory.mktemp("damaged"))
  runs = path / "runs"
  flip(runs / "single.cola" / "checkpoints" / "seed-0" / "state")
  metrics = runs / "single.stsb" / "metrics.jsonl"
  metrics.write_text(metrics.read_text() * 2)
  scores = runs / MULTI / "scores.json"
  scores.write_text(scores.read_text()[:-30])
  entries = json.loads((runs / STUDENT / "scores.json").read_text())
  entries["0"]["step"] = 7
  (runs / STUDENT / "scores.json").write_text(json.dumps(entries))
  flip(next(path.glob("data/cola-*/train/*.array_record*")))
  flip(path / "data/teachers/single.stsb/stsb/seed-0/metadata.json")
  (path / "results.json").write_text('{"schema": 2}')
  (runs / MULTI / ".scores.json.host.12.tmp").write_text("{")
  return path


def test_what_is_damaged_names_its_path_and_its_cure(damaged, look):
  found = look(damaged)
  problems = said(found, Level.PROBLEM)
  runs = damaged / "runs"
  for name, where, cure in (
    ("run single.cola", runs / "single.cola/checkpoints/seed-0", "delete"),
    (
      "run single.stsb",
      f"{runs}/single.stsb/metrics.jsonl line 4: step 2 of seed 0 comes after "
      "step 6",
      "delete",
    ),
    (f"run {MULTI}", f"{runs}/{MULTI}/scores.json is not JSON", "delete"),
    (
      f"run {STUDENT}",
      f"{runs}/{STUDENT}/scores.json: the entry of seed 0 is of step 7, the "
      "parameters of step 6",
      "delete",
    ),
    ("features", f"{damaged}/data/cola-", "delete"),
    ("teacher logits", f"{damaged}/data/teachers/single.stsb/stsb", "delete"),
    ("results.json", f"{damaged}/results.json has schema 2", "stage=report"),
  ):
    mine = [line for line in problems if line.startswith(f"{name}: ")]
    assert any(str(where) in line and cure in line for line in mine), name
  assert only(found, "leftovers").text.startswith(
    f"{runs}/{MULTI}/.scores.json"
  )
  assert "features: 3 of 4 datasets are whole" in problems
  assert "teacher logits: 1 of 2 datasets are whole" in problems


def test_the_command_ends_with_code_2_and_shows_no_secret(damaged, small_run):
  environment = os.environ | {
    "JAX_NUM_CPU_DEVICES": "3",
    "HF_TOKEN": "hf_NotToBeSeen",
    "COLUMNS": "60",
  }
  flags = [f"--workdir={damaged}", f"--encoder={small_run.encoder}"]
  done = subprocess.run(
    [sys.executable, "-m", "bam_jax.doctor", *flags],
    cwd=ROOT,
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 2
  assert done.stderr == ""
  assert "ok      collective: psum over 3 devices is exact; " in done.stdout
  assert "HF_TOKEN is set (not shown)" in done.stdout
  assert "NotToBeSeen" not in done.stdout
  assert "\nproblem run single.cola: " in done.stdout
  *lines, last = done.stdout.splitlines()
  assert {line[:8].strip() for line in lines} == set(Level) - {Level.SKIPPED}
  assert last.startswith("Something is broken")


def test_without_a_workdir_machine_and_inputs_are_looked_at(
  small_run, look, capsys
):
  found = look()
  assert said(found, Level.PROBLEM) == []
  for name in ("workdir", "encoder", "GLUE"):
    assert only(found, name).level is Level.SKIPPED
  flags = [f"--encoder={small_run.encoder}", f"--glue_dir={small_run.glue}"]
  assert doctor.main(flags) == 0
  out = capsys.readouterr().out
  assert "warning GLUE rte: train 50" in out
  assert out.endswith("Well, but for the warnings.\n")


def test_help_answers_before_anything_slow_is_imported():
  code = (
    "import sys; from bam_jax import doctor\n"
    "try: doctor.main(['--help'])\n"
    "finally: assert not {'jax', 'numpy', 'rich'} & set(sys.modules)"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
  assert "Exit codes: 0 well" in done.stdout
  assert "--workdir" in done.stdout


def test_a_task_that_is_broken_or_half_there_is_named(small_run, tmp_path):
  folder = Path(shutil.copytree(small_run.glue, tmp_path / "glue"))
  (folder / "RTE" / "test.tsv").unlink()
  with (folder / "CoLA" / "dev.tsv").open("a") as file:
    file.write("src\t9\t\ta dog\n")
  found = list(doctor.read(str(folder), [], Level.PROBLEM))
  (line,) = said(found, Level.PROBLEM)
  assert line.startswith(f"GLUE cola: {folder}/CoLA/dev.tsv line 22: ")
  assert any(
    f.name == "GLUE rte" and "lacks the test split" in f.text for f in found
  )
  absent = only(found, "GLUE")
  assert absent.text.endswith("sst2, mrpc, qqp, mnli, qnli, wnli, ax")
  (nothing,) = doctor.read(str(tmp_path), [], Level.PROBLEM)
  assert nothing.level is Level.PROBLEM
  assert "--glue_dir=GLUE" in nothing.text


def test_a_missing_package_ends_the_looking_with_a_line(monkeypatch):
  tested(monkeypatch)
  monkeypatch.setitem(versions.TESTED, "no-such-package", "1.0")
  *_, missing, counted, last = doctor.diagnose(None, "", "")
  assert missing.name == "no-such-package"
  assert counted.name == "packages"
  assert (last.level, last.name) == (Level.SKIPPED, "all else")


def test_a_check_that_breaks_is_a_problem_and_not_the_end(monkeypatch):
  monkeypatch.delenv("BAM_JAX_TRACEBACK", raising=False)
  monkeypatch.setattr(versions, "look", lambda: 1 // 0)
  broken, last = doctor.diagnose(None, "", "")
  assert broken.level is Level.PROBLEM
  assert "cannot be made (ZeroDivisionError: " in broken.text
  assert last.level is Level.SKIPPED


def test_a_place_without_a_workdir_is_told_and_none_is_made(tmp_path):
  missing, file, empty = (tmp_path / name for name in ("W", "file", "empty"))
  file.write_text("mine")
  empty.mkdir()
  assert doctor.no_workdir(missing).level is Level.WARNING
  assert not missing.exists()
  assert doctor.no_workdir(file).level is Level.PROBLEM
  (finding,) = integrity.config(Workdir(empty))
  assert finding.level is Level.WARNING
  assert "is --workdir right?" in finding.text
  assert list(empty.iterdir()) == []
