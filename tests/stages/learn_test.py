"""A small study whose tasks have chosen: trained, taught, scored, answering."""

import json
import types

import numpy as np
import pytest

import bam_jax
from bam_jax.stages import checks, session
from bam_jax.study.workdir import Workdir
from bam_jax.training.checkpoint import load_params
from tests import small

TASKS = """\
[claims]
train = "pairs.csv"
dev = "pairs.csv"
text = ["one", "two"]
label = "said"
labels = ["no", "yes"]
metric = "accuracy"
head = "san:turns=2"
kd_loss = "js"

[replies]
train = "pairs.csv"
dev = "pairs.csv"
text = ["one", "two"]
label = "said"
labels = ["no", "yes"]
metric = "accuracy"
head_of = "claims"
dropout = 0
weight = 0.5

[words]
train = "pairs.csv"
dev = "pairs.csv"
text = "one"
label = "said"
labels = ["no", "yes"]
metric = "accuracy"
head = "mlp:width=5"
loss = "hellinger"
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory, compiled):
  root = tmp_path_factory.mktemp("learn")
  rng = np.random.default_rng(0)
  lines = ["one,two,said"]
  for row in range(24):
    one, two = (" ".join(rng.choice(small.WORDS, size=3)) for _ in range(2))
    lines.append(f"{one} {row},{two},{('no', 'yes')[row % 2]}")
  (root / "pairs.csv").write_text("\n".join(lines) + "\n")
  (root / "tasks.toml").write_text(TASKS)
  config = small.settings(
    root / "glue",
    small.write_encoder(root / "encoder"),
    tasks_file=str(root / "tasks.toml"),
    tasks="claims,replies,words",
    methods="single->multi+finetune",
    teacher__mix="losses",
    teacher__temperature=2.0,
    max_steps=3,
  )
  small.execute(config, root / "W")
  return root, config


def test_every_stage_has_the_heads_that_were_chosen(study):
  root, _ = study
  workdir = Workdir(root / "W")
  runs = sorted(path.name for path in (root / "W/runs").iterdir())
  assert len(runs) == 7
  for run in runs:
    params, _ = load_params(workdir.params(run, 0))
    wanted = {"claims", "words"}
    if "single" in run.split("-")[0] or "finetune" in run:
      wanted = {"words"} if "words" in run.rpartition(".")[2] else {"claims"}
    if run.startswith("single-to-multi") and "finetune" not in run:
      wanted = {"claims", "words"}
    assert params["heads"].keys() == wanted, run
    for name, part in params["heads"].items():
      assert ("hidden" in part) == (name == "words")
      assert ("memory" in part) == (name == "claims")


def test_heads_that_are_shared_and_of_their_own_answer_raw_text(study):
  root, _ = study
  (run,) = [
    path
    for path in (root / "W/runs").iterdir()
    if path.name.startswith("single-to-multi") and "finetune" not in path.name
  ]
  model = bam_jax.load(run)
  texts = ["the dog sees", "a cat"], ["no bird", "an old dog here"]
  said = model("all", *texts)
  assert [row.keys() for row in said] == [{"claims", "replies"}] * 2
  for row in said:
    # One head, read alike.
    assert row["claims"] == row["replies"]
  assert len(model("words", texts[0])) == 2


def test_what_was_chosen_is_in_what_made_a_trial(study):
  root, config = study
  it = session.opened(config, Workdir(root / "W"))
  said = {
    run.name: {
      key: value
      for key, value in it.lineage.made_of(run, 0).items()
      if key.startswith("learn.")
    }
    for run in it.experiment.runs
  }
  assert said["single.words"] == {
    "learn.words.head": "mlp:width=5",
    "learn.words.loss": "hellinger",
  }
  # Nobody teaches it, so it does not look at kd_loss.
  assert said["single.claims"] == {"learn.claims.head": "san:turns=2"}
  student = next(
    run for run in said if "multi" in run and "finetune" not in run
  )
  assert said[student]["learn.claims.kd_loss"] == "js"
  assert said[student]["learn.replies.weight"] == 0.5
  scores = json.loads((root / "W/results.json").read_text())
  assert set(scores["methods"]["single->multi+finetune"]) == {
    "claims",
    "replies",
    "words",
  }


def test_an_encoder_without_types_tells_no_texts_apart(study):
  root, config = study
  it = session.opened(config, Workdir(root / "W"))
  materials = types.SimpleNamespace(
    experiment=it.experiment,
    encoder=types.SimpleNamespace(tokenizer=types.SimpleNamespace(second=1)),
    model=it.materials.model,
  )
  checks.parts(materials)
  materials.encoder.tokenizer.second = 0
  with pytest.raises(ValueError, match="the head san of claims tells two tex"):
    checks.parts(materials)


def test_a_weight_weighs_the_rows_of_its_task(study):
  root, config = study
  it = session.opened(config, Workdir(root / "W"))
  run = next(r for r in it.experiment.runs if r.kind == "multi")
  batch = it.batches(run, [0], taught=False)[0]
  for number, weight in enumerate((1.0, 0.5, 1.0)):
    mine = batch["weight"][batch["task"] == number]
    assert mine.size and (mine == weight).all()
