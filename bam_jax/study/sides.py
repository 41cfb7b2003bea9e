"""Which training rows a stage has for itself, and what follows it has not."""

from bam_jax.data.holdout import Side
from bam_jax.study import chains
from bam_jax.study.experiment import Experiment
from bam_jax.study.plan import Run


def of(experiment: Experiment, run: Run) -> Side | None:
  """Returns which rows of a task a run trains on.

  Those of a stage that trains an encoder alone, or where it starts from such a
  stage, whatever lies between, the others; None where it has all rows. Shares
  are nested, so that after several stages the largest is left out.

  Args:
    experiment: the experiment.
    run: the run.
  """
  before = [run]
  while not chains.KINDS[run.kind].ahead and before[-1].start:
    before.append(experiment.run(before[-1].start))
  stages = [each for each in before if chains.KINDS[each.kind].ahead]
  if not stages:
    return None
  shares = [experiment.settings(each).config.contrast.share for each in stages]
  return Side(*stages[0].tasks, max(shares), inside=stages[0] is run)
