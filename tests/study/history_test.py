"""Learning curves and schedules: what runs logged and what they were told."""

import json

import numpy as np
import pytest

from bam_jax.study import history
from bam_jax.study.plan import Run
from bam_jax.study.workdir import Workdir
from bam_jax.training import schedules
from bam_jax.training.settings import Settings
from configs import common


def line(step, seed, **more):
  return {"step": step, "seed": seed, **more}


def test_curves_keep_every_trial_in_its_place():
  rows = [
    line(2, 4, task_loss={"rte": 0.5}, rate=0.1),
    line(2, 3, task_loss={"rte": 0.75, "cola": 1.5}, rate=0.1),
    line(3, 3, scores={"rte": 60.0}),
    line(4, 3, task_loss={"rte": 0.25}, rate=0.1),
  ]
  found = history.curves(rows, [3, 4])
  assert found["loss"]["rte"] == {
    "step": [2, 4],
    "seeds": [3, 4],
    "values": [[0.75, 0.25], [0.5, None]],
  }
  # A task that was not drawn for a while has no loss there.
  assert found["loss"]["cola"]["values"] == [[1.5], [None]]
  assert found["score"]["rte"]["values"] == [[60.0], [None]]
  assert "score" not in history.curves(rows[:2], [3])


def test_long_curves_are_thinned_and_keep_their_ends():
  steps = history.thinned(range(1, 5001))
  assert len(steps) == history.POINTS
  assert (steps[0], steps[-1]) == (1, 5000)
  assert np.ptp(np.diff(steps)) <= 1
  rows = [line(s, 0, task_loss={"rte": s / 3}) for s in range(1, 1001)]
  curve = history.curves(rows, [0])["loss"]["rte"]
  assert len(curve["values"][0]) == len(curve["step"]) == 200
  want = [step / 3 for step in curve["step"]]
  np.testing.assert_allclose(curve["values"][0], want, rtol=1e-5)


def test_what_cannot_be_read_costs_no_report(tmp_path):
  path = tmp_path / "metrics.jsonl"
  assert history.read(path, [0]) == []
  good = line(5, 0, task_loss={"rte": 1.0})
  text = "\n".join(["[1]", '{"seed": 0}', json.dumps(good), '{"step": 6, "se'])
  path.write_bytes(text.encode() + b"\xff")
  assert history.read(path, [0]) == [good]
  assert history.read(path, [1]) == []
  curve = history.curves([line(1, 0, task_loss={"rte": float("nan")})], [0])
  assert curve["loss"]["rte"]["values"] == [[None]]


@pytest.mark.parametrize("join", ["continuous", "bert"])
def test_schedules_are_those_of_training(join):
  config = common.base()
  config.optim.warmup_join = join
  config.teacher.schedule = "cosine_decay_schedule"
  config.teacher.options = {"init_value": 1.0, "decay_steps": 0.5}
  found = history.schedule(config, "multi", 640, taught=True)
  rate = schedules.learning_rate(peak=1e-4, steps=640, warmup=0.1, join=join)
  lam = schedules.teacher_lambda(
    kind="cosine_decay_schedule",
    steps=640,
    value=0.5,
    options={"init_value": 1.0, "decay_steps": 320},
  )
  assert (found["step"][0], found["step"][-1]) == (0, 639)
  for k in (0, 20, 21, 100, 199):
    step = found["step"][k]
    assert found["rate"][k] == pytest.approx(float(rate(step)), rel=1e-5)
    assert found["lambda"][k] == pytest.approx(float(lam(step)), abs=1e-6)
  assert "lambda" not in history.schedule(config, "single", 9, taught=False)


def test_schedules_are_what_a_run_logged(small_run):
  results = json.loads((small_run.workdir / "results.json").read_text())
  workdir = Workdir(small_run.workdir)
  assert set(results["schedules"]) == {"single", "multi"}
  for kind, found in results["schedules"].items():
    # A teacher's lambda is of no use to it; of the same kind is the student.
    assert ("lambda" in found) == (kind == "multi")
    rows = history.read(workdir.run(found["run"]) / "metrics.jsonl", [0])
    for name in found.keys() & {"rate", "lambda"}:
      seen = [row[name] for row in rows if name in row]
      at = [found["step"].index(r["step"] - 1) for r in rows if name in r]
      assert len(seen) == 3
      told = [found[name][k] for k in at]
      np.testing.assert_allclose(told, seen, rtol=1e-5)
    points = history.logged(rows, taught="lambda" in found)
    assert points["step"] == [1, 3, 5]
    np.testing.assert_allclose(points["rate"], [found["rate"][k] for k in at])


def test_patience_leaves_what_was_logged():
  config = common.base()
  rows = [
    line(s, 0, rate=s / 7, **{"lambda": s / 9}) for s in range(10, 40, 10)
  ]
  run = Run("multi.x", "multi", ("x",))
  made = {"multi.x": rows}

  def settings(run):
    return Settings.of(config, run.kind)

  (found,) = history.schedules_of(settings, [run], made)
  assert found[1]["step"] == list(range(30))
  config.select.patience = 2
  assert list(history.schedules_of(settings, [run], made)) == [
    (
      "multi",
      {"run": "multi.x", "step": [9, 19, 29]}
      | {"rate": [1.42857, 2.85714, 4.28571]},
    )
  ]
