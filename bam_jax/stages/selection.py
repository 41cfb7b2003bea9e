"""Refuses what no evaluation can do: keep a step, lower a rate, end a run."""

from collections.abc import Sequence

from ml_collections import ConfigDict

from bam_jax.study import first
from bam_jax.study.experiment import Experiment
from bam_jax.study.plan import Run
from bam_jax.study.workdir import NEUTRAL
from bam_jax.training.settings import Settings


def check(experiment: Experiment, c: ConfigDict) -> None:
  """Checks that the best step can be found where it is asked for.

  Args:
    experiment: names the tasks and the runs.
    c: its config, or that of a variant.

  Raises:
    ValueError: nothing reads what was said, or nothing can do it.
  """
  known = ["last", "average", *[t.name for t in experiment.trained_tasks]]
  if c.select.by not in known:
    raise ValueError(
      f"select.by is {c.select.by!r}; it is one of {', '.join(known)}"
    )
  if c.select.by != "last" and not c.eval_every:
    raise ValueError(
      f"select.by={c.select.by} needs evaluations to choose among; set "
      "--config.eval_every=100"
    )
  if c.select.patience and c.select.by == "last":
    raise ValueError(
      f"select.patience={c.select.patience} keeps the best step, and "
      "select.by=last the last; set --config.select.by=average"
    )
  if c.optim.schedule == "plateau":
    falling(c, experiment.runs)
    return
  for key, value in c.plateau.items():
    if value != NEUTRAL[f"plateau.{key}"]:
      raise ValueError(
        f"plateau.{key} is {value!r}, but optim.schedule is "
        f"{c.optim.schedule}, which does not read it; leave it out, or take "
        "--config.optim.schedule=plateau"
      )


def falling(c: ConfigDict, runs: Sequence[Run]) -> None:
  """Checks that a rate that falls at plateaus can see one.

  Args:
    c: the config.
    runs: that there are.
  """
  if c.select.by == "last":
    raise ValueError(
      "optim.schedule=plateau counts evaluations without a gain, and "
      "select.by=last keeps no best; set --config.select.by=average"
    )
  if c.optim.warmup_join != "continuous":
    raise ValueError(
      f"optim.warmup_join={c.optim.warmup_join} is of a rate that falls step by"
      " step, and optim.schedule=plateau has none; set "
      "--config.optim.warmup_join=continuous"
    )
  for run in runs:
    own = first.settings(c, run) if run.first else c
    group = "first" if run.first and c.first.rate else run.kind
    if (rate := Settings.of(own, run.kind).rate) < c.plateau.least:
      raise ValueError(
        f"{group}.rate is {rate:g} and plateau.least {c.plateau.least:g}: a "
        "trial ends where its rate is below that, so all would at once; lower "
        f"it: --config.plateau.least={rate / 100:g}"
      )
