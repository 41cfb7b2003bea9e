"""The heads that a run's tasks want, by their kinds and their own choice."""

from collections.abc import Callable, Mapping, Sequence

from bam_jax.data import balance
from bam_jax.data.fields import VOCABULARY
from bam_jax.models import mixing
from bam_jax.models.heads import HEADS, HeadSpec
from bam_jax.models.pooling import POOLS
from bam_jax.runtime.spelling import hint
from bam_jax.tasks.description import Head
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.learn import USUAL_LAYERS, USUAL_POOL
from bam_jax.tasks.table import Task
from bam_jax.training.objectives import OBJECTIVES, Objective, named

# Which objectives can be what.
FITS: Mapping[str, Callable[[Objective], bool]] = {
  "loss": lambda each: each.loss is not None,
  "kd_loss": lambda each: each.loss is not None or each.distance is not None,
  "adv_loss": lambda each: each.distance is not None,
}


def fault(task: Task, tasks: Mapping[str, Task]) -> tuple[str, str] | None:
  """Returns the key of what a task chooses that cannot be, and why; None = all.

  Args:
    task: with what it has chosen.
    tasks: all that are trained, by name, likewise.
  """
  for key, why in (
    ("head", _head(task)),
    ("pool", _pool(task)),
    ("layers", _layers(task)),
    ("head_of", _owner(task, tasks)),
    ("class_weight", _class_weight(task)),
    ("unlabelled_weight", _unlabelled_weight(task)),
    *((role, _objective(task, role)) for role in FITS),
  ):
    if why:
      return key, why
  return None


def _objective(task: Task, role: str) -> str:
  """Says why a task's objective cannot be; "" = it can."""
  usual = OBJECTIVES[KINDS[task.kind].loss]
  fitting = [
    name
    for name, each in OBJECTIVES.items()
    if each.wants and each.wants == usual.wants and FITS[role](each)
  ]
  got = getattr(task.learn, role)
  if not got or got.partition(":")[0] in fitting:
    return _option(got)
  which = f"it is one of {', '.join(fitting)}"
  if not fitting:
    which = "these choose none: leave it out"
  return f"as {role} of {task.kind} {which}{hint(got, fitting)}"


def _class_weight(task: Task) -> str:
  """Says why what rows count by their class cannot be; "" = it can."""
  said = task.learn.class_weight
  if not said:
    return ""
  if "class_weight" not in KINDS[task.kind].takes:
    return f"is for classification; {task.name} is of kind {task.kind}"
  try:
    weights = balance.parse(said)
  except ValueError:
    weights = []
  if weights is not None and len(weights) != task.classes:
    return (
      f"is {balance.BALANCED}, or a number above 0 for each of"
      f" {', '.join(task.labels)} in this order, as in"
      f" {'/'.join('1' * task.classes)}"
    )
  return ""


def _unlabelled_weight(task: Task) -> str:
  """Says why what rows without a label count cannot be; "" = it can."""
  said = task.learn.unlabelled_weight
  if said is None or "unlabelled_weight" in KINDS[task.kind].takes:
    return ""
  return f"is for rows of text, and {task.name} is of kind {task.kind}"


def _option(objective: str) -> str:
  """Says why an objective's option cannot be; "" = it can."""
  try:
    named(objective or "ce")
  except ValueError as error:
    return str(error)
  return ""


def _head(task: Task) -> str:
  """Says why a task's head cannot be; "" = it can."""
  usual = KINDS[task.kind].head
  try:
    name, options = task.learn.built(KINDS[task.kind])
  except ValueError as error:
    return str(error)
  fitting = [
    each
    for each, row in HEADS.items()
    if each == usual or (row.chosen and row.space == HEADS[usual].space)
  ]
  if name not in fitting:
    which = f"it is one of {', '.join(fitting)}"
    return f"as head of {task.kind} {which}{hint(name, fitting)}"
  if HEADS[name].texts > len(task.text):
    return f"reads two texts, and {task.name} has one; take linear or mlp"
  if HEADS[name].apart and task.table:
    return (
      f"reads two texts each by itself, and those of {task.name} are read with"
      " others; take linear, mlp or tower"
    )
  known = HEADS[name].options
  for option, value in options.items():
    if option not in known:
      there = f"has {', '.join(known)}" if known else "has none"
      return f"has no option {option!r}; {name} {there}{hint(option, known)}"
    whole = isinstance(known[option], int)
    good = value in range(1, 100_001) if whole else 0 <= value < 1
    if not good:
      said = "a whole number, 1 or more" if whole else "a share, below 1"
      return f"has {option}={value:g}; it is {said}"
  return ""


def _pool(task: Task) -> str:
  """Says why what a task's head reads cannot be; "" = it can."""
  pool, (name, _) = task.learn.pool, task.learn.built(KINDS[task.kind])
  if not pool:
    return ""
  if pool not in POOLS:
    return f"it is one of {', '.join(POOLS)}{hint(pool, POOLS)}"
  if HEADS[name].reads != "pooled":
    return (
      f"chooses what a head of whole examples reads, and the head {name} of"
      f" {task.name} reads all tokens; name the tasks that it is for, as in"
      f" TASK={pool}"
    )
  if HEADS[name].apart and POOLS[pool].tokens:
    return (
      f"{pool} reads each token, and the head {name} of {task.name} one vector"
      " of each text; take cls or mean"
    )
  return ""


def _layers(task: Task) -> str:
  """Says why the layers that a task's head reads cannot be; "" = they can."""
  layers, (name, _) = task.learn.layers, task.learn.built(KINDS[task.kind])
  if layers not in ("", *mixing.CHOICES):
    return f"it is one of {', '.join(mixing.CHOICES)}"
  able = [
    each
    for each, row in HEADS.items()
    if row.mixes and (row.chosen or each == KINDS[task.kind].head)
  ]
  if layers != mixing.MIX or name in able:
    return ""
  return (
    f"is for heads that read every token, {', '.join(able)}, and that of"
    f" {task.name} is {name}; set --config.learn.head={task.name}={able[0]}"
  )


def _owner(task: Task, tasks: Mapping[str, Task]) -> str:
  """Says why a task cannot share the head that it names; "" = it can."""
  name = task.learn.head_of
  if not name:
    return ""
  if name not in tasks:
    return (
      f"is the name of a task, one of {', '.join(tasks)}{hint(name, tasks)}"
    )
  owner = tasks[name]
  if owner.learn.head_of:
    return f"shares a head itself; name that one's task, {owner.learn.head_of}"
  if (owner.kind, owner.classes) != (task.kind, task.classes):
    return (
      f"has a head for {owner.classes} of {owner.kind}, and {task.name} has"
      f" {task.classes} of {task.kind}; heads are shared by tasks of one shape"
    )
  mine, theirs = (each.learn.head for each in (task, owner))
  if mine != theirs:
    return (
      f"has a head that is built as {theirs or KINDS[owner.kind].head}, and"
      f" {task.name} asks for {mine}; leave its head out"
    )
  pools = [each.learn.pool or USUAL_POOL for each in (owner, task)]
  if pools[0] != pools[1]:
    return (
      f"has a head that reads by the pool {pools[0]}, and {task.name} asks for"
      f" {pools[1]}; leave its pool out"
    )
  layers = [each.learn.layers or USUAL_LAYERS for each in (owner, task)]
  if layers[0] != layers[1]:
    return (
      f"has a head that reads the layers {layers[0]}, and {task.name} asks for"
      f" {layers[1]}; leave its layers out"
    )
  if task.labels != owner.labels and {*task.labels} == {*owner.labels}:
    return (
      f"has the labels {', '.join(owner.labels)} in this order, and {task.name}"
      f" {', '.join(task.labels)}: a column would mean both; write labels alike"
    )
  return ""


def spec(
  task: Task | Head,
  *,
  regression_output: str = "linear",
  vocabulary: int = 0,
) -> HeadSpec:
  """Returns the head of one task; see `specs`."""
  kind, learn = KINDS[task.kind], task.learn
  name, options = learn.built(kind)
  if name not in HEADS or options.keys() - HEADS[name].options.keys():
    raise ValueError(f"{task.name} has a head {learn.head!r}, which is none")
  known = HEADS[name].options
  outputs = {"logits": "logits", "value": regression_output}
  words = HEADS[name].space == VOCABULARY
  return HeadSpec(
    task.name,
    vocabulary if words else task.classes,
    output=outputs[kind.output],
    loss=learn.loss or kind.loss,
    head=name,
    kd_loss=learn.kd_loss,
    adv_loss=learn.adv_loss,
    dropout=learn.dropout,
    options=tuple(
      (option, type(known[option])(value)) for option, value in options.items()
    ),
    shared=learn.head_of,
    pool=learn.pool or USUAL_POOL,
    layers=learn.layers or USUAL_LAYERS,
  )


def specs(
  tasks: Sequence[Task | Head],
  *,
  regression_output: str,
  vocabulary: int = 0,
) -> tuple[HeadSpec, ...]:
  """Returns one head a task, in their order.

  Args:
    tasks: of the run, or what is known of them.
    regression_output: what a kind's value goes through, one of
      `heads.OUTPUTS`.
    vocabulary: V of the encoder; 0 = no head says words of it, or nobody asks
      how many there are.

  Raises:
    ValueError: a head is none, which `fault` says of a task's.
  """
  return tuple(
    spec(task, regression_output=regression_output, vocabulary=vocabulary)
    for task in tasks
  )
