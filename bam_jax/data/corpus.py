"""The tokenised rows of a working directory's tasks, read when asked for."""

from collections.abc import Callable, Sequence
import copy
import dataclasses
import functools
import hashlib
import re
from typing import Any

import numpy as np

from bam_jax.data import apart, builders, contexts, limits
from bam_jax.data.features import Features
from bam_jax.data.holdout import Holdout, Part, Side, hold_out
from bam_jax.data.repeats import repeats
from bam_jax.data.sources import examples as sources
from bam_jax.data.sources import unlabelled
from bam_jax.data.store import Store
from bam_jax.data.tokenizer import Tokenizer
from bam_jax.data.windows import Lengths
from bam_jax.runtime import distributed
from bam_jax.tasks.coverage import FIRST, Coverage
from bam_jax.tasks.table import Task


class Texts:
  """The text of every split, read once."""

  def __init__(
    self, read: Callable[[Task, str], sources.Examples], *, fold: int = 0
  ):
    """Reads nothing yet.

    Args:
      read: (task, split) -> its rows.
      fold: which share of the training rows is held out, where one is.
    """
    self._read, self._fold = read, fold
    self._seen: dict[tuple[str, str], sources.Examples] = {}
    self._facts: dict[tuple[str, str], dict[str, Any]] = {}
    self._holdouts: dict[tuple[str, Part], Holdout] = {}
    self._sides: dict[tuple[str, float], np.ndarray] = {}

  def look(self, task: Task, split: str) -> sources.Examples:
    """Reads a split ahead, so that what is wrong with it shows early.

    Raises:
      ValueError: a file does not hold what the task allows.
      OSError: a file is missing or the hub cannot be reached.
    """
    self._seen[task.name, split] = examples = self._load(task, split)
    return examples

  def take(self, task: Task, split: str) -> sources.Examples:
    """Returns a split, and forgets it: what is made of it is kept."""
    return self._seen.pop((task.name, split), None) or self._load(task, split)

  def see(self, task: Task, split: str) -> sources.Examples:
    """Returns a split and keeps it, for who asks for it again and again."""
    return self._seen.get((task.name, split)) or self.look(task, split)

  def fingerprint(self, task: Task, split: str) -> str:
    """Returns the hash of a split's text and labels, whatever tokenises it."""
    return self.facts(task, split)["sha256"]

  def facts(self, task: Task, split: str) -> dict[str, Any]:
    """Returns what a split is: "from" where, its "rows", their "sha256".

    Of files it has the names and not the folders, which are nobody's business
    where a model is published.
    """
    if (task.name, split) not in self._facts:
      self.look(task, split)
    return self._facts[task.name, split]

  def holdout(self, task: Task, part: Part) -> Holdout:
    """Returns which training rows are held out, of the text itself.

    Raises:
      ValueError: none would be left on one side.
    """
    key = task.name, part
    if key not in self._holdouts:
      seen = self._seen.get((task.name, task.train))
      examples = seen or self._load(task, task.train)
      among = None
      # The tasks of a table have one hold-out, whatever they label, of the
      # texts that some of them may label.
      if task.table and examples.bare is not None:
        among = ~examples.bare
      elif unlabelled.has(task) and not task.table:
        among = sources.has_gold(examples.labels)
      self._holdouts[key] = hold_out(
        task,
        examples.texts,
        part.share(task),
        examples.groups,
        fold=self._fold,
        key=part.key,
        among=among,
      )
    return self._holdouts[key]

  def side(self, task: Task, side: Side, held: Part) -> np.ndarray:
    """Returns which training rows a stage has for itself, bool[N].

    None of them is held out, and none goes together with one of the rest.

    Raises:
      ValueError: none would be left on one side.
    """
    key = task.name, side.share
    if key not in self._sides:
      seen = self._seen.get((task.name, task.train))
      examples = seen or self._load(task, task.train)
      free = np.ones(len(examples), bool)
      if held.share(task):
        free = ~self.holdout(task, held).mask
      found = hold_out(
        task,
        examples.texts,
        side.share,
        examples.groups,
        key="contrast.share",
        among=None if free.all() else free,
      )
      mine = found.mask & free
      if not (mine.any() and (free & ~mine).any()):
        raise ValueError(
          f"contrast.share is {side.share:g}, and of the {free.sum()} training"
          f" rows of {task.name} that are not held out it takes {mine.sum()};"
          f" {'lower' if mine.any() else 'raise'} --config.contrast.share"
        )
      self._sides[key] = mine
    return self._sides[key] == side.inside

  def _load(self, task: Task, split: str) -> sources.Examples:
    examples = self._read(task, split)
    self._facts[task.name, split] = {
      "from": _published(examples.origin),
      "rows": len(examples),
      "sha256": examples.fingerprint,
    }
    return examples


def _published(origin: str) -> str:
  """Returns where rows came from without the folders of this machine."""
  hub = re.search(r"/datasets--(.+?)--(.+?)/snapshots/(\w+)/(.+)", origin)
  if hub:
    return f"{hub[1]}/{hub[2]}, {hub[4]} at {hub[3][:12]}"
  return origin.rpartition("/")[2]


class Corpus:
  """What a task is trained on, scored on and asked to predict."""

  def __init__(
    self,
    store: Store,
    tokenizer: Tokenizer,
    texts: Texts,
    *,
    lengths: Lengths,
    double_unordered: bool,
    holdout: Part,
  ):
    """Reads nothing yet.

    Args:
      store: where the TFDS shards are.
      tokenizer: the encoder's own.
      texts: what is tokenised.
      lengths: of examples and windows.
      double_unordered: adds swapped copies to symmetric tasks' training rows.
      holdout: the part of the training rows that is not trained on.
    """
    self._store, self._tokenizer, self._lengths = store, tokenizer, lengths
    self._texts = texts
    self._double, self._holdout = double_unordered, holdout
    self._side: Side | None = None
    self._features = functools.cache(self._load)
    # What of a table is the same for all of its tasks.
    self._tables: dict[tuple[str, str], Features] = {}
    self._repeats = functools.cache(self._compare)

  def on(self, side: Side | None) -> "Corpus":
    """Returns the corpus of a run that has some of a task's training rows."""
    found = copy.copy(self)
    found._side = side
    return found

  def _load(self, task: Task, splits: tuple[str, ...]) -> dict[str, Features]:
    if task.table:
      return {split: self._column(task, split) for split in splits}
    found = self._tokenised(task, splits, self._texts.take)
    if not apart.asked(task):
      return found
    words, most = self._tokenizer, self._lengths.most
    return {k: apart.apart(v, words, most=most) for k, v in found.items()}

  def _column(self, task: Task, split: str) -> Features:
    """Returns the rows of a table with the labels of one of its tasks."""
    mine, key = self._texts.take(task, split), (task.table, split)
    if key not in self._tables:
      texts = dataclasses.replace(
        mine, labels=None, soft=None, groups=(), weights=None, agreed=None
      )
      whole = dataclasses.replace(task, name=task.table)
      found = self._tokenised(whole, (split,), lambda *_: texts)
      self._tables[key] = found[split]
    assert len(self._tables[key]) == len(mine), key
    return dataclasses.replace(
      self._tables[key],
      labels=mine.labels,
      weights=mine.weights,
      table=" ".join(key),
    )

  def _tokenised(
    self,
    task: Task,
    splits: tuple[str, ...],
    load: Callable[[Task, str], sources.Examples],
  ) -> dict[str, Features]:
    with distributed.leader_first(f"{task.name} {', '.join(splits)}"):
      return builders.load_features(
        task,
        splits,
        tokenizer=self._tokenizer,
        lengths=self._lengths,
        store=self._store,
        load=functools.partial(load, task),
      )

  def rows(self, task: Task) -> int:
    """Returns the rows of the train split, copies and held-out ones aside."""
    return len(self._features(task, ("train",))["train"])

  def taught(self, task: Task) -> Features:
    """Returns all training rows, held-out ones too, swapped copies last."""
    swap = task.symmetric and self._double
    splits = ("train", "train_swapped") if swap else ("train",)
    found = self._features(task, ("train",))
    return Features.join([found[split] for split in splits])

  def train(self, task: Task, most: int | None = None) -> Features:
    """Returns the rows trained on, swapped copies last.

    Args:
      task: whose rows.
      most: as many of its split are read, drawn from those that are not held
        out; None = all of these.
    """
    features = self.taught(task)
    source = features.source % self.rows(task)
    kept = np.ones(1 + source.max(initial=-1), bool)
    if self._holdout.share(task):
      # A held-out row's copy would give its label away.
      kept = ~self._texts.holdout(task, self._holdout).mask
    if self._side and self._side.task == task.name:
      kept = kept & self._texts.side(task, self._side, self._holdout)
    if most:
      drawn = limits.drawn(np.flatnonzero(kept), most)
      kept = np.isin(np.arange(len(kept)), drawn)
    return features if kept.all() else features.take(kept[source])

  def scored(self, task: Task) -> dict[str, Features]:
    """Returns {split: rows} that scores are made of; the first is shown."""
    if self._holdout.scored:
      return {"holdout": self._held(task)}
    return self._dev(task)

  def _dev(self, task: Task) -> dict[str, Features]:
    found = self._features(task, task.dev)
    if not task.table:
      return found
    # A text that has no label of this task may have one of another.
    return {split: rows.take(rows.has_gold) for split, rows in found.items()}

  def fitted(self, task: Task) -> Features | None:
    """Returns the rows that calibration is fitted on; None = there are none."""
    return self._held(task) if self._holdout.fits(task) else None

  def _held(self, task: Task) -> Features:
    features = self._features(task, ("train",))["train"]
    mask = self._texts.holdout(task, self._holdout).mask
    # Nothing is scored, or fitted, by a teacher's word.
    return features.take(mask[features.source] & features.has_gold)

  def coverage(self, task: Task) -> dict[str, Coverage]:
    """Returns how much is read of the splits trained and scored on."""
    splits = self._features(task, ("train",))
    found = {task.train: (splits["train"], np.zeros(0, np.int64))}
    if not self._holdout.scored:
      for split, rows in self._dev(task).items():
        found[split] = rows, self._repeats(task, split)
    return {
      split: _read(rows, self._tokenizer, len(task.text), again)
      for split, (rows, again) in found.items()
    }

  def _compare(self, task: Task, split: str) -> np.ndarray:
    """The rows of a scored split that are trained on too."""
    rows = self._dev(task)[split]
    return repeats(rows, self._features(task, ("train",)).values())

  def test(self, task: Task, splits: Sequence[str]) -> dict[str, Features]:
    """Returns {split: rows} to predict."""
    return self._features(task, tuple(splits))


def _read(
  rows: Features, tokenizer: Tokenizer, texts: int, again: np.ndarray
) -> Coverage:
  """Returns how much is read of some rows of one or two texts.

  Args:
    rows: the rows.
    tokenizer: of the encoder.
    texts: in each of them.
    again: numbers of those that are training rows too.
  """
  form, read = tokenizer.pair if texts > 1 else tokenizer.single, rows.examples
  words = len(rows.tokens) - len(read) * sum(map(len, form))
  known = tokenizer.unknown is None
  unknown = 0 if known else (rows.tokens == tokenizer.unknown).sum()
  return Coverage(
    rows=len(rows),
    unknown=float(unknown / max(words, 1)),
    cut=None if rows.cut is None else rows.cut / max(len(read), 1),
    unlabelled=int((~read.has_gold).sum()) if read.labels is not None else 0,
    repeated=len(again),
    first=tuple(again[:FIRST].tolist()),
    **_lost(rows),
  )


def _lost(rows: Features) -> dict[str, Any]:
  """Returns how many labelled words, or answers, are cut away, and of which."""
  if rows.words is not None and rows.words.drawn:
    return {}
  if rows.windows:
    asked = len(np.unique(rows.windows.source))
    lost = len(contexts.unread(rows))
    return {"unread": lost, "words": asked, "what": "answers"}
  if rows.words and not rows.words.apart:
    return {
      "unread": int((rows.words.at < 0).sum()),
      "words": len(rows.words.at),
    }
  return {}


def fingerprint(features: Features) -> str:
  """Returns a hash of rows as the model sees them: ids, labels and numbers."""
  digest = hashlib.sha256()
  for array in (
    features.tokens,
    features.types,
    features.offsets,
    features.index,
    features.labels,
    features.words and features.words.at,
    features.words and features.words.offsets,
    features.windows and features.windows.source,
    features.windows and features.windows.chars,
  ):
    digest.update(b"" if array is None else np.ascontiguousarray(array))
  return digest.hexdigest()
