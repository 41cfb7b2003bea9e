"""Says which choices of tasks nothing looks at."""

from bam_jax.runtime.console import say
from bam_jax.study.experiment import Experiment
from bam_jax.training.adversaries import ADVERSARIES


def tell(experiment: Experiment) -> None:
  """Says which choices of tasks nothing looks at."""
  c = experiment.config
  for task in experiment.trained_tasks:
    taught = any(task.name in dict(run.teachers) for run in experiment.runs)
    kinds = {
      experiment.settings(run).config.adversary.kind
      for run in experiment.runs
      if task.name in run.tasks
    }
    for key, unused, cure in (
      (
        "kd_loss",
        taught and c.teacher.mix == "targets",
        "teacher.mix is targets",
      ),
      (
        "adv_loss",
        not any(ADVERSARIES[kind].compares for kind in kinds),
        f"adversary.kind is {' or '.join(sorted(kinds))}",
      ),
    ):
      if unused and getattr(task.learn, key):
        say(f"{key} of {task.name} is not looked at: {cure}")
