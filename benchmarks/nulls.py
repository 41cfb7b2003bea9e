r"""How often each test of a report errs, on simulated studies.

  python -m benchmarks.nulls --out=docs/results/nulls.md

Scores are made up, the tests are those of bam_jax.stats. --studies=40 for a
first look.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
import gc
import itertools
import math
from pathlib import Path
import sys
import textwrap
import time

import numpy as np

from bam_jax.stats import (
  aggregates,
  bootstrap,
  compare,
  crossed,
  multibootstrap,
  paired,
  ranks,
)
from bam_jax.stats.claims import Claim, sequence

SEEDS, CORRELATIONS = (5, 10, 20), (0.0, 0.5, 0.9)
LEVEL = 0.05
STUDIES = 400
# Points that trials of one method spread around their mean.
SPREAD = 2.0
# Of a dev set as RTE's.
EXAMPLES = 277
TASKS = ("rte", "cola", "stsb")
OF_SCORES: Mapping[str, Callable] = {
  "paired-t": paired.t_test,
  "sign-flip": paired.sign_flip,
  "bootstrap": lambda a, b: bootstrap.difference_test(a, b, draws=999),
  "mann-whitney-u": ranks.mann_whitney,
}
# Ways in which trials are not normal.
ODD: Mapping[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]] = {
  "1 in 10 collapses": lambda rng, x: x - 20 * (rng.random(x.shape) < 0.1),
  "few values, ties": lambda _, x: np.round(x * 2.77 / 4) / 2.77 * 4,
}


def scores(
  rng: np.random.Generator, seeds: int, correlation: float, *shape: int
) -> np.ndarray:
  """Returns f[M, R, ...] of methods whose trials share what seeds do.

  Args:
    rng: draws them.
    seeds: R.
    correlation: of two methods' trials of one seed.
    *shape: M, and what comes after R.
  """
  methods, *rest = shape
  common = rng.normal(0, math.sqrt(correlation), (seeds, *rest))
  own = rng.normal(0, math.sqrt(1 - correlation), (methods, seeds, *rest))
  return 60 + SPREAD * (common + own)


def answers(
  rng: np.random.Generator, seeds: int, correlation: float
) -> np.ndarray:
  """Returns bool[2, R, N]: which examples two equal methods have right.

  An example is easy or hard, and suits the one method more than the other; a
  seed is good or bad; the rest is luck.
  """
  strength = scores(rng, seeds, correlation, 2)[..., None] / SPREAD - 30
  suits = rng.normal(0, 0.5, (2, 1, EXAMPLES)) + rng.normal(0, 1, EXAMPLES)
  luck = rng.normal(0, 0.2, (2, seeds, EXAMPLES))
  return 0.5 + suits + 0.2 * strength + luck > 0


def results(methods: Mapping[str, np.ndarray]) -> dict:
  """Returns results of methods f[R, T] as results.json has them."""
  found = {
    method: {
      task: {"scores": x.tolist(), "seeds": list(range(len(x)))}
      for task, x in zip(TASKS, each.T, strict=True)
    }
    for method, each in methods.items()
  }
  means = {m: compare.average(x, TASKS) for m, x in found.items()}
  return {"methods": found, "average": means}


def cells() -> Iterator[tuple[int, float]]:
  """Yields all numbers of seeds and correlations."""
  yield from itertools.product(SEEDS, CORRELATIONS)


def of_scores(
  studies: int,
  seeds: int,
  correlation: float,
  *,
  odd: Callable = lambda rng, x: x,
  gain: float = 0.0,
) -> list[float]:
  """Returns how often each test of scores finds a difference."""
  found = np.zeros(len(OF_SCORES))
  for k in range(studies):
    rng = np.random.default_rng([seeds, int(10 * correlation), k])
    a, b = odd(rng, scores(rng, seeds, correlation, 2))
    found += [test(a + gain, b) <= LEVEL for test in OF_SCORES.values()]
  return list(found / studies)


def over_examples(studies: int, seeds: int, correlation: float) -> list[float]:
  """Returns how often each test over examples finds a difference.

  Of the multi-bootstrap with seeds paired and not, crossed effects, and
  paired-t, which asks of the examples that are there.
  """
  labels, found = np.ones(EXAMPLES), np.zeros(4)
  for k in range(studies):
    rng = np.random.default_rng([seeds, int(10 * correlation), k])
    both = np.concatenate(answers(rng, seeds, correlation))
    full, drawn = multibootstrap.resample_examples(
      both, labels, "accuracy", draws=399, seed=k
    )
    sides = (full[:seeds], drawn[:, :seeds]), (full[seeds:], drawn[:, seeds:])
    parts = crossed.pseudo_values(both, labels, "accuracy", parts=EXAMPLES)
    ps = [
      *(
        multibootstrap.resample_seeds(*sides, paired_seeds=pairs, seed=k).p
        for pairs in (True, False)
      ),
      crossed.compare(parts[:seeds], parts[seeds:]).p,
      paired.t_test(full[:seeds], full[seeds:]),
    ]
    found += [p <= LEVEL for p in ps]
  return list(found / studies)


def of_claims(studies: int, seeds: int, correlation: float) -> list[float]:
  """Returns how often something false is claimed.

  Of three claims none of which is true; of the second and third where the
  first is true; of non-inferiority where every task, or one of three, loses
  just the margin; of an interval of the interquartile mean's gain without 0.
  """
  claims = [
    Claim("multi", ">", "single"),
    Claim("single->multi", ">", "multi"),
    Claim("single->multi", ">", "single", "rte"),
  ]
  claimed = [Claim("multi", ">=", "single")]
  found = np.zeros(5)
  for k in range(studies):
    rng = np.random.default_rng([seeds, int(10 * correlation), k])
    # A seed has other luck on every task.
    made = scores(rng, seeds, correlation, 3, len(TASKS))
    none, first = (
      results(
        dict(
          zip(
            ("single", "multi", "single->multi"),
            (made[0], made[1] + gain, made[2] + gain),
            strict=True,
          )
        )
      )
      for gain in (0.0, np.array([0.0, 20.0, 20.0]))
    )
    lost = [
      sequence(
        results({"single": made[0], "multi": made[1] + gain}), claimed, 1.0
      )
      for gain in (-1.0, np.array([-1.0, 20.0, 20.0]))
    ]
    gain = aggregates.interquartile_gain(made[1], made[0])
    found += [
      any(row["shown"] for row in sequence(none, claims, 1.0)),
      any(row["shown"] for row in sequence(first, claims, 1.0)[1:]),
      *(rows[0]["shown"] for rows in lost),
      not gain.low <= 0 <= gain.high,
    ]
  return list(found / studies)


def table(header: list[str], rows: list[list]) -> str:
  """Writes rates as Markdown."""
  lines = [header, ["--:"] * len(header)]
  lines += [[*map(_number, row)] for row in rows]
  return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: object) -> str:
  return f"{value:.3f}" if isinstance(value, float) else str(value)


def page(studies: int) -> Iterator[str]:
  """Yields the page, a block at a time."""
  fewer = max(1, studies // 2)
  error = 1.96 * math.sqrt(LEVEL * (1 - LEVEL) / studies)
  wider = error * math.sqrt(studies / fewer)
  yield "# How often each test errs"
  yield (
    "Two methods without a difference, simulated: how often each test of a"
    " report calls them different at 0.05. Trials of one seed correlate,"
    " because they share their order, the start of their heads and dropout."
    " Made by"
  )
  flag = "" if studies == STUDIES else f" --studies={studies}"
  yield (
    f"```sh\npython -m benchmarks.nulls --out=docs/results/nulls.md{flag}\n```"
  )
  yield (
    f"from {studies} studies a line, {fewer} where not only scores are drawn; a"
    f" rate of 0.05 has a 95 % error of ±{error:.3f}, and ±{wider:.3f}."
  )
  yield "## Tests of scores"
  header = ["Seeds", "Correlation", *OF_SCORES]
  yield table(
    header, [[n, str(r), *of_scores(studies, n, r)] for n, r in cells()]
  )
  yield (
    "The tests that take trials as independent find too little as soon as"
    " seeds matter; the primary one, paired-t, keeps its rate. With 5 seeds"
    " **no exact paired test can reject at 0.05, whatever the scores**: five"
    " differences of one sign are 2 of 32 equally likely ways (p = 0.0625)."
    " Six seeds are the fewest (p = 0.031). With fewer it is paired-t alone"
    " that can decide, and it is exact for normal differences only."
  )
  yield "Trials that are not normal, correlation 0.5:"
  yield table(
    ["Seeds", "Trials", *OF_SCORES],
    [
      [n, name, *of_scores(studies, n, 0.5, odd=odd)]
      for n in SEEDS
      for name, odd in ODD.items()
    ],
  )
  yield (
    "A bootstrap of the paired differences is not among the tests: where"
    " trials collapse now and then, any bootstrap of so few is too bold, as"
    " the unpaired one shows although it ignores the correlation."
  )
  yield f"What is found of a true difference of {SPREAD:g} points, one spread:"
  yield table(
    header,
    [[n, str(r), *of_scores(fewer, n, r, gain=SPREAD)] for n, r in cells()],
  )
  yield "## Tests over seeds and examples"
  yield table(
    [
      *("Seeds", "Correlation", "multi-bootstrap", "its seeds not paired"),
      *("crossed-effects", "paired-t"),
    ],
    [[n, str(r), *over_examples(fewer, n, r)] for n, r in cells()],
  )
  yield (
    f"Accuracy on {EXAMPLES} examples, some of which suit the one method and"
    " some the other: no difference in general, but one on these very"
    " examples. paired-t finds that, rightly, as it asks of other seeds on the"
    " same examples. With fewer than ten seeds the multi-bootstrap is refused,"
    " and crossed-effects (seeds and examples random and crossed, Student's t"
    " with Hillis's degrees of freedom) is there for any number. statsmodels'"
    " MixedLM fits the same model to the same numbers"
    " (`tests/stats/crossed_test.py`), but holds matrices of (seeds x"
    " examples)², 15 MB for five seeds on RTE's dev set and 6 GB on QNLI's,"
    " and takes no F1, Matthews or rank correlation; so it is the closed form"
    " that is used."
  )
  yield "## Claims, non-inferiority, interquartile means"
  yield table(
    [
      *("Seeds", "Correlation", "a claim, none true", "the first true"),
      *("loses the margin on each task", "on one task", "IQM gain"),
    ],
    [[n, str(r), *of_claims(fewer, n, r)] for n, r in cells()],
  )
  yield (
    "The share of studies in which a false one of three claims was shown; in"
    " which a method that loses just the margin on every task, or on one of"
    " three, passed as not inferior; and in which the interval of the"
    " interquartile mean's gain left out 0. Claims have a direction and p is"
    " two-sided, so 0.025 is allowed, and 0.05 in the last column. Where each"
    " of three tasks is at the margin hardly any study passes, as each has to."
  )


def main(argv: list[str]) -> int:
  """Runs the command."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--out", type=Path, help="default: the terminal")
  parser.add_argument("--studies", type=int, default=STUDIES)
  args = parser.parse_args(argv)
  # statsmodels collects garbage in every call.
  gc.disable()
  began, blocks = time.process_time(), []
  for block in page(args.studies):
    blocks.append(block)
    print(f"{time.process_time() - began:.0f} s", file=sys.stderr, flush=True)
  spent = time.process_time() - began
  blocks[3] += f" It took {spent / 60:.1f} minutes of one core."
  filled = (
    x if x[0] in "#|`" else textwrap.fill(x, 84, break_on_hyphens=False)
    for x in blocks
  )
  text = "\n\n".join(filled) + "\n"
  if args.out:
    args.out.write_text(text, "utf-8")
  else:
    print(text)
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
