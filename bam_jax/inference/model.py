"""Answers on raw text: one encoder pass, and every head that is asked.

Texts are packed into rows as in training, and each has a slot per head, so the
model is the one that was trained, asked several tasks at once.
"""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.data import apart
from bam_jax.data.features import Features, featurise
from bam_jax.data.fields import FORWARD, WORDS, Room
from bam_jax.data.places import Places
from bam_jax.data.sources import candidates
from bam_jax.data.sources.sentence import joined, split
from bam_jax.data.tokenizer import load_tokenizer
from bam_jax.inference import entries, windowed
from bam_jax.inference import rows as rows_lib
from bam_jax.inference import trained as trained_lib
from bam_jax.models import adapter_tree
from bam_jax.models.heads import HEADS, HeadSpec
from bam_jax.models.multitask import MultiTask
from bam_jax.tasks import description as heads_lib
from bam_jax.tasks.answers import Answer, Read
from bam_jax.tasks.description import Head
from bam_jax.tasks.kinds import ENCODER, KINDS, WHOLE
from bam_jax.training import adapting, heads

# Texts in one forward pass.
BATCH = 64
ALL = "all"


class Model:
  """A trained model that answers on text.

  Attributes:
    trained: what it was made from.
    heads: what it can be asked, by task.
    specs: how these heads are built.
  """

  def __init__(self, trained: trained_lib.Trained):
    """Takes the parameters to the device."""
    said = trained.description
    answering = [h for h in said.heads if KINDS[h.kind].answer is not None]
    if not answering:
      names = ", ".join(head.name for head in said.heads)
      if all(KINDS[head.kind].model == ENCODER for head in said.heads):
        raise ValueError(
          f"the model is an encoder alone, trained on pairs ({names}), and"
          " answers no task; bam_jax.features gives its vectors"
        )
      raise ValueError(
        f"the model says words of plain text alone ({names}) and answers none;"
        " masked ones transformers' pipeline('fill-mask') says, where it is"
        " exported"
      )
    self.trained = trained = dataclasses.replace(
      trained, params=adapter_tree.of(trained.params, answering)
    )
    self.heads: dict[str, Head] = {head.name: head for head in answering}
    self.tokenizer = load_tokenizer(
      trained.tokenizer, vocab_size=trained.config.vocab_size
    )
    self.net = MultiTask(
      trained.config,
      heads.specs(answering, regression_output=said.regression_output),
      head_dropout=0.0,
      dtype=jnp.dtype(said.dtype),
      remat=False,
      adapter=adapting.adapter_of(said.adapter),
    )
    self.specs = {spec.name: spec for spec in self.net.heads}
    self._params = jax.device_put(dict(trained.params))
    self._forward = jax.jit(
      lambda params, batch: self.net.apply(
        {"params": params}, batch, train=False
      )
    )

  def __call__(
    self, task: str, *texts: Sequence[str]
  ) -> list[Answer] | list[dict[str, Answer]]:
    """Answers for one task, or for all that take as many texts.

    Args:
      task: the name of a head, or "all".
      *texts: one or two columns of N texts; where candidates are answered N
        questions and N lists of texts.

    Returns:
      N answers; with "all" N times {task: answer}.

    Raises:
      ValueError: there is no such head, or its number of texts is another.
    """
    if task != ALL:
      return self.answers([task], texts)[task]
    listed = len(texts) > 1 and any(
      isinstance(x, Iterable) and not isinstance(x, str) for x in texts[1]
    )
    fitting = self.fitting(list(self.heads), len(texts), listed=listed)
    found = self.answers(fitting, texts)
    return [
      dict(zip(found, row, strict=True))
      for row in zip(*found.values(), strict=True)
    ]

  def fitting(
    self, tasks: Sequence[str], columns: int, *, listed: bool = False
  ) -> list[str]:
    """Returns those tasks that read so many texts.

    Args:
      tasks: those to choose from.
      columns: of texts.
      listed: whether the last is of lists of candidates.

    Raises:
      ValueError: none does.
    """
    fit = [
      name
      for name in tasks
      if len(self.heads[name].text) == columns
      and bool(choosing([self.heads[name]])) == listed
    ]
    if not fit:
      needs = ", ".join(
        f"{name} reads {' and '.join(self.heads[name].text)}"
        + ", a list of texts" * bool(choosing([self.heads[name]]))
        for name in tasks
      )
      of = " and a list" if listed else ""
      raise ValueError(f"got {columns} columns of text{of}, but {needs}")
    return fit

  def answers(
    self, tasks: Sequence[str], texts: Sequence[Sequence[str]]
  ) -> dict[str, list[Answer]]:
    """Returns each task's N answers, from one encoder pass.

    Args:
      tasks: names of heads that read as many texts.
      texts: one or two columns of N texts; see `__call__`.

    Raises:
      ValueError: a head is not there, or the texts do not fit it.
    """
    heads = [heads_lib.find(tuple(self.heads.values()), name) for name in tasks]
    listed = bool(choosing(heads))
    for head in heads:
      self.fitting([head.name], len(texts), listed=listed)
    if any(isinstance(column, str) for column in texts):
      raise ValueError("each column of text is a list of texts, not one text")
    if len(sizes := {len(column) for column in texts}) > 1:
      raise ValueError(f"columns of text have lengths {sorted(sizes)}")
    entries.check(texts, lists=listed or bool(worded(heads)))
    asked = [h for h in heads if KINDS[h.kind].reads == "question context"]
    found = windowed.answers(self, asked, texts, BATCH) if asked else {}
    rest = [head for head in heads if head not in asked]
    names = [head.name for head in rest]
    texts, read = self._read(names, texts)
    logits = self.logits(names, texts, read) if rest else {}
    found |= {
      head.name: heads_lib.answers(head, logits[head.name], read)
      for head in rest
    }
    return {name: found[name] for name in tasks}

  def _read(
    self, tasks: Sequence[str], texts: Sequence[Sequence[Any]]
  ) -> tuple[Sequence[Sequence[str]], list[Read] | None]:
    """Returns the texts and, if words are answered, where their words are.

    And likewise where the candidates are in the second text.

    Raises:
      ValueError: see `worded_rows`, or an entry is no list of candidates.
    """
    heads = [self.heads[name] for name in tasks]
    if choosing(heads):
      read = [
        Read(
          *joined(candidates.listed(each, f"row {row} of the texts", least=1))
        )
        for row, each in enumerate(texts[1], 1)
      ]
      return [list(texts[0]), [each.text for each in read]], read
    if not worded(heads):
      return texts, None
    read = worded_rows(texts[0])
    return [[each.text for each in read]], read

  def logits(
    self,
    tasks: Sequence[str],
    texts: Sequence[Sequence[str]],
    read: Sequence[Read] | None = None,
  ) -> dict[str, np.ndarray]:
    """Returns task -> f32[N, C], what training's model gives.

    A regression task's is its prediction in [0, 1], or any number with the
    linear output; where words or candidates are answered it is f32[M, C], 0 for
    words that are not read.

    Args:
      tasks: names of heads that read as many texts.
      texts: one or two columns of N texts.
      read: the words of the texts, where words are answered, or candidates.
    """
    if read is not None and len(texts) == 2:
      texts = candidates.apart(texts, [each.words for each in read])
      read = None
    parts: dict[str, list[np.ndarray]] = {
      name: [np.zeros((0, self.heads[name].classes), np.float32)]
      for name in tasks
    }
    for start in range(0, len(texts[0]), BATCH):
      some = slice(start, start + BATCH)
      rows = featurise(
        self.tokenizer,
        [list(column[some]) for column in texts],
        None,
        max_length=self.trained.description.max_length,
        words=None if read is None else [each.words for each in read[some]],
      )
      for name, outputs in self.said(tasks, rows).items():
        parts[name].append(outputs)
    return {name: np.concatenate(each) for name, each in parts.items()}

  def said(self, tasks: Sequence[str], rows: Features) -> dict[str, np.ndarray]:
    """Returns task -> f32[N, C], or f32[M, C] of words, of a batch of rows."""
    found, most = {}, self.trained.description.max_length
    for asked in self.passes(tasks):
      own = rows
      if HEADS[asked[0].head].apart:
        own = apart.apart(rows, self.tokenizer, most=most)
      batch, places = rows_lib.packed(
        own, np.array([*map(self._number, asked)]), at_most=most
      )
      out = jax.device_get(self._forward(self._params, batch))
      for slot, spec in enumerate(asked):
        mine = dataclasses.replace(places, slot=places.slot + slot)
        found[spec.name] = outputs_of(spec, out, own, mine)
    return found

  def passes(self, tasks: Sequence[str]) -> list[list[HeadSpec]]:
    """Returns which heads are asked in one pass, see the function `passes`."""
    adapter, asked = self.net.adapter, [self.specs[name] for name in tasks]
    if adapter and not adapter.shared:
      # The vectors of a text are each task's own.
      return [[spec] for spec in asked]
    return passes(asked)

  def shapes(self, tasks: Sequence[str], texts: int) -> list[Room]:
    """Returns the shapes that passes of so many texts or fewer may have.

    Args:
      tasks: names of heads that are asked together.
      texts: of a pass.
    """
    windowed = {
      name: KINDS[self.heads[name].kind].reads == "question context"
      for name in tasks
    }
    return [
      room
      for which in (True, False)
      for asked in self.passes(
        [name for name in tasks if windowed[name] == which]
      )
      if asked
      for room in rows_lib.rooms(
        min(texts, BATCH),
        len(asked),
        at_most=self.trained.description.max_length,
      )
    ]

  def compile(self, shape: Room) -> None:
    """Compiles the pass of a shape, so that the first to come does not wait."""
    jax.block_until_ready(self._forward(self._params, shape.empty(FORWARD)))

  def _number(self, spec: HeadSpec) -> int:
    return self.net.heads.index(spec)


def passes(specs: Sequence[HeadSpec]) -> list[list[HeadSpec]]:
  """Returns which heads can be asked in one pass: one alone owns the tokens.

  Those that read two texts apart share no pass with others.
  """
  alone = [spec for spec in specs if HEADS[spec.head].apart]
  specs = [spec for spec in specs if spec not in alone]
  tokens = [spec for spec in specs if spec.space == WORDS]
  others = [spec for spec in specs if spec.space != WORDS]
  found = [[*tokens[:1], *others], *([spec] for spec in tokens[1:]), alone]
  return [each for each in found if each]


def outputs_of(
  spec: HeadSpec, out: Mapping[str, np.ndarray], rows: Features, places: Places
) -> np.ndarray:
  """Returns what a head says of rows, f32[N, C], or f32[M, C] of their words.

  Args:
    spec: of the head.
    out: of the net on a batch of them.
    rows: N of them.
    places: where each lies, with the slot in which the head was asked.
  """
  words = rows.words if spec.space == WORDS else None
  which, there = places.outputs(np.arange(len(rows), dtype=np.int32), words)
  size = len(words.at) if words else len(rows)
  found = np.zeros((size, spec.outputs), np.float32)
  found[which] = out[spec.space][*there, : spec.outputs]
  return found


def worded_rows(texts: Sequence[Any]) -> list[Read]:
  """Returns texts with their words.

  Args:
    texts: N texts, which are split, or lists of words.

  Raises:
    ValueError: an entry is neither.
  """
  read = []
  for text in texts:
    apart = not isinstance(text, str)
    words = text if isinstance(text, Iterable) else [text]
    if apart and not all(isinstance(word, str) for word in words):
      raise ValueError(f"{text!r} is neither a text nor a list of words")
    whole, spans = joined(text) if apart else (text, split(text))
    read.append(Read(whole, spans))
  return read


def worded(asked: Sequence[Head]) -> set[str]:
  """Returns the text columns of heads that answer words."""
  return {
    name
    for head in asked
    if KINDS[head.kind].reads == "words"
    for name in head.text
  }


def choosing(asked: Sequence[Head]) -> set[str]:
  """Returns the text columns of heads that hold lists of candidates."""
  return {head.text[-1] for head in asked if KINDS[head.kind].unit == WHOLE}


def load(path: str | Path, *, trial: int | None = None) -> Model:
  """Returns a model that answers on text.

  Args:
    path: a finished run, W/runs/NAME, or a directory made by bam_jax.export.
    trial: the seed of a run's trial; None = the best on dev.

  Raises:
    ValueError: see `trained.load`.
  """
  return Model(trained_lib.load(Path(path), trial=trial, tasks=()))


def prepare(path: Path, task: str, trial: int | None) -> tuple[Model, list]:
  """Returns the model and the tasks that are asked of it.

  Args:
    path: see `load`.
    task: one, or "all".
    trial: see `load`.
  """
  tasks = () if task == ALL else (task,)
  model = Model(trained_lib.load(path, trial=trial, tasks=tasks))
  return model, list(tasks or model.heads)
