"""Packed texts are answered as each is alone, in shapes known before."""

import numpy as np
import pytest

from bam_jax.data.features import featurise
from bam_jax.inference import model as inference
from bam_jax.inference import rows as rows_lib
from bam_jax.inference import service
from tests.inference.heads_test import CHOICES, found  # noqa: F401

WORDS = [
  "the",
  "old",
  "dog",
  "sees",
  "a",
  "very",
  "small",
  "bird",
  "near",
  "our",
  "house",
]


def texts(count, *, longest=11, seed=0):
  rng = np.random.default_rng(seed)
  return [
    " ".join(rng.choice(WORDS, rng.integers(1, longest + 1)))
    for _ in range(count)
  ]


@pytest.fixture(scope="module")
def model(found):  # noqa: F811
  return inference.Model(found)


@pytest.mark.parametrize("count", [1, 2, 7, 23, inference.BATCH + 3])
def test_packed_texts_are_answered_as_each_is_alone(model, count):
  columns = [texts(count), texts(count, longest=4, seed=1)]
  tasks = list(CHOICES)
  together = model.logits(tasks, columns)
  for number in range(0, count, max(1, count // 7)):
    alone = model.logits(tasks, [[column[number]] for column in columns])
    for name in tasks:
      np.testing.assert_allclose(
        together[name][number], alone[name][0], atol=2e-6
      )


def test_rows_of_short_texts_are_full(model):
  rows = featurise(
    model.tokenizer, [texts(64, longest=30)], None, max_length=128
  )
  batch, places = rows_lib.packed(rows, np.array([0, 2, 1]), at_most=128)
  filled = (batch["segments"] > 0).mean()
  assert filled > 0.6  # the least that a number of rows is rounded from
  used = places.row.max() + 1
  assert (batch["segments"][:used] > 0).mean() > 0.85
  # A slot per head and text; all others are nobody's.
  assert (batch["task"] >= 0).sum() == 3 * 64


@pytest.mark.parametrize(
  ("count", "longest", "at_most"),
  [(1, 1, 5), (9, 2, 5), (5, 11, 30), (40, 11, 30), (64, 11, 128), (3, 90, 70)],
)
def test_every_shape_that_comes_was_foretold(model, count, longest, at_most):
  foretold = list(rows_lib.rooms(64, 2, at_most=at_most))
  assert len(set(foretold)) == len(foretold)
  for seed in range(8):
    some = texts(1 + seed * count // 8, longest=longest, seed=seed)
    rows = featurise(model.tokenizer, [some], None, max_length=at_most)
    batch, _ = rows_lib.packed(rows, np.array([1, 0]), at_most=at_most)
    shape = (*batch["tokens"].shape, batch["cls"].shape[1])
    assert shape in {(r.rows, r.width, r.examples) for r in foretold}


def test_after_the_warm_up_nothing_is_compiled(model):
  for shape in service.shapes(model, 7):
    model.compile(shape)
  before = model._forward._cache_size()
  for asked in {*service.groups(model).values()}:
    columns = len(model.heads[asked[0]].text)
    for count in (1, 3, 7):
      model.answers(asked, [texts(count, seed=n) for n in range(columns)])
  assert model._forward._cache_size() == before


def test_heads_that_cost_nothing_beside_each_other_are_asked_together(model):
  beside = service.groups(model)
  assert set(beside) == set(CHOICES)
  for name, others in beside.items():
    assert name in others
    assert len({len(model.heads[other].text) for other in others}) == 1


def test_heads_that_share_no_pass_are_not_asked_for_each_other(
  model, monkeypatch
):
  """As with adapters of each task, where a text is encoded for each."""
  monkeypatch.setattr(
    model, "passes", lambda names: [[model.specs[name]] for name in names]
  )
  assert service.groups(model) == {name: (name,) for name in CHOICES}


def test_one_text_of_one_head_is_one_narrow_row(model):
  rows = featurise(model.tokenizer, [["a dog"]], None, max_length=128)
  batch, _ = rows_lib.packed(rows, np.array([0]), at_most=128)
  assert batch["tokens"].shape == (1, rows_lib.NARROWEST)
