"""The multi-bootstrap against every draw there is, and each weighted score."""

import itertools

import numpy as np
import pytest
import scipy.stats

from bam_jax.stats import multibootstrap
from bam_jax.tasks import metrics


def classes(rng, trials, examples, count):
  labels = rng.integers(count, size=examples)
  wrong = rng.integers(count, size=(trials, examples))
  right = rng.random((trials, examples)) < 0.6
  return np.where(right, labels, wrong), labels


def values(rng, trials, examples):
  labels = np.round(rng.random(examples), 1)  # ties, as STS-B has them
  predicted = labels + rng.normal(0, 0.3, (trials, examples))
  predicted[0] = np.round(predicted[0], 1)
  return predicted + 1e5, labels  # large, so that sums of squares lose digits


@pytest.mark.parametrize(
  ("metric", "count"),
  [
    ("accuracy", 3),
    ("f1", 2),
    ("matthews", 2),
    ("matthews", 3),
    ("class_f1", 3),
    ("balanced_accuracy", 3),
    ("kappa", 2),
    ("kappa", 3),
    ("pearson", None),
    ("spearman", None),
  ],
)
def test_weighted_score_is_that_of_the_written_out_resample(metric, count):
  rng = np.random.default_rng(0)
  trials, examples = 4, 23
  predicted, labels = (
    classes(rng, trials, examples, count)
    if count
    else values(rng, trials, examples)
  )
  predicted[3] = predicted[3, 0]  # a trial that always says the same
  picked = rng.integers(examples, size=(6, examples))
  picked[5] = 7  # a resample of one example alone
  weights = np.array([np.bincount(x, minlength=examples) for x in picked])
  found = multibootstrap.SCORERS[metric](predicted, labels)(weights * 1.0)
  for draw, rows in enumerate(picked[:5]):
    expected = [
      metrics.METRICS[metric](one[rows], labels[rows]) for one in predicted
    ]
    np.testing.assert_allclose(found[draw], expected, atol=1e-9)
  if metric in ("matthews", "pearson", "spearman"):
    assert np.all(found[5] == 0)


@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_a_side_that_is_constant_in_a_draw_has_no_correlation(metric):
  labels = np.array([0.1, 0.7, 0.3, 0.9, 0.2, 0.6])
  predicted = np.array([[0.1, 0.1, 0.1, 0.3, 0.8, 0.5]])
  weights = np.zeros((50, 6))
  weights[:, :3] = np.random.default_rng(7).integers(1, 9, (50, 3))
  for x, y in ((predicted, labels), (labels[None], predicted[0])):
    assert np.all(multibootstrap.SCORERS[metric](x, y)(weights) == 0)


def test_there_is_a_weighted_form_of_every_metric_that_methods_have():
  # Of the stage contrast, no method's score: nothing is compared by them.
  alone = {name for name in metrics.METRICS if name.startswith("pair_")}
  assert multibootstrap.SCORERS.keys() == metrics.METRICS.keys() - alone


def every_draw(a, b, labels, paired):
  """The difference of accuracies over all draws of seeds and examples."""
  trials, examples = range(len(a)), range(len(labels))
  found = []
  for rows in itertools.product(examples, repeat=len(labels)):
    rows = list(rows)
    right = [(x == labels)[:, rows].mean(1) for x in (a, b)]
    for one in itertools.product(trials, repeat=len(a)):
      others = [one] if paired else itertools.product(trials, repeat=len(b))
      for other in others:
        found.append(right[0][list(one)].mean() - right[1][list(other)].mean())
  return 100 * np.array(found)


@pytest.mark.parametrize("paired", [True, False])
def test_every_draw_of_seeds_and_examples(paired):
  labels = np.array([0, 1, 1, 0])
  a = np.array([[0, 1, 1, 1], [0, 1, 0, 0], [0, 1, 1, 0]])
  b = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 0, 1]])
  found = multibootstrap.multi_bootstrap(
    a, b, labels, "accuracy", paired_seeds=paired, draws=20_000, seed=1
  )
  every = every_draw(a, b, labels, paired)
  p = 2 * min((every <= 1e-9).mean(), (every >= -1e-9).mean())
  assert 0.05 < p < 0.6
  assert found.p == pytest.approx(p, abs=0.02)
  assert found.difference.value == pytest.approx(100 * (10 - 6) / 12)
  low, high = np.quantile(every, [0.025, 0.975])
  # Ends fall on a grid of twelfths.
  assert found.difference.low == pytest.approx(low, abs=100 / 12 + 1e-9)
  assert found.difference.high == pytest.approx(high, abs=100 / 12 + 1e-9)


def test_pairing_the_seeds_narrows_the_interval_where_they_agree():
  rng = np.random.default_rng(2)
  labels = np.zeros(200, np.int64)
  rate = rng.uniform(0.1, 0.5, (8, 1))  # of errors: a good seed is good twice
  a, b = ((rng.random((8, 200)) < rate).astype(int) for _ in range(2))
  widths = []
  for paired in (True, False):
    found = multibootstrap.multi_bootstrap(
      a, b, labels, "accuracy", paired_seeds=paired, draws=999
    ).difference
    widths.append(found.high - found.low)
  assert widths[0] < 0.6 * widths[1]


def study(rng, trials, examples, shift, chance):
  """Two methods: seeds differ, each suits other examples, and chance."""
  ease = rng.normal(0.5, 1, examples)
  answers = []
  for better in (shift, 0.0):
    strength = rng.normal(0, 0.2, (trials, 1))
    suits = rng.normal(0, 0.5, examples)
    luck = rng.normal(0, chance, (trials, examples))
    answers.append(ease + better + strength + suits + luck > 0)
  return answers


# 399 draws: 2.5 % of 400 is a whole number, so that p can be 0.05 itself.
def p_values(studies, shift=0.0, chance=0.2):
  return [
    multibootstrap.multi_bootstrap(
      *study(np.random.default_rng([3, k]), 20, 277, shift, chance),
      np.ones(277, bool),
      "accuracy",
      paired_seeds=False,
      draws=399,
      seed=k,
    ).p
    for k in range(studies)
  ]


def test_five_percent_of_nulls_are_rejected():
  found = p_values(2000)
  low, high = scipy.stats.binom.interval(0.99, len(found), 0.05)
  assert low <= sum(p <= 0.05 for p in found) <= high


def test_fewer_nulls_are_rejected_where_chance_rules():
  # What a seed alone says of an example is drawn with both: counted twice.
  found = p_values(600, chance=2.0)
  assert sum(p <= 0.05 for p in found) <= 0.05 * 600


def test_power_grows_with_the_difference():
  powers = [
    np.mean([p <= 0.05 for p in p_values(60, shift)])
    for shift in (0.0, 0.15, 0.3)
  ]
  assert powers[0] < 0.2
  assert powers[0] + 0.15 < powers[1] < powers[2] - 0.15


def test_equal_methods_have_no_difference():
  rng = np.random.default_rng(4)
  a, labels = classes(rng, 5, 40, 3)
  same = multibootstrap.multi_bootstrap(
    a, a, labels, "matthews", paired_seeds=True, draws=99
  )
  assert same == multibootstrap.MultiBootstrap(
    multibootstrap.Estimate(0.0, 0.0, 0.0), 1.0
  )


def test_blocks_do_not_change_the_draws(monkeypatch):
  rng = np.random.default_rng(5)
  predicted, labels = classes(rng, 4, 23, 2)
  done = []
  whole = multibootstrap.resample_examples(
    predicted, labels, "f1", draws=17, seed=6
  )
  monkeypatch.setattr(multibootstrap, "_BLOCK", 23 * 5)
  parts = multibootstrap.resample_examples(
    predicted, labels, "f1", draws=17, seed=6, progress=done.append
  )
  assert done == [5, 5, 5, 2]
  np.testing.assert_array_equal(whole[1], parts[1])
  assert whole[1].shape == (17, 4)
  # What stands beside a trial does not change its draws either.
  alone = multibootstrap.resample_examples(
    predicted[1:2], labels, "f1", draws=17, seed=6
  )
  np.testing.assert_array_equal(whole[1][:, 1:2], alone[1])
  np.testing.assert_array_equal(whole[0][1:2], alone[0])


def test_the_seed_decides():
  rng = np.random.default_rng(6)
  predicted, labels = classes(rng, 7, 50, 3)

  def run(seed):
    return multibootstrap.multi_bootstrap(
      predicted[:3],
      predicted[3:],
      labels,
      "matthews",
      paired_seeds=False,
      draws=99,
      seed=seed,
    )

  assert run(1) == run(1)
  assert run(1) != run(2)
  assert run(1).p == 0.44, "golden: change it only with the test"


@pytest.mark.parametrize(
  ("metric", "labels", "message"),
  [
    ("recall", 5, "metric is 'recall'; choose from accuracy"),
    ("accuracy", 4, r"predictions \(3, 5\) do not fit labels \(4,\)"),
  ],
)
def test_what_does_not_fit_is_said(metric, labels, message):
  with pytest.raises(ValueError, match=message):
    multibootstrap.resample_examples(np.zeros((3, 5)), np.zeros(labels), metric)


def test_unequal_trials_are_not_paired():
  a, b = np.zeros((3, 5)), np.zeros((2, 5))
  with pytest.raises(ValueError, match="3 and 2 trials cannot be paired"):
    multibootstrap.multi_bootstrap(
      a, b, np.zeros(5), "accuracy", paired_seeds=True, draws=9
    )
