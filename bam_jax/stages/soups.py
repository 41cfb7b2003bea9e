"""Model soups: means of the weights of trials (Wortsman et al. 2022)."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

import jax
import numpy as np

from bam_jax.runtime import console
from bam_jax.stages import calibrating, evaluate, outcomes, scoring
from bam_jax.stages.session import Session
from bam_jax.study.plan import Run
from bam_jax.tasks import metrics
from bam_jax.tasks.calibration import SPLIT
from bam_jax.training.checkpoint import load_params

UNIFORM, GREEDY = "uniform", "greedy"


@dataclasses.dataclass(frozen=True)
class Soup:
  """A mean of trials.

  Attributes:
    seeds: of the trials that it is the mean of.
    params: their mean, f32 numpy.
    entry: its scores and examples, as scores.json has a trial's.
    calibration: task -> what is fitted on held-out rows.
  """

  seeds: tuple[int, ...]
  params: Any
  entry: Mapping[str, Any]
  calibration: Mapping[str, Any]


def mean(trees: Sequence[Any]) -> Any:
  """Returns the mean of trees of f32, taken in f64."""
  return jax.tree.map(
    lambda *x: np.mean(x, axis=0, dtype=np.float64).astype(np.float32), *trees
  )


def chosen(
  seeds: Sequence[int],
  params: Mapping[int, Any],
  held: Callable[[Any], float],
) -> tuple[int, ...]:
  """Returns the trials of a greedy soup (Wortsman et al. 2022, recipe 1).

  The best trial comes first; of the others, from the best to the worst, each
  stays that does not make the mean worse.

  Args:
    seeds: of the trials.
    params: of each.
    held: parameters -> a score on rows that nobody learned, higher is better.
  """
  alone = {seed: held(params[seed]) for seed in seeds}
  # Equally good ones in the order of their seeds.
  first, *others = sorted(seeds, key=lambda seed: -alone[seed])
  found, best = (first,), alone[first]
  for seed in others:
    score = held(mean([params[each] for each in (*found, seed)]))
    if score >= best:
      found, best = (*found, seed), score
  return found


def check(session: Session, run: Run, kind: str, seeds: Sequence[int]) -> None:
  """Checks that a mean of these trials is a model.

  Raises:
    ValueError: there are too few, their heads began apart, or there are no
      rows to choose by.
  """
  config = session.config
  if len(seeds) < 2:
    raise ValueError(
      f"a soup is the mean of several trials, and {len(seeds)} is finished; "
      "train more: --config.trials=5"
    )
  given = session.taken().get("heads", {})
  if config.init_seed < 0 and (own := session.heads(run) - given.keys()):
    raise ValueError(
      f"each trial drew the first weights of its head {min(own)} from its own "
      "seed (init_seed is -1), and a mean of such heads is no head; train "
      "another working directory with --config.init_seed=0"
    )
  if kind == GREEDY and not config.calibration.share:
    raise ValueError(
      "a greedy soup is chosen on rows that were held out of training, and "
      "there are none; train another working directory with "
      "--config.calibration.share=0.1, or take --kind=uniform"
    )
  if kind == GREEDY and not _held_out(session, run):
    raise ValueError(
      "a greedy soup is chosen on rows that were held out of training, and of "
      f"{', '.join(run.tasks)} none are: calibration.share is for tasks whose "
      "answers have probabilities; take --kind=uniform"
    )


def made(session: Session, run: Run, kind: str, seeds: Sequence[int]) -> Soup:
  """Returns the soup of a run's trials, with its scores on dev.

  Args:
    session: the session.
    run: the run.
    kind: UNIFORM, all trials, or GREEDY, see `chosen`.
    seeds: of its finished trials.

  Raises:
    ValueError: see `check`.
  """
  check(session, run, kind, seeds)
  params = {
    seed: load_params(session.workdir.params(run.name, seed))[0]
    for seed in seeds
  }
  if kind == GREEDY:
    heard = [task.name for task, *_ in _held_out(session, run)]
    if unheard := [name for name in run.tasks if name not in heard]:
      console.say(
        f"of {', '.join(unheard)} no rows are held out: chosen by"
        f" {', '.join(heard)} alone"
      )
    seeds = chosen(seeds, params, lambda tree: _held(session, run, tree))
  whole = mean([params[seed] for seed in seeds])
  kept = _kept(session, run, whole, evaluate.asked(session, run), "evaluates")
  table = session.experiment.table
  entry = scoring.score(f"the soup of {run.name}", kept, table)
  fitted, notes = calibrating.fit(kept, table, session.experiment.rules)
  entry["warnings"] += notes
  return Soup(tuple(seeds), whole, entry, fitted)


def _held_out(session: Session, run: Run) -> evaluate.Datasets:
  """Returns the rows held out for calibration."""
  return [each for each in evaluate.asked(session, run) if each[1] == SPLIT]


def _held(session: Session, run: Run, params: Any) -> float:
  """Returns the mean headline score on the rows held out for calibration."""
  datasets = _held_out(session, run)
  kept = _kept(session, run, params, datasets, "chooses")
  scores = [
    metrics.scores(task, rows.logits, rows.labels, rows.words)[task.headline]
    for task, split, _ in datasets
    for rows in [kept[task.name, split]]
  ]
  return float(np.mean(scores))


def _kept(
  session: Session,
  run: Run,
  params: Any,
  datasets: evaluate.Datasets,
  text: str,
) -> scoring.Kept:
  """Returns what parameters say of some rows."""
  trial = jax.tree.map(lambda x: x[None], params)
  said = evaluate.forward(session, run, trial, datasets, text)
  return {
    (task.name, split): outcomes.keep(
      session, task, split, rows, said[task.name, split][0]
    )
    for task, split, rows in datasets
  }
