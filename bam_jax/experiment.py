"""What a config and a working directory amount to: runs and what they share.

Everything here is made when first asked for, so that a finished experiment is
reported without reading its data or its encoder again.
"""

from collections.abc import Sequence
import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np

from bam_jax import distributed, hf, sharding
from bam_jax.bert import BertConfig
from bam_jax.checkpoint import load_params
from bam_jax.data import corpus, sampling, shards, vocabulary
from bam_jax.data.features import Tokenizer, load_tokenizer
from bam_jax.multitask import MultiTask, init_params
from bam_jax.plan import Run, names, plan
from bam_jax.tasks import Task, get_tasks
from bam_jax.workdir import Workdir, flatten
from bam_jax.writer import Bars


@dataclasses.dataclass
class Experiment:
  """The runs of one working directory, and what they all need.

  Attributes:
    config: the whole config.
    workdir: where everything is.
  """

  config: ConfigDict
  workdir: Workdir

  @functools.cached_property
  def tasks(self) -> tuple[Task, ...]:
    """The tasks in the order of the config."""
    return get_tasks(names(self.config.tasks))

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
      outside=self.soft_files,
    )

  @property
  def runs(self) -> tuple[Run, ...]:
    """All runs, each once, every one after what it needs."""
    found = {run.name: run for runs in self.methods.values() for run in runs}
    return tuple(found.values())

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

  @functools.cached_property
  def encoder(self) -> tuple[BertConfig, dict[str, Any], Tokenizer]:
    """The encoder's configuration, its parameters ({} = none) and tokenizer."""
    c = self.config
    if c.encoder == "scratch":
      directory = self.workdir.data / "tokenizer"
      with distributed.leader_first("tokenizer"):
        if not directory.exists():
          with shards.beside(directory) as made:
            vocabulary.train_tokenizer(
              made,
              seed=c.data.synthetic_seed,
              vocab_size=c.scratch.vocab_size,
            )
        # One letter changed in it would quietly change every number.
        shards.verify(directory)
      tokenizer = load_tokenizer(directory, vocab_size=None)
      bert = self.scratch(tokenizer.vocab_size, tokenizer.pad)
      return bert, {}, tokenizer
    bert, params, directory = hf.load_encoder(
      c.encoder, layers=c.encoder_layers or None, every=c.encoder_every
    )
    if c.max_length > bert.positions:
      raise ValueError(
        f"max_length is {c.max_length}, but {c.encoder} has "
        f"{bert.positions} positions; try --config.max_length={bert.positions}"
      )
    return bert, params, load_tokenizer(directory, vocab_size=bert.vocab_size)

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
    c = self.config
    return MultiTask(
      self.encoder[0],
      tuple((task.name, task.classes) for task in get_tasks(run.tasks)),
      head_dropout=c.head_dropout,
      regression_output=c.loss.regression_output,
      dtype=jnp.dtype(c.dtype),
      remat=c.remat,
    )

  def width(self, run: Run) -> int:
    """Returns the row width of a run: its longest example, and no more."""
    longest = max(
      self.corpus.train(task).lengths.max() for task in get_tasks(run.tasks)
    )
    return min(self.config.max_length, -(-int(longest) // 16) * 16)

  def mixture(
    self, run: Run, sizes: dict[str, int]
  ) -> tuple[dict[str, int], dict[str, float]]:
    """Returns each task's copies in the pool and the weight of its loss."""
    mix = self.config.sampling
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

  def settings(self, run: Run) -> ConfigDict:
    """Returns the config as it holds for a run."""
    del run
    return self.config

  def given(self, run: Run, seeds: Sequence[int]) -> Any:
    """Returns the parameters a run starts from, [R, ...]; {} = none.

    In this order: the run that it continues, the run named by init_from, the
    pretrained directory. (Its own checkpoint comes before all: train.py.)
    """
    c = self.config
    if run.start:
      return self.own(run, self.trial_params(run.start, seeds))
    given = self.encoder[1]
    if c.init_from:
      found, _ = load_params(self.init_from)
      self.check_fit(run, found)
      given = self.own(run, found)
      if c.init_part == "encoder":
        given.pop("heads")
    return jax.tree.map(
      lambda x: np.broadcast_to(x, (len(seeds), *x.shape)), given
    )

  @functools.cached_property
  def init_from(self) -> Path | None:
    """The parameters that init_from means: its first trial's; None = none."""
    c = self.config
    if c.init_part not in ("encoder", "all"):
      raise ValueError(f"init_part is {c.init_part!r}; it is encoder or all")
    if not c.init_from:
      return None
    found = (Path(c.init_from) / "checkpoints").glob("seed-*")
    # seed-2 comes before seed-10; what Orbax left half is no trial.
    seeds = [int(p.name[5:]) for p in found if p.name[5:].isdigit()]
    if not seeds:
      raise ValueError(
        f"init_from is {c.init_from}, which holds no finished run; give a "
        "directory like W/runs/NAME"
      )
    return Path(c.init_from) / "checkpoints" / f"seed-{min(seeds)}"

  def check_fit(self, run: Run, given: Any) -> None:
    """Refuses parameters of another shape than the run's model has."""
    key = jax.random.key(0)
    wanted = jax.eval_shape(lambda: init_params(self.model(run), key))
    shapes = {k: v.shape for k, v in flatten(wanted).items()}
    for name, value in flatten(self.own(run, given)).items():
      if value.shape != shapes.get(name):
        raise ValueError(
          f"init_from {self.config.init_from} has {name} of shape "
          f"{value.shape}, the encoder {self.config.encoder} wants "
          f"{shapes.get(name)}; give the encoder that it was trained with"
        )

  def own(self, run: Run, params: dict) -> dict:
    """Returns the parameters with the heads of a run's own tasks only."""
    heads = {k: v for k, v in params["heads"].items() if k in run.tasks}
    return {**params, "heads": heads}

  def trial_params(self, name: str, seeds: Sequence[int]) -> Any:
    """Returns the parameters of finished trials of a run, [R, ...]."""
    trees = [load_params(self.workdir.params(name, s))[0] for s in seeds]
    return jax.tree.map(lambda *x: np.stack(x), *trees)


def logits_of(run: Path, task: str) -> Path:
  """Returns where the logits of a task are that a run, W/runs/NAME, made."""
  run = run.absolute()
  return Workdir(run.parent.parent).teacher(run.name, task, 0).parent
