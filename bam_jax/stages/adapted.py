"""Refuses adapters that an encoder, a text or a start cannot have."""

from bam_jax.data import tables
from bam_jax.models import encoders
from bam_jax.models.adapted import Adapter
from bam_jax.models.adapters import ADAPTERS
from bam_jax.models.encoders import ENCODERS, EncoderConfig
from bam_jax.runtime.console import say
from bam_jax.stages.materials import Materials
from bam_jax.study.experiment import Experiment
from bam_jax.study.plan import Run
from bam_jax.training import adapting

TREE = "adapters"


def check(found: Materials, shape: EncoderConfig) -> None:
  """Checks the adapters of every run.

  Args:
    found: the materials.
    shape: of the encoder.

  Raises:
    ValueError: some cannot be.
  """
  plain = ""
  for run in found.experiment.runs:
    asked = of(found.experiment, run)
    if not run.start and asked is None:
      plain = plain or run.name
    if asked:
      fits(found.experiment, asked, shape)
      apart(found.experiment, run, asked)
    start = None
    if run.start:
      start = of(found.experiment, found.experiment.run(run.start))
    # Where it had none, they are drawn anew.
    if start not in (None, asked):
      raise ValueError(
        f"{run.name} goes on from {run.start}, which has {told(start)}, and has"
        f" {told(asked)}; adapters stay what they are from stage to stage: set"
        " adapter.kind, adapter.rank, adapter.alpha and adapter.shared for all"
        " of them"
      )
  begun(found, plain=plain)


def of(experiment: Experiment, run: Run) -> Adapter | None:
  """Returns the adapters of a run."""
  return adapting.adapter_of(experiment.settings(run).config.adapter)


def told(adapter: Adapter | None) -> str:
  """Returns which adapters they are, in words."""
  if adapter is None:
    return "no adapters"
  rank = f" of rank {adapter.rank}" if adapter.rank else ""
  usual = adapter.alpha == ADAPTERS[adapter.kind].alpha
  alpha = "" if usual else f" and alpha {adapter.alpha:g}"
  return f"adapters {adapter.kind}{rank}{alpha}" + " (shared)" * adapter.shared


def fits(experiment: Experiment, asked: Adapter, shape: EncoderConfig) -> None:
  """Refuses adapters in an encoder that takes none."""
  if encoders.of(shape).adapts:
    return
  takers = " or ".join(name for name, row in ENCODERS.items() if row.adapts)
  raise ValueError(
    f"adapter.kind is {asked.kind}, and {experiment.config.encoder} is a"
    f" {shape.kind}, which takes no adapters; take an encoder that is built as"
    f" {takers} is (BERT, RoBERTa, XLM-RoBERTa, CamemBERT, ELECTRA, DistilBERT,"
    " ModernBERT), or --config.adapter.kind=none"
  )


def apart(experiment: Experiment, run: Run, asked: Adapter) -> None:
  """Refuses adapters of each task where tasks read a text in one pass."""
  if asked.shared:
    return
  for name, tasks in tables.drawn(experiment.tasks_of(run)).items():
    if tasks[1:]:
      raise ValueError(
        f"{', '.join(task.name for task in tasks)} are columns of {name}, whose"
        " texts are encoded once for all of them, and adapters of each task"
        " would make other vectors for each; share them:"
        " --config.adapter.shared=True, or take methods that train tasks apart:"
        " --config.methods=single"
      )


def begun(found: Materials, *, plain: str) -> None:
  """Looks at the adapters of what init_from means.

  Args:
    found: the materials.
    plain: a run that starts from it and has no adapters; "" = there is none.
  """
  c, there = found.experiment.config, found.initial
  if TREE not in there:
    return
  if c.init_part == "encoder":
    say(
      f"init_from {c.init_from} has adapters, and init_part is encoder: they"
      " are left there"
    )
  elif plain:
    cure = "leave them there: --config.init_part=encoder"
    if c.adapter.kind == adapting.OFF:
      cure = f"set --config.adapter.kind as it was trained, or {cure}"
    raise ValueError(
      f"init_from {c.init_from} has adapters, and {plain}, which starts from"
      f" it, has none; {cure}"
    )
