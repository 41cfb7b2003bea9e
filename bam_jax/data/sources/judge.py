"""What a judge of a set accuracy says of the rows of the synthetic suite.

It is calibrated: where it gives its answer a probability of p, it is right with
a probability of p. An LLM's may be less so; this is the best case of its
accuracy.
"""

import zlib

import numpy as np

from bam_jax.data.sources import synthetic
from bam_jax.data.sources.examples import Examples
from bam_jax.tasks.origins import Judge
from bam_jax.tasks.table import TASKS, Task

# A judge that is never wrong still says so in numbers that logits have.
_FLOOR = 1e-6


def read(task: Task, split: str, judge: Judge, *, seed: int) -> Examples:
  """Returns a split: its training rows with what the judge says.

  Args:
    task: whose rows it judges, by the name that it has then.
    split: of it; what is scored has the suite's labels alone.
    judge: the judge.
    seed: of the suite. A row that a judge of less noise is wrong about, so is
      one of more; what has gold at a smaller share has it at a larger one.
  """
  suite = TASKS[judge.suite]
  texts, labels = synthetic.generate(suite, split, seed=seed)
  soft = None
  if split == task.train:
    _, truth = synthetic.truth(suite, split, seed=seed)
    said = dice(suite.name, seed, len(truth))
    soft = answers(truth.astype(int), len(suite.labels), judge.noise, said)
    order = np.argsort(said[:, 3])
    labels = labels.copy()
    labels[order[round(judge.gold * len(order)) :]] = np.nan
  where = f"synthetic, seed {seed}"
  return Examples(task.name, split, texts, labels, where, soft)


def dice(name: str, seed: int, rows: int) -> np.ndarray:
  """Returns what the answers for N rows are drawn from, f64[N, 4]."""
  entropy = [seed, zlib.crc32(name.encode()), zlib.crc32(b"judge")]
  bits = np.random.PCG64(np.random.SeedSequence(entropy))
  return np.random.Generator(bits).random((rows, 4))


def answers(
  truth: np.ndarray, classes: int, noise: float, drawn: np.ndarray
) -> np.ndarray:
  """Returns the judge's answers as logits, f32[N, C].

  The probability of its own answer is p = 1 - (1 - 1 / C) u^k, u uniform, whose
  mean is 1 - noise; the other classes share the rest.

  Args:
    truth: i64[N], what is right.
    classes: C.
    noise: share of the rows that it is wrong about, up to 1 - 1 / C.
    drawn: f64[N, 4] from `dice`.
  """
  guess = 1 - 1 / classes
  sure = np.ones(len(truth))
  if noise:
    sure = 1 - guess * drawn[:, 0] ** (guess / noise - 1)
  other = 1 + (drawn[:, 2] * (classes - 1)).astype(int)
  said = (truth + np.where(drawn[:, 1] < sure, 0, other)) % classes
  found = np.repeat((1 - sure)[:, None] / (classes - 1), classes, axis=1)
  found[np.arange(len(said)), said] = sure
  return np.log(np.maximum(found, _FLOOR)).astype(np.float32)
