"""How well masked tokens are said, by sums over each example. Needs no JAX."""

from collections.abc import Callable

import numpy as np

from bam_jax.stats.weighted import Score, ratio

# What is kept of each example: nats that its masked tokens cost, how many of
# them are the likeliest ones, and how many there are.
COLUMNS = NATS, RIGHT, TOKENS = range(3)


def scorer(
  column: int, of: Callable[[np.ndarray], np.ndarray]
) -> Callable[[np.ndarray, np.ndarray], Score]:
  """Returns the weighted form of a mean over tokens.

  Args:
    column: what is averaged.
    of: the mean f[...] -> the score.
  """

  def weighted(said: np.ndarray, gold: np.ndarray) -> Score:
    del gold
    sums, tokens = (
      said[..., each].T.astype(np.float64) for each in (column, TOKENS)
    )
    return lambda weights: of(ratio(weights @ sums, weights @ tokens))

  return weighted


SCORERS: dict[str, Callable[[np.ndarray, np.ndarray], Score]] = {
  "masked_accuracy": scorer(RIGHT, lambda mean: mean),
  # All scores are x100, and a perplexity is what it is.
  "perplexity": scorer(NATS, lambda mean: np.exp(mean) / 100),
  # Wang et al. (2019), appendix C: more is better, and it may be averaged.
  "perplexity_share": scorer(NATS, lambda mean: 1 - np.exp(mean) / 250),
}
