"""The heads that a run's tasks want, by their kinds and their own choice."""

from collections.abc import Callable, Mapping, Sequence

from bam_jax.models.heads import HeadSpec
from bam_jax.runtime.spelling import hint
from bam_jax.tasks.description import Head
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import Task
from bam_jax.training.objectives import OBJECTIVES, Objective

# Which objectives can be what.
FITS: Mapping[str, Callable[[Objective], bool]] = {
  "loss": lambda each: each.loss is not None,
  "kd_loss": lambda each: each.loss is not None or each.distance is not None,
  "adv_loss": lambda each: each.distance is not None,
}


def fault(task: Task) -> tuple[str, str] | None:
  """Returns the key of what a task chooses that cannot be, and why; None = all.

  Args:
    task: with what it has chosen.
  """
  usual = OBJECTIVES[KINDS[task.kind].loss]
  for role, fits in FITS.items():
    fitting = [
      name
      for name, each in OBJECTIVES.items()
      if each.wants and each.wants == usual.wants and fits(each)
    ]
    got = getattr(task.learn, role)
    if got and got not in fitting:
      which = f"it is one of {', '.join(fitting)}"
      if not fitting:
        which = "these choose none: leave it out"
      return role, f"as {role} of {task.kind} {which}{hint(got, fitting)}"
  return None


def specs(
  tasks: Sequence[Task | Head], *, regression_output: str
) -> tuple[HeadSpec, ...]:
  """Returns one head a task, in their order.

  Args:
    tasks: of the run, or what is known of them.
    regression_output: what a kind's value goes through, one of
      `heads.OUTPUTS`.
  """
  outputs = {"logits": "logits", "value": regression_output}
  return tuple(
    HeadSpec(
      task.name,
      task.classes,
      output=outputs[KINDS[task.kind].output],
      loss=task.learn.loss or KINDS[task.kind].loss,
      head=KINDS[task.kind].head,
      kd_loss=task.learn.kd_loss,
      adv_loss=task.learn.adv_loss,
      dropout=task.learn.dropout,
    )
    for task in tasks
  )
