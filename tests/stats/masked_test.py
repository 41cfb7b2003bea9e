"""Accuracy and perplexity of masked tokens, and what counts examples twice."""

import numpy as np
import pytest

from bam_jax.stats import masked
from bam_jax.stats.multibootstrap import SCORERS, resample_examples

R, N = 2, 5
RNG = np.random.default_rng(3)
TOKENS = np.array([4, 1, 0, 7, 2])
SAID = np.stack(
  [
    np.stack([RNG.random(N) * TOKENS, RNG.binomial(TOKENS, 0.5), TOKENS], 1)
    for _ in range(R)
  ]
)
GOLD = np.zeros((N, 3))


def test_they_are_of_tokens_and_not_of_examples():
  once = np.ones((1, N))
  nats, right, tokens = SAID.sum(1).T
  got = 100 * SCORERS["perplexity"](SAID, GOLD)(once)[0]
  np.testing.assert_allclose(got, np.exp(nats / tokens))
  share = SCORERS["perplexity_share"](SAID, GOLD)(once)[0]
  np.testing.assert_allclose(share, 1 - np.exp(nats / tokens) / 250)
  got = SCORERS["masked_accuracy"](SAID, GOLD)(once)[0]
  np.testing.assert_allclose(got, right / tokens)


@pytest.mark.parametrize("metric", masked.SCORERS)
def test_a_weight_is_how_often_an_example_counts(metric):
  times = np.array([2, 0, 1, 1, 3])
  weighted = masked.SCORERS[metric](SAID, GOLD)(times[None].astype(float))
  again = np.repeat(SAID, times, axis=1)
  want = masked.SCORERS[metric](again, np.zeros((times.sum(), 3)))(
    np.ones((1, times.sum()))
  )
  np.testing.assert_allclose(weighted, want)
  full, drawn = resample_examples(SAID, GOLD, metric, draws=9)
  assert full.shape == (R,) and drawn.shape == (9, R)
