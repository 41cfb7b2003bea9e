"""Methods as chains of training, and the runs that they come down to."""

from collections.abc import Collection, Mapping, Sequence
import dataclasses
import difflib

FINETUNE = "+finetune"
# Stands for a teaching run where the soft labels were made elsewhere.
OUTSIDE = ""


@dataclasses.dataclass(frozen=True)
class Kind:
  """A kind of run, which is a stage of a method.

  Attributes:
    alone: there is a run for each task; else one for all of them.
    continues: it starts from the parameters of the stage before it, which
      otherwise teaches it.
  """

  alone: bool
  continues: bool = False


# Each has settings of its own, as `training.settings.KINDS` says.
KINDS: Mapping[str, Kind] = {
  "single": Kind(alone=True),
  "multi": Kind(alone=False),
  "finetune": Kind(alone=True, continues=True),
}
# What a chain is made of.
CHAINED = tuple(name for name, kind in KINDS.items() if not kind.continues)


@dataclasses.dataclass(frozen=True)
class Run:
  """One training job.

  Attributes:
    name: its directory: method and tasks.
    kind: which settings it takes, one of `KINDS`.
    tasks: what it is trained on, in the order of its heads.
    teachers: (task, run whose logits teach it), or (); the run is OUTSIDE
      where the soft labels come from a file.
    start: the run whose parameters it starts from; "" = the encoder.
    variant: of the settings, see `variants`; "" = the config's own.
  """

  name: str
  kind: str
  tasks: tuple[str, ...]
  teachers: tuple[tuple[str, str], ...] = ()
  start: str = ""
  variant: str = ""


def names(text: str) -> tuple[str, ...]:
  """Splits a comma-separated string."""
  return tuple(part.strip() for part in text.split(",") if part.strip())


def parse(method: str) -> tuple[tuple[str, ...], bool, str]:
  """Returns a method's chain of kinds, whether fine-tuned after, its variant.

  Raises:
    ValueError: it is no chain of `single` and `multi`.
  """
  stages, _, variant = method.partition("@")
  finetune = stages.endswith(FINETUNE)
  chain = tuple(stages.removesuffix(FINETUNE).split("->"))
  for kind in chain:
    if kind not in CHAINED:
      near = difflib.get_close_matches(kind, CHAINED, n=1, cutoff=0.5)
      hint = (
        f"; did you mean {method.replace(kind, near[0])!r}?" if near else ""
      )
      raise ValueError(
        f"method {method!r} has {kind!r}; a method is a chain of "
        f"{' and '.join(CHAINED)} joined by '->', with {FINETUNE} and @VARIANT "
        f"at its end if you like, as in single->multi{FINETUNE}{hint}"
      )
  if "@" in method and (not variant or FINETUNE in variant):
    raise ValueError(
      f"method {method!r} names no variant; its name comes last, as in "
      f"single->multi{FINETUNE}@NAME"
    )
  return chain, finetune, variant


def plan(
  methods: Sequence[str],
  tasks: Sequence[str],
  *,
  outside: Collection[str],
  subsets: Mapping[str, Sequence[str]],
  untaught: Collection[str] = (),
) -> dict[str, tuple[Run, ...]]:
  """Returns the runs of each method, every one after what it needs.

  The last stage's runs stand last and are the ones that are scored. Runs of
  the same name are the same run: single->multi shares those of single.

  Args:
    methods: such as "single->multi+finetune".
    tasks: to be trained on.
    outside: those whose soft labels come from a file: nothing is trained only
      to teach them.
    subsets: variant -> what its last stage is trained on; others on all.
    untaught: those that nobody can teach; they learn from what is there.

  Raises:
    ValueError: no such method, or none, or one twice.
  """
  if not methods or len(set(methods)) < len(methods):
    raise ValueError(
      f"methods are {','.join(methods)!r}; name each once, as in "
      "--config.methods=single,multi,single-\\>multi"
    )
  return {
    method: _runs(method, tuple(tasks), outside, subsets, untaught)
    for method in methods
  }


def scored(runs: Sequence[Run], task: str) -> Run | None:
  """Returns the run of a method that answers for a task; None = none does.

  It is one that no other builds on.
  """
  needed = {name for run in runs for name in needs(run)}
  found = (r for r in runs if task in r.tasks and r.name not in needed)
  return next(found, None)


def needs(run: Run) -> set[str]:
  """Returns the runs that a run builds on."""
  # "" is the encoder to start from, or a teacher from outside.
  return ({name for _, name in run.teachers} | {run.start}) - {""}


def _runs(
  method: str,
  tasks: tuple[str, ...],
  outside: Collection[str],
  subsets: Mapping[str, Sequence[str]],
  untaught: Collection[str],
) -> tuple[Run, ...]:
  chain, finetune, variant = parse(method)
  stages = [*chain, *(["finetune"] if finetune else [])]
  runs: list[Run] = []
  last: list[Run] = []
  for i, stage in enumerate(stages):
    kind = KINDS[stage]
    here, varied = "-to-".join(chain[: i + 1]), ""
    if kind.continues:
      here += f"+{stage}"
    if variant and i + 1 == len(stages):
      here, varied = f"{here}@{variant}", variant
    mine = tuple(subsets.get(varied, tasks))
    groups = [(task,) for task in mine] if kind.alone else [mine]
    before = {task: run.name for run in last for task in run.tasks}
    last = []
    for group in groups:
      name, start = f"{here}.{'+'.join(group)}", ""
      taught = [t for t in group if before and t not in untaught]
      teachers = [(t, OUTSIDE if t in outside else before[t]) for t in taught]
      if kind.continues:
        teachers, start = [], before[group[0]]
      elif before and not teachers:
        raise ValueError(
          f"method {method!r} would have {', '.join(group)} taught, which"
          " nobody can; leave the method or the task out"
        )
      last.append(Run(name, stage, group, tuple(teachers), start, varied))
    runs += last
  # What the last stage does not build on is left out.
  wanted = {run.name for run in last}
  for run in reversed(runs):
    if run.name in wanted:
      wanted |= needs(run)
  return tuple(run for run in runs if run.name in wanted)
