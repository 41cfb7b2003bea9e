"""Refuses values that a key of the config cannot have, each by itself."""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from bam_jax.data import runners, sampling
from bam_jax.models.adapters import ADAPTERS
from bam_jax.models.attention import KERNELS
from bam_jax.models.encoders import ENCODERS
from bam_jax.runtime import distributed, tracing
from bam_jax.runtime.spelling import hint
from bam_jax.stages import begun
from bam_jax.study.plan import names
from bam_jax.study.workdir import NEUTRAL
from bam_jax.tasks import submission
from bam_jax.training import adapting, contrastive, optim, schedules, trackers
from bam_jax.training.adversaries import ADVERSARIES
from bam_jax.training.distillation import MIXES
from bam_jax.training.perturbation import NORMS
from bam_jax.training.settings import KINDS, Settings

STAGES = ("all", "train", "teach", "evaluate", "predict", "report")
# Those that several commands can do in one workdir.
SHARED = ("all", "train", "teach")
# Whole numbers that JAX and NumPy hold on every machine are below it.
BOUND = 2**31
# What numbers may be, and the keys that are such; NaN is nowhere.
RANGES: dict[str, tuple[Callable[[float], bool], tuple[str, ...]]] = {
  "1 or more": (
    lambda n: 1 <= n < BOUND,
    (
      "trials",
      "encoder_every",
      "eval_batch_size",
      "log_every",
      "checkpoint_every",
      "data.row_shapes",
      "span.longest",
    ),
  ),
  "0 or more": (
    lambda n: 0 <= n < BOUND,
    (
      "max_steps",
      *(f"{kind}.min_steps" for kind in KINDS),
      "trials_at_once",
      "seed",
      *("encoder_layers", "reinit_layers", "micro_rows"),
      "eval_every",
      *("select.patience", "plateau.patience", "plateau.least"),
      "nonfinite.limit",
      "data.synthetic_seed",
      "data.fold",
      "span.stride",
      "optim.clip",
      *("optim.weight_decay", "contrast.weight_decay"),
      "contrast.patience",
      *("adversary.proximal", "adapter.alpha", "sampling.steps_per_epoch"),
      *("first.epochs", "first.batch_size"),
      *("first.rate", "first.layer_decay"),
      *("teacher.hidden_weight", "teacher.relations_weight"),
      "teacher.relation_heads",
    ),
  ),
  "above 0": (
    lambda n: 0 < n < BOUND,
    (
      *("claims_margin", "optim.eps", "adversary.weight"),
      *("sampling.temperature", "teacher.temperature"),
      *("contrast.margin", "contrast.temperature"),
      "scratch.init_std",
      *(
        f"{kind}.{key}"
        for kind in KINDS
        for key in ("epochs", "batch_size", "rate", "layer_decay")
      ),
    ),
  ),
  "from 0 to 1": (
    lambda n: 0 <= n <= 1,
    ("teacher.value", "teacher.agreement"),
  ),
  # A typing slip of a few zeros would take all memory there is.
  "from 1 to 100000": (
    lambda n: 1 <= n <= 100_000,
    (
      *("max_length", "contrast.max_length"),
      *(
        f"scratch.{key}"
        for key in ("layers", "width", "heads", "mlp", "vocab_size")
      ),
    ),
  ),
  "from 0 to 10000": (
    lambda n: 0 <= n <= 10_000,
    ("adapter.rank", "scratch.words_width", "scratch.filters"),
  ),
  "a finite number": (
    lambda n: -BOUND < n < BOUND,
    (
      *("sampling.exponent", "sampling.loss_scale_exponent"),
      "span.threshold",
    ),
  ),
  "above 0, or -1 as in the paper": (
    lambda n: n == -1 or 0 < n < BOUND,
    tuple(f"adversary.{key}" for key in ("step_size", "epsilon", "noise")),
  ),
  "1 or more, or -1 as in the paper": (
    lambda n: n == -1 or 1 <= n < BOUND,
    ("adversary.steps",),
  ),
  "a share, above 0 and at most 1": (
    lambda n: 0 < n <= 1,
    ("variants_share", "sampling.anneal"),
  ),
  "0 or more, or -1": (lambda n: -1 <= n < BOUND, ("init_seed",)),
  "-1 or a share, from 0 to below 1": (
    lambda n: n == -1 or 0 <= n < 1,
    ("attention_dropout", "adversary.momentum"),
  ),
  "a share, above 0 and below 1": (
    lambda n: 0 < n < 1,
    ("masking.share", "plateau.factor", "contrast.share"),
  ),
  "a share, from 0 to below 1": (
    lambda n: 0 <= n < 1,
    (
      *("head_dropout", "data.holdout", "calibration.share"),
      *("optim.b1", "optim.b2"),
      *("optim.average_start", "optim.average_decay"),
      "teacher.confidence",
    ),
  ),
}
# Keys that are one of a few words.
WORDS = {
  "stage": STAGES,
  "wnli": ("trained", "majority"),
  "submit": tuple(submission.BY),
  "dtype": ("float32", "bfloat16"),
  "attention": tuple(KERNELS),
  "scratch.kind": tuple(k for k, each in ENCODERS.items() if each.scratch),
  "scratch.directions": begun.DIRECTIONS,
  "adapter.kind": (adapting.OFF, *ADAPTERS),
  "contrast.loss": tuple(contrastive.LOSSES),
  "contrast.pool": ("cls", "mean"),
  "adversary.kind": tuple(ADVERSARIES),
  "adversary.norm": ("paper", *NORMS),
  "loss.reduction": ("sum", "mean"),
  "loss.regression_output": ("sigmoid", "linear"),
  "sampling.kind": sampling.SAMPLING,
  "nonfinite.policy": ("stop", "skip"),
  "optim.average": ("none", *schedules.AVERAGES),
  "optim.kind": tuple(optim.MOMENTS),
  "optim.schedule": schedules.RATES,
  "teacher.mix": tuple(MIXES),
}


def check(c: ConfigDict) -> None:
  """Checks the values of the keys, each by itself."""
  for key, words in WORDS.items():
    got = lookup(c, key)
    if got not in words:
      raise ValueError(
        f"{key} is {got!r}; it is {' or '.join(words)}{hint(got, words)}"
      )
  tracing.profiled_steps(c.profile)
  trackers.check(names(c.trackers))
  if c.data.beam:
    runners.flags(c.data.beam)
  sharing(c)
  for words, (allowed, keys) in RANGES.items():
    for key in keys:
      if not allowed(value := lookup(c, key)):
        bound = f", and below {BOUND}" if value >= BOUND else ""
        raise ValueError(f"{key} is {value}; it is {words}{bound}")
  folded(c.data)
  begun.check(c)
  adapter(c)
  adversary(c)
  average(c)
  shortened(c)
  mixed(c.sampling)
  distilling(c)
  for kind in KINDS:
    schedules.rate_of(Settings.of(c, kind), 100)
  # Most schedules take any number of steps; one that does not says so later.
  schedules.lambda_of(c, 100)
  sampling.loss_scale(
    [1], kind=c.sampling.loss_scale, exponent=c.sampling.loss_scale_exponent
  )
  if c.max_length < 5:
    raise ValueError(
      f"max_length is {c.max_length}; a pair of sentences needs 5 at least"
    )


def folded(data: ConfigDict) -> None:
  """Checks that there is such a fold.

  Args:
    data: the config's.
  """
  # 10 of 0.1 are all rows, whatever floats say.
  folds = int(1 / data.holdout + 1e-9) if data.holdout else 1
  if data.fold >= folds:
    raise ValueError(
      f"data.fold is {data.fold}, and data.holdout={data.holdout:g} makes"
      f" {folds} fold{'s' * (folds > 1)}, counted from 0"
    )


def shortened(c: ConfigDict) -> None:
  """Checks that a share of the steps of variants is of some."""
  if c.variants_share == 1:
    return
  if "@" not in c.methods:
    raise ValueError(
      f"variants_share is {c.variants_share:g}, as bam_jax.tune sets it, but "
      f"none of the methods {c.methods} is a variant, as single@fast is; take "
      "a config that has some, such as configs/paper.py:tune"
    )
  if not c.data.holdout:
    raise ValueError(
      f"variants_share is {c.variants_share:g}, as bam_jax.tune sets it, and "
      "settings are never chosen on dev; have rows of train held out for it: "
      "--config.data.holdout=0.1"
    )


def average(c: ConfigDict) -> None:
  """Checks that the mean of late weights reads all that is said to it."""
  reads = {"average_start": ("swa", "ema"), "average_decay": ("ema",)}
  for key, kinds in reads.items():
    unread = c.optim.average not in kinds
    if unread and c.optim[key] != NEUTRAL[f"optim.{key}"]:
      raise ValueError(
        f"optim.{key} is {c.optim[key]!r}, but optim.average is "
        f"{c.optim.average}, which does not read it; leave it out, or take "
        f"--config.optim.average={kinds[0]}"
      )


def mixed(sampling: ConfigDict) -> None:
  """Checks that the order of tasks reads all that is said to it.

  Args:
    sampling: the config's.
  """
  if sampling.anneal != NEUTRAL["sampling.anneal"] and (
    sampling.kind != "annealed"
  ):
    raise ValueError(
      f"sampling.anneal is {sampling.anneal}, but sampling.kind is "
      f"{sampling.kind}, which does not read it; set "
      "--config.sampling.kind=annealed"
    )


def adapter(c: ConfigDict) -> None:
  """Checks that what is said of adapters is said of some that read it."""
  kind = c.adapter.kind
  for key in ("rank", "alpha", "shared"):
    off = NEUTRAL[f"adapter.{key}"]
    if kind == adapting.OFF and (got := c.adapter[key]) != off:
      raise ValueError(
        f"adapter.{key} is {got!r}, but adapter.kind is {kind}, so there are no"
        " adapters; take some: --config.adapter.kind=lora"
      )
  for key, what in (("rank", "narrow product"), ("alpha", "alpha")):
    able = [name for name, row in ADAPTERS.items() if getattr(row, key)]
    if kind != adapting.OFF and c.adapter[key] and kind not in able:
      raise ValueError(
        f"adapter.{key} is {c.adapter[key]}, but adapter.kind is {kind}, which"
        f" has no {what}; leave it out, or take one of {', '.join(able)}"
      )


def adversary(c: ConfigDict) -> None:
  """Checks that the adversary reads all that is said to it, and finds it."""
  mine = ADVERSARIES[c.adversary.kind]
  for name, off in NEUTRAL.items():
    part, _, key = name.partition(".")
    if part != "adversary" or key in ("kind", *mine.keys):
      continue
    if (got := c.adversary[key]) != off:
      kinds = [name for name, each in ADVERSARIES.items() if key in each.keys]
      raise ValueError(
        f"{name} is {got!r}, but adversary.kind is {c.adversary.kind}, which "
        f"does not read it; leave it out, or take one of {', '.join(kinds)}: "
        f"--config.adversary.kind={kinds[0]}"
      )
  if c.adversary.momentum != -1 and not c.adversary.proximal:
    raise ValueError(
      f"adversary.momentum is {c.adversary.momentum}, but adversary.proximal "
      "is 0, so nothing is held against an average; set "
      "--config.adversary.proximal=1.0"
    )
  if c.learn.adv_loss and not mine.compares:
    kinds = [name for name, each in ADVERSARIES.items() if each.compares]
    raise ValueError(
      f"learn.adv_loss is {c.learn.adv_loss!r}, but adversary.kind is"
      f" {c.adversary.kind}, which compares no passes; leave it out, or take"
      f" one of {', '.join(kinds)}: --config.adversary.kind={kinds[0]}"
    )
  if mine.fine and c.dtype == "bfloat16":
    raise ValueError(
      f"adversary.kind={c.adversary.kind} compares passes that differ by less "
      "than bfloat16 tells apart; set --config.dtype=float32"
    )


def distilling(c: ConfigDict) -> None:
  """Checks that what is said of a teacher's term is looked at."""
  matching(c.teacher)
  if c.teacher.mix != "targets":
    return
  for key, off in (("teacher.temperature", 1.0), ("learn.kd_loss", "")):
    if (got := lookup(c, key)) != off:
      raise ValueError(
        f"{key} is {got!r}, but teacher.mix is targets, where the teacher's"
        " term has no loss of its own; set --config.teacher.mix=losses"
      )


def matching(teacher: ConfigDict) -> None:
  """Checks that a teacher reads along where it is matched, and only there.

  Args:
    teacher: the config's.
  """
  weights = ("hidden_weight", "relations_weight")
  if teacher.online and not any(teacher[key] for key in weights):
    raise ValueError(
      f"teacher.online is {teacher.online}, but nothing of it is matched; set "
      "--config.teacher.hidden_weight=1.0 or "
      "--config.teacher.relations_weight=1.0"
    )
  for key, needs, cure in (
    *((weight, "online", "W/runs/NAME") for weight in weights),
    ("layer_map", "hidden_weight", 1.0),
    ("relation_heads", "relations_weight", 1.0),
  ):
    if teacher[key] and not teacher[needs]:
      raise ValueError(
        f"teacher.{key} is {teacher[key]!r}, but teacher.{needs} is "
        f"{teacher[needs]!r}, so nothing reads it; set "
        f"--config.teacher.{needs}={cure}"
      )


def sharing(c: ConfigDict) -> None:
  """Checks that the work can be divided among commands."""
  if not c.share:
    return
  if c.stage not in SHARED:
    raise ValueError(
      f"share=True with stage={c.stage}: that stage is one command's alone; "
      f"several share {', '.join(SHARED)}: --config.share=False"
    )
  for key, value in (("reuse", ""), ("profile", "")):
    if c[key] != value:
      raise ValueError(
        f"share=True with {key}={c[key]}: that is one command's alone; let one "
        "without share=True do it first"
      )
  if not c.trials_at_once:
    raise ValueError(
      "share=True with trials_at_once=0: commands on other machines would make "
      "other groups of trials; say how many: --config.trials_at_once=1"
    )
  if not distributed.alone():
    raise ValueError(
      "share=True is for commands of one process each, and this job has "
      "several, which divide every run among them: --config.share=False"
    )


def lookup(config: Any, key: str) -> Any:
  """Returns the value of "optim.clip"."""
  for part in key.split("."):
    config = config[part]
  return config
