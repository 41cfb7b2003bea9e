"""Heads that score candidates: every family's own class says the same."""

import dataclasses

import numpy as np
import pytest
import torch
import transformers

import bam_jax
from bam_jax.hf import classifiers, families, layouts
from bam_jax.inference import export, trained
from bam_jax.tasks.description import Description, Head
from tests import export_test
from tests.hf import families_test

QUESTION, TEXTS = export_test.TEXTS[0][0], list(export_test.TEXTS[1])
FAMILIES = [name for name in families_test.CONFIGS if name != "electra-square"]


def scoring(name, folder, kind):
  """Returns a model of a family with random parameters and one such head."""
  found = export_test.random_model(name, folder, tasks=("stsb",))
  head = Head(
    name="best",
    kind=kind,
    text=("question", "candidates"),
    labels=(),
    range=None,
    headline="accuracy",
  )
  said = dataclasses.replace(found.description, heads=(head,))
  heads = {"best": found.params["heads"]["stsb"]}
  params = {**found.params, "heads": heads}
  return dataclasses.replace(found, description=said, params=params)


@pytest.mark.parametrize("kind", ["ranking", "choice"])
@pytest.mark.parametrize("name", FAMILIES)
def test_transformers_scores_the_same(name, kind, tmp_path):
  found = scoring(name, tmp_path / "run", kind)
  out = tmp_path / "M"
  if kind == "choice" and found.config.family == "eurobert":
    with pytest.raises(ValueError, match="eurobert has no MultipleChoice in"):
      export.write_classifier(out, found, "best", overwrite=False)
    return
  export.write_classifier(out, found, "best", overwrite=False)
  made = {
    "ranking": transformers.AutoModelForSequenceClassification,
    "choice": transformers.AutoModelForMultipleChoice,
  }[kind]
  theirs, info = made.from_pretrained(out, output_loading_info=True)
  assert not any(info.values()), info
  words = transformers.AutoTokenizer.from_pretrained(out)
  inputs = words(
    [QUESTION] * len(TEXTS), TEXTS, padding=True, return_tensors="pt"
  )
  if kind == "choice":
    inputs = {key: x[None] for key, x in inputs.items()}
  with torch.no_grad():
    got = theirs.eval()(**inputs).logits.numpy()
  assert got.shape == ((1, 4) if kind == "choice" else (4, 1))
  (answer,) = bam_jax.load(out)("best", [QUESTION], [TEXTS])
  want = sorted(answer.candidates, key=lambda each: each.index)
  want = [each.score for each in want]
  assert np.ptp(want) > 1e-3
  np.testing.assert_allclose(got.ravel(), want, atol=1e-5)
  again = trained.load(out, trial=None, tasks=("best",))
  assert isinstance(again.description, Description)
  assert again.description == found.description
  kernel = found.params["heads"]["best"]["kernel"]
  np.testing.assert_array_equal(again.params["heads"]["best"]["kernel"], kernel)
  assert classifiers.is_classifier(out)


def test_every_family_has_a_class_for_choices():
  assert layouts.CHOICES.keys() | {"eurobert"} == set(families.PUBLISHED)
  assert not hasattr(transformers, "EuroBertForMultipleChoice")
  assert not hasattr(transformers, "EuroBertForQuestionAnswering")
