"""results.json: every method, task and trial, gathered from the runs."""

from typing import Any

from bam_jax import stats
from bam_jax.experiment import Experiment
from bam_jax.plan import scored
from bam_jax.workdir import commit


def gather(experiment: Experiment) -> dict[str, Any]:
  """Returns what results.json holds, of all trials that have scores.

  Args:
    experiment: names the methods, their runs and the seeds.

  Raises:
    ValueError: nothing has scores yet.
  """
  config, workdir = experiment.config, experiment.workdir
  tasks = experiment.trained_tasks
  methods: dict[str, Any] = {}
  for method, runs in experiment.methods.items():
    records = {}
    for task in tasks:
      scores = workdir.scores(scored(runs, task.name).name)
      seeds = [s for s in experiment.seeds if str(s) in scores]
      if not seeds:
        continue
      entries = [scores[str(s)]["scores"][task.name] for s in seeds]
      records[task.name] = {
        "metric": task.headline,
        "scores": [entry[task.headline] for entry in entries],
        "seeds": seeds,
        "all": {key: [e[key] for e in entries] for key in entries[0]},
        "examples": scores[str(seeds[0])]["examples"][task.name],
      }
    if records:
      methods[method] = records
  if not methods:
    raise ValueError(
      f"nothing in {workdir.path} has scores yet; train first: "
      "--config.stage=train"
    )
  counted = [task.name for task in tasks if task.in_average]
  seconds = {}
  for run in experiment.runs:
    scores = workdir.scores(run.name)
    entries = [scores[str(s)] for s in experiment.seeds if str(s) in scores]
    seconds[run.name] = [e["seconds"] for e in entries if "seconds" in e]
  results = {
    "schema": 1,
    "encoder": config.encoder,
    "commit": commit(),
    "split": "holdout" if config.data.holdout else "dev",
    # One stage alone gives the same numbers as all of them.
    "settings": config.to_dict() | {"stage": "all"},
    "seconds": seconds,
    "methods": methods,
    "average": {
      method: stats.average(records, counted)
      for method, records in methods.items()
    },
  }
  results["tests"] = stats.compare(results)
  return results
