"""Reads soft labels that were made elsewhere, by any model in any language.

They come out as a teacher's logits do, so that nothing after this knows where
a teacher ran.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bam_jax.data import logits as logits_lib
from bam_jax.data.sources import soft as soft_files
from bam_jax.runtime.sealed import IntegrityError
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import Task


def read_soft_labels(
  path: Path, *, task: Task, rows: int, shared: Mapping[str, Any]
) -> logits_lib.Logits:
  """Reads one soft label for every example of a split.

  A row has "index", the example number, and one of "probs" or "logits" (a list
  in the order of `task.labels`, or an object by label name), or for a
  regression task "value" in the task's own range. Other entries are not read.
  A folder holds the logits that a run of another working directory has made,
  perhaps with another encoder and another tokenizer.

  Args:
    path: JSON lines (.jsonl), Parquet (.parquet), or a folder.
    task: whose labels they are.
    rows: examples there are; each needs a row.
    shared: what the metadata of a folder has to agree on: the text, the labels
      and the holdout.

  Returns:
    Those of the rows 0 .. rows-1; a folder may have swapped copies behind them.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: a row is not as above; says which.
  """
  path = Path(path)
  if not path.suffix and not path.is_file():
    try:
      return logits_lib.read(path, expected=shared)
    except IntegrityError as error:
      raise IntegrityError(error.seen, elsewhere(path)) from error
  if KINDS[task.kind].reads != "text":
    what = {"words": "words", "question candidates": "candidates"}.get(
      KINDS[task.kind].reads, "parts of texts"
    )
    raise ValueError(
      f"teacher.files gives {path} for {task.name}, of which {what} are"
      " labelled; only a run, W/runs/NAME, can teach them"
    )
  values = soft_files.read(path, task=task, count=rows)
  return logits_lib.Logits(np.arange(rows), values)


def elsewhere(path: Path) -> str:
  """Returns what to do where a file does not fit that is not this run's own.

  Args:
    path: of it; another study may need it as it is.
  """
  return (
    f"it is not this working directory's: set this run as the teacher was, or "
    f"have it teach these rows in a directory of its own, or give "
    f"--config.teacher.files another in place of {path}"
  )
