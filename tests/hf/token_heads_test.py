"""Heads of words and of answers: every family's own class says the same."""

import dataclasses
import json

import jax
import numpy as np
import pytest
import torch
import transformers

from bam_jax.data import contexts
from bam_jax.data.features import featurise
from bam_jax.data.windows import Lengths
from bam_jax.hf import classifiers, layouts, transfer
from bam_jax.inference import export
from bam_jax.inference import model as inference
from bam_jax.tasks import spans
from bam_jax.tasks.description import Head
from bam_jax.tasks.table import TASKS
from tests import export_test
from tests.hf import families_test

quiet = families_test.quiet
TEXTS = export_test.TEXTS
# The kind of a task -> its labels, and a task with a head of as many columns.
LIKE = {
  "tagging": (("O", "B-A", "I-A"), "mnli"),
  "span": (spans.LABELS, "rte"),
}
MODELS = {
  "tagging": transformers.AutoModelForTokenClassification,
  "span": transformers.AutoModelForQuestionAnswering,
}
CASES = [
  (name, kind)
  for kind, found in (("tagging", layouts.TOKENS), ("span", layouts.SPANS))
  for name, config in families_test.CONFIGS.items()
  if config.model_type in found and name != "electra-square"
]


def task_of(kind):
  labels, like = LIKE[kind]
  text = ("words",) if kind == "tagging" else ("question", "context")
  return dataclasses.replace(
    TASKS[like], name="own", kind=kind, text=text, labels=labels
  )


def made(name, folder, kind):
  """Returns a model of a family with random parameters and such a head."""
  like = LIKE[kind][1]
  found = export_test.random_model(name, folder, tasks=(like,))
  limits = spans.Limits(stride=2, longest=5, threshold=0.0)
  said = dataclasses.replace(
    found.description,
    heads=(Head.of(task_of(kind)),),
    span=limits if kind == "span" else None,
  )
  heads = {"own": found.params["heads"][like]}
  params = {**found.params, "heads": heads}
  return dataclasses.replace(found, description=said, params=params)


def rows_of(tokenizer, kind):
  """Returns what is read: words of texts, or windows of contexts."""
  if kind == "span":
    return contexts.windows(
      tokenizer, *TEXTS, None, lengths=Lengths(most=14, stride=2)
    )
  read = inference.worded_rows(TEXTS[0])
  words = [each.words for each in read]
  return featurise(tokenizer, TEXTS[:1], None, max_length=30, words=words)


def theirs_on(model, rows, types):
  """Returns transformers' logits f32[N, S, C] of these very tokens."""
  shape = len(rows), int(rows.lengths.max())
  given = {
    "input_ids": np.zeros(shape, np.int64),
    "token_type_ids": np.zeros(shape, np.int64),
    "attention_mask": np.zeros(shape, np.int64),
  }
  for row, (a, b) in enumerate(
    zip(rows.offsets, rows.offsets[1:], strict=False)
  ):
    given["input_ids"][row, : b - a] = rows.tokens[a:b]
    given["token_type_ids"][row, : b - a] = rows.types[a:b]
    given["attention_mask"][row, : b - a] = 1
  if not types:
    del given["token_type_ids"]
  with torch.no_grad():
    said = model(**{key: torch.tensor(x) for key, x in given.items()})
  if "logits" in said:
    return said.logits.numpy()
  return np.stack([said.start_logits, said.end_logits], -1)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_transformers_says_the_same_of_each_token(name, kind, tmp_path):
  found = made(name, tmp_path / "run", kind)
  out = tmp_path / "out"
  export.write_classifier(out, found, "own", overwrite=False)
  theirs, info = MODELS[kind].from_pretrained(out, output_loading_info=True)
  assert not any(info.values()), info
  model = inference.Model(found)
  rows = rows_of(model.tokenizer, kind)
  want = model.said(["own"], rows)["own"]
  got = theirs_on(theirs.eval(), rows, found.config.types > 1)
  row = np.repeat(np.arange(len(rows)), rows.words.counts)
  assert len(rows) >= 4 and np.ptp(want, axis=0).min() > 1e-3
  assert np.abs(got[row, rows.words.at] - want).max() < 1e-5
  # What transformers saves, and we have not described, is where a run starts.
  theirs.save_pretrained(out)
  config = json.loads((out / "config.json").read_text())
  config.pop(classifiers.OURS)
  (out / "config.json").write_text(json.dumps(config))
  back = transfer.read(out, "own", [task_of(kind)], regression_output="sigmoid")
  mine = {k: v for k, v in found.params.items() if k != "pooler"}
  jax.tree.map(
    np.testing.assert_array_equal,
    {k: v for k, v in back.items() if k != "pooler"},
    mine,
  )
