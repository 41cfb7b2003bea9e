"""The quickstart's sweep: what is counted, and what is not done twice."""

import json

import pytest

from benchmarks import quickstart

TASKS = ("sentiment", "similarity")


def results(*averages):
  """Returns what results.json holds of a seed, averages in METHODS' order."""
  methods = dict(zip(quickstart.METHODS, averages, strict=True))
  return {
    "schema": 1,
    "commit": "0123abc",
    "settings": {"data": {"synthetic_seed": 7}},
    "average": {name: [average] for name, average in methods.items()},
    "methods": {
      name: {
        task: {"scores": [average + shift]}
        for task, shift in zip(TASKS, (5, -5), strict=True)
      }
      for name, average in methods.items()
    },
  }


THREE = {0: results(70, 80, 82), 1: results(71, 60, 84), 2: results(72, 83, 81)}


def test_seeds_are_counted_and_differences_are_taken_within_them():
  averages = quickstart.averages_of(THREE)
  assert quickstart.verdicts(averages) == [
    "- Multi is above Single in 2 of 3 seeds, by +10.0 (-11.0 to +11.0) points:"
    " median (range).",
    "- Single→Multi is above Multi in 2 of 3 seeds, by +2.0 (-2.0 to +24.0)"
    " points: median (range).",
  ]


def test_the_page_has_a_range_of_every_task_and_a_row_of_every_seed():
  page = quickstart.page(THREE)
  assert "3 seeds, synthetic suite of seed 7" in page
  assert "| | Avg | sentiment | similarity |" in page
  assert "| Multi | 80.0 (60.0 to 83.0) | 85.0 (65.0 to 88.0) | 75.0 (" in page
  assert "| 1 | 71.0 | 60.0 | 84.0 | -11.0 | +24.0 |" in page
  assert quickstart.draw(quickstart.averages_of(THREE)).startswith(b"\x89PNG")


def write(workdir, seed, found):
  place = workdir / f"seed-{seed}"
  place.mkdir(parents=True)
  (place / "results.json").write_text(json.dumps(found))


def test_a_seed_that_is_done_is_not_run_again(tmp_path, monkeypatch):
  ran = []

  def run(workdir, seed, synthetic_seed, rest):
    ran.append((seed, synthetic_seed, *rest))
    write(tmp_path, seed, THREE[seed])

  monkeypatch.setattr(quickstart, "run", run)
  write(tmp_path, 0, THREE[0])
  flags = f"--workdir={tmp_path}", "--seeds=3", "--synthetic_seed=7"
  quickstart.main([*flags, "--config.multi.rate=1e-3"])
  assert ran == [(seed, 7, "--config.multi.rate=1e-3") for seed in (1, 2)]
  assert (tmp_path / "quickstart.md").read_text() == quickstart.page(THREE)
  assert (tmp_path / "quickstart.png").is_file()


def test_results_of_other_methods_are_refused(tmp_path, monkeypatch):
  found = results(70, 80, 82)
  del found["average"]["multi"]
  monkeypatch.setattr(
    quickstart, "run", lambda workdir, seed, *_: write(tmp_path, seed, found)
  )
  with pytest.raises(ValueError, match=r"leave --config\.methods alone"):
    quickstart.main([f"--workdir={tmp_path}", "--seeds=1"])
