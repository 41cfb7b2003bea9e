"""Vectors of raw text: what any layer of an encoder makes of it.

The encoder is a trained run's or a pretrained one; no head is asked. Only the
layers that are wanted are computed and leave the device.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.data.features import Features, featurise
from bam_jax.data.ragged import offsets_of, spans
from bam_jax.data.tokenizer import Tokenizer, load_tokenizer
from bam_jax.hf import directory as hf
from bam_jax.hf import transfer
from bam_jax.inference import merging
from bam_jax.inference import model as answering
from bam_jax.inference import rows as rows_lib
from bam_jax.inference import trained as trained_lib
from bam_jax.models import encoders
from bam_jax.models.encoders import EncoderConfig
from bam_jax.tasks.answers import Read
from bam_jax.tasks.kinds import ENCODER, KINDS

if TYPE_CHECKING:
  import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class Rows:
  """Some texts as the encoder reads them.

  Attributes:
    features: N texts as tokens; `words` says where words begin, if they count.
    special: tokens that stand after a text.
    read: the N texts and their words, if words count.
    names: of the tokens, V of them.
  """

  features: Features
  special: int
  read: Sequence[Read] | None
  names: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Pool:
  """What is kept of the vectors of a text's tokens.

  Attributes:
    vectors: (hidden f32[B, S, D], tokens there bool[B, S]) -> what leaves the
      device, f32[B, D] or f32[B, S, D].
    kept: (rows, [B, S, D] of them) -> f32[M, D], how many each text has
      i64[N], and which of them are there bool[M]; None = one vector a text.
    beside: (rows) -> name -> column of what stands beside the vectors.
    words: whether texts are split into words.
  """

  vectors: Callable[[jax.Array, jax.Array], jax.Array]
  kept: Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]] | None = None
  beside: Callable[[Rows], Mapping[str, Any]] = lambda rows: {}
  words: bool = False


def mean(hidden: jax.Array, there: jax.Array) -> jax.Array:
  """Returns the mean over all tokens of each text, f32[B, D].

  [CLS] and [SEP] count, as in sentence-transformers.
  """
  total = jnp.where(there[..., None], hidden, 0.0).sum(1)
  return total / jnp.maximum(there.sum(1), 1)[:, None]


def every_token(
  rows: Rows, hidden: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns the vectors of all tokens, special ones too."""
  lengths = rows.features.lengths
  row = np.repeat(np.arange(len(lengths)), lengths)
  vectors = hidden[row, spans(np.zeros_like(lengths), lengths)]
  return vectors, lengths.astype(np.int64), np.ones(len(vectors), bool)


def mean_of_words(
  rows: Rows, hidden: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns the mean over the tokens of each word; of none where it is cut."""
  words = rows.features.words
  row = np.repeat(np.arange(len(rows.features)), words.counts)
  begin = words.at
  # A word goes on until the next one of its text begins.
  end = np.append(begin[1:], -1)
  last = np.append(row[1:] != row[:-1], True) | (end < 0)
  end = np.where(last, rows.features.lengths[row] - rows.special, end)
  there = begin >= 0
  sizes = np.where(there, np.maximum(end - begin, 1), 0)
  owner = np.repeat(np.arange(len(begin)), sizes)
  taken = hidden[row[owner], spans(np.maximum(begin, 0), sizes)]
  total = np.zeros((len(begin), hidden.shape[-1]), np.float32)
  np.add.at(total, owner, taken)
  return total / np.maximum(sizes, 1)[:, None], words.counts, there


def _tokens(rows: Rows) -> dict[str, Any]:
  import pyarrow as pa

  names = pa.array([rows.names[i] for i in rows.features.tokens], pa.string())
  return {"tokens": _lists(names, rows.features.lengths)}


def _words(rows: Rows) -> dict[str, Any]:
  import pyarrow as pa

  counts = [len(each.words) for each in rows.read]
  places = np.concatenate(
    [np.zeros((0, 2), int), *(r.words for r in rows.read)]
  )
  said = [each.text[a:b] for each in rows.read for a, b in each.words]
  return {
    "words": _lists(pa.array(said, pa.string()), counts),
    "start": _lists(pa.array(np.int32(places[:, 0])), counts),
    "end": _lists(pa.array(np.int32(places[:, 1])), counts),
  }


def _all(hidden: jax.Array, there: jax.Array) -> jax.Array:
  del there
  return hidden


POOLS: Mapping[str, Pool] = {
  "cls": Pool(vectors=lambda hidden, there: hidden[:, 0]),
  "mean": Pool(vectors=mean),
  "tokens": Pool(vectors=_all, kept=every_token, beside=_tokens),
  "words": Pool(vectors=_all, kept=mean_of_words, beside=_words, words=True),
}


def _lists(values: "pa.Array", counts: Sequence[int]) -> "pa.Array":
  """Returns lists of so many values each."""
  import pyarrow as pa

  return pa.ListArray.from_arrays(
    pa.array(offsets_of(np.asarray(counts)), pa.int32()), values
  )


class Extractor:
  """An encoder that gives the vectors of its layers.

  Attributes:
    layouts: the text columns that it may read.
    layers: the numbers of those that are given, 0 = the embeddings.
    pool: one of `POOLS`.
    max_length: tokens of a text that are read, special ones counted.
    cut: how many texts were longer, so far.
  """

  def __init__(
    self,
    encoder: "Encoder",
    *,
    layers: Sequence[int],
    pool: str,
    max_length: int | None,
  ):
    """Takes the parameters to the device.

    Args:
      encoder: see `load`.
      layers: 0 is what the first layer reads, L what the last one gives, and -1
        is that too.
      pool: one of `POOLS`.
      max_length: tokens of a text, special ones counted; None = as many as the
        run was trained on, or as the encoder reads.

    Raises:
      ValueError: there is no such layer, it is asked for twice, or the encoder
        does not read texts of that length.
    """
    config = encoder.config
    self.layers = numbered(layers, config.layers)
    self.layouts, self.pool, self.cut = encoder.layouts, POOLS[pool], 0
    self._config, self._tokenizer = config, encoder.tokenizer
    self.max_length = encoder.max_length if max_length is None else max_length
    if not 0 < self.max_length <= config.positions:
      raise ValueError(
        f"max_length is {self.max_length}, but the encoder reads texts of 1 to "
        f"{config.positions} tokens"
      )
    names = encoder.tokenizer.backend.get_vocab(with_added_tokens=True)
    self._names = [""] * encoder.tokenizer.vocab_size
    for name, number in names.items():
      self._names[number] = name
    self._params = jax.device_put(encoder.params[config.kind])
    self._net = encoders.of(config).module(config, jnp.float32, False, None)
    self._forward = jax.jit(self._vectors)

  def _vectors(self, params, batch: Mapping) -> list[jax.Array]:
    named = [f"layer_{i}" for i in range(self._config.layers)]
    last, kept = self._net.apply(
      {"params": params},
      batch["tokens"],
      batch["types"],
      batch["positions"],
      batch["segments"],
      train=False,
      capture_intermediates=lambda module, method: (
        method == "embed" or module.name in named
      ),
      mutable=["intermediates"],
    )
    made = kept["intermediates"]
    found = [made["embed"][0], *(made[name]["__call__"][0] for name in named)]
    # A norm may follow the last layer.
    found[-1] = last
    return [
      self.pool.vectors(found[layer].astype(jnp.float32), batch["segments"] > 0)
      for layer in self.layers
    ]

  def __call__(self, texts: Sequence[Sequence[Any]]) -> "pa.Table":
    """Returns a row a text, a column `layer_i` for each layer.

    Args:
      texts: one or two columns of N texts, N at most `model.BATCH`; lists of
        words in place of texts, where words count.

    Raises:
      ValueError: pairs were given where words count.
    """
    import pyarrow as pa

    rows = self._rows(texts)
    batch = rows_lib.alone(
      rows.features, np.zeros(1, np.int32), at_most=self.max_length
    )
    self.cut += rows.features.cut
    made = jax.device_get(self._forward(self._params, batch))
    columns = dict(self.pool.beside(rows))
    for layer, hidden in zip(self.layers, made, strict=True):
      if self.pool.kept is None:
        column = _vectors(hidden[: len(rows.features)])
      else:
        vectors, counts, there = self.pool.kept(rows, hidden)
        column = _lists(_vectors(vectors, there), counts)
      columns[f"layer_{layer}"] = column
    return pa.table(columns)

  def _rows(self, texts: Sequence[Sequence[Any]]) -> Rows:
    read = None
    if self.pool.words:
      if len(texts) > 1:
        raise ValueError(
          f"got pairs of texts, and words are of one text; give one column, or "
          f"--pool={', '.join(n for n, p in POOLS.items() if not p.words)}"
        )
      read = answering.worded_rows(texts[0])
      texts = [[each.text for each in read]]
    features = featurise(
      self._tokenizer,
      [list(column) for column in texts],
      None,
      max_length=self.max_length,
      words=None if read is None else [each.words for each in read],
    )
    special = len(self._tokenizer.single[-1])
    return Rows(features, special, read, self._names)


def _vectors(values: np.ndarray, there: np.ndarray | None = None) -> "pa.Array":
  """Returns f32[M, D] as lists of D numbers; null where nothing is there."""
  import pyarrow as pa

  flat = pa.array(np.ascontiguousarray(values, np.float32).ravel())
  gaps = None if there is None or there.all() else pa.array(~there)
  return pa.FixedSizeListArray.from_arrays(flat, values.shape[1], mask=gaps)


def numbered(layers: Sequence[int], last: int) -> list[int]:
  """Returns the numbers of layers, those from the end counted from the start.

  Args:
    layers: -1 is the last one.
    last: the number of the last one, L.

  Raises:
    ValueError: there is no such layer, or it is asked for twice.
  """
  found = []
  for layer in layers:
    number = layer if layer >= 0 else last + 1 + layer
    if not 0 <= number <= last:
      raise ValueError(
        f"there is no layer {layer}; the encoder has 0 (its embeddings) to "
        f"{last}, or from the end -1 to {-last - 1}"
      )
    if number in found:
      raise ValueError(f"layer {number} is asked for twice; name it once")
    found.append(number)
  return found


@dataclasses.dataclass(frozen=True)
class Encoder:
  """An encoder, whoever trained it.

  Attributes:
    config: its shape.
    params: f32 numpy, by the name of its kind.
    tokenizer: of its directory.
    max_length: tokens of a text that it was trained on, or can read.
    layouts: names of the text columns that it may be given.
  """

  config: EncoderConfig
  params: Mapping[str, Any]
  tokenizer: Tokenizer
  max_length: int
  layouts: Sequence[tuple[str, ...]]


def load(name: str, *, trial: int | None) -> Encoder:
  """Reads the encoder of a run, an exported model or a pretrained one.

  Args:
    name: W/runs/NAME, a directory of bam_jax.export, any encoder's directory,
      or its name on the hub.
    trial: the seed of a run's trial; None = the best on dev.

  Raises:
    ValueError: it is none of them, damaged, or has no such trial.
  """
  path = Path(name)
  trained = (path / "checkpoints").is_dir() or transfer.is_exported(path)
  if trained or trial is not None:
    found = merging.plain(
      trained_lib.load(path, trial=trial, tasks=()), answering.ALL
    )
    said = found.description
    config, params, folder = found.config, found.params, found.tokenizer
    # An encoder that was trained alone reads texts of no task.
    layouts = [h.text for h in said.heads if KINDS[h.kind].model != ENCODER]
    length = said.max_length
  else:
    config, params, folder = hf.load_encoder(name)
    length, layouts = config.positions, []
  tokenizer = load_tokenizer(folder, vocab_size=config.vocab_size)
  layouts = layouts or [("text",), ("text", "text_pair")]
  return Encoder(config, params, tokenizer, length, layouts)
