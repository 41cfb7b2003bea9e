"""Heads that read the mean, or each token: transformers says the same."""

import dataclasses
import json

import numpy as np
import pytest
import torch
import transformers

import bam_jax
from bam_jax.hf import layouts, transfer
from bam_jax.inference import export, trained
from bam_jax.inference import model as inference
from bam_jax.models.pooling import POOLS
from bam_jax.tasks.learn import Learn
from bam_jax.tasks.table import TASKS
from tests import export_test
from tests.hf import families_test

quiet = families_test.quiet
FITTING = [
  (name, pool)
  for name in ("modernbert", "eurobert", "eurobert-grouped")
  for pool in layouts.SEQUENCES[name.partition("-")[0]].pools
]


def pooled(name, folder, pool):
  """A random model of a family whose head for MNLI reads by a pool."""
  found = export_test.random_model(name, folder, tasks=("mnli",))
  (head,) = found.description.heads
  heads = (dataclasses.replace(head, learn=Learn(pool=pool)),)
  said = dataclasses.replace(found.description, heads=heads)
  return dataclasses.replace(found, description=said)


def mnli(pool):
  return dataclasses.replace(TASKS["mnli"], learn=Learn(pool=pool))


def start(folder, task):
  return transfer.read(folder, "", [task], regression_output="sigmoid")


@pytest.mark.parametrize(("name", "pool"), FITTING)
def test_transformers_reads_the_same_tokens(name, pool, tmp_path):
  found = pooled(name, tmp_path / "run", pool)
  out, texts = tmp_path / "a", export_test.TEXTS
  export.write_classifier(out, found, "mnli", overwrite=False)
  want = inference.Model(found).logits(["mnli"], texts)["mnli"]
  assert np.abs(export_test.theirs_on(out, *texts) - want).max() < 1e-5
  other = pooled(name, tmp_path / "other", "" if pool != "cls" else "mean")
  apart = inference.Model(other).logits(["mnli"], texts)["mnli"]
  assert np.abs(apart - want).max() > 1e-3
  again = bam_jax.load(out)
  assert again.trained.description == found.description
  np.testing.assert_array_equal(again.logits(["mnli"], texts)["mnli"], want)
  # And into a run that reads so, and into no other.
  kernel = start(out, mnli(pool))["heads"]["mnli"]["kernel"]
  mine = found.params["heads"]["mnli"]["kernel"]
  np.testing.assert_array_equal(kernel, mine)
  rest = next(each for each in POOLS if each != pool)
  with pytest.raises(
    ValueError,
    match=f"by the pool {pool}, and .*mnli by {rest}; set .*pool={pool}",
  ):
    start(out, mnli(rest))


@pytest.mark.parametrize(
  ("name", "pool", "said"),
  [
    ("bert", "mean", "BertForSequenceClassification reads by cls alone"),
    (
      "deberta",
      "late",
      "DebertaV2ForSequenceClassification reads by cls al",
    ),
    ("modernbert", "late", "reads by cls or mean alone; bam_jax.load answers"),
  ],
)
def test_what_transformers_cannot_read_is_refused(name, pool, said, tmp_path):
  found = pooled(name, tmp_path / "run", pool)
  with pytest.raises(ValueError, match=said):
    export.write_classifier(tmp_path / "a", found, "mnli", overwrite=False)
  assert not (tmp_path / "a").exists()
  # All heads leave together, whatever they read.
  export.write_heads(tmp_path / "b", found, overwrite=False)
  again = trained.load(tmp_path / "b", trial=None, tasks=("mnli",))
  assert again.description == found.description


@pytest.mark.parametrize("word", ["late", "bos", "mean", None])
def test_a_published_head_comes_in_with_its_pool(word, tmp_path):
  made = export_test.random_model("eurobert", tmp_path / "run", tasks=("mnli",))
  raw = made.config.vocab_size, dict(enumerate(TASKS["mnli"].labels))
  config = families_test.CONFIGS["eurobert"].to_dict() | {
    "vocab_size": raw[0],
    "id2label": raw[1],
    "max_position_embeddings": 40,
  }
  config = transformers.EuroBertConfig(**config)
  if word:
    config.classifier_pooling = word
  torch.manual_seed(0)
  theirs = transformers.EuroBertForSequenceClassification(config).eval()
  theirs.save_pretrained(tmp_path / "run")
  file = tmp_path / "run/config.json"
  if word is None:
    said = json.loads(file.read_text())
    said.pop("classifier_pooling", None)
    file.write_text(json.dumps(said))
  pool = {"bos": "cls", None: "late"}.get(word, word)
  (head,) = made.description.heads
  heads = (dataclasses.replace(head, learn=Learn(pool=pool)),)
  found = dataclasses.replace(
    made,
    params=start(tmp_path / "run", mnli(pool)),
    description=dataclasses.replace(made.description, heads=heads),
  )
  texts = export_test.TEXTS
  got = inference.Model(found).logits(["mnli"], texts)["mnli"]
  want = export_test.theirs_on(tmp_path / "run", *texts)
  assert np.ptp(want, axis=0).max() > 1e-3
  assert np.abs(got - want).max() < 1e-5
