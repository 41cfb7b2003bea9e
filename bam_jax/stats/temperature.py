"""Temperature scaling: one number that makes a model as sure as it is right.

Logits are divided by it, so that no answer changes and every confidence does
(Guo et al. 2017, section 4.2). Needs no JAX.
"""

import numpy as np
import scipy

from bam_jax.stats import calibration

# Between these it is looked for. By the most, all probabilities are nearly the
# same: a model that is no better than chance has it.
LEAST, MOST = 0.02, 50.0


def fit(logits: np.ndarray, labels: np.ndarray) -> float | None:
  """Returns the temperature with the least negative log-likelihood.

  In 1 / T that is convex, so that in log T there is one valley.

  Args:
    logits: f[N, C], of rows that the model has not seen; several labels of a
      row as `calibration.each_label` has them.
    labels: [N], class numbers.

  Returns:
    The temperature, `MOST` where there is none above; None where every row is
    right, so that the surer the better.
  """
  gold = np.take_along_axis(logits, labels.astype(np.int64)[:, None], -1)
  if not len(labels) or (gold == logits.max(-1, keepdims=True)).all():
    return None
  found = scipy.optimize.minimize_scalar(
    lambda log: calibration.nll(logits / np.exp(log), labels),
    bounds=(np.log(LEAST), np.log(MOST)),
    method="bounded",
    options={"xatol": 1e-6},
  )
  value = float(np.exp(found.x))
  return value if value < 0.99 * MOST else MOST
