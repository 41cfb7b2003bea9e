"""Which training rows a stage has for itself, and what follows it has not."""

from bam_jax.data.holdout import Side
from bam_jax.study import chains
from bam_jax.study.experiment import Experiment
from bam_jax.study.plan import Run


def of(experiment: Experiment, run: Run) -> Side | None:
  """Returns which rows of a task a run trains on.

  Those of a stage that trains an encoder alone, or where it starts from such a
  stage, whatever lies between, the others; None where it has all rows.

  Args:
    experiment: the experiment.
    run: the run.
  """
  each = run
  while each.start and not chains.KINDS[each.kind].ahead:
    each = experiment.run(each.start)
  if not chains.KINDS[each.kind].ahead:
    return None
  said = experiment.settings(each).config.contrast
  return Side(*each.tasks, said.share, inside=each is run)
