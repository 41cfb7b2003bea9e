"""What a working directory says of itself, piece by piece."""

import importlib.metadata
import json
import os

from ml_collections import ConfigDict
import pytest

from bam_jax.runtime.findings import Level
from bam_jax.study import experiment as experiments
from bam_jax.study import integrity, locks, records
from bam_jax.study.workdir import Workdir
from tests.found import copied, said


@pytest.mark.parametrize(
  ("content", "text"),
  [("{", "not JSON"), ('{"model": 2}', "not bam_jax's"), ("[1]", "not bam")],
)
def test_a_config_that_cannot_be_read_is_a_problem(tmp_path, content, text):
  (tmp_path / "config.json").write_text(content)
  (finding,) = integrity.config(Workdir(tmp_path))
  assert finding.level is Level.PROBLEM
  assert text in finding.text


def test_a_config_of_another_version_says_which(small_run, tmp_path):
  made = json.loads((small_run.workdir / "config.json").read_text())
  made["commit"], made["versions"]["jax"] = "abc", "0.1.2"
  del made["config"]["methods"]
  (tmp_path / "config.json").write_text(json.dumps(made))
  first, second, third = integrity.config(Workdir(tmp_path))
  assert "commit abc with jax 0.1.2" in first.text
  here = importlib.metadata.version("jax")
  assert second.level is third.level is Level.WARNING
  assert second.text.startswith(f"jax {here}, commit ")
  assert "jaxlib" not in second.text
  assert "methods" in third.text


def test_a_command_at_work_is_a_warning(tmp_path):
  with locks.lock(tmp_path):
    (finding,) = integrity.lock(Workdir(tmp_path))
  assert finding.level is Level.WARNING
  assert f"in use by process {os.getpid()} on " in finding.text


ENTRY = {"scores": {"x": {"accuracy": 50.0}}, "examples": {"x": 3}, "step": 6}


@pytest.mark.parametrize(
  ("change", "text"),
  [
    ({}, None),
    ({"step": 5}, "is of step 5, the parameters of step 6"),
    ({"scores": {"x": {"accuracy": float("nan")}}}, "what is no number"),
    ({"scores": {"x": {"accuracy": "50"}}}, "what is no number"),
    ({"scores": 3}, "is incomplete"),
    ({"warnings": ["it has learnt nothing"]}, "it has learnt nothing"),
  ],
)
def test_an_entry_of_scores_is_held_against_what_is_written_there(
  tmp_path, change, text
):
  place = Workdir(tmp_path)
  place.record("single.x", 4, ENTRY | change)
  _, notes = records.scores(place, "single.x", (), {4: 6}, [4])
  if text is None:
    assert notes == []
  else:
    assert len(notes) == 1
    assert text in notes[0][1]
  _, notes = records.scores(place, "single.x", (), {}, [])
  assert notes[-1][0] in (Level.WARNING, Level.PROBLEM)


@pytest.mark.parametrize(
  ("rows", "level", "text"),
  [
    ('{"step": 2, "seed": 0}\n{"step": 2, "seed": 1}\n', None, ""),
    # A loss and an evaluation of one step; then the next step.
    (
      '{"step": 2, "seed": 0}\n{"step": 2, "seed": 0, "scores": {}}\n'
      '{"step": 4, "seed": 0}\n',
      None,
      "",
    ),
    (
      '{"step": 2, "seed": 0}\n{"step": 2, "seed": 0}\n',
      Level.PROBLEM,
      "line 2: step 2 of seed 0 comes after step 2",
    ),
    (
      '{"step": 4, "seed": 0}\n{"step": 2, "seed": 0}\n',
      Level.PROBLEM,
      "line 2: step 2 of seed 0 comes after step 4",
    ),
    ('{"step": 2, "seed": 0}\n{"st', Level.WARNING, "line 2 is cut short"),
    ('{"st\n{"step": 2, "seed": 0}\n', Level.PROBLEM, "line 1 is no row"),
    ('{"step": 2}\n', Level.PROBLEM, "line 1 is no row"),
    ("", None, ""),
  ],
)
def test_steps_of_metrics_rise_and_only_the_last_line_may_be_cut(
  tmp_path, rows, level, text
):
  (tmp_path / "metrics.jsonl").write_text(rows)
  count, notes = records.metrics(tmp_path / "metrics.jsonl")
  assert count == len(rows.splitlines())
  assert [note[0] for note in notes] == ([level] if level else [])
  assert all(text in note[1] for note in notes)


def test_results_that_differ_from_scores_are_older_or_changed(
  small_run, tmp_path
):
  place = Workdir(copied(small_run, tmp_path))
  results = json.loads((place.path / "results.json").read_text())
  record = results["methods"]["multi"]["cola"]
  record["scores"][0] += 1
  (place.path / "results.json").write_text(json.dumps(results))
  (finding,) = integrity.outcome(place)
  assert finding.level is Level.PROBLEM
  assert "does not say what the runs' scores say" in finding.text
  for key in ("scores", "seeds"):
    record[key] = []
  (place.path / "results.json").write_text(json.dumps(results))
  (finding,) = integrity.outcome(place)
  assert finding.level is Level.WARNING
  assert "is older than the runs' scores; type" in finding.text


def test_teacher_logits_of_other_settings_are_refused_here_too(
  small_run, tmp_path
):
  path = copied(small_run, tmp_path)
  made = json.loads((path / "config.json").read_text())
  made["config"]["single"]["rate"] = 0.5
  place = Workdir(path)
  experiment = experiments.read(ConfigDict(made["config"]))
  problems = said(list(integrity.data(place, experiment)), Level.PROBLEM)
  assert len(problems) == 3
  assert "other settings: kind.rate is 0.01 there and 0.5 here" in problems[0]
  assert said(list(integrity.data(place, None)), Level.PROBLEM) == []
