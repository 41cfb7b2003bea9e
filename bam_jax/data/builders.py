"""Keeps featurised examples as TFDS datasets on disk.

They are refused where they were made from anything else than this run has: a
cache that is only probably right is worse than none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from bam_jax.data import beam, columns, ragged, shards
from bam_jax.data.columns import Recipe
from bam_jax.data.features import Features
from bam_jax.data.sources.examples import Examples
from bam_jax.data.store import Store
from bam_jax.data.tokenizer import Tokenizer
from bam_jax.data.windows import Lengths
from bam_jax.data.words import Words
from bam_jax.runtime.sealed import IntegrityError
from bam_jax.tasks.kind import WHOLE, TaskKind
from bam_jax.tasks.kinds import KINDS, SAID
from bam_jax.tasks.table import Task

# Raise it when the same text gives other rows than before.
SCHEMA = 1


def load_features(
  task: Task,
  splits: Sequence[str],
  *,
  tokenizer: Tokenizer,
  lengths: Lengths,
  store: Store,
  load: Callable[[str], Examples],
) -> dict[str, Features]:
  """Returns the features of splits, building those that are not on disk.

  Each split is a folder `<task>-<tokenizer>-<max_length>/<split>` of its own,
  so that one more split, or a damaged one, touches no other;
  `tfds.builder_from_directories` reads them as one dataset. Any number of
  processes may build the same split at the same time, and all write the same
  bytes.

  Args:
    task: whose splits they are; for a symmetric one the train split comes with
      "train_swapped", the sentences exchanged and numbered from N on (BAM's
      `double_unordered`).
    splits: names of splits.
    tokenizer: the encoder's.
    lengths: of examples and windows.
    store: where all datasets are.
    load: returns the examples of a split.

  Raises:
    IntegrityError: a dataset on disk is damaged or its source has changed.
  """
  kind = KINDS[task.kind]
  parted = columns.PARTED.get(kind.reads)
  parent = store.path / f"{task.name}-{tokenizer.digest[:8]}-{lengths.most}"
  found = {}
  for split in splits:
    examples = load(split)
    folder = parent / split
    recipe = Recipe(kind.reads, tokenizer, lengths)
    recipes = {split: recipe}
    if task.symmetric and split == task.train:
      recipes[f"{split}_swapped"] = dataclasses.replace(recipe, swap=True)
    layout = columns.layout(recipe, examples)
    facts = {
      "schema": SCHEMA,
      "task": task.name,
      "fingerprint": examples.fingerprint,
      "rows": len(examples),
      "labelled": examples.labels is not None,
      "splits": list(recipes),
      "tokenizer": tokenizer.digest,
      "max_length": lengths.most,
      **({"stride": lengths.stride} if parted and parted.stride else {}),
    }
    if not folder.exists():
      make = beam.write if store.beam else _write
      make(folder, layout, recipes, examples, facts=facts, store=store)
    builder = shards.open_dataset(folder, layout)
    differs = shards.differences(builder.info.metadata, facts)
    if differs:
      raise IntegrityError(
        f"{folder} was not made from what {examples.origin} holds now: "
        f"{differs}; delete {folder} and run again"
      )
    for name in recipes:
      found[name] = dataclasses.replace(
        _features_of(
          builder,
          name,
          kind,
          labelled=facts["labelled"],
          worded="words" in layout,
          weighed="weight" in layout,
          windowed=parted is not None,
        ),
        cut=builder.info.metadata.get(columns.CUT, {}).get(name),
      )
  return found


def _write(
  folder: Path,
  layout: Mapping[str, Any],
  recipes: Mapping[str, Recipe],
  examples: Examples,
  *,
  facts: Mapping[str, Any],
  store: Store,
) -> None:
  """Makes a dataset in this process; see `beam.write`."""
  cut = dict.fromkeys(recipes, 0)
  shards.write(
    folder,
    name=columns.NAME,
    columns=layout,
    splits={
      name: _chunks(
        recipe,
        examples,
        report=functools.partial(store.report, f"{facts['task']} {name}"),
        cut=functools.partial(_add, cut, name),
      )
      for name, recipe in recipes.items()
    },
    metadata=facts,
    counted=lambda: {columns.CUT: cut},
  )


def _add(counts: dict[str, int], name: str, more: int) -> None:
  counts[name] += more


def _chunks(
  recipe: Recipe,
  examples: Examples,
  *,
  report: Callable[[int, int], None],
  cut: Callable[[int], None],
) -> Iterator[list[dict]]:
  """Yields chunks of rows ready to be written."""
  total = len(examples)
  read, before = 0, total if recipe.swap else 0
  for part in examples.chunks(shards.CHUNK):
    made = columns.featurise(recipe, part)
    found = columns.of(made, part.weights)
    yield columns.rows(found, before=before, read=read)
    read, before = read + len(part), before + len(made)
    cut(made.cut)
    report(read, total)


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
          drawn=kind.reads in SAID,
          sides=kind.sides,
        )
        if worded
        else None,
        windows=shards.windows_of(rows) if windowed else None,
        weights=shards.flat(counts, np.float32) if weighed else None,
      )
    )
  return Features.join(parts)
