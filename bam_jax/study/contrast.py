"""The stage that trains an encoder alone on pairs of texts (Less is More, 4.5).

It has settings of its own, and it sees its task in its own way: as pairs of
which a label says whether they are alike, which no head answers.
"""

from collections.abc import Mapping
import dataclasses

from ml_collections import ConfigDict

from bam_jax.runtime.spelling import hint
from bam_jax.stats import notation
from bam_jax.study.chains import prefixes
from bam_jax.study.plan import names
from bam_jax.study.workdir import NEUTRAL
from bam_jax.tasks.learn import Learn
from bam_jax.tasks.table import Task
from bam_jax.training import contrastive
from bam_jax.training.settings import EPOCH

NAME = notation.CONTRAST
# Of an experiment's settings those that are not of this stage.
_OFF = ("adapter", "adversary", "encoder_frozen", "sampling")


def task(config: ConfigDict, table: Mapping[str, Task]) -> str:
  """Returns the task of the stage; "" where no method has it.

  Raises:
    ValueError: a method has the stage, and there is no such task.
  """
  asked = config.contrast.task
  if NAME not in prefixes(names(config.methods)):
    return ""
  known = [name for name, each in table.items() if each.train]
  if asked not in known:
    pairs = [
      name for name in known if len(table[name].text) == 2 and table[name].dev
    ]
    raise ValueError(
      f"contrast.task is {asked!r}, and methods {config.methods} have the "
      f"stage {NAME}, which reads the pairs of a task, such as "
      f"{', '.join(pairs)}; type --config.contrast.task={pairs[0]}"
      f"{hint(asked, known)}"
    )
  return asked


def settings(config: ConfigDict, table: Mapping[str, Task]) -> ConfigDict:
  """Returns the whole config as it holds for the stage.

  Args:
    config: the experiment's.
    table: every task by its name.
  """
  found, own = config.copy_and_resolve_references(), config.contrast
  for key, off in NEUTRAL.items():
    group, _, last = key.rpartition(".")
    if key.split(".")[0] in _OFF:
      (found[group] if group else found)[last] = off
  found.sampling.kind = "proportional"
  found.sampling.loss_scale = "uniform"
  found.loss.reduction = "mean"
  found.optim.weight_decay = own.weight_decay
  # A row has both texts.
  found.max_length = 2 * own.max_length
  # Of InfoNCE a batch of dev is what a step is.
  found.eval_batch_size = own.batch_size
  judged = validates(table[own.task])
  found.eval_every = EPOCH if judged else 0
  found.select.by = "average" if judged else "last"
  found.select.patience = own.patience
  return found


def validates(task: Task) -> bool:
  """Tells whether dev says how good vectors are: it has pairs with labels."""
  return len(task.text) == 2


def view(task: Task, said: ConfigDict) -> Task:
  """Returns a task as the stage sees it.

  Args:
    task: the task.
    said: the config's `contrast`.
  """
  row = contrastive.LOSSES[said.loss]
  metrics = ("loss", "spearman", "pearson")
  if not validates(task):
    metrics = ("loss",)
  elif task.labels:
    metrics = ("loss", "average_precision", "accuracy", "spearman")
  return dataclasses.replace(
    task,
    kind=NAME,
    metrics=metrics,
    headline="loss",
    counts_as="less",
    symmetric=False,
    learn=Learn(loss=f"{said.loss}={said[row.key]:g}", pool=said.pool),
  )


def alike(task: Task, said: ConfigDict) -> int | None:
  """Returns the class of pairs that are alike; None = a number says how much.

  Raises:
    ValueError: the task has no such label, or several and none is named.
  """
  if not task.labels:
    if said.alike:
      raise ValueError(
        f"contrast.alike is {said.alike!r}, and {task.name} has numbers, which "
        "say themselves how alike two texts are; leave it out"
      )
    return None
  if said.alike in task.labels:
    return task.labels.index(said.alike)
  if said.alike or len(task.labels) != 2:
    raise ValueError(
      f"contrast.alike is {said.alike!r}; of {task.name} it is the label that "
      f"says that two texts are alike, one of {', '.join(task.labels)}"
      f"{hint(said.alike, task.labels)}: --config.contrast.alike="
      f"{task.labels[-1]}"
    )
  return 1
