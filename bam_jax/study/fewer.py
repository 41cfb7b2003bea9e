"""How many training rows a run reads where its variant says fewer.

What a study reads of a task, `data.limit` of its config says: that is kept
once, and taught once. A variant's own limit draws among these, a smaller
number's rows among a larger's.
"""

from bam_jax.data import limits
from bam_jax.data.sources import unlabelled
from bam_jax.study import variants
from bam_jax.study.experiment import Experiment
from bam_jax.study.plan import Run

KEY = "data.limit"


def of(experiment: Experiment, run: Run) -> dict[str, int]:
  """Returns task -> rows at most, of those that a run reads fewer of.

  Args:
    experiment: the experiment.
    run: the run.

  Raises:
    ValueError: what its variant says cannot be read, or is more than is there.
  """
  found = said(experiment, run.variant)
  return {task: found[task] for task in run.tasks if task in found}


def said(experiment: Experiment, variant: str) -> dict[str, int]:
  """Returns what a variant says of all tasks; see `of`."""
  config = experiment.config
  changes = variants.changed(config, variant) if variant else {}
  if KEY not in changes:
    return {}
  tasks = (*experiment.tasks, *experiment.first)
  key = f"variant {variant}: {KEY}"
  found = limits.counts(key, changes[KEY], [task.name for task in tasks])
  limits.check_tables(key, found, tasks)
  if not found:
    raise ValueError(
      f"{key} is {changes[KEY]!r}, and a variant reads fewer rows than its"
      f" study, which has {config.data.limit!r}; leave it out of the variant"
    )
  for task in tasks:
    rows, most = found.get(task.name), experiment.limits["train"].get(task.name)
    if rows and most and rows > most:
      raise ValueError(
        f"{key} reads {rows} rows of {task.name}, of which the study reads"
        f" {most}; raise the study's --config.{KEY}"
      )
    if rows and unlabelled.has(task):
      raise ValueError(
        f"{key} limits {task.name}, which has rows without a label, and nobody"
        " knows which of its rows are meant; limit it for the whole study:"
        f" --config.{KEY}={task.name}={rows}"
      )
  return found


def check(experiment: Experiment) -> None:
  """Refuses a limit of a variant that no run of it reads.

  Args:
    experiment: the experiment.

  Raises:
    ValueError: see `of`, or so.
  """
  read: dict[str, set[str]] = {}
  for run in experiment.runs:
    if run.variant:
      read.setdefault(run.variant, set()).update(run.tasks)
  for variant, tasks in read.items():
    found = said(experiment, variant)
    text = variants.changed(experiment.config, variant).get(KEY, "")
    # One number is for all, whatever they are.
    named = found if "=" in text else {}
    for task in named:
      if task not in tasks:
        raise ValueError(
          f"variant {variant}: {KEY} limits {task}, which no run of it trains"
          f" on; they have {', '.join(sorted(tasks))}"
        )
