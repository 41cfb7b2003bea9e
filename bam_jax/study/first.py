"""What a config says of the tasks that an encoder is trained on first."""

from collections.abc import Mapping, Sequence

from ml_collections import ConfigDict

from bam_jax.study import chains, contrast, variants
from bam_jax.study.plan import Firsts, Run, names
from bam_jax.tasks.table import Task


def firsts(config: ConfigDict, table: Mapping[str, Task]) -> Firsts:
  """Returns what may be trained first in a study.

  Args:
    config: the whole config.
    table: every task by its name.

  Raises:
    ValueError: its sets are none, or the task of a stage is none.
  """
  tasks = [name for name, task in table.items() if task.train]
  sets = chains.sets_of(config.sets.to_dict(), tasks)
  ahead = {contrast.NAME: contrast.task(config, table)}
  return Firsts(tasks, sets, own=bool(said(config)), ahead=ahead)


def said(config: ConfigDict) -> dict[str, float]:
  """Returns the settings of `first` that are not those of the kind of run."""
  return {key: value for key, value in config.first.items() if value}


def settings(config: ConfigDict, run: Run) -> ConfigDict:
  """Returns a config with what `first` says in place of a kind's own.

  What the run's variant says of the kind stays.

  Args:
    config: of the run's variant, whole.
    run: that comes first.
  """
  varied = variants.changed(config, run.variant) if run.variant else {}
  config = config.copy_and_resolve_references()
  for key, value in said(config).items():
    if f"{run.kind}.{key}" not in varied:
      config[run.kind][key] = value
  return config


def check(config: ConfigDict, runs: Sequence[Run], known: Firsts) -> None:
  """Refuses what no run reads, or reads otherwise than it was meant.

  Args:
    config: the whole config.
    runs: that there are.
    known: what may come first.

  Raises:
    ValueError: nothing comes first, nothing is left out by random, or a variant
      would change what comes first.
  """
  for key, value in said(config).items():
    if not any(run.first for run in runs):
      raise ValueError(
        f"first.{key} is {value}, and methods {config.methods} train no task"
        " first; put one before a method, as in mnli+single, or leave it out"
      )
  if config.encoder == "scratch" and any(run.random for run in runs):
    raise ValueError(
      f"methods {config.methods} have {chains.RANDOM}+, an encoder without its"
      " weights, and encoder=scratch has none; leave it out"
    )
  for method in names(config.methods):
    chain, _, _ = chains.parse(method, known.tasks, known.sets, known.ahead)
    for each in (each for link in chain for each in link.before):
      if each.variant and "tasks" in variants.changed(config, each.variant):
        raise ValueError(
          f"method {method!r} trains {each.name} first by variant"
          f" {each.variant}, which changes tasks; take a variant that does not"
        )
