"""Methods from text to table: stages, teachers, starts, and doing it again."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
import scipy.special

from bam_jax.data import logits as logits_lib
from bam_jax.data.sources import readers
from bam_jax.hf import directory as hf
from bam_jax.stages import lessons, predict, session
from bam_jax.stages.teachers import Teachers
from bam_jax.study.workdir import Workdir
from bam_jax.tasks.table import get_tasks
from bam_jax.training import loop
from bam_jax.training.checkpoint import load_params
from tests import small

COLA, STSB = get_tasks(["cola", "stsb"])
MULTI, STUDENT = "multi.cola+stsb", "single-to-multi.cola+stsb"


def results_of(workdir) -> dict:
  return json.loads((workdir / "results.json").read_text())


def lines_of(path) -> list[str]:
  return path.read_text().splitlines()


def opened(config, workdir) -> session.Session:
  return session.opened(config, Workdir(workdir))


def changed(run, **changes):
  return small.settings(run.glue, run.encoder, **changes)


def refuse(*args, **kwargs):
  raise AssertionError("this was done already")


def assert_equal(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)


def test_results_have_the_keys_that_others_read(small_run):
  found = results_of(small_run.workdir)
  assert found["schema"] == 1
  assert found["split"] == "dev"
  assert list(found["methods"]) == ["single", "multi", "single->multi"]
  for records in found["methods"].values():
    record = records["stsb"]
    assert list(records) == ["cola", "stsb"]
    assert (record["metric"], record["seeds"]) == ("spearman", [0])
    assert record["scores"] == record["all"]["spearman"]
    assert set(record["all"]) == {"spearman", "pearson"}
    assert record["examples"] == small.ROWS["dev"]
  one = found["methods"]["multi"]
  mean = (one["cola"]["scores"][0] + one["stsb"]["scores"][0]) / 2
  assert found["average"]["multi"] == pytest.approx([mean])
  assert found["encoder"] == str(small_run.encoder)
  assert {"commit", "tests", "settings", "seconds"} <= set(found)
  it = opened(small_run.config, small_run.workdir)
  for run in it.experiment.runs:
    # As many as the steps that were trained: the whole run.
    cost = lessons.useful(
      it.materials.encoder.shape,
      it.experiment.tasks_of(run),
      it.batches(run, [0]),
      0,
      found["steps"][run.name][0],
    )
    assert found["flops"][run.name] == [cost] != [0]
    assert found["joules"][run.name] == []  # a CPU does not tell
  assert (small_run.workdir / "report" / "report.md").is_file()


def test_run_again_does_nothing_and_needs_no_data(
  small_run, monkeypatch, capsys
):
  before = (small_run.workdir / "results.json").read_bytes()
  monkeypatch.setattr(loop, "train", refuse)
  monkeypatch.setattr(readers, "load", refuse)
  monkeypatch.setattr(hf, "load_encoder", refuse)
  small.execute(small_run.config, small_run.workdir)
  assert (small_run.workdir / "results.json").read_bytes() == before
  assert "Single→Multi" in capsys.readouterr().out


def test_stages_one_by_one_elsewhere_give_the_same_numbers(
  small_run, tmp_path, capsys
):
  def stage(name):
    small.execute(changed(small_run, stage=name), tmp_path)
    return capsys.readouterr().out

  assert f"{STUDENT} waits for its teachers: --config.stage=teach" in stage(
    "train"
  )
  assert not (tmp_path / "runs" / STUDENT).exists()
  assert not (tmp_path / "data" / "teachers").exists()
  stage("teach")
  assert "waits" not in stage("train")
  assert not (tmp_path / "results.json").exists()
  stage("evaluate")
  stage("report")
  found, there = results_of(tmp_path), results_of(small_run.workdir)
  assert found.pop("seconds").keys() == there.pop("seconds").keys()
  assert found == there
  for name in (MULTI, STUDENT, "single.stsb"):
    metrics = [
      (place / "runs" / name / "metrics.jsonl").read_bytes()
      for place in (tmp_path, small_run.workdir)
    ]
    assert metrics[0] == metrics[1]
  stage("predict")
  files = {path.name for path in (tmp_path / "submission").iterdir()}
  assert files == {"CoLA.tsv", "STS-B.tsv", "submission.zip", "made_of.json"}
  made = json.loads((tmp_path / "submission" / "made_of.json").read_text())
  # One trial of the student for both: the paper submits a model.
  assert made["CoLA.tsv"] == made["STS-B.tsv"]
  assert (made["CoLA.tsv"]["run"], made["CoLA.tsv"]["seed"]) == (STUDENT, 0)
  lines = lines_of(tmp_path / "submission" / "STS-B.tsv")
  assert len(lines) == 1 + small.ROWS["test"]


def test_finetuning_waits_for_a_student_that_waits(
  small_run, tmp_path, monkeypatch, capsys
):
  workdir = shutil.copytree(small_run.workdir, tmp_path / "W")
  shutil.rmtree(workdir / "runs" / STUDENT)
  shutil.rmtree(workdir / "data" / "teachers")
  monkeypatch.setattr(loop, "train", refuse)
  changes = dict(stage="train", methods="single->multi+finetune")
  small.execute(changed(small_run, **changes), workdir)
  waiting = [
    line.partition(" waits")[0]
    for line in capsys.readouterr().out.splitlines()
    if "waits" in line
  ]
  tuned = "single-to-multi+finetune"
  assert waiting == [STUDENT, f"{tuned}.cola", f"{tuned}.stsb"]


def test_trials_see_their_examples_in_orders_of_their_own(two_trials):
  batch = two_trials.batches(two_trials.experiment.runs[0], [0, 1])[0]
  assert batch["index"].shape[0] == 2
  assert not np.array_equal(*batch["index"])


def test_a_task_that_the_server_does_not_know_is_left_out_of_predict(
  small_run, capsys
):
  it = opened(small_run.config, small_run.workdir)
  other = dataclasses.replace(it.experiment, tasks=get_tasks(["sentiment"]))
  predict.predict(dataclasses.replace(it, experiment=other))
  assert "sentiment is left out" in capsys.readouterr().out
  assert not (small_run.workdir / "submission").exists()


def test_the_submitted_trial_is_the_same_for_all_tasks_of_a_run(
  small_run, tmp_path
):
  scores = {0: (30, 5), 1: (10, 90), 2: (20, 81)}
  chosen = {}
  for by in ("average", "task"):
    config = changed(small_run, trials=3, submit=by, methods="multi")
    it = opened(config, tmp_path)
    (run,) = it.experiment.runs
    for seed, (cola, stsb) in scores.items():
      found = {"cola": {"matthews": cola}, "stsb": {"spearman": stsb}}
      it.workdir.record(run.name, seed, {"scores": found})
    chosen[by] = [
      predict.submitted(it, run, task)["seed"] for task in (COLA, STSB)
    ]
  assert chosen == {"average": [2, 2], "task": [0, 1]}


def test_another_seed_is_another_run(small_run, tmp_path):
  small.execute(changed(small_run, seed=5, methods="multi"), tmp_path)
  (first, other) = (
    [
      json.loads(line)["loss"]
      for line in lines_of(place / "runs" / MULTI / "metrics.jsonl")
    ]
    for place in (small_run.workdir, tmp_path)
  )
  assert len(first) == len(other) == 3
  assert first != other
  assert results_of(tmp_path)["methods"]["multi"]["cola"]["seeds"] == [5]


def test_a_workdir_of_other_settings_is_refused(small_run):
  before = (small_run.workdir / "config.json").read_bytes()
  with pytest.raises(ValueError, match=r"optim\.clip: 1\.0 there, 0\.5 asked"):
    small.execute(changed(small_run, optim__clip=0.5), small_run.workdir)
  assert (small_run.workdir / "config.json").read_bytes() == before


def test_a_damaged_teacher_is_refused_before_its_student_trains(
  small_run, tmp_path, monkeypatch
):
  workdir = shutil.copytree(small_run.workdir, tmp_path / "W")
  shutil.rmtree(workdir / "runs" / STUDENT)
  teacher = Workdir(workdir).teacher("single.cola", "cola", 0)
  (shard,) = teacher.glob("*array_record*")
  shard.write_bytes(shard.read_bytes()[:-9])
  monkeypatch.setattr(loop, "train", refuse)
  with pytest.raises(ValueError, match=f"{shard.name} is damaged") as error:
    small.execute(small_run.config, workdir)
  assert f"delete {teacher}" in str(error.value)


def stopping_after(steps):
  """Returns a stop that says so once that many steps are done."""
  asked = iter(range(1000))
  return lambda: next(asked) >= steps - 1


def test_a_stopped_run_goes_on_to_the_same_numbers(small_run, tmp_path):
  config = changed(small_run, methods="multi")
  with pytest.raises(loop.Stopped, match="after step 3 of 6"):
    small.execute(config, tmp_path, stopping_after(3))
  assert not (tmp_path / "results.json").exists()
  small.execute(config, tmp_path)
  params = [
    load_params(Workdir(place).params(MULTI, 0))[0]
    for place in (tmp_path, small_run.workdir)
  ]
  assert_equal(*params)
  methods = results_of(tmp_path)["methods"]
  assert methods["multi"] == results_of(small_run.workdir)["methods"]["multi"]


def test_stopped_while_it_evaluates_it_is_scored_the_next_time(
  small_run, tmp_path
):
  config = changed(small_run, methods="single", tasks="cola")
  # Six steps ask six times; the seventh is a batch of the dev set.
  with pytest.raises(loop.Stopped, match="between two batches"):
    small.execute(config, tmp_path, stopping_after(7))
  assert Workdir(tmp_path).finished("single.cola", 0)
  small.execute(config, tmp_path)
  there = results_of(small_run.workdir)["methods"]["single"]["cola"]
  assert results_of(tmp_path)["methods"]["single"]["cola"] == there


@pytest.fixture(scope="module")
def two_trials(small_run):
  """Two trials of CoLA's teacher, and students of both together."""
  config = changed(
    small_run,
    tasks="cola",
    methods="single->multi",
    trials=2,
    teacher__trials="ensemble",
  )
  workdir = small_run.root / "two"
  small.execute(config, workdir)
  return opened(config, workdir)


def test_which_trials_teach(two_trials, monkeypatch):
  place = two_trials.workdir
  each = [
    logits_lib.read(place.teacher("single.cola", "cola", s), expected={}).values
    for s in (0, 1)
  ]
  assert abs(each[0] - each[1]).max() > 1e-4

  def taught(which, variant=""):
    config = two_trials.config.copy_and_resolve_references()
    config.teacher.trials = which
    config.variants.all = {"teacher": {"trials": "ensemble"}}
    config.methods = f"single->multi{variant}"
    # Made under the other setting: only who teaches whom is asked here.
    monkeypatch.setattr(Teachers, "expected", lambda *args: {})
    it = opened(config, place.path)
    pools = it.batches(it.experiment.runs[-1], [0, 1])._pools
    return [pool.learned["example"].teacher for pool in pools]

  first, matched, ensemble = map(taught, ("first", "matched", "ensemble"))
  np.testing.assert_array_equal(first, [each[0], each[0]])
  np.testing.assert_array_equal(matched, each)
  # A variant has teachers of its own.
  varied = taught("matched", "@all")
  np.testing.assert_array_equal(varied, ensemble)
  by_hand = np.mean(scipy.special.softmax(each, -1), 0)
  for logits in ensemble:
    np.testing.assert_allclose(scipy.special.softmax(logits, -1), by_hand, 1e-5)
  seeds = results_of(place.path)["methods"]["single->multi"]["cola"]["seeds"]
  assert seeds == [0, 1]


def test_soft_labels_from_a_file_teach_without_a_teacher(small_run, tmp_path):
  rows = small.ROWS["train"]
  file = tmp_path / "soft.jsonl"
  lines = [
    json.dumps({"index": i, "probs": [i / rows, 1 - i / rows]})
    for i in range(rows)
  ]
  file.write_text("\n".join(lines))
  config = changed(
    small_run,
    tasks="cola",
    methods="single->multi",
    teacher__files=f"cola={file}",
  )
  small.execute(config, tmp_path / "W")
  assert [p.name for p in (tmp_path / "W" / "runs").iterdir()] == [
    "single-to-multi.cola"
  ]
  it = opened(config, tmp_path / "W")
  (pool,) = it.batches(it.experiment.runs[-1], [0])._pools
  learned = pool.learned["example"]
  found = scipy.special.softmax(learned.teacher, -1)[:, 0]
  np.testing.assert_allclose(found, np.arange(rows) / rows, atol=1e-6)
  assert learned.has_teacher.all()


def test_held_out_rows_are_scored_and_never_trained_on(small_run, tmp_path):
  config = changed(
    small_run, methods="multi", data__holdout=0.2, max_steps=0, seed=9
  )
  it = opened(config, tmp_path)
  batches = it.batches(it.experiment.runs[-1], it.experiment.seeds)
  seen = {0: set(), 1: set()}
  for k in range(len(batches)):
    batch = batches[k]
    for task in seen:
      seen[task] |= set(batch["index"][batch["task"] == task].tolist())
  rows = small.ROWS["train"]
  for number, task in enumerate((COLA, STSB)):
    mask = it.materials.texts.holdout(task, it.experiment.held).mask
    assert len(mask) == rows
    assert mask.sum() == 0.2 * rows
    out = set(np.flatnonzero(mask).tolist())
    trained = {index % rows for index in seen[number]}
    assert trained == set(range(rows)) - out
    held = it.materials.corpus.scored(task)["holdout"]
    assert set(held.index.tolist()) == out


def test_finetuning_starts_from_the_multi_task_model(small_run, tmp_path):
  workdir = shutil.copytree(small_run.workdir, tmp_path / "W")
  # Its rate is next to nothing, so that it ends where it began.
  small.execute(changed(small_run, methods="multi,multi+finetune"), workdir)
  found = results_of(workdir)["methods"]
  assert found["multi+finetune"] == found["multi"]
  start, _ = load_params(Workdir(workdir).params(MULTI, 0))
  end, _ = load_params(Workdir(workdir).params("multi+finetune.cola", 0))
  assert_equal(end["bert"], start["bert"])
  assert list(end["heads"]) == ["cola"]
  assert_equal(end["heads"]["cola"], start["heads"]["cola"])


@pytest.mark.parametrize("part", ["encoder", "all"])
def test_a_run_starts_from_another_runs_directory(small_run, tmp_path, part):
  source = small_run.workdir / "runs" / MULTI
  config = changed(
    small_run,
    tasks="cola",
    methods="single",
    init_from=str(source),
    init_part=part,
    single__rate=1e-30,
  )
  small.execute(config, tmp_path)
  start, _ = load_params(source / "checkpoints" / "seed-0")
  end, _ = load_params(Workdir(tmp_path).params("single.cola", 0))
  assert_equal(end["bert"], start["bert"])
  assert_equal(end["pooler"], start["pooler"])
  kernels = end["heads"]["cola"]["kernel"], start["heads"]["cola"]["kernel"]
  assert np.array_equal(*kernels) == (part == "all")


def test_a_start_of_another_shape_is_refused(small_run, tmp_path):
  wide = small.write_encoder(tmp_path / "wide", width=24)
  config = small.settings(
    small_run.glue, wide, init_from=str(small_run.workdir / "runs" / MULTI)
  )
  with pytest.raises(ValueError, match=r"has bert\.embed.* of shape .* wants"):
    small.execute(config, tmp_path / "W")
  assert not (tmp_path / "W").exists()
