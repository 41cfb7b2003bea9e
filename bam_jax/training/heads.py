"""The heads that a run's tasks want, from the rows of their kinds."""

from collections.abc import Sequence

from bam_jax.models.heads import HeadSpec
from bam_jax.tasks.description import Head
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import Task


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
      loss=KINDS[task.kind].loss,
      head=KINDS[task.kind].head,
    )
    for task in tasks
  )
