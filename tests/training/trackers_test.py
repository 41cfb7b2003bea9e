"""What TensorBoard, W&B and MLflow are told, read back where that is possible.

The event files are read as TensorBoard does: in the order of their names, what
a file starts with takes later steps of the files before it away.
"""

import json
import struct
import subprocess
import sys
from types import SimpleNamespace

import pytest

from bam_jax.training import trackers
from bam_jax.training.writer import Writer
from tests import small
from tests.training.writer_test import sums

TASKS = ["rte", "stsb", "cola"]


def masked(data: bytes) -> int:
  """Returns the checksum that TensorBoard expects of a record's part."""
  from tensorboardX.record_writer import masked_crc32c

  return masked_crc32c(data)


def events(file):
  """Yields the events of one file, having checked its framing."""
  with trackers._without_torch():
    from tensorboardX.proto.event_pb2 import Event
  data = file.read_bytes()
  while data:
    (size,) = struct.unpack("<Q", data[:8])
    body, data, frame = data[12 : 12 + size], data[16 + size :], data
    assert struct.unpack("<I", frame[8:12])[0] == masked(frame[:8])
    assert struct.unpack("<I", frame[12 + size :][:4])[0] == masked(body)
    yield Event.FromString(body)


def curves(folder) -> dict[str, list[tuple[int, float]]]:
  """Returns {name: [(step, value), ...]} as TensorBoard would show them."""
  found: dict[str, list] = {}
  for file in sorted(folder.iterdir()):
    first, *rest = events(file)
    assert first.file_version == "brain.Event:2"
    for event in rest:
      if event.HasField("session_log"):
        found = {
          name: [point for point in points if point[0] < event.step]
          for name, points in found.items()
        }
      for value in event.summary.value:
        point = event.step, value.simple_value
        found.setdefault(value.tag, []).append(point)
  return found


def recorded(path, seed) -> dict[str, list[tuple[int, float]]]:
  """Returns what metrics.jsonl says of a trial, as `curves` does."""
  found: dict[str, list] = {}
  for line in map(json.loads, path.read_text().splitlines()):
    if line["seed"] == seed:
      for name, value in trackers.scalars(line).items():
        found.setdefault(name, []).append((line["step"], value))
  return found


def approximately(points: dict) -> dict:
  return {k: [pytest.approx(p) for p in v] for k, v in points.items()}


def session(root, names, *, start, steps, stop_at=None, window=None):
  """Trains two trials in pretence; returns what a checkpoint would hold."""
  path = root / "runs" / "multi" / "metrics.jsonl"
  path.parent.mkdir(parents=True, exist_ok=True)
  record = Writer(
    path,
    "multi",
    TASKS,
    [4, 7],
    trackers=trackers.trackers(
      names,
      workdir=root,
      run="multi",
      seeds=[4, 7],
      settings={"optim": {"clip": 1.0}},
    ),
  )
  saved = {}
  with record.progress(start, steps, window or {}):
    for done in range(start + 1, steps + 1):
      record.add([sums([done, 1 / done, 0], [2, 1, 0])])
      if done % 2 == 0:
        record.log(done)
        record.scores(done, [{"rte": 50.0 + done}, {"rte": 60.0 + done}])
      if done == 2:
        saved = json.loads(json.dumps(record.window()))
      if done == stop_at:
        raise KeyboardInterrupt
  return saved


def test_a_line_is_its_numbers_by_name():
  line = {
    "step": 2,
    "seed": 4,
    "loss": 0.5,
    "lambda": 0.25,
    "rate": 1e-4,
    "grad_norm": 3.0,
    "task_loss": {"rte": 1.0},
    "task_count": {"rte": 8},
    "skipped": 1,
  }
  assert trackers.scalars(line) == {
    "loss": 0.5,
    "lambda": 0.25,
    "rate": 1e-4,
    "grad_norm": 3.0,
    "skipped": 1,
    "task_loss/rte": 1.0,
  }
  line = {"step": 2, "seed": 4, "scores": {"rte": 51.5}}
  assert trackers.scalars(line) == {"dev/rte": 51.5}


def test_event_files_hold_every_line_of_a_real_run(small_run):
  for run in (small_run.workdir / "runs").iterdir():
    folder = small_run.workdir / "tensorboard" / run.name / "seed-0"
    wanted = recorded(run / "metrics.jsonl", 0)
    assert {"loss", "lambda", "rate", "grad_norm"} < wanted.keys()
    assert curves(folder) == approximately(wanted)


def test_a_run_that_goes_on_shows_no_step_twice(tmp_path):
  with pytest.raises(KeyboardInterrupt):
    session(tmp_path, ["tensorboard"], start=0, steps=8, stop_at=6)
  folder = tmp_path / "tensorboard" / "multi" / "seed-7"
  assert [step for step, _ in curves(folder)["loss"]] == [2, 4, 6]
  session(tmp_path, ["tensorboard"], start=3, steps=8)
  for seed in (4, 7):
    folder = tmp_path / "tensorboard" / "multi" / f"seed-{seed}"
    found = curves(folder)
    assert [step for step, _ in found["loss"]] == [2, 4, 6, 8]
    assert [step for step, _ in found["dev/rte"]] == [2, 4, 6, 8]
    path = tmp_path / "runs" / "multi" / "metrics.jsonl"
    assert found == approximately(recorded(path, seed))
  assert len(list(folder.iterdir())) == 2


def test_what_a_checkpoint_follows_is_on_disk_by_then(tmp_path, monkeypatch):
  monkeypatch.setattr(trackers, "FLUSH_EVERY", 1e9)
  trial = trackers.Trial(tmp_path, "multi", 4, {})
  board = trackers.TensorBoard(trial, 0)
  board.write(2, {"loss": 0.5})
  board.flush()
  folder = tmp_path / "tensorboard" / "multi" / "seed-4"
  assert curves(folder) == {"loss": [(2, 0.5)]}
  board.end(True)


class FakeWandb:
  """As much of wandb as is used; it keeps its runs as the server does."""

  def __init__(self):
    self.runs, self.opened = {}, []

  def Settings(self, **given):
    return given

  def init(self, **given):
    name = given["id"] or f"id{len(self.runs)}"
    run = self.runs.setdefault(name, {"log": [], "ends": []})
    self.opened.append(given | {"got": name})
    last = run["log"][-1][0] + 1 if run["log"] else 0
    return SimpleNamespace(
      id=name,
      offline=False,
      url="https://wandb.example/x",
      step=last,
      log=lambda values, step: run["log"].append((step, values)),
      finish=lambda exit_code: run["ends"].append(exit_code),
    )


class FakeClient:
  """As much of MlflowClient as is used."""

  runs: dict = {}  # noqa: RUF012

  def get_experiment_by_name(self, name):
    return SimpleNamespace(experiment_id="3") if self.runs else None

  def create_experiment(self, name):
    assert name == "bam_jax"
    return "3"

  def create_run(self, experiment, run_name, tags):
    name = f"r{len(self.runs)}"
    self.runs[name] = SimpleNamespace(
      name=run_name, tags=tags, points=[], params=[], status="RUNNING"
    )
    return SimpleNamespace(info=SimpleNamespace(run_id=name))

  def log_batch(self, run, metrics=(), params=()):
    self.runs[run].points += metrics
    self.runs[run].params += params

  def get_metric_history(self, run, key):
    return [p for p in self.runs[run].points if p.key == key]

  def update_run(self, run, status):
    self.runs[run].status = status

  set_terminated = update_run


def point(key, value, timestamp, step):
  return SimpleNamespace(key=key, value=value, step=step)


@pytest.fixture
def fakes(monkeypatch):
  """Puts pretended packages in the place of wandb and mlflow."""
  wandb = FakeWandb()
  client = type("Client", (FakeClient,), {"runs": {}})
  entities = SimpleNamespace(Metric=point, Param=lambda k, v: (k, v))
  mlflow = SimpleNamespace(MlflowClient=client, entities=entities)
  monkeypatch.setitem(sys.modules, "wandb", wandb)
  monkeypatch.setitem(sys.modules, "mlflow", mlflow)
  return SimpleNamespace(wandb=wandb, mlflow=client.runs)


def test_wandb_and_mlflow_go_on_with_their_runs_and_take_no_step_twice(
  tmp_path, fakes
):
  names = ["wandb", "mlflow"]
  with pytest.raises(KeyboardInterrupt):
    session(tmp_path, names, start=0, steps=8, stop_at=6)
  session(tmp_path, names, start=2, steps=8)
  assert list(fakes.wandb.runs) == ["id0", "id1"]
  assert [each["got"] for each in fakes.wandb.opened] == ["id0", "id1"] * 2
  first = fakes.wandb.opened[0]
  assert (first["group"], first["name"]) == ("multi", "multi seed 4")
  assert first["config"] == {"optim.clip": 1.0}
  assert first["dir"] == str(tmp_path)
  for run, best in zip(fakes.wandb.runs.values(), (58.0, 68.0), strict=True):
    losses = [step for step, values in run["log"] if "loss" in values]
    assert losses == [2, 4, 6, 8]
    assert run["log"][-1] == (8, {"dev/rte": best})
    assert run["ends"] == [1, 0]
  assert [run.name for run in fakes.mlflow.values()] == [
    "multi seed 4",
    "multi seed 7",
  ]
  for run in fakes.mlflow.values():
    losses = [p.step for p in run.points if p.key == "loss"]
    assert losses == [2, 4, 6, 8]
    assert (run.status, run.params) == ("FINISHED", [("optim.clip", "1.0")])


def test_a_tracker_that_fails_says_so_once_and_the_record_is_whole(
  tmp_path, fakes, capsys, monkeypatch
):
  def refuse(self, run, metrics=(), params=()):
    if metrics:
      raise OSError("no route to host\nand more")

  monkeypatch.setattr(FakeClient, "log_batch", refuse)
  session(tmp_path, ["mlflow", "tensorboard"], start=0, steps=4)
  said = capsys.readouterr().out
  assert said.count("mlflow fails (no route to host); multi goes on") == 1
  assert "and more" not in said
  path = tmp_path / "runs" / "multi" / "metrics.jsonl"
  folder = tmp_path / "tensorboard" / "multi" / "seed-4"
  assert curves(folder) == approximately(recorded(path, 4))


def test_a_process_that_does_not_write_tells_no_tracker(tmp_path, fakes):
  one = trackers.trackers(
    ["wandb"], workdir=tmp_path, run="x", seeds=[0], settings={}
  )
  record = Writer(None, "x", TASKS, [0], trackers=one)
  with record.progress(0, 2, {}):
    record.scores(2, [{"rte": 1.0}])
    record.window()
  assert fakes.wandb.opened == []


def test_names_and_packages_are_checked_before_anything_is_written(
  small_run, tmp_path, monkeypatch
):
  found = {
    "tensorbord": "did you mean 'tensorboard'?",
    "tensorboard,mlflow": "type: pip install mlflow-skinny",
    "wandb": "type: pip install wandb",
  }
  real = trackers.importlib.util.find_spec
  monkeypatch.setattr(
    trackers.importlib.util,
    "find_spec",
    lambda name: None if name in ("wandb", "mlflow") else real(name),
  )
  for asked, said in found.items():
    config = small.settings(small_run.glue, small_run.encoder, trackers=asked)
    with pytest.raises(ValueError, match="trackers has") as error:
      small.execute(config, tmp_path / "W")
    assert said in str(error.value)
    assert not (tmp_path / "W").exists()


def test_nothing_is_imported_that_is_not_asked_for(tmp_path):
  code = f"""
import sys
from pathlib import Path
from bam_jax.training import trackers
def loaded():
  return {{"tensorboardX", "wandb", "mlflow", "torch"}} & sys.modules.keys()
assert not loaded()
trial = trackers.Trial(Path({str(tmp_path)!r}), "x", 0, {{}})
trackers.TensorBoard(trial, 0).end(True)
assert loaded() == {{"tensorboardX"}}, loaded()
"""
  subprocess.run([sys.executable, "-c", code], check=True)
