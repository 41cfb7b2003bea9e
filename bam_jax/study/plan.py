"""Methods as chains of training, and the runs that they come down to."""

from collections.abc import Collection, Mapping, Sequence
import dataclasses

from bam_jax.study.chains import KINDS, First, Link, parse

# Stands for a teaching run where the soft labels were made elsewhere.
OUTSIDE = ""


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
    first: it trains the encoder of others, by the config's `first`.
    random: its encoder is drawn anew, whatever weights the config names.
  """

  name: str
  kind: str
  tasks: tuple[str, ...]
  teachers: tuple[tuple[str, str], ...] = ()
  start: str = ""
  fresh: bool = False
  variant: str = ""
  first: bool = False
  random: bool = False


def names(text: str) -> tuple[str, ...]:
  """Splits a comma-separated string."""
  return tuple(part.strip() for part in text.split(",") if part.strip())


@dataclasses.dataclass(frozen=True)
class Firsts:
  """What may be trained first in a study.

  Attributes:
    tasks: those there are.
    sets: name -> several of them.
    own: it has settings of its own.
    ahead: a stage that trains an encoder alone -> its task.
  """

  tasks: Collection[str] = ()
  sets: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
  own: bool = False
  ahead: Mapping[str, str] = dataclasses.field(default_factory=dict)


def plan(
  methods: Sequence[str],
  tasks: Sequence[str],
  *,
  outside: Collection[str],
  subsets: Mapping[str, Sequence[str]],
  untaught: Collection[str] = (),
  first: Firsts = Firsts(),
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
    ValueError: no such method, or none, or one twice, or two whose runs would
      be called alike.
  """
  if not methods or len(set(methods)) < len(methods):
    raise ValueError(
      f"methods are {','.join(methods)!r}; name each once, as in "
      "--config.methods=single,multi,single-\\>multi"
    )
  found = {
    method: _runs(method, tuple(tasks), outside, subsets, untaught, first)
    for method in methods
  }
  known: dict[str, Run] = {}
  for run in (run for runs in found.values() for run in runs):
    if known.setdefault(run.name, run) != run:
      raise ValueError(
        f"two runs of {','.join(methods)} would be called {run.name}; give one"
        " of their tasks or sets another name"
      )
  return found


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
  first: Firsts,
) -> tuple[Run, ...]:
  known = first.tasks, first.sets, first.ahead
  chain, finetune, variant = parse(method, *known)
  stages = [*chain, *([Link("finetune")] if finetune else [])]
  runs: list[Run] = []
  last: list[Run] = []
  # The run whose encoder all start from, or whether it is drawn anew.
  encoder, random = "", False
  for i, link in enumerate(stages):
    stage, kind = link.kind, KINDS[link.kind]
    if link.before:
      path = _path(link.before, own=first.own)
      random = not link.before[0].tasks
      encoder = path[-1].name if path else ""
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
      made = Run(name, stage, group, tuple(teachers), start, fresh, varied)
      last.append(dataclasses.replace(made, random=random and not start))
    runs += last
  # What the last stage does not build on is left out.
  wanted = {run.name for run in last}
  for run in reversed(runs):
    if run.name in wanted:
      wanted |= needs(run)
  return tuple(run for run in runs if run.name in wanted)


def _path(firsts: Sequence[First], *, own: bool) -> list[Run]:
  """Returns the runs in which an encoder is trained on tasks one by one.

  They are those of methods of their own, such as single, if these are asked for
  too and the settings are no others.
  """
  found: list[Run] = []
  for i, each in enumerate(firsts):
    if not each.tasks:
      continue
    start = found[-1].name if found else ""
    before = [one.text for one in firsts[:i]]
    # A stage that is always first has settings of its own in any case.
    other = own and not KINDS[each.kind].ahead
    word = "first" if other else each.kind
    stage = f"{word}@{each.variant}" if each.variant else word
    found.append(
      Run(
        f"{'+'.join([*before, stage])}.{'+'.join(each.tasks)}",
        each.kind,
        each.tasks,
        start=start,
        fresh=bool(start),
        variant=each.variant,
        first=other,
        random=not firsts[0].tasks and not start,
      )
    )
  return found
