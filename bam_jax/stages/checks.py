"""Refuses what can be known to fail before anything is written or trained.

The settings come first, then the encoder, then the text of every task. What a
finished experiment no longer needs is not looked at, so that it can be
reported without its data.
"""

from collections.abc import Mapping
from pathlib import Path

import jax
from ml_collections import ConfigDict

from bam_jax.data import apart, contexts, sampling, soft_labels, tables
from bam_jax.data.sources.examples import Examples
from bam_jax.models import encoders
from bam_jax.models.encoders import EncoderConfig
from bam_jax.models.heads import HEADS
from bam_jax.runtime.console import say
from bam_jax.stages import (
  adapted,
  calibrating,
  contrasting,
  idle,
  initial,
  lessons,
  masks,
  selection,
  top_layers,
  values,
)
from bam_jax.stages import unlabelled as blank
from bam_jax.stages.materials import Materials, scratch, trains_words
from bam_jax.stages.session import Session
from bam_jax.study import claims, fewer, variants
from bam_jax.study.experiment import Experiment, trained
from bam_jax.study.plan import OUTSIDE, Run
from bam_jax.study.workdir import Workdir
from bam_jax.tasks import own
from bam_jax.training import heads, sharding
from bam_jax.training.adversaries import ADVERSARIES
from bam_jax.training.settings import Settings


def check(session: Session) -> None:
  """Checks the settings, then what they name.

  Args:
    session: nothing of its materials is made yet.

  Raises:
    ValueError: a task, a method, an encoder, a source or a setting cannot be.
    OSError: a file is missing or the hub cannot be reached.
  """
  experiment, workdir = session.experiment, session.workdir
  settings(experiment)
  workdir.check(session.config)
  stage = session.config.stage
  if stage not in ("all", "train") and not started(experiment, workdir):
    raise ValueError(
      f"nothing in {workdir.path} is trained yet, so stage {stage} has nothing "
      "to do; start with --config.stage=train"
    )
  finished = stage in ("all", "train") and complete(experiment, workdir)
  if stage == "report" or finished:
    return
  idle.tell(experiment)
  batches(experiment, session.materials.mesh)
  encoder(session.materials)
  text(session)


def complete(experiment: Experiment, workdir: Workdir) -> bool:
  """Tells whether every trial of every run is trained and scored."""
  return all(
    workdir.finished(run.name, seed) and str(seed) in workdir.scores(run.name)
    for run in experiment.runs
    for seed in experiment.seeds
  )


def started(experiment: Experiment, workdir: Workdir) -> bool:
  """Tells whether any trial of any run is trained."""
  return any(
    workdir.finished(run.name, seed)
    for run in experiment.runs
    for seed in experiment.seeds
  )


def settings(experiment: Experiment) -> None:
  """Checks what the config alone tells, for all of its variants."""
  c = experiment.config
  for variant in ("", *c.variants):
    varied = variants.settings(c, variant)
    try:
      values.check(varied)
      selection.check(experiment, varied)
      choices(experiment, varied)
      top_layers.check_config(varied)
    except ValueError as error:
      if variant:
        raise ValueError(f"variant {variant}: {error}") from error
      raise
  calibrating.check(experiment)
  contrasting.check(experiment)
  claims.check(c.claims, experiment.methods, trained(experiment.tasks))
  for run in experiment.runs:
    experiment.teacher_seeds(run, c.seed)
    continued(experiment, run)
  fewer.check(experiment)
  lessons.check(experiment)


def choices(experiment: Experiment, c: ConfigDict) -> None:
  """Checks what tasks choose for themselves."""
  tasks = experiment.learned((*trained(experiment.tasks), *experiment.first), c)
  known = {task.name: task for task in tasks}
  for task in tasks:
    found = heads.fault(task, known)
    if found is None:
      continue
    key, why = found
    was = experiment.table[task.name].learn
    if task.own and getattr(was, key) == getattr(task.learn, key):
      own.entry(c.own_tasks, task.name, Path(task.own.file)).refuse(key, why)
    got = getattr(task.learn, key)
    raise ValueError(f"learn.{key} of {task.name} is {got!r}; {why}")


def continued(experiment: Experiment, run: Run) -> None:
  """Refuses a run whose heads are built otherwise than where it starts."""
  if not run.start or run.fresh:
    return
  before, after = (
    {task.name: heads.spec(task) for task in experiment.tasks_of(each)}
    for each in (experiment.run(run.start), run)
  )
  for name in before.keys() & after.keys():
    was, now = (
      (each.head, each.pool, each.layers, each.options, each.parameters)
      for each in (before[name], after[name])
    )
    if was != now:
      raise ValueError(
        f"{run.name} goes on from {run.start}, where the head of {name} is"
        f" {was[0]} of {was[1]} ({was[2]}), and has {now[0]} of {now[1]}"
        f" ({now[2]}); a head stays what it is from stage to stage: set"
        " learn.head, learn.pool and learn.layers for all of them"
      )


def batches(experiment: Experiment, mesh: jax.sharding.Mesh) -> None:
  """Checks that rows divide over devices and into micro-batches."""
  c, devices = experiment.config, sharding.row_multiple(mesh)
  if c.micro_rows % devices:
    raise ValueError(
      f"micro_rows={c.micro_rows} does not divide over {devices} devices "
      f"(data x fsdp); try --config.micro_rows={_up(c.micro_rows, devices)}"
    )
  # Packed rows are rounded up, so only padded ones must fit by themselves.
  if c.data.packing:
    return
  sizes = {
    (f"{run.kind}.batch_size", experiment.settings(run).batch_size)
    for run in experiment.runs
  }
  parts = c.micro_rows or devices
  trained = [(*each, parts) for each in sorted(sizes)]
  for key, size, parts in [
    *trained,
    ("eval_batch_size", c.eval_batch_size, devices),
  ]:
    if size % parts:
      what = "devices" if parts == devices else "rows of a micro-batch"
      raise ValueError(
        f"{key}={size} without packing does not divide by {parts} {what}; try "
        f"--config.{key}={_up(size, parts)}"
      )


def _up(number: int, multiple: int) -> int:
  return -(-number // multiple) * multiple


def encoder(found: Materials) -> None:
  """Reads the encoder and its tokenizer, and the run that it starts from."""
  config = found.experiment.config
  if made := trains_words(config):
    # Its tokenizer is not made yet.
    shape = scratch(config, config.scratch.vocab_size, 0)
  else:
    shape = found.encoder.shape
    for text in found.encoder.tokenizer.remarks:
      say(f"warning: {config.encoder}: {text}")
    parts(found)
  masks.check(found, shape)
  for run in found.experiment.runs:
    asked = found.experiment.settings(run).config
    encoders.of(shape).configured(shape, asked)
  adapted.check(found, shape)
  top_layers.check(found.experiment, shape)
  contrasting.fits(found, shape)
  matched(found, made)
  kernel(found)
  redrawn(found.experiment, shape)
  if found.initial and not made:
    for run in found.experiment.runs:
      params, model = found.initial, found.model(run)
      initial.check_fit(
        params, run, model, named=config.init_from, encoder=config.encoder
      )


def matched(found: Materials, made: bool) -> None:
  """Checks that what of a teacher is to be matched can be.

  Args:
    found: the materials.
    made: whether the tokenizer is made by the run.
  """
  c, runs = found.experiment.config, found.experiment.runs
  if not c.teacher.online:
    return
  if not any(run.teachers for run in runs):
    raise ValueError(
      f"teacher.online is {c.teacher.online}, but methods {c.methods} have no "
      "stage that is taught; take one, as single->multi"
    )
  if made:
    raise ValueError(
      f"teacher.online {c.teacher.online} reads what its student reads, and "
      "encoder=scratch makes a tokenizer of its own; set "
      "--config.scratch.tokenizer to the teacher's directory, W/runs/NAME/model"
      " of a run"
    )
  for run in runs:
    found.matching(run)


def parts(found: Materials) -> None:
  """Checks that heads that tell two texts apart can do so."""
  words = found.encoder.tokenizer
  for run in found.experiment.runs:
    for spec in found.model(run).heads:
      alone = HEADS[spec.head].apart and HEADS[spec.head].build
      told = spec.reads == "parts" and HEADS[spec.head].texts > 1
      if (told and not words.second) or (alone and not apart.able(words)):
        other = "linear or mlp, or " if HEADS[spec.head].chosen else ""
        raise ValueError(
          f"the head {spec.head} of {spec.name} tells two texts apart by their"
          f" types, and {found.experiment.config.encoder} has none; take"
          f" {other}an encoder that has, as BERT does"
        )


def kernel(found: Materials) -> None:
  """Checks that the kernel of attention can do what the runs ask of it."""
  for run in found.experiment.runs:
    if found.experiment.settings(run).config.attention != "splash":
      continue
    rate = found.model(run).config.attention_dropout
    if rate:
      raise ValueError(
        f"attention=splash knows no dropout, and attention's is {rate}; set "
        "--config.attention_dropout=0.0, or --config.attention=einsum"
      )
    devices = found.mesh.devices
    kind = devices.flat[0].platform
    if kind != "tpu" or devices.size > 1:
      raise ValueError(
        f"attention=splash works on a single TPU, and the mesh is of "
        f"{devices.size} x {kind}; set --config.attention=einsum"
      )


def redrawn(experiment: Experiment, shape: EncoderConfig) -> None:
  """Checks that passes that are to differ in their dropout have any.

  Args:
    experiment: the experiment.
    shape: of its encoder, as it is read.
  """
  for run in experiment.runs:
    c = experiment.settings(run).config
    if not ADVERSARIES[c.adversary.kind].redraws:
      continue
    chosen = [task.learn.dropout for task in experiment.tasks_of(run)]
    attention = c.attention_dropout
    if attention == -1:
      attention = getattr(shape, "attention_dropout", 0.0)
    rates = [c.head_dropout if rate is None else rate for rate in chosen]
    if not any([*rates, attention, getattr(shape, "hidden_dropout", 0.0)]):
      raise ValueError(
        f"adversary.kind={c.adversary.kind} compares passes that differ in "
        f"dropout, and {run.name} has none; set --config.head_dropout=0.1"
      )


def text(session: Session) -> None:
  """Reads the text of every split that the stage needs."""
  c, experiment = session.config, session.experiment
  texts = session.materials.texts
  # Nothing else is looked at that no run will read.
  soft = {t for r in experiment.runs for t, by in r.teachers if by == OUTSIDE}
  sizes, labels = {}, {}
  for task in experiment.trained_tasks:
    train = texts.look(task, task.train)
    rows = sizes[task.name] = len(train)
    labels[task.name] = train.labels
    lessons.check_gold(experiment.runs, task.name, train.labels)
    room(session.materials, train)
    if experiment.held.share(task):
      texts.holdout(task, experiment.held)
    if task.name in soft:
      seeds = experiment.teaching_seeds(OUTSIDE)
      for path in experiment.soft_paths(task.name, seeds):
        soft_labels.read_soft_labels(
          path, task=task, rows=rows, shared=session.teachers.shared(task)
        )
    if not c.data.holdout and c.stage in ("all", "train", "evaluate"):
      for split in task.dev:
        room(session.materials, texts.look(task, split))
  blank.check(experiment, labels)
  masks.check_letters(session.materials)
  contrasting.text(session)
  for run in experiment.runs:
    drawn = tables.drawn(experiment.tasks_of(run))
    most = fewer.of(experiment, run)
    known = {
      name: min(sizes[mine[0].name], most.get(mine[0].name, values.BOUND))
      for name, mine in drawn.items()
    }
    drawable(experiment.settings(run), run, known)
  if c.stage == "predict":
    for task in experiment.tasks:
      for split in task.submission:
        texts.look(task, split)


def room(found: Materials, examples: Examples) -> None:
  """Checks that questions leave room for their contexts.

  Args:
    found: the materials. A tokenizer that is not made yet is not waited for.
    examples: of a split.
  """
  c = found.experiment.config
  if examples.answers is not None and not trains_words(c):
    contexts.check_room(
      found.encoder.tokenizer, examples.texts[0], max_length=c.max_length
    )


def drawable(settings: Settings, run: Run, sizes: Mapping[str, int]) -> None:
  """Checks that the examples of a run can be drawn.

  Args:
    settings: of the run.
    run: the run.
    sizes: rows of all that it draws from.
  """
  copies, _ = lessons.mixture(settings, sizes)
  pooled = sum(sizes[name] * copies[name] for name in sizes)
  mix = settings.config.sampling
  if pooled >= values.BOUND:
    raise ValueError(
      f"sampling.exponent={mix.exponent} makes {pooled} rows of copies for "
      f"{run.name}; the paper has 0.75"
    )
  over = lessons.ends(settings, sizes)
  if over and sum(over) < settings.batch_size:
    most = int(sum(over))
    raise ValueError(
      f"by sampling.max_epochs={mix.max_epochs} the tasks of {run.name} end "
      f"after {most} examples, and a step has {settings.batch_size}; raise it, "
      f"or set --config.{run.kind}.batch_size={max(most, 1)}"
    )
  sampling.check(
    [*sizes.values()],
    lessons.mixing(settings, [copies[name] for name in sizes], over),
  )
