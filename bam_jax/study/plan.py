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
    frozen: its encoder stays as it starts.
  """

  alone: bool
  continues: bool = False
  frozen: bool = False


# Each has settings of its own, as `training.settings.KINDS` says.
KINDS: Mapping[str, Kind] = {
  "single": Kind(alone=True),
  "multi": Kind(alone=False),
  "finetune": Kind(alone=True, continues=True),
  # Wang et al. (2019), section 3: what an encoder knows is asked of heads.
  "frozen": Kind(alone=True, frozen=True),
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
    fresh: of that run it takes the encoder, and its own heads are new.
    variant: of the settings, see `variants`; "" = the config's own.
  """

  name: str
  kind: str
  tasks: tuple[str, ...]
  teachers: tuple[tuple[str, str], ...] = ()
  start: str = ""
  fresh: bool = False
  variant: str = ""


def names(text: str) -> tuple[str, ...]:
  """Splits a comma-separated string."""
  return tuple(part.strip() for part in text.split(",") if part.strip())


@dataclasses.dataclass(frozen=True)
class Link:
  """A part of a chain, between two arrows.

  Attributes:
    kind: one of `CHAINED`.
    before: tasks that the encoder is trained on first, one after the other; ()
      = it starts from that of the link before.
  """

  kind: str
  before: tuple[str, ...] = ()

  @property
  def text(self) -> str:
    """How it is typed."""
    return "+".join((*self.before, self.kind))


def parse(
  method: str, first: Collection[str]
) -> tuple[tuple[Link, ...], bool, str]:
  """Returns a method's chain, whether fine-tuned after, its variant.

  Args:
    method: such as "mnli+single->multi+finetune@slow".
    first: tasks that an encoder may be trained on first.

  Raises:
    ValueError: it is no chain of `single`, `multi` and `frozen`.
  """
  stages, _, variant = method.partition("@")
  finetune = stages.endswith(FINETUNE)
  chain = []
  for link in stages.removesuffix(FINETUNE).split("->"):
    *before, kind = link.split("+")
    if kind not in CHAINED:
      raise ValueError(_unknown(method, kind, CHAINED))
    for name in before:
      if name in KINDS:
        raise ValueError(_unknown(method, name, first))
      if name not in first:
        near = difflib.get_close_matches(name, first, n=1, cutoff=0.5)
        raise ValueError(
          f"method {method!r} trains on {name!r} first, which is no task with "
          "training rows"
          + (
            f"; did you mean {method.replace(name, near[0])!r}?"
            if near
            else f"; there are {', '.join(first)}"
          )
        )
    chain.append(Link(kind, tuple(before)))
  if "@" in method and (not variant or FINETUNE in variant):
    raise ValueError(
      f"method {method!r} names no variant; its name comes last, as in "
      f"single->multi{FINETUNE}@NAME"
    )
  return tuple(chain), finetune, variant


def _unknown(method: str, name: str, known: Collection[str]) -> str:
  near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
  hint = f"; did you mean {method.replace(name, near[0])!r}?" if near else ""
  return (
    f"method {method!r} has {name!r}; a method is a chain of "
    f"{', '.join(CHAINED[:-1])} and {CHAINED[-1]} joined by '->', with "
    f"{FINETUNE} and @VARIANT "
    f"at its end if you like, as in single->multi{FINETUNE}, and TASK+ before "
    f"what starts from an encoder that was trained on TASK{hint}"
  )


def prefixes(methods: Sequence[str]) -> tuple[str, ...]:
  """Returns all names that stand before a + in methods, known or not."""
  links = (
    link
    for method in methods
    for link in method.partition("@")[0].removesuffix(FINETUNE).split("->")
  )
  return tuple(dict.fromkeys(x for link in links for x in link.split("+")[:-1]))


def plan(
  methods: Sequence[str],
  tasks: Sequence[str],
  *,
  outside: Collection[str],
  subsets: Mapping[str, Sequence[str]],
  untaught: Collection[str] = (),
  first: Collection[str] = (),
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
    first: what an encoder may be trained on first.

  Raises:
    ValueError: no such method, or none, or one twice.
  """
  if not methods or len(set(methods)) < len(methods):
    raise ValueError(
      f"methods are {','.join(methods)!r}; name each once, as in "
      "--config.methods=single,multi,single-\\>multi"
    )
  return {
    method: _runs(method, tuple(tasks), outside, subsets, untaught, first)
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
  first: Collection[str],
) -> tuple[Run, ...]:
  chain, finetune, variant = parse(method, first)
  stages = [*chain, *([Link("finetune")] if finetune else [])]
  runs: list[Run] = []
  last: list[Run] = []
  # The run whose encoder all start from.
  encoder = ""
  for i, link in enumerate(stages):
    stage, kind = link.kind, KINDS[link.kind]
    if link.before:
      path = _path(link.before)
      encoder = path[-1].name
      runs += [run for run in path if run not in runs]
    here, varied = "-to-".join(x.text for x in chain[: i + 1]), ""
    if kind.continues:
      here += f"+{stage}"
    if variant and i + 1 == len(stages):
      here, varied = f"{here}@{variant}", variant
    mine = tuple(subsets.get(varied, tasks))
    groups = [(task,) for task in mine] if kind.alone else [mine]
    before = {task: run.name for run in last for task in run.tasks}
    last = []
    for group in groups:
      name, start = f"{here}.{'+'.join(group)}", encoder
      taught = [t for t in group if before and t not in untaught]
      teachers = [(t, OUTSIDE if t in outside else before[t]) for t in taught]
      if kind.continues:
        teachers, start = [], before[group[0]]
      elif before and not teachers:
        raise ValueError(
          f"method {method!r} would have {', '.join(group)} taught, which"
          " nobody can; leave the method or the task out"
        )
      fresh = bool(start) and not kind.continues
      last.append(
        Run(name, stage, group, tuple(teachers), start, fresh, varied)
      )
    runs += last
  # What the last stage does not build on is left out.
  wanted = {run.name for run in last}
  for run in reversed(runs):
    if run.name in wanted:
      wanted |= needs(run)
  return tuple(run for run in runs if run.name in wanted)


def _path(tasks: Sequence[str]) -> list[Run]:
  """Returns the runs in which an encoder is trained on tasks one by one.

  They are those of methods of their own, such as single, if these are asked for
  too.
  """
  found: list[Run] = []
  for i, task in enumerate(tasks):
    start = found[-1].name if found else ""
    name = f"{Link('single', tuple(tasks[:i])).text}.{task}"
    found.append(Run(name, "single", (task,), (), start, bool(start)))
  return found
