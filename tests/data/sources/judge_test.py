"""A judge is as often wrong as it is said to be, and says how sure it is."""

import numpy as np
import pytest
import scipy

from bam_jax.data.sources import judge, readers, synthetic
from bam_jax.tasks import judged
from bam_jax.tasks.table import TASKS


def read(name, split="train", seed=0):
  (task,) = judged.table([name]).values()
  return readers.load(task, split, glue_dir="", seed=seed)


def answered(noise, classes=3, rows=20_000):
  truth = np.arange(rows) % classes
  drawn = judge.dice("entailment", 5, rows)
  return truth, judge.answers(truth, classes, noise, drawn)


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.35, 2 / 3])
def test_it_is_wrong_as_often_as_is_said_and_knows_how_often(noise):
  truth, logits = answered(noise)
  wrong = logits.argmax(-1) != truth
  assert wrong.mean() == pytest.approx(noise, abs=0.01)
  sure = scipy.special.softmax(logits, -1).max(-1)
  for low in (1 / 3, 0.5, 0.7, 0.9):
    some = (sure >= low) & (sure < low + 0.2)
    if some.sum() > 300:
      assert 1 - wrong[some].mean() == pytest.approx(
        sure[some].mean(), abs=0.05
      )


def test_what_a_good_judge_gets_wrong_so_does_a_worse_one():
  wrong = []
  for noise in (0.1, 0.3):
    truth, logits = answered(noise)
    wrong.append(logits.argmax(-1) != truth)
  assert (wrong[0] <= wrong[1]).all()


def test_labels_are_kept_by_share_a_smaller_among_a_larger():
  few, more, all_ = (
    read(f"entailment_gold{share}_noise10").labels for share in (5, 40, 100)
  )
  assert (~np.isnan(few)).sum() == 400
  assert (~np.isnan(more)).sum() == 3200
  np.testing.assert_array_equal(few[~np.isnan(few)], more[~np.isnan(few)])
  _, labels = synthetic.generate(TASKS["entailment"], "train", seed=0)
  np.testing.assert_array_equal(all_, labels)
  assert np.isnan(read("entailment_gold0_noise10").labels).all()


def test_the_judge_answers_train_alone_and_is_told_the_truth():
  found = read("sentiment_gold20_noise0")
  _, truth = synthetic.truth(TASKS["sentiment"], "train", seed=0)
  assert found.soft.shape == (2000, 2)
  np.testing.assert_array_equal(found.soft.argmax(-1), truth)
  dev = read("sentiment_gold20_noise0", "validation")
  assert dev.soft is None and not np.isnan(dev.labels).any()


def test_another_seed_is_another_judge():
  one, two = (read("sentiment_gold50_noise20", seed=s) for s in (0, 1))
  assert one.fingerprint != two.fingerprint
  again = read("sentiment_gold50_noise20", seed=0)
  assert one.fingerprint == again.fingerprint
