"""Keeps featurised examples as TFDS datasets on disk.

They are refused where they were made from anything else than this run has: a
cache that is only probably right is worse than none.
"""

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from bam_jax.data import contexts, documents, ragged, shards
from bam_jax.data import features as features_lib
from bam_jax.data.features import Features
from bam_jax.data.sources.examples import Examples
from bam_jax.data.tokenizer import Tokenizer
from bam_jax.data.windows import Lengths
from bam_jax.data.words import Words
from bam_jax.runtime.sealed import IntegrityError
from bam_jax.tasks.kind import WHOLE, TaskKind
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import Task

# What the metadata of features says of the rows that max_length has cut.
CUT = "cut"
Progress = Callable[[str, int, int], None]

# Raise it when the same text gives other rows than before.
SCHEMA = 1
_FEATURES = {
  "index": np.int64,
  "tokens": shards.vector(np.int32),
  "types": shards.vector(np.int8),
  "label": shards.vector(np.float32),
}
# Of rows whose words or candidates are labelled: where in the row each is read.
_WORDS = {"words": shards.vector(np.int32)}
# Of rows that do not all count the same.
_WEIGHTS = {"weight": shards.vector(np.float32)}


@dataclasses.dataclass(frozen=True)
class _Parted:
  """How rows are read that are longer than an example.

  Attributes:
    featurised: see `contexts.featurised`.
    columns: of the dataset, beside those of every row.
    stride: whether neighbouring parts share tokens.
  """

  featurised: Callable[..., Iterator[list[dict]]]
  columns: dict[str, Any]
  stride: bool


# What a kind reads -> how its rows are divided into examples; others are not.
_PARTED = {
  "question context": _Parted(
    contexts.featurised, _WORDS | shards.WINDOWS, stride=True
  ),
  "document": _Parted(
    documents.featurised, _WORDS | shards.PARTS, stride=False
  ),
}


def load_features(
  task: Task,
  splits: Sequence[str],
  *,
  tokenizer: Tokenizer,
  lengths: Lengths,
  data_dir: Path,
  load: Callable[[str], Examples],
  progress: Progress | None = None,
) -> dict[str, Features]:
  """Returns the features of splits, building those that are not on disk.

  Each split is a folder `<task>-<tokenizer>-<max_length>/<split>` of its own,
  so that one more split, or a damaged one, touches no other;
  `tfds.builder_from_directories` reads them as one dataset. Any number of
  processes may build the same split at the same time.

  Args:
    task: whose splits they are; for a symmetric one the train split comes with
      "train_swapped", the sentences exchanged and numbered from N on (BAM's
      `double_unordered`).
    splits: names of splits.
    tokenizer: the encoder's.
    lengths: of examples and windows.
    data_dir: where all datasets are.
    load: returns the examples of a split.
    progress: called with (what, rows done, rows in all).

  Raises:
    IntegrityError: a dataset on disk is damaged or its source has changed.
  """
  parent = Path(data_dir) / f"{task.name}-{tokenizer.digest[:8]}-{lengths.most}"
  found = {}
  for split in splits:
    examples = load(split)
    folder = parent / split
    columns = _FEATURES | (_WORDS if examples.words is not None else {})
    columns |= _WEIGHTS if examples.weights is not None else {}
    parted = _PARTED.get(KINDS[task.kind].reads)
    columns |= parted.columns if parted else {}
    names = {split: False}
    if task.symmetric and split == task.train:
      names[f"{split}_swapped"] = True
    facts = {
      "schema": SCHEMA,
      "task": task.name,
      "fingerprint": examples.fingerprint,
      "rows": len(examples),
      "labelled": examples.labels is not None,
      "splits": list(names),
      "tokenizer": tokenizer.digest,
      "max_length": lengths.most,
      **({"stride": lengths.stride} if parted and parted.stride else {}),
    }
    if not folder.exists():
      cut = dict.fromkeys(names, 0)
      rows = {
        name: parted.featurised(
          examples,
          tokenizer=tokenizer,
          lengths=lengths,
          chunk=shards.CHUNK,
          report=_reporter(progress, f"{task.name} {name}", len(examples)),
        )
        if parted
        else _featurised(
          examples,
          tokenizer=tokenizer,
          max_length=lengths.most,
          swap=swap,
          report=_reporter(progress, f"{task.name} {name}", len(examples)),
          cut=functools.partial(_add, cut, name),
        )
        for name, swap in names.items()
      }
      shards.write(
        folder,
        name="features",
        columns=columns,
        splits=rows,
        metadata=facts,
        counted=lambda cut=cut: {CUT: cut},
      )
    builder = shards.open_dataset(folder, columns)
    differs = shards.differences(builder.info.metadata, facts)
    if differs:
      raise IntegrityError(
        f"{folder} was not made from what {examples.origin} holds now: "
        f"{differs}; delete {folder} and run again"
      )
    for name in names:
      found[name] = dataclasses.replace(
        _features_of(
          builder,
          name,
          KINDS[task.kind],
          labelled=facts["labelled"],
          worded="words" in columns,
          weighed="weight" in columns,
          windowed=parted is not None,
        ),
        cut=builder.info.metadata.get(CUT, {}).get(name),
      )
  return found


def _reporter(
  progress: Progress | None, what: str, total: int
) -> Callable[[int], None]:
  return lambda done: progress and progress(what, done, total)


def _add(counts: dict[str, int], name: str, more: int) -> None:
  counts[name] += more


def _featurised(
  examples: Examples,
  *,
  tokenizer: Tokenizer,
  max_length: int,
  swap: bool,
  report: Callable[[int], None],
  cut: Callable[[int], None],
) -> Iterator[list[dict]]:
  """Yields chunks of rows ready to be written."""
  rows, labels, words = len(examples), examples.labels, examples.words
  ends = ragged.offsets_of([1] * rows if words is None else [*map(len, words)])
  # Where a row may have several labels, all C of them are written.
  wide = 1 if labels is None or labels.ndim == 1 else labels.shape[1]
  for start in range(0, rows, shards.CHUNK):
    stop = min(start + shards.CHUNK, rows)
    part = features_lib.featurise(
      tokenizer,
      [column[start:stop] for column in examples.texts],
      None if labels is None else labels[ends[start] : ends[stop]],
      max_length=max_length,
      swap=swap,
      words=None if words is None else words[start:stop],
    )
    cut(part.cut)
    cuts, each = part.offsets[1:-1], ends[start + 1 : stop] - ends[start]
    first = start + (rows if swap else 0)
    nothing = [np.zeros(0, np.float32)] * (stop - start)
    columns = {
      "index": range(first, first + stop - start),
      "tokens": np.split(part.tokens, cuts),
      "types": np.split(part.types, cuts),
      "label": nothing
      if labels is None
      else np.split(part.labels.ravel(), each * wide),
    }
    if examples.weights is not None:
      columns["weight"] = examples.weights[start:stop, None]
    if part.words:
      columns["words"] = np.split(part.words.at, each)
    yield [
      dict(zip(columns, row, strict=True))
      for row in zip(*columns.values(), strict=True)
    ]
    report(stop)


def _features_of(
  builder: tfds.core.DatasetBuilder,
  split: str,
  kind: TaskKind,
  *,
  labelled: bool,
  worded: bool,
  weighed: bool,
  windowed: bool,
) -> Features:
  """Reads one split into flat arrays."""
  parts = []
  for rows in shards.rows(builder, split):
    ids = [row["tokens"].int64_list.value for row in rows]
    types = [row["types"].int64_list.value for row in rows]
    index = [row["index"].int64_list.value for row in rows]
    labels = [row["label"].float_list.value for row in rows]
    words = [row["words"].int64_list.value for row in rows] if worded else []
    flat = shards.flat(labels, np.float32) if labelled else None
    counts = [row["weight"].float_list.value for row in rows] if weighed else []
    parts.append(
      Features(
        tokens=shards.flat(ids, np.int32),
        types=shards.flat(types, np.int8),
        offsets=ragged.offsets_of([len(each) for each in ids]),
        index=shards.flat(index, np.int64),
        labels=flat.reshape(len(rows), -1) if kind.many and labelled else flat,
        words=Words(
          shards.flat(words, np.int32),
          ragged.offsets_of([*map(len, words)]),
          apart=kind.unit == WHOLE,
          drawn=kind.reads == "document",
        )
        if worded
        else None,
        windows=shards.windows_of(rows) if windowed else None,
        weights=shards.flat(counts, np.float32) if weighed else None,
      )
    )
  return Features.join(parts)
