"""What a config and a working directory amount to: runs and what they share.

Everything here is made when first asked for, so that a finished experiment is
reported without reading its data or its encoder again.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from bam_jax.data import corpus, sampling, vocabulary
from bam_jax.data.features import Tokenizer, load_tokenizer, width_of
from bam_jax.hf import directory as hf
from bam_jax.models.bert import BertConfig
from bam_jax.models.multitask import MultiTask
from bam_jax.runtime import distributed, sealed
from bam_jax.runtime.console import Bars
from bam_jax.study import variants
from bam_jax.study.plan import Run, names, plan
from bam_jax.study.workdir import Workdir
from bam_jax.tasks import own as own_tasks
from bam_jax.tasks.description import Description, Head
from bam_jax.tasks.table import TASKS, Task, get_tasks
from bam_jax.training import sharding


@dataclasses.dataclass
class Experiment:
  """The runs of one working directory, and what they all need.

  Attributes:
    config: the whole config; what its tasks_file says is put into it.
    workdir: where everything is.
  """

  config: ConfigDict
  workdir: Workdir

  def __post_init__(self):
    """Reads the tasks file, unless a working directory knows what it said."""
    file = self.config.tasks_file
    if file and not self.config.own_tasks:
      found = own_tasks.read(Path(file))
      self.config = self.config.copy_and_resolve_references()
      with self.config.unlocked():
        self.config.own_tasks = ConfigDict(found)

  @functools.cached_property
  def table(self) -> Mapping[str, Task]:
    """Every task that may be named: the package's and the user's own."""
    own = self.config.own_tasks.to_dict()
    return {**TASKS, **own_tasks.table(own, Path(self.config.tasks_file))}

  def tasks_of(self, run: Run) -> tuple[Task, ...]:
    """Returns the tasks of a run, in the order of its heads."""
    return get_tasks(run.tasks, self.table)

  @functools.cached_property
  def tasks(self) -> tuple[Task, ...]:
    """The tasks in the order of the config."""
    found = get_tasks(names(self.config.tasks), self.table)
    own = [name for name, task in self.table.items() if task.own]
    if own and not any(task.own for task in found):
      raise ValueError(
        f"tasks_file {self.config.tasks_file} has {', '.join(own)}, but tasks "
        f"are {self.config.tasks}; name one: --config.tasks={own[0]}"
      )
    return found

  @functools.cached_property
  def trained_tasks(self) -> tuple[Task, ...]:
    """The tasks that have a training split (the diagnostic set has none)."""
    found = tuple(task for task in self.tasks if task.train)
    if not found:
      raise ValueError(
        f"tasks {self.config.tasks!r} hold nothing to train on; add one: "
        "--config=configs/glue_bam.py:rte,mrpc"
      )
    return found

  @functools.cached_property
  def methods(self) -> dict[str, tuple[Run, ...]]:
    """Each method's runs, in the order of training."""
    return plan(
      names(self.config.methods),
      tuple(t.name for t in self.trained_tasks),
      outside={*self.soft_files, *self.judged},
      subsets={v: variants.tasks(self.config, v) for v in self.config.variants},
    )

  @property
  def runs(self) -> tuple[Run, ...]:
    """All runs, each once, every one after what it needs."""
    found = {run.name: run for runs in self.methods.values() for run in runs}
    return tuple(found.values())

  def settings(self, run: Run) -> ConfigDict:
    """Returns the whole config of a run, with what its variant changes."""
    return variants.settings(self.config, run.variant)

  @property
  def seeds(self) -> tuple[int, ...]:
    """One per trial."""
    return tuple(range(self.config.seed, self.config.seed + self.config.trials))

  def teacher_seeds(self, seed: int) -> tuple[int, ...]:
    """Returns which of the teacher's trials teach the trial with this seed."""
    which = self.config.teacher.trials
    choices = {
      "first": self.seeds[:1],
      "matched": (seed,),
      "ensemble": self.seeds,
    }
    if which not in choices:
      raise ValueError(
        f"teacher.trials is {which!r}; it is one of {', '.join(choices)}"
      )
    return choices[which]

  @functools.cached_property
  def soft_files(self) -> dict[str, Path]:
    """Soft labels made elsewhere: task -> file, or directory of a run."""
    found = {}
    for entry in names(self.config.teacher.files):
      task, _, path = entry.partition("=")
      if not path or task not in [each.name for each in self.trained_tasks]:
        raise ValueError(
          f"teacher.files has {entry!r}; it is TASK=FILE with a task of "
          f"{self.config.tasks}"
        )
      found[task] = Path(path)
      if (
        not found[task].is_file() and not logits_of(found[task], task).is_dir()
      ):
        raise ValueError(
          f"teacher.files names {path}, which is not there; give a .jsonl or "
          f".parquet file, or a run W/runs/NAME that has taught {task} (by "
          "--workdir=W --config.methods=single-\\>single --config.stage=teach)"
        )
    return found

  @property
  def judged(self) -> tuple[str, ...]:
    """The own tasks whose rows come with soft labels."""
    return tuple(
      task.name
      for task in self.trained_tasks
      if task.own and (task.own.soft_columns or task.own.soft_labels)
    )

  def soft_paths(self, task: str, seeds: Sequence[int]) -> list[Path]:
    """Returns the soft labels made elsewhere for trials with these seeds."""
    path = self.soft_files[task]
    if path.is_file():
      return [path]
    return [logits_of(path, task) / f"seed-{seed}" for seed in seeds]

  def shared(self, task: Task) -> dict[str, Any]:
    """Returns what teacher and student share in any two directories."""
    return {
      "labels": list(task.labels),
      "text": self.texts.fingerprint(task, task.train),
      "holdout": self.config.data.holdout,
    }

  @functools.cached_property
  def mesh(self) -> jax.sharding.Mesh:
    """The mesh of all devices."""
    return sharding.make_mesh(**self.config.mesh.to_dict())

  @property
  def encoder(self) -> tuple[BertConfig, dict[str, Any], Tokenizer]:
    """The encoder's configuration, its parameters ({} = none) and tokenizer."""
    return self.encoder_files[:3]

  @functools.cached_property
  def encoder_files(self) -> tuple[BertConfig, dict[str, Any], Tokenizer, Path]:
    """What `encoder` is, and the directory of its tokenizer."""
    c = self.config
    if c.encoder == "scratch":
      directory = self.workdir.data / "tokenizer"
      with distributed.leader_first("tokenizer"):
        if not directory.exists():
          with sealed.beside(directory) as made:
            vocabulary.train_tokenizer(
              made,
              seed=c.data.synthetic_seed,
              vocab_size=c.scratch.vocab_size,
            )
        # One letter changed in it would quietly change every number.
        sealed.verify(directory)
      tokenizer = load_tokenizer(directory, vocab_size=None)
      bert = self.scratch(tokenizer.vocab_size, tokenizer.pad)
      return bert, {}, tokenizer, directory
    bert, params, directory = hf.load_encoder(
      c.encoder, layers=c.encoder_layers or None, every=c.encoder_every
    )
    if c.max_length > bert.positions:
      raise ValueError(
        f"max_length is {c.max_length}, but {c.encoder} has "
        f"{bert.positions} positions; try --config.max_length={bert.positions}"
      )
    tokenizer = load_tokenizer(directory, vocab_size=bert.vocab_size)
    return bert, params, tokenizer, directory

  def scratch(self, vocab_size: int, pad_id: int) -> BertConfig:
    """Returns the shape of the encoder that starts from random weights."""
    c = self.config
    return BertConfig(
      vocab_size=vocab_size,
      width=c.scratch.width,
      layers=c.scratch.layers,
      heads=c.scratch.heads,
      mlp=c.scratch.mlp,
      positions=c.max_length,
      types=2,
      layer_norm_eps=1e-12,
      hidden_dropout=c.scratch.dropout,
      attention_dropout=c.scratch.dropout,
      init_std=c.scratch.init_std,
      pad_id=pad_id,
    )

  @functools.cached_property
  def texts(self) -> corpus.Texts:
    """The text of every task."""
    data = self.config.data
    return corpus.Texts(
      glue_dir=data.glue_dir, synthetic_seed=data.synthetic_seed
    )

  @functools.cached_property
  def corpus(self) -> corpus.Corpus:
    """The tokenised rows of every task."""
    data = self.config.data
    return corpus.Corpus(
      self.workdir.data,
      self.encoder[2],
      self.texts,
      max_length=self.config.max_length,
      double_unordered=data.double_unordered,
      holdout=data.holdout,
      progress=Bars(),
    )

  def model(self, run: Run) -> MultiTask:
    """Returns the model of a run: its tasks are its heads."""
    c, shape = self.settings(run), self.encoder[0]
    own = c.attention_dropout == -1
    shape = dataclasses.replace(
      shape,
      attention=c.attention,
      attention_dropout=(shape if own else c).attention_dropout,
    )
    return MultiTask(
      shape,
      tuple((task.name, task.classes) for task in self.tasks_of(run)),
      head_dropout=c.head_dropout,
      regression_output=c.loss.regression_output,
      dtype=jnp.dtype(c.dtype),
      remat=c.remat,
      place=sharding.by_rows(self.mesh),
    )

  def description(self, tasks: Sequence[str]) -> Description:
    """Returns what the heads of a run with these tasks mean."""
    return Description(
      heads=tuple(Head.of(task) for task in get_tasks(tasks, self.table)),
      regression_output=self.config.loss.regression_output,
      max_length=self.config.max_length,
      dtype=self.config.dtype,
    )

  def describe(self, run: Run) -> None:
    """Keeps what a run's parameters need to answer, without its encoder."""
    folder = self.workdir.model(run.name)
    if not distributed.leader() or folder.exists():
      return
    config, _, _, tokenizer = self.encoder_files
    files = hf.tokenizer_files(tokenizer)
    with sealed.beside(folder) as made:
      hf.write(made, hf.write_config(config), {}, files)
      self.description(run.tasks).save(made)

  def width(self, run: Run) -> int:
    """Returns the width of the rows that a run trains on."""
    return width_of(
      map(self.corpus.train, self.tasks_of(run)),
      at_most=self.config.max_length,
    )

  def mixture(
    self, run: Run, sizes: dict[str, int]
  ) -> tuple[dict[str, int], dict[str, float]]:
    """Returns each task's copies in the pool and the weight of its loss."""
    mix = self.settings(run).sampling
    scale = sampling.loss_scale(
      list(sizes.values()),
      kind=mix.loss_scale,
      exponent=mix.loss_scale_exponent,
    )
    weights = dict(zip(sizes, map(float, scale), strict=True))
    copies = dict.fromkeys(sizes, 1)
    # The reference code has neither copies nor weights for a task alone.
    if mix.kind == "copies" and len(run.tasks) > 1:
      known = sampling.REFERENCE_SIZES if mix.reference_sizes else sizes
      copies, shares = sampling.copies_and_weights(
        known,
        exponent=mix.exponent,
        anchor="mnli" if mix.reference_sizes else "",
        over=tuple(known),
      )
      missing = [name for name in run.tasks if name not in copies]
      if missing:
        raise ValueError(
          f"sampling.reference_sizes knows {', '.join(known)}, not "
          f"{', '.join(missing)}; set --config.sampling.reference_sizes=False"
        )
      weights = {name: weights[name] * shares[name] for name in run.tasks}
    return copies, weights


def logits_of(run: Path, task: str) -> Path:
  """Returns where the logits of a task are that a run, W/runs/NAME, made."""
  run = run.absolute()
  return Workdir(run.parent.parent).teacher(run.name, task, 0).parent
