"""What serving costs: which texts are asked, and what the tables show."""

from benchmarks import serving
from tests.export_test import MULTI


def test_the_texts_are_those_of_the_tasks_dev_set(small_run):
  rows = serving.texts_of(small_run.workdir / "runs" / MULTI, "stsb")
  assert len(rows) > 9 and {len(row) for row in rows} == {2}


def test_sides_take_turns_and_the_first_turns_do_not_count():
  asked = {"a": [], "b": []}
  found = serving.latencies(
    {name: each.append for name, each in asked.items()},
    [("x",), ("y",), ("z",), ("u",)],
    size=3,
    repeats=2,
  )
  assert found.keys() == asked.keys()
  # Both get the same rows, which are drawn anew each turn.
  assert asked["a"] == asked["b"] and len(asked["a"]) == 5
  assert all(len({*rows}) == 3 for rows in asked["a"])


def test_the_tables_show_every_side_and_all_clients():
  gate = {"scores": {"accuracy": 81.5}, "ours": {"accuracy": 82.0}}
  side = {"bytes": 90e6, "ms_1": 7.0, "ms_32": 110.0}
  names = ["bam_jax", "onnx, float32", "onnx, int8"]
  lines = serving.rows(
    {
      "sides": dict.fromkeys(names, side),
      "gates": {
        "float32": gate | {"difference": 2e-6},
        "int8": gate | {"difference": 0.25},
      },
      "server": {
        "16 at once": {
          "requests": 1000,
          "lost": 0,
          "p50_ms": 20.0,
          "p99_ms": 45.5,
          "requests_per_s": 700.0,
        }
      },
    }
  )
  assert lines[2] == "| bam_jax | 90.0 | 7.0 | 110.0 | accuracy 82.00 |  |"
  assert lines[4] == (
    "| onnx, int8 | 90.0 | 7.0 | 110.0 | accuracy 81.50 | 0.25 |"
  )
  assert lines[-1] == "| 16 at once | 1000 | 0 | 20.0 | 45.5 | 700.0 |"
