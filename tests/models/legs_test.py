"""Two texts encoded each by itself, held against transformers."""

import dataclasses

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import transformers

from bam_jax.data import apart
from bam_jax.data.features import featurise
from bam_jax.inference import export as directories
from bam_jax.inference import model as inference
from bam_jax.models import legs
from bam_jax.models.heads import HEADS
from bam_jax.models.shapes import shapes
from bam_jax.tasks import description
from bam_jax.tasks.learn import APART, Learn
from bam_jax.tasks.table import TASKS
from bam_jax.training import heads
from tests.export_test import TEXTS, random_model

CHOICES = {
  "rte": Learn(),
  "quora": Learn(head="siamese:width=5"),
  "sts": Learn(head="siamese:width=6", pool="mean"),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
  """A model of a head that reads two texts together and two that do not."""
  plain = random_model(
    "bert", tmp_path_factory.mktemp("legs") / "run", tasks=tuple(CHOICES)
  )
  said = dataclasses.replace(
    plain.description,
    heads=tuple(
      description.Head.of(dataclasses.replace(TASKS[name], learn=choice))
      for name, choice in CHOICES.items()
    ),
  )
  rng = np.random.default_rng(3)
  specs = heads.specs(said.heads, regression_output="linear")
  params = traverse_util.unflatten_dict(
    {
      name: rng.normal(size=shape, scale=0.3).astype(np.float32)
      for name, shape in shapes(specs, plain.config.width).items()
    },
    sep="/",
  )
  return dataclasses.replace(
    plain,
    params=plain.params | {"heads": params},
    description=dataclasses.replace(said, regression_output="linear"),
  )


def test_each_text_is_what_transformers_makes_of_it_alone(found, tmp_path):
  directories.write_heads(tmp_path / "a", found, overwrite=False)
  theirs = transformers.AutoModel.from_pretrained(tmp_path / "a").eval()
  words = transformers.AutoTokenizer.from_pretrained(tmp_path / "a")

  def vectors(texts, pool):
    inputs = words(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
      out = theirs(**inputs)
      if pool == "cls":
        return out.pooler_output.numpy()
      mask = inputs["attention_mask"][..., None]
      means = (out.last_hidden_state * mask).sum(1) / mask.sum(1)
      return theirs.pooler(means[:, None]).numpy()

  got = inference.Model(found).logits(list(CHOICES), TEXTS)
  for name, pool in (("quora", "cls"), ("sts", "mean")):
    u, v = (vectors(list(texts), pool) for texts in TEXTS)
    layers = found.params["heads"][name]
    x = np.concatenate([u, abs(u - v), v], -1)
    x = x @ layers["hidden"]["kernel"] + layers["hidden"]["bias"]
    x = torch.nn.functional.gelu(torch.tensor(x)).numpy()
    want = x @ layers["out"]["kernel"] + layers["out"]["bias"]
    np.testing.assert_allclose(got[name], want, atol=1e-5)
    assert np.ptp(want, axis=0).max() > 1e-3


def test_heads_that_read_otherwise_are_asked_in_passes_of_their_own(found):
  model = inference.Model(found)
  together = model.logits(list(CHOICES), TEXTS)
  for name in CHOICES:
    alone = model.logits([name], TEXTS)[name]
    np.testing.assert_allclose(alone, together[name], atol=1e-6)


def test_what_no_file_computes_is_refused_by_what_to_do(found, tmp_path):
  with pytest.raises(ValueError, match="the head siamese of quora does; bam_"):
    directories.write_classifier(
      tmp_path / "a", found, "quora", overwrite=False
    )
  with pytest.raises(ValueError, match=r"each by itself.*bam_jax\.predict and"):
    directories.write_program(
      tmp_path / "a", found, task="all", overwrite=False
    )
  assert not (tmp_path / "a").exists()
  directories.write_program(tmp_path / "a", found, task="rte", overwrite=False)


def test_pairs_are_marked_as_each_text_alone_and_the_longer_one_is_cut(found):
  words = inference.Model(found).tokenizer
  assert apart.able(words)
  pairs = featurise(words, [list(x) for x in TEXTS], None, max_length=9)
  made = apart.apart(pairs, words, most=9)
  alone = [
    featurise(words, [list(x)], None, max_length=30).tokens for x in TEXTS
  ]
  whole = apart.apart(
    featurise(words, [list(x) for x in TEXTS], None, max_length=30),
    words,
    most=30,
  )
  second = whole.types > 0
  np.testing.assert_array_equal(whole.tokens[~second], alone[0])
  np.testing.assert_array_equal(whole.tokens[second], alone[1])
  assert made.lengths.tolist() == [9, 9, 9, 9]
  # Row 1 is "no" and seven words, of which four are left.
  (cls,), (sep,) = words.single
  row = made.tokens[made.offsets[1] : made.offsets[2]].tolist()
  assert row[:1] + row[2:4] + row[-1:] == [cls, sep, cls, sep]
  assert row[4:8] == alone[1][5:9].tolist()
  assert made.types[made.offsets[1] : made.offsets[2]].tolist() == (
    [0] * 3 + [1] * 6
  )


def test_data_and_models_mean_the_same_heads():
  assert {name for name, row in HEADS.items() if row.apart} == APART


def test_two_texts_of_a_packed_row_are_two_segments_with_positions_from_0():
  batch = {
    "types": [[0, 0, 1, 1, 1, 0, 0, 1, 0]],
    "positions": [[0, 1, 2, 3, 4, 0, 1, 2, 0]],
    "segments": [[1, 1, 1, 1, 1, 2, 2, 2, 0]],
    "cls": [[0, 5, 0, 0]],
    "task": [[1, 0, -1, -1]],
  }
  batch = {name: jnp.array(x) for name, x in batch.items()}
  second = legs.second_of(batch, [False, True])
  read, behind = jax.jit(legs.split)(batch, second)
  assert read["types"].tolist() == [[0, 0, 0, 0, 0, 0, 0, 1, 0]]
  assert read["positions"].tolist() == [[0, 1, 0, 1, 2, 0, 1, 2, 0]]
  assert read["segments"].tolist() == [[1, 1, 5, 5, 5, 2, 2, 2, 0]]
  assert read["cls"].tolist() == [[0, 5, 0, 0]]
  assert behind["cls"][:, :2].tolist() == [[2, 5]]
  # What is dropped from the second is another thing than from the first.
  drawn = legs.redrawn(jnp.full((1, 9, 2), 3), second)
  assert drawn[0, :, 1].tolist() == [3, 3, -5, -5, -5, 3, 3, 3, 3]
