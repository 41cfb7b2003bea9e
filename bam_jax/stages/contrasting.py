"""Refuses what the stage that trains an encoder alone cannot do."""

from ml_collections import ConfigDict
import numpy as np

from bam_jax.data import apart, limits
from bam_jax.data.contrasts import ALIKE, TWICE, likeness
from bam_jax.models import encoders
from bam_jax.models.encoders import EncoderConfig
from bam_jax.runtime.console import say
from bam_jax.stages.materials import Materials, trains_words
from bam_jax.stages.session import Session
from bam_jax.study import contrast, fewer, sides, variants
from bam_jax.study.chains import KINDS
from bam_jax.study.experiment import Experiment
from bam_jax.study.plan import Run
from bam_jax.tasks.kinds import KINDS as TASK_KINDS
from bam_jax.training import contrastive
from bam_jax.training.settings import CONTRAST

# Of the tasks whose pairs may be compared.
_COMPARED = ("classification", "regression")


def stages(experiment: Experiment) -> list[Run]:
  """Returns the runs that train an encoder alone."""
  return [run for run in experiment.runs if KINDS[run.kind].ahead]


def check(experiment: Experiment) -> None:
  """Checks what the config says of the stage, and each of its variants.

  Args:
    experiment: the experiment.

  Raises:
    ValueError: nothing reads it, or it cannot be.
  """
  c, runs = experiment.config, stages(experiment)
  # A config may name the task for whoever types the method.
  for key in () if runs else CONTRAST.keys() - {"task"}:
    if (value := c.contrast[key]) != CONTRAST[key]:
      raise ValueError(
        f"contrast.{key} is {value!r}, but none of the methods {c.methods} has "
        "that stage; take one, as --config.methods=contrast+multi"
      )
  varied(experiment)
  for run in runs:
    config = experiment.settings(run).config
    said = config.contrast
    if said.task != c.contrast.task:
      raise ValueError(
        f"variant {run.variant} changes contrast.task, and a study has one; "
        "take another --workdir for another"
      )
    reads(said)
    pairs(experiment, said)
    judged = contrast.validates(experiment.table[said.task])
    if config.optim.schedule == "plateau" and not judged:
      raise ValueError(
        "optim.schedule=plateau lowers a rate where dev gets no better, and "
        f"{said.task}, of one text, has no pairs on dev for {run.name}; take "
        "another --config.optim.schedule, or a task of two texts"
      )
    if contrastive.LOSSES[said.loss].whole and c.micro_rows:
      raise ValueError(
        f"contrast.loss={said.loss} holds each pair of a step against all "
        f"others, and micro_rows={c.micro_rows} divides a step; set "
        "--config.micro_rows=0, or --config.contrast.loss=margin"
      )


def varied(experiment: Experiment) -> None:
  """Checks that no variant leaves its run what it is without.

  Args:
    experiment: the experiment.
  """
  c, runs = experiment.config, stages(experiment)
  read = {run.variant for run in runs}
  for run in experiment.runs:
    changes = variants.changed(c, run.variant) if run.variant else {}
    mine = [key for key in changes if key.startswith("contrast.")]
    if run in runs:
      usual = contrast.settings(c, experiment.table).to_dict()
      if changes and experiment.settings(run).config.to_dict() == usual:
        raise ValueError(
          f"variant {run.variant} changes {', '.join(changes)}, which "
          f"{run.name} does not read: the stage has contrast.* for itself, and "
          f"no adapter, adversary or frozen part; leave @{run.variant} out"
        )
    elif mine and (len(mine) == len(changes) or run.variant not in read):
      raise ValueError(
        f"variant {run.variant} changes {mine[0]}, and {run.name} has no such "
        "stage of its own; a variant of that stands behind its name, as in "
        f"contrast@{run.variant}+multi"
      )


def reads(said: ConfigDict) -> None:
  """Checks that the loss reads the numbers that are said.

  Args:
    said: the config's `contrast`.
  """
  losses = contrastive.LOSSES
  for key in {each.key for each in losses.values()} - {losses[said.loss].key}:
    if said[key] != CONTRAST[key]:
      readers = [name for name, each in losses.items() if each.key == key]
      raise ValueError(
        f"contrast.{key} is {said[key]:g}, but contrast.loss is {said.loss}, "
        f"which does not read it; leave it out, or take {' or '.join(readers)}:"
        f" --config.contrast.loss={readers[0]}"
      )
  if said.max_length < 3:
    raise ValueError(
      f"contrast.max_length is {said.max_length}; a text needs 3 at least, two "
      "of them special tokens"
    )


def pairs(experiment: Experiment, said: ConfigDict) -> None:
  """Checks that the task of the stage has pairs that are alike or not.

  Args:
    experiment: the experiment.
    said: the config's `contrast`.
  """
  task, row = experiment.table[said.task], contrastive.LOSSES[said.loss]
  if (
    task.kind not in _COMPARED
    or task.table
    or (len(task.text) < 2 and row.rows != TWICE)
  ):
    read = "one text" if len(task.text) < 2 else TASK_KINDS[task.kind].reads
    known = [
      name
      for name, each in experiment.table.items()
      if each.train and each.kind in _COMPARED and len(each.text) == 2
    ]
    raise ValueError(
      f"contrast.task is {task.name}, a task of kind {task.kind} that reads "
      f"{read}, and contrast.loss={said.loss} reads pairs with a label; take "
      f"one of {', '.join(known)}, or of a task of one text "
      "--config.contrast.loss=simcse_unsupervised"
    )
  if not contrast.validates(task):
    if said.patience:
      raise ValueError(
        f"contrast.patience is {said.patience}, and {task.name} has no pairs "
        "with labels to see on whether vectors get better; set "
        "--config.contrast.patience=0, and every epoch is trained"
      )
    if said.alike:
      raise ValueError(
        f"contrast.alike is {said.alike!r}, and {task.name} has one text a row,"
        " so that no label says what is alike; leave it out"
      )
    return
  if not task.labels and row.rows == ALIKE:
    raise ValueError(
      f"contrast.loss={said.loss} learns from pairs that a label says are "
      f"alike, and {task.name} has numbers; take "
      "--config.contrast.loss=margin, or a task with labels"
    )
  contrast.alike(task, said)


def fits(found: Materials, shape: EncoderConfig) -> None:
  """Checks that the encoder can read two texts apart in one row.

  Args:
    found: the materials.
    shape: of the encoder.
  """
  c = found.experiment.config
  for run in stages(found.experiment):
    said = found.experiment.settings(run).config.contrast
    if said.max_length > shape.positions:
      raise ValueError(
        f"contrast.max_length is {said.max_length}, but {c.encoder} has "
        f"{shape.positions} positions; try "
        f"--config.contrast.max_length={shape.positions}"
      )
    if not trains_words(c) and not apart.able(found.encoder.tokenizer):
      raise ValueError(
        f"the stage {run.kind} tells the two texts of a row apart by their "
        f"types, and {c.encoder} has none; take an encoder that has, as BERT "
        "does"
      )
    rates = ("hidden_dropout", "attention_dropout")
    model = encoders.of(shape).configured(
      shape, found.experiment.settings(run).config
    )
    drops = any(getattr(model, rate, 0.0) for rate in rates)
    if contrastive.LOSSES[said.loss].rows == TWICE and not drops:
      raise ValueError(
        f"contrast.loss={said.loss} knows a text by two dropouts, and "
        f"{c.encoder} has none; set --config.attention_dropout=0.1"
      )


def text(session: Session) -> None:
  """Checks that the stage's share of the rows has something to learn from."""
  for run in stages(session.experiment):
    said = session.experiment.settings(run).config.contrast
    if (count := rows(session, run)) < 2:
      raise ValueError(
        f"{run.name} has {count} rows of {said.task} to learn from by "
        f"contrast.loss={said.loss}; raise --config.contrast.share, which is "
        f"{said.share:g}"
        + ", or take --config.contrast.loss=margin"
        * (said.loss == "simcse")
      )
    task = session.experiment.table[said.task]
    if contrastive.LOSSES[said.loss].whole and contrast.validates(task):
      dev = session.materials.corpus_of(run).scored(task)
      if not any((pairs.labels == 1).any() for pairs in dev.values()):
        more = "raise --config.data.dev_limit, or "
        raise ValueError(
          f"contrast.loss={said.loss} is looked at on the pairs of "
          f"{', '.join(dev)} that are alike, and of those that are read none "
          f"is; {more * bool(session.config.data.dev_limit)}take "
          "--config.contrast.loss=margin"
        )


def rows(session: Session, run: Run) -> int:
  """Returns how many rows the stage learns from.

  Args:
    session: the session.
    run: a run that is this stage.
  """
  experiment, texts = session.experiment, session.materials.texts
  said = experiment.settings(run).config.contrast
  task, learns = experiment.table[said.task], contrastive.LOSSES[said.loss].rows
  mine = texts.side(task, sides.of(experiment, run), experiment.held)
  if most := fewer.of(experiment, run).get(task.name):
    mine = np.isin(
      np.arange(len(mine)), limits.drawn(np.flatnonzero(mine), most)
    )
  examples = texts.see(task, task.train)
  if learns == TWICE:
    some = np.flatnonzero(mine)
    return len({column[row] for column in examples.texts for row in some})
  labels = np.asarray(examples.labels, np.float32)[mine]
  y = likeness(labels, contrast.alike(task, said))
  return int((y == 1).sum() if learns == ALIKE else (~np.isnan(y)).sum())


def tell(session: Session) -> None:
  """Says which rows the stage has for itself."""
  experiment = session.experiment
  for run in stages(experiment):
    side = sides.of(experiment, run)
    mine = session.materials.texts.side(
      experiment.table[side.task], side, experiment.held
    )
    say(
      f"{side.task}: {mine.sum()} of {len(mine)} training rows are for "
      f"{run.name} alone, and what comes after it has none of them"
    )
