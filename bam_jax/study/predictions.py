"""Kept dev logits: what a trial said of every dev example, for later tests.

One file a trial, `W/runs/RUN/dev_logits/seed-K.npz`, written by numpy without
pickles. For every scored split it holds `TASK/SPLIT/index` i64[N],
`TASK/SPLIT/logits` f32[N, C] and `TASK/SPLIT/labels` f32[N]; where words are
labelled, logits f32[M, C] and labels f32[M] of all words, and
`TASK/SPLIT/words` i64[N], how many each example has. Of questions "logits" are
what their answers earn, f32[N, 3] (stats/squad.py), and "labels" are 1 where
there is no answer. Labels are with the logits
so that a laptop needs neither the data nor JAX.
"""

from collections.abc import Mapping
import dataclasses
from dataclasses import dataclass
from pathlib import Path
import zipfile

import numpy as np

from bam_jax.data.ragged import offsets_of, spans
from bam_jax.runtime.files import beside


@dataclass(frozen=True)
class Predictions:
  """What was said of a split.

  Attributes:
    index: i64[N], the example number of each row; no two are the same.
    logits: f32[N, C] before the softmax, or values for regression; f32[R, N, C]
      from `together`. Where words are labelled M takes the place of N.
    labels: f32[N], class numbers or values; f32[M] of words.
    words: i64[N], how many words each row has, M in all; None = rows are
      labelled.
  """

  index: np.ndarray
  logits: np.ndarray
  labels: np.ndarray
  words: np.ndarray | None = None


_FIELDS = {"index": np.int64, "logits": np.float32, "labels": np.float32}
_WORDS = {"words": np.int64}


def path(run: Path, seed: int) -> Path:
  """Returns where a trial's dev logits are.

  Args:
    run: W/runs/RUN.
    seed: the trial.
  """
  return run / "dev_logits" / f"seed-{seed}.npz"


def write(file: Path, splits: Mapping[tuple[str, str], Predictions]) -> None:
  """Writes a trial's file, whole or not at all.

  Args:
    file: see `path`; its folder is made.
    splits: (task, split) -> what was said of it, logits f32[N, C].

  Raises:
    ValueError: the shapes do not fit each other.
    OSError: it cannot be written.
  """
  arrays = {}
  for (task, split), rows in splits.items():
    _check(f"{task}/{split}", rows)
    fields = _FIELDS | (_WORDS if rows.words is not None else {})
    for field, dtype in fields.items():
      value = np.asarray(getattr(rows, field), dtype)
      arrays[f"{task}/{split}/{field}"] = value
  with beside(file) as part, part.open("wb") as out:
    np.savez(out, **arrays)


def read(file: Path) -> dict[tuple[str, str], Predictions]:
  """Reads a trial's file.

  Args:
    file: see `path`.

  Returns:
    (task, split) -> what was said of it, logits f32[N, C].

  Raises:
    ValueError: the file is missing, damaged or holds something else.
  """
  again = "write it again: --config.stage=evaluate"
  if not file.is_file():
    raise ValueError(f"no dev logits {file}; {again}")
  try:
    # Opened here, because NumPy leaves a file that it refuses open.
    with file.open("rb") as raw, np.load(raw, allow_pickle=False) as arrays:
      names = dict.fromkeys(tuple(name.split("/")[:-1]) for name in arrays)
      found = {
        (task, split): Predictions(
          *(arrays[f"{task}/{split}/{field}"] for field in _FIELDS),
          *(
            arrays[name]
            for field in _WORDS
            if (name := f"{task}/{split}/{field}") in arrays
          ),
        )
        for task, split in names
      }
    for (task, split), rows in found.items():
      _check(f"{task}/{split}", rows)
  except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
    raise ValueError(
      f"{file} does not hold dev logits ({error}); {again}"
    ) from error
  return found


def together(trials: Mapping[str, Predictions]) -> Predictions:
  """Puts trials beside each other, in the order of the example numbers.

  Args:
    trials: name for the errors, such as the file -> logits f32[N, C].

  Returns:
    index i64[N], logits f32[R, N, C], labels f32[N] and words.

  Raises:
    ValueError: the trials are not of the same examples.
  """
  (first, *others), ordered = trials, {}
  for name, rows in trials.items():
    ordered[name] = _ordered(rows)
  one = ordered[first]
  for name in others:
    other = ordered[name]
    same = all(
      np.array_equal(getattr(one, field), getattr(other, field))
      for field in ("index", "labels", "words")
    )
    if not same or one.logits.shape != other.logits.shape:
      raise ValueError(
        f"{first} ({_shape(one)}) and {name} ({_shape(other)}) are not of the "
        "same dev examples; write both again: --config.stage=evaluate"
      )
  logits = np.stack([rows.logits for rows in ordered.values()])
  return dataclasses.replace(one, logits=logits)


def _ordered(rows: Predictions) -> Predictions:
  """Returns the same by example number."""
  order = np.argsort(rows.index)
  if rows.words is None:
    return Predictions(
      rows.index[order], rows.logits[order], rows.labels[order]
    )
  starts = offsets_of(rows.words)[:-1]
  mine = spans(starts[order], rows.words[order])
  return Predictions(
    rows.index[order], rows.logits[mine], rows.labels[mine], rows.words[order]
  )


def _shape(rows: Predictions) -> str:
  return f"{len(rows.index)} rows, {rows.logits.shape[-1]} classes"


def _check(name: str, rows: Predictions) -> None:
  index, logits, labels = map(
    np.asarray, (rows.index, rows.logits, rows.labels)
  )
  n, m = len(index), len(index)
  if rows.words is not None:
    m = int(np.sum(rows.words)) if len(rows.words) == n else -1
  several = labels.shape == logits.shape
  if (
    logits.shape[:-1] != (m,)
    or index.shape != (n,)
    or (labels.shape != (m,) and not several)
  ):
    raise ValueError(
      f"{name} has logits {logits.shape}, index {index.shape} and labels "
      f"{labels.shape}; [N, C], [N] and [N] are allowed, and of words [M, C], "
      "[N] and [M]"
    )
  if len(np.unique(index)) < n:
    raise ValueError(f"{name} has an example twice; each is allowed once")
