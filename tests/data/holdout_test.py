"""What is held out is of no use to who has learnt the kept rows by heart."""

import dataclasses
import time
import zlib

import numpy as np
import pytest

from bam_jax.data.holdout import GROUPINGS, Part, hold_out
from bam_jax.data.sources import readers
from bam_jax.tasks import own
from bam_jax.tasks.table import TASKS

RTE, SST2, STSB, MRPC = (TASKS[x] for x in ("rte", "sst2", "stsb", "mrpc"))


FITTED = Part("calibration.share", 0.25)


def test_for_calibration_rows_are_held_out_where_they_are_read(tmp_path):
  shares = [FITTED.share(task) for task in (RTE, STSB)]
  assert shares == [0.25, 0.0] and not FITTED.scored
  assert [Part(asked=0.25).share(task) for task in (RTE, STSB)] == [0.25] * 2
  # The same rows, so that both may be asked for the same logits.
  given = hold_out(RTE, rows(20), 0.25, key=FITTED.key)
  np.testing.assert_array_equal(given.mask, hold_out(RTE, rows(20), 0.25).mask)
  # A table's texts are read at once: on one side for all of its labels.
  path = tmp_path / "wide.toml"
  path.write_text(
    '[[table]]\ntrain = "a.csv"\ndev_share = 0.5\ntext = "t"\n'
    '[table.labels.topic]\nlabels = ["a", "b"]\n'
    "[table.labels.score]\nrange = [0, 1]\n"
  )
  topic, score = own.table(own.read(path), path).values()
  masks = [
    hold_out(task, rows(20, 1), FITTED.share(task)).mask
    for task in (topic, score)
  ]
  np.testing.assert_array_equal(*masks)
  assert FITTED.fits(topic) and not FITTED.fits(score)


def rows(number: int, columns: int = 2) -> list[list[str]]:
  return [[f"text {c} of {i}" for i in range(number)] for c in range(columns)]


def test_the_same_rows_are_held_out_for_ever():
  mask = hold_out(RTE, rows(20), 0.25).mask
  assert np.flatnonzero(mask).tolist() == [1, 5, 11, 12, 16]
  assert not np.array_equal(mask, hold_out(STSB, rows(20), 0.25).mask)


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_a_holdout_that_leaves_one_side_empty_is_refused(share):
  with pytest.raises(ValueError, match=r"rte; leave some on both sides"):
    hold_out(RTE, rows(20), share)


@pytest.mark.parametrize(("folds", "share"), [(3, 1 / 3), (10, 0.1)])
def test_every_row_is_in_one_fold(folds, share):
  masks = [hold_out(RTE, rows(23), share, fold=n).mask for n in range(folds)]
  np.testing.assert_array_equal(np.sum(masks, 0), 1)
  assert {mask.sum() for mask in masks} <= {23 // folds, 1 + 23 // folds}
  np.testing.assert_array_equal(masks[0], hold_out(RTE, rows(23), share).mask)


def test_what_goes_together_is_in_one_fold():
  first, second = rows(12)
  texts = [[*first, *second], [*second, *first]]
  for fold in range(4):
    mask = hold_out(RTE, texts, 0.25, fold=fold).mask
    np.testing.assert_array_equal(mask[:12], mask[12:])


def test_phrases_of_two_folds_are_counted():
  # "b" stands in both, so in whichever fold comes later.
  texts = [["a b", "b c", "b", "d e", "e f", "e"]]
  found = [hold_out(SST2, texts, 1 / 2, fold=fold) for fold in (0, 1)]
  assert (found[0].mask ^ found[1].mask).all()
  assert "of two folds" not in found[0].sentence
  assert "but for" in found[1].sentence


def test_one_group_of_all_rows_cannot_be_divided():
  with pytest.raises(
    ValueError, match=r"7 training rows .* all of them go tog"
  ):
    hold_out(RTE, [["a"] * 7, ["b"] * 7], 0.2)


def test_every_grouping_of_a_task_is_known():
  assert {task.group for task in TASKS.values()} <= GROUPINGS.keys()


def test_a_pair_goes_with_its_double_and_its_mirror():
  first, second = rows(12)
  # Row 12 + i is row i again, in capitals; row 24 + i is its mirror.
  texts = [
    [*first, *(f" {t.upper()}  " for t in first), *second],
    [*second, *second, *first],
  ]
  mask = hold_out(RTE, texts, 0.3).mask.reshape(3, 12)
  assert 10 <= mask.sum() <= 13
  np.testing.assert_array_equal(mask, np.broadcast_to(mask[0], mask.shape))


def test_a_text_that_both_sides_share_is_counted():
  texts = [["the premise"] * 9, [f"hypothesis {i}" for i in range(9)]]
  found = hold_out(MRPC, texts, 0.34)
  assert found.mask.sum() == 3
  assert "3 of 9 training rows are held out" in found.sentence
  assert "3 of them have a text that a kept row has too" in found.sentence


@pytest.mark.parametrize("name", ["mnli", "qnli", "rte", "wnli"])
def test_rows_of_one_premise_or_question_are_on_one_side(name):
  # Four rows of each of nine; and one more is the mirror of row 0.
  texts = [
    [*(f"Premise {i % 9}" for i in range(36)), "hypothesis 0"],
    [*(f"hypothesis {i}" for i in range(36)), "premise 0"],
  ]
  found = hold_out(TASKS[name], texts, 0.3)
  mask = found.mask[:36].reshape(4, 9)
  assert 11 <= mask.sum() <= 17
  np.testing.assert_array_equal(mask, np.broadcast_to(mask[0], mask.shape))
  assert found.mask[36] == mask[0, 0]
  assert (
    "nor has the first text of one; 0 of them have a text" in found.sentence
  )
  assert len({*hold_out(MRPC, texts, 0.3).mask[:36:9]}) == 2


def test_rows_of_one_named_group_are_on_one_side_with_their_equals():
  task = dataclasses.replace(MRPC, group="groups")
  texts, groups = rows(40), [f"g{i // 5}" for i in range(40)]
  # Row 12, of g2, is row 39, of g7, again.
  for column in texts:
    column[12] = column[39]
  mask = hold_out(task, texts, 0.3, groups).mask.reshape(8, 5)
  assert (mask == mask[:, :1]).all() and 0 < mask[:, 0].sum() < 6
  assert (mask[2] == mask[7]).all()


def phrases(seed: int) -> list[str]:
  """Returns sentences and phrases of them, of words that all share."""
  rng = np.random.default_rng(seed)
  found = []
  for _ in range(30):
    words = rng.choice([*"abcdefghij"], 8)
    found.append(" ".join(words))
    for _ in range(5):
      first = rng.integers(0, 7)
      last = rng.integers(first + 1, 9)
      found.append(" ".join(words[first:last]))
  return [found[i] for i in rng.permutation(len(found))]


def stands_in(phrase: str, others: list[str]) -> bool:
  return any(f" {phrase} " in f" {other} " for other in others)


@pytest.mark.parametrize("seed", range(3))
def test_no_held_out_phrase_stands_in_a_kept_one(seed):
  texts = phrases(seed)
  found = hold_out(SST2, [texts], 0.2)
  kept = [t for t, m in zip(texts, found.mask, strict=True) if not m]
  held = [t for t, m in zip(texts, found.mask, strict=True) if m]
  assert 0.2 * len(texts) <= len(held) < 0.3 * len(texts)
  assert not any(stands_in(phrase, kept) for phrase in held)
  parts = sum(stands_in(phrase, held) for phrase in kept)
  assert f"{parts} kept rows are a part of one" in found.sentence
  # By rows alone most would.
  by_rows = dataclasses.replace(SST2, group="texts")
  mask = hold_out(by_rows, [texts], 0.2).mask
  kept = [t for t, m in zip(texts, mask, strict=True) if not m]
  inside = [stands_in(t, kept) for t, m in zip(texts, mask, strict=True) if m]
  assert np.mean(inside) > 0.5


def test_of_the_real_sst2_no_held_out_phrase_stands_in_a_kept_one(glue_dir):
  (texts,) = readers.load(SST2, "train", glue_dir=str(glue_dir), seed=0).texts
  began = time.process_time()
  found = hold_out(SST2, [texts], 0.1)
  print(f"{time.process_time() - began:.1f} s: {found.sentence}")
  old = np.zeros(len(texts), bool)
  order = np.random.Generator(np.random.Philox(key=zlib.crc32(b"sst2")))
  old[order.permutation(len(texts))[: round(0.1 * len(texts))]] = True
  shares = []
  for mask in (old, found.mask):
    kept = "\n".join(
      f" {t.strip()} " for t, m in zip(texts, mask, strict=True) if not m
    )
    sample = np.random.default_rng(0).choice(np.flatnonzero(mask), 200)
    inside = [f" {texts[i].strip()} " in kept for i in sample]
    shares.append(np.mean(inside))
  assert shares[0] > 0.8
  assert shares[1] == 0
  assert 0.1 <= found.mask.mean() < 0.102
