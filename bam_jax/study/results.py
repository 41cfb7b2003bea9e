"""results.json: every method, task and trial, gathered from the runs."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import re
import shlex
import sys
from typing import Any

import jax
import numpy as np

from bam_jax.runtime import notices
from bam_jax.runtime.console import Bars, bar
from bam_jax.stats import (
  aggregates,
  classes,
  compare,
  crossed,
  factorial,
  multibootstrap,
)
from bam_jax.stats import search as tuning
from bam_jax.stats.claims import noninferiority, sequence
from bam_jax.study import (
  calibrations,
  chains,
  claims,
  ensembles,
  history,
  predictions,
  variants,
)
from bam_jax.study.experiment import Experiment
from bam_jax.study.plan import scored
from bam_jax.study.predictions import Predictions
from bam_jax.study.workdir import Workdir, commit
from bam_jax.tasks import metrics
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import Task

# What in a command line is nobody's business: the value of a flag of such a
# name, the user in an address, a token of the hub.
SECRET_FLAG = re.compile(
  r"(?i)^(-*[\w.-]*(?:token|secret|passw|credential|api_?key)[\w.-]*)(=.*)?$",
  re.DOTALL,
)
SECRET_TEXT = re.compile(r"(?<=://)[^/@\s]+(?=@)|\bhf_[A-Za-z0-9]{8,}")


def gather(experiment: Experiment, workdir: Workdir) -> dict[str, Any]:
  """Returns what results.json holds, of all trials that have scores.

  Args:
    experiment: names the methods, their runs and the seeds.
    workdir: where the scores are.

  Raises:
    ValueError: nothing has scores yet, or kept dev logits are not those that
      were scored.
  """
  config = experiment.config
  tasks = experiment.trained_tasks
  methods: dict[str, Any] = {}
  for method, runs in experiment.methods.items():
    records = {}
    for task in tasks:
      # A variant may be trained on some of the tasks only.
      if not (run := scored(runs, task.name)):
        continue
      scores = workdir.scores(run.name)
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
        # What counts in an average, where that is not the score itself.
        **({} if task.counts_as == "score" else {"counts_as": task.counts_as}),
      }
    if records:
      methods[method] = records
  if not methods:
    raise ValueError(
      f"nothing in {workdir.path} has scores yet; train first: "
      "--config.stage=train"
    )
  counted = [task.name for task in tasks if task.in_average]
  spent = {key: {} for key in ("seconds", "step", "flops", "joules")}
  rows, curves = {}, {}
  for run in experiment.runs:
    scores = workdir.scores(run.name)
    seeds = [s for s in experiment.seeds if str(s) in scores]
    entries = [scores[str(s)] for s in seeds]
    for key, of in spent.items():
      of[run.name] = [e[key] for e in entries if key in e]
    file = workdir.run(run.name) / "metrics.jsonl"
    rows[run.name] = history.read(file, seeds)
    if found := history.curves(rows[run.name], seeds):
      curves[run.name] = found
  # A search has dozens of variants: a table of their settings, no pictures.
  drawn = [
    run for run in experiment.runs if not (run.variant and config.data.holdout)
  ]
  results = {
    "schema": 1,
    "encoder": config.encoder,
    "commit": commit(),
    "split": "holdout" if config.data.holdout else "dev",
    # One stage alone gives the same numbers as all of them, and so do several
    # commands together.
    "settings": config.to_dict() | {"stage": "all", "share": False},
    "command": command(sys.orig_argv),
    "device": device(),
    "seconds": spent["seconds"],
    "steps": spent["step"],
    "flops": spent["flops"],
    "joules": spent["joules"],
    "scored": {
      method: {
        name: scored(experiment.methods[method], name).name for name in records
      }
      for method, records in methods.items()
    },
    "curves": curves,
    "schedules": dict(history.schedules_of(experiment.settings, drawn, rows)),
    "variants": {
      run.variant: variants.changed(config, run.variant)
      for run in experiment.runs
      if run.variant
    },
    "coverage": _coverage(experiment, workdir),
    "methods": methods,
    "counted": counted,
    "average": {
      method: compare.average(records, counted)
      for method, records in methods.items()
    },
  }
  resampled: dict[tuple[str, str], Any] = {}
  pseudo: dict[tuple[str, str], np.ndarray] = {}
  results["calibration"], results["classes"] = {}, {}
  together: dict[str, dict[str, dict[str, float]]] = {}
  everyone: dict[str, dict[str, float]] = {}
  read = functools.cache(predictions.read)
  for task in tasks:
    kept = _kept(experiment, workdir, methods, task, read)
    sure = KINDS[task.kind].kept == "outputs"
    for method, rows in kept.items() if sure else ():
      if found := calibrations.plain(task, rows):
        run = results["scored"][method][task.name]
        seeds, scores = methods[method][task.name]["seeds"], workdir.scores(run)
        trials = [scores[str(s)].get("calibration", {}) for s in seeds]
        if all(task.name in each for each in trials):
          mine = [each[task.name] for each in trials]
          found["fitted"] = calibrations.fitted(task, rows, mine)
        results["calibration"].setdefault(method, {})[task.name] = found
      if task.labels:
        each = classes.summary(rows.logits, rows.labels, task.labels)
        results["classes"].setdefault(method, {})[task.name] = each
    for method, rows in kept.items():
      if each := ensembles.scores(task, rows):
        together.setdefault(method, {})[task.name] = each
    if len(kept) > 1 and (each := ensembles.scores_of_all(task, kept)):
      everyone[task.name] = each
    resampled |= _resampled(methods, task, kept)
    pseudo |= _pseudo(task, kept)
  results["ensembles"] = {
    method: ensembles.row(methods[method], found, counted)
    for method, found in together.items()
  }
  # Where settings are searched for, methods are tries and no models.
  results["across"] = (
    {} if config.data.holdout else ensembles.across(methods, everyone, counted)
  )
  results["tests"] = compare.compare(
    results, resampled, pseudo, progress=functools.partial(Bars(), "tests")
  )
  results["differences"] = compare.differences(results)
  results["overall"] = aggregates.overall(methods, counted)
  named, margin = workdir.claims(), config.claims_margin
  if named and margin != named[-1]["margin"]:
    margin = named[-1]["margin"]
    notices.once(
      f"{workdir.path} has claims with a margin of {margin:g}, not"
      f" {config.claims_margin:g}, and it stays; to change it type"
      " --config.claims and --config.claims_margin together"
    )
  results["noninferiority"] = noninferiority(results, margin)
  results["claims_named"] = named
  if named:
    asked = claims.parse(named[-1]["claims"])
    results["claims"] = sequence(results, asked, margin)
  results["search"] = tuning.search(results)
  results["factors"] = factorial.effects(results)
  return results


def _coverage(experiment: Experiment, workdir: Workdir) -> dict[str, Any]:
  """Returns task -> split -> how much of its text the encoder reads.

  Pairs that an encoder alone was trained on are cut elsewhere, and not told.
  """
  found: dict[str, Any] = {}
  for run in experiment.runs:
    if chains.KINDS[run.kind].ahead:
      continue
    for entry in workdir.scores(run.name).values():
      found |= entry.get("coverage", {})
  return found


def command(argv: Sequence[str]) -> str:
  """Returns a command line as it was typed, but for the secrets in it.

  Args:
    argv: the interpreter and all that follows it.
  """
  words, hidden = ["python"], False
  for word in argv[1:]:
    flag = SECRET_FLAG.match(word)
    if flag and word.startswith("-"):
      # The value is in this word or is the next one.
      word, hidden = (f"{flag[1]}=***", False) if flag[2] else (word, True)
    elif hidden:
      word, hidden = "***", False
    words.append(SECRET_TEXT.sub("***", word))
  return shlex.join(words)


def device() -> dict[str, Any]:
  """Returns what this command runs on: kind, count and version of jax."""
  devices = jax.devices()
  return {
    "kind": devices[0].device_kind,
    "count": len(devices),
    "jax": jax.__version__,
  }


def _kept(
  experiment: Experiment,
  workdir: Workdir,
  methods: Mapping[str, Any],
  task: Task,
  read: Callable,
) -> dict[str, Predictions]:
  """Reads the dev logits of the methods whose trials all have them.

  Returns:
    method -> logits f32[R, N, C] of the split that tables show; all methods
    have the same rows in the same order.

  Raises:
    ValueError: a file is damaged, or two are not of the same rows.
  """
  split = "holdout" if experiment.config.data.holdout else task.dev[0]
  files = {}
  for method, records in methods.items():
    run = scored(experiment.methods[method], task.name)
    if not run or task.name not in records:
      continue
    folder = workdir.run(run.name)
    mine = [predictions.path(folder, s) for s in records[task.name]["seeds"]]
    if mine and all(file.is_file() for file in mine):
      files[method] = mine
  trials = {}
  for file in {file: None for mine in files.values() for file in mine}:
    found = read(file)
    if (task.name, split) not in found:
      raise ValueError(
        f"{file} has no {task.name}/{split}; write it again: "
        "--config.stage=evaluate"
      )
    trials[str(file)] = found[task.name, split]
  if not trials:
    return {}
  rows = predictions.together(trials)
  place = {file: i for i, file in enumerate(trials)}
  return {
    method: dataclasses.replace(
      rows, logits=rows.logits[[place[str(file)] for file in mine]]
    )
    for method, mine in files.items()
  }


def _resampled(
  methods: Mapping[str, Any], task: Task, kept: Mapping[str, Predictions]
) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
  """Scores the methods with enough trials on the same resamples of dev.

  Raises:
    ValueError: the kept logits are not those that were scored.
  """
  sizes = {method: len(rows.logits) for method, rows in kept.items()}
  able = [m for m, n in sizes.items() if n >= compare.MIN_MULTI_TRIALS]
  if len(able) < 2:
    return {}
  kind, one = KINDS[task.kind], kept[able[0]]
  logits = np.concatenate([kept[method].logits for method in able])
  predicted = metrics.said(task, task.headline, logits, one.words)
  labels = kind.gold(task, one.labels, one.words)
  draws = multibootstrap.DRAWS
  with bar(f"resamples {task.name}", draws) as progress:
    full, drawn = multibootstrap.resample_examples(
      predicted,
      labels,
      kind.metrics[task.headline],
      draws=draws,
      progress=progress,
    )
  found, ends = {}, np.cumsum([sizes[method] for method in able])
  for method, end in zip(able, ends, strict=True):
    mine = slice(end - sizes[method], end)
    found[method, task.name] = full[mine], drawn[:, mine]
    if not np.allclose(
      full[mine], methods[method][task.name]["scores"], atol=1e-3
    ):
      raise ValueError(
        f"the dev logits of {method} on {task.name} are not those that were "
        "scored; write both again: --config.stage=evaluate"
      )
  return found


def _pseudo(
  task: Task, kept: Mapping[str, Predictions]
) -> dict[tuple[str, str], np.ndarray]:
  """Divides the scores of the methods with enough trials among the examples."""
  able = {m: r for m, r in kept.items() if len(r.logits) >= compare.MIN_TRIALS}
  if len(able) < 2:
    return {}
  found = {}
  kind = KINDS[task.kind]
  parts = min(crossed.PARTS, len(next(iter(able.values())).index))
  with bar(f"examples {task.name}", parts * len(able)) as progress:
    for method, rows in able.items():
      found[method, task.name] = crossed.pseudo_values(
        metrics.said(task, task.headline, rows.logits, rows.words),
        kind.gold(task, rows.labels, rows.words),
        kind.metrics[task.headline],
        progress=progress,
      )
  return found
