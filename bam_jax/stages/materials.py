"""What the runs of an experiment are made from: devices, encoder, text, rows.

Everything is made when first asked for, so that a finished study is reported
without its data.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import hashlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np

from bam_jax.data import corpus, limits, masking, vocabulary
from bam_jax.data.contrasts import Contrasts
from bam_jax.data.corpus import Corpus
from bam_jax.data.features import Features, width_of
from bam_jax.data.masking import Masker
from bam_jax.data.sources import readers, unlabelled
from bam_jax.data.sources.examples import Examples
from bam_jax.data.store import Store
from bam_jax.data.tokenizer import Tokenizer, load_tokenizer
from bam_jax.data.windows import Lengths
from bam_jax.hf import directory as hf
from bam_jax.hf import masked
from bam_jax.models import encoders
from bam_jax.models.encoders import EncoderConfig
from bam_jax.models.multitask import MultiTask
from bam_jax.runtime import distributed, sealed
from bam_jax.runtime.console import Bars
from bam_jax.runtime.files import flatten
from bam_jax.stages import initial, online, top_layers
from bam_jax.study import chains, contrast, fewer, sides
from bam_jax.study.experiment import Experiment
from bam_jax.study.lineage import Facts
from bam_jax.study.plan import Run
from bam_jax.tasks.kinds import KINDS, SAID
from bam_jax.tasks.learn import USUAL
from bam_jax.tasks.table import Task
from bam_jax.training import adapting, contrastive, heads, sharding
from bam_jax.training.matching import Matching


@dataclasses.dataclass(frozen=True, eq=False)
class Encoder:
  """The encoder that runs start from.

  Attributes:
    shape: its configuration.
    params: its parameters; {} = none, they are drawn.
    tokenizer: reads text for it; None where nothing is read.
    folder: of the tokenizer's files.
    masked: parameters of its head for masked tokens; {} = it has none.
  """

  shape: EncoderConfig
  params: Mapping[str, Any]
  tokenizer: Tokenizer | None
  folder: Path | None
  masked: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(eq=False)
class Materials:
  """What the runs of an experiment are made from.

  Attributes:
    experiment: the experiment.
    data: the folder of its data, W/data.
    devices: those that are not here, to compile for; None = all that are.
    load: (config, data) -> the encoder.
    read: (task, split) -> its text; None = from where the config says.
  """

  experiment: Experiment
  data: Path
  devices: Sequence[jax.Device] | None = None
  load: Callable[[ConfigDict, Path], Encoder] | None = None
  read: Callable[[Task, str], Examples] | None = None

  @functools.cached_property
  def mesh(self) -> jax.sharding.Mesh:
    """The mesh of all devices."""
    axes = self.experiment.config.mesh.to_dict()
    return sharding.make_mesh(**axes, devices=self.devices)

  @functools.cached_property
  def encoder(self) -> Encoder:
    """The encoder with its tokenizer."""
    load = self.load or functools.partial(load_encoder, written=self.written)
    return load(self.experiment.config, self.data)

  def written(self) -> list[str]:
    """Returns what the vocabulary of an encoder from scratch is made of."""
    reading = reading_documents(self.experiment.trained_tasks)
    if not reading:
      return vocabulary.suite(self.experiment.config.data.synthetic_seed)
    return [
      text
      for task in reading
      for texts in self.texts.see(task, task.train).texts
      for text in texts
    ]

  def pretrained(self, run: Run) -> dict[str, Any]:
    """Returns the parameters of the encoder, with its head for masked tokens.

    Where a task of the run has one.
    """
    params, mine = self.encoder.params, self.encoder.masked
    params = top_layers.kept(
      params,
      layers=self.encoder.shape.layers,
      last=self.experiment.settings(run).config.reinit_layers,
    )
    if not params or not mine:
      return params
    names = [
      spec.parameters for spec in self.model(run).heads if spec.reads == "drawn"
    ]
    return params | ({"heads": dict.fromkeys(names, mine)} if names else {})

  @functools.cached_property
  def texts(self) -> corpus.Texts:
    """The text of every task."""
    data = self.experiment.config.data
    read = self.read or functools.partial(
      readers.load,
      glue_dir=data.glue_dir,
      seed=data.synthetic_seed,
      cs224n_dir=data.cs224n_dir,
    )
    most, table = self.experiment.limits, self.experiment.table

    def some(task: Task, split: str) -> Examples:
      # A stage that sees it otherwise reads the same rows.
      task, trains = table.get(task.name, task), split == task.train
      found = limits.limited(read(task, split), trains=trains, **most)
      if not (trains and unlabelled.has(task)):
        return found
      # The limit is one of train's files.
      return unlabelled.joined(
        task, found, [here.see(task, s) for s in task.dev]
      )

    here = corpus.Texts(some, fold=data.fold)
    return here

  @property
  def lengths(self) -> Lengths:
    """How much of a text is read at once."""
    config = self.experiment.config
    return Lengths(config.max_length, config.span.stride)

  @functools.cached_property
  def corpus(self) -> corpus.Corpus:
    """The tokenised rows of every task."""
    config = self.experiment.config
    return corpus.Corpus(
      Store(self.data, config.data.beam, Bars()),
      self.encoder.tokenizer,
      self.texts,
      lengths=self.lengths,
      double_unordered=config.data.double_unordered,
      holdout=self.experiment.held,
    )

  def corpus_of(self, run: Run) -> Corpus | Contrasts:
    """Returns the rows that are for a run."""
    if chains.KINDS[run.kind].ahead:
      return self._contrasts(run)
    return self.corpus.on(sides.of(self.experiment, run))

  @functools.cached_property
  def _contrasts(self) -> Callable[[Run], Contrasts]:
    return functools.cache(self._contrast)

  def _contrast(self, run: Run) -> Contrasts:
    """Returns the pairs of a stage that trains an encoder alone."""
    config = self.experiment.settings(run).config
    task = dataclasses.replace(self.experiment.table[run.tasks[0]], learn=USUAL)
    said = config.contrast
    most = len(task.text) * said.max_length
    rows = Corpus(
      Store(self.data, config.data.beam, Bars()),
      self.encoder.tokenizer,
      self.texts,
      lengths=dataclasses.replace(self.lengths, most=most),
      double_unordered=False,
      holdout=self.experiment.held,
    )
    return Contrasts(
      rows.on(sides.of(self.experiment, run)),
      self.encoder.tokenizer,
      task,
      most,
      # Unsupervised it reads no label but dev's.
      contrast.alike(task, said) if contrast.validates(task) else None,
      contrastive.LOSSES[said.loss].rows,
    )

  @functools.cached_property
  def initial(self) -> Any:
    """The parameters that init_from means; {} = none."""
    found = initial.read(self.experiment)
    if not found:
      return found
    return initial.thinned(
      found, self.experiment.config, self.encoder.shape.layers
    )

  @functools.cached_property
  def online(self) -> tuple[EncoderConfig, Mapping[str, Any], Tokenizer]:
    """The teacher that reads along, where teacher.online names one."""
    return online.read(self.experiment.config.teacher.online)

  def matching(self, run: Run) -> Matching | None:
    """Returns what a run matches inside its teacher; None = nothing.

    Raises:
      ValueError: its layers, its heads or its tokenizer do not fit.
    """
    asked = self.experiment.settings(run).config.teacher
    if not (run.teachers and asked.online):
      return None
    if not (asked.hidden_weight or asked.relations_weight):
      return None
    shape, params, words = self.online
    online.check_fit(self.experiment, shape, words, self.encoder.tokenizer)
    return Matching.of(asked, self.encoder.shape, shape, params)

  def model(self, run: Run) -> MultiTask:
    """Returns the model of a run: its tasks are its heads."""
    c, shape = self.experiment.settings(run).config, self.encoder.shape
    tasks = self.experiment.tasks_of(run)
    return MultiTask(
      encoders.of(shape).configured(shape, c),
      heads.specs(
        tasks,
        regression_output=c.loss.regression_output,
        vocabulary=shape.vocab_size,
      ),
      head_dropout=c.head_dropout,
      dtype=jnp.dtype(c.dtype),
      remat=c.remat,
      place=sharding.by_rows(self.mesh),
      adapter=adapting.adapter_of(c.adapter),
    )

  def masker(self, run: Run) -> Masker | None:
    """Returns how tokens are masked; None = no task of the run masks any."""
    said = self.experiment.settings(run).config.masking
    if not masking_words(self.experiment.tasks_of(run)):
      return None
    return masking.masker_of(
      self.encoder.tokenizer, share=said.share, whole=said.whole_words
    )

  def width(self, run: Run) -> int:
    """Returns the width of the rows that a run trains on."""
    return width_of(
      (self.rows(run, task) for task in self.experiment.tasks_of(run)),
      at_most=self.experiment.settings(run).config.max_length,
    )

  def rows(self, run: Run, task: Task) -> Features:
    """Returns the rows of one of its tasks that a run trains on."""
    most = fewer.of(self.experiment, run).get(task.name)
    return self.corpus_of(run).train(task, most)

  def facts(self) -> Facts:
    """Returns what of the files a trial's lineage depends on."""
    return Facts(
      shape=lambda: dataclasses.asdict(self.encoder.shape),
      weights=functools.cache(lambda: digest(self.encoder.params)),
      tokenizer=lambda: self.encoder.tokenizer.digest,
      text=lambda task, split: self.texts.fingerprint(task, split),
      initial=functools.cache(lambda: digest(self.initial)),
      online=functools.cache(
        lambda: digest(self.online[1]) + str(self.online[0])
      ),
      masked=functools.cache(lambda: digest(self.encoder.masked)),
    )


def reading_documents(tasks: Sequence[Task]) -> list[Task]:
  """Returns those of some tasks of whose text tokens are said."""
  return [task for task in tasks if KINDS[task.kind].reads in SAID]


def masking_words(tasks: Sequence[Task]) -> list[Task]:
  """Returns those of some tasks that have masked words of documents said."""
  return [
    each for each in reading_documents(tasks) if not KINDS[each.kind].sides
  ]


def load_encoder(
  config: ConfigDict, data: Path, *, written: Callable[[], Sequence[str]]
) -> Encoder:
  """Reads the encoder that a config names, or makes the one from scratch.

  Args:
    config: the whole config.
    data: W/data, where the tokenizer of an encoder from scratch is kept.
    written: gives the text that its vocabulary is made of.

  Raises:
    ValueError: the directory holds no such encoder, or max_length is longer
      than it reads.
  """
  if config.encoder == "scratch":
    folder = words(config, data, written)
    tokenizer = load_tokenizer(folder, vocab_size=None)
    shape = scratch(config, tokenizer.vocab_size, tokenizer.pad)
    shape = encoders.of(shape).spelled(shape, tokenizer.pieces)
    return Encoder(shape, {}, tokenizer, folder)
  shape, params, folder = hf.load_encoder(
    config.encoder,
    layers=config.encoder_layers or None,
    every=config.encoder_every,
  )
  check_length(config, shape)
  tokenizer = load_tokenizer(folder, vocab_size=shape.vocab_size)
  head = masked.read(folder, hf.read_config(folder / hf.CONFIG))
  return Encoder(shape, params, tokenizer, folder, head)


def trains_words(config: ConfigDict) -> bool:
  """Tells whether the tokenizer is made by the first command in a workdir."""
  return config.encoder == "scratch" and not config.scratch.tokenizer


def words(
  config: ConfigDict, data: Path, written: Callable[[], Sequence[str]]
) -> Path:
  """Returns the folder of the tokenizer of an encoder from scratch.

  Args:
    config: the whole config.
    data: W/data, where one of its own is kept, and made if need be.
    written: gives the text that it is made of.
  """
  if not trains_words(config):
    return hf.locate(
      config.scratch.tokenizer, key="scratch.tokenizer", files_of=hf.TOKENIZER
    )
  folder = data / "tokenizer"
  with distributed.leader_first("tokenizer"):
    if not folder.exists():
      with sealed.beside(folder) as made:
        vocabulary.train_tokenizer(
          made,
          written(),
          vocab_size=config.scratch.vocab_size,
          lowercase=config.scratch.lowercase,
        )
    # One letter changed in it would quietly change every number.
    sealed.verify(folder)
  return folder


def check_length(config: ConfigDict, shape: EncoderConfig) -> None:
  """Refuses examples that are longer than an encoder has positions."""
  if config.max_length > shape.positions:
    raise ValueError(
      f"max_length is {config.max_length}, but {config.encoder} has "
      f"{shape.positions} positions; try --config.max_length={shape.positions}"
    )


def scratch(config: ConfigDict, vocab_size: int, pad_id: int) -> EncoderConfig:
  """Returns the shape of the encoder that starts from random weights."""
  kind = encoders.ENCODERS[config.scratch.kind]
  return kind.scratch(config.scratch, vocab_size, pad_id, config.max_length)


def digest(tree: Mapping) -> str:
  """Returns the digest of the names, shapes, types and bytes of a tree."""
  found = hashlib.sha256()
  for name, array in sorted(flatten(tree).items()):
    found.update(f"{name} {array.shape} {array.dtype}".encode())
    found.update(np.ascontiguousarray(array))
  return found.hexdigest()
