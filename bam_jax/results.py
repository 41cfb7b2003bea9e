"""results.json: every method, task and trial, gathered from the runs."""

from typing import Any

from ml_collections import ConfigDict

from bam_jax import stats
from bam_jax.experiment import Experiment
from bam_jax.plan import scored
from bam_jax.workdir import commit


def gather(experiment: Experiment) -> dict[str, Any]:
  """Returns what results.json holds, of all trials that have scores.

  Args:
    experiment: names the methods, their runs and the seeds.
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
  counted = [task.name for task in tasks if task.in_average]
  seconds = {
    run.name: {
      seed: entry["seconds"]
      for seed, entry in workdir.scores(run.name).items()
      if "seconds" in entry
    }
    for run in experiment.runs
  }
  results = {
    "schema": 1,
    "encoder": config.encoder,
    "commit": commit(),
    "split": "holdout" if config.data.holdout else "dev",
    "data": data_note(config),
    "settings": {
      kind: settings_note(config[kind])
      for kind in dict.fromkeys(run.kind for run in experiment.runs)
    },
    "seconds": sum(sum(each.values()) for each in seconds.values()),
    "run_seconds": seconds,
    "methods": methods,
    "average": {
      method: stats.average(records, counted)
      for method, records in methods.items()
    },
  }
  results["tests"] = stats.compare(results)
  return results


def settings_note(settings: ConfigDict) -> str:
  """Returns a kind of run's settings in a line."""
  return (
    f"{settings.epochs:g} epochs, batch {settings.batch_size}, rate "
    f"{settings.rate:g}, alpha {settings.layer_decay:g}"
  )


def data_note(config: ConfigDict) -> str:
  """Returns what was scored, and where its text came from."""
  where = config.data.glue_dir or "the Hugging Face hub or synthetic"
  what = (
    f"{config.data.holdout:.0%} of train held out"
    if config.data.holdout
    else "dev"
  )
  cap = f", at most {config.max_steps} steps a run" if config.max_steps else ""
  return f"{what}; text from {where}{cap}"
