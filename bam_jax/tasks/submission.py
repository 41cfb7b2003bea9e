"""Writes the files that the GLUE server wants, from logits.

The server reads one file a test set, `index<TAB>prediction` with a header, and
one zip of all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
import zipfile

import numpy as np

from bam_jax.runtime.files import beside, read_json, write_json
from bam_jax.tasks.answers import Answer
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import TASKS, Task, get_tasks

HEADER = "index\tprediction"
ZIP = "submission.zip"
# What the server refuses to do without, in the order of its front page: file ->
# (task, test split).
FILES: Mapping[str, tuple[Task, str]] = {
  name: (task, split)
  for task in TASKS.values()
  for split, name in task.submission.items()
}
# Beside them, and not in the zip: which trial of which run made each file.
MADE_OF = "made_of.json"
# A zip holds times; a fixed one keeps equal answers equal files.
_DATE = (1980, 1, 1, 0, 0, 0)


def answers_of(task: Task, logits: np.ndarray) -> list[Answer]:
  """Reads the answers off the logits.

  Args:
    task: whose labels are meant.
    logits: f[N, C], C >= the task's classes; of regression the first column is
      the prediction in [0, 1]. Probabilities serve as well.

  Returns:
    What they say of each of the N rows.

  Raises:
    ValueError: the shape does not fit the task, or a number is not finite.
  """
  if logits.ndim != 2 or logits.shape[1] < task.classes:
    raise ValueError(
      f"{task.name} has {task.classes} classes but logits of shape"
      f" {logits.shape}; predict with a model that was trained on {task.head}"
    )
  # Other tasks of the run may have more classes: those columns mean nothing.
  own = np.asarray(logits[:, : task.classes], np.float64)
  bad = np.flatnonzero(~np.isfinite(own).all(1))
  if len(bad):
    raise ValueError(
      f"the logits of {task.name} are not finite in {len(bad)} rows, first in"
      f" row {bad[0]}; its training has diverged: train it again"
      " with a lower rate"
    )
  return KINDS[task.kind].answer(task, own, None)


# Whose scores decide which trial of a run answers a task, by the name of the
# rule: (the run's tasks, the task) -> the tasks that count.
BY: Mapping[str, Callable[[Sequence[Task], Task], Sequence[Task]]] = {
  # One trial answers all tasks of a run.
  "average": lambda tasks, task: [t for t in tasks if t.in_average] or tasks,
  # Each task is answered by its own best trial,
  "task": lambda tasks, task: [task],
  # or by that of the best method.
  "study": lambda tasks, task: [task],
}
# Those that look at all methods, and not at the last alone.
ACROSS = ("study",)


def best_trial(
  scores: Mapping[int, Mapping[str, Mapping]],
  tasks: Sequence[Task],
  task: Task,
  *,
  by: str,
) -> dict[str, Any]:
  """Returns which trial of a run to submit: `seed`, and why.

  Args:
    scores: seed -> {task: {metric: x100}} of the run's trials.
    tasks: the run's.
    task: the one of them that is to be answered.
    by: a name in `BY`.
  """
  counted = BY[by](tasks, task)
  means = {
    seed: float(np.mean([t.counted(mine[t.name][t.headline]) for t in counted]))
    for seed, mine in sorted(scores.items())
  }
  # Of equals the first.
  seed = max(means, key=means.__getitem__)
  return {
    "seed": seed,
    "trials": len(means),
    "highest": [each.name for each in counted],
    "score": round(means[seed], 2),
  }


def whose(directory: Path) -> dict[str, list[str]]:
  """Returns what answered, in words -> its files; of earlier calls too."""
  found: dict[str, list[str]] = {}
  for file, made in _made_of(directory).items():
    by = made["method"]
    if "seed" in made:
      names = ", ".join(made["highest"])
      what = f"average of {names}" if "," in names else names
      by = (
        f"{made['run']} seed {made['seed']}, the highest of {made['trials']} "
        f"trial(s) on {made['split']} ({what} {made['score']})"
      )
    found.setdefault(by, []).append(file)
  return found


def _made_of(directory: Path) -> dict[str, dict[str, Any]]:
  return read_json(
    directory / MADE_OF, cure="take it away and predict all tasks again"
  )


def write_submission(
  directory: Path,
  predictions: Mapping[tuple[str, str], np.ndarray],
  *,
  rows: Mapping[tuple[str, str], int],
  made_of: Mapping[tuple[str, str], Mapping[str, Any]],
) -> Path:
  """Writes the GLUE server's files and zips all that are in the folder.

  Nothing is written unless everything fits.

  Args:
    directory: W/submission; made if it is not there.
    predictions: (task name, test split) -> logits f[N, C] in example order,
      as `answers_of` reads them.
    rows: (task name, test split) -> number of examples that were given.
    made_of: (task name, test split) -> what answered, for `MADE_OF`.

  Returns:
    The path of submission.zip. It holds the server's files of this call and
    of earlier ones, of which `MADE_OF` tells; the server wants all of
    `FILES`.

  Raises:
    ValueError: a task or split that the server does not ask for, logits that
      do not fit, or not one answer per example.
  """
  texts, made = {}, _made_of(directory)
  for (name, split), logits in predictions.items():
    (task,) = get_tasks([name])
    if split not in task.submission:
      wanted = ", ".join(task.submission) or "none of it"
      raise ValueError(
        f"the GLUE server asks for no {split} of {name} (it takes {wanted});"
        " leave it out"
      )
    if len(logits) != rows[name, split]:
      raise ValueError(
        f"{len(logits)} predictions for the {rows[name, split]} examples of"
        f" {name} {split}; predict the whole split again"
      )
    texts[task.submission[split]] = _tsv(task, answers_of(task, logits))
    made[task.submission[split]] = dict(made_of[name, split])
  for file, text in texts.items():
    with beside(directory / file) as part:
      part.write_text(text, encoding="utf-8", newline="\n")
  write_json(
    directory / MADE_OF,
    {file: made[file] for file in FILES if file in made},
  )
  return _zip(directory)


def _tsv(task: Task, said: list[Answer]) -> str:
  words = dict(zip(task.labels, task.glue.labels, strict=True))
  answers = [KINDS[task.kind].written(words, each) for each in said]
  lines = (f"{index}\t{answer}\n" for index, answer in enumerate(answers))
  return f"{HEADER}\n{''.join(lines)}"


def _zip(directory: Path) -> Path:
  path = directory / ZIP
  with beside(path) as part, zipfile.ZipFile(part, "w") as archive:
    for name in FILES:
      if (directory / name).is_file():
        entry = zipfile.ZipInfo(name, date_time=_DATE)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, (directory / name).read_bytes())
  return path
