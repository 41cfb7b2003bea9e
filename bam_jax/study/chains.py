"""How a method is written: links between arrows, and what comes before each."""

from collections.abc import Collection, Mapping, Sequence
import dataclasses
import difflib

from bam_jax.stats.notation import AND, FINETUNE, RANDOM, varied


@dataclasses.dataclass(frozen=True)
class Kind:
  """A kind of run, which is a stage of a method.

  Attributes:
    alone: there is a run for each task; else one for all of them.
    continues: it starts from the parameters of the stage before it, which
      otherwise teaches it.
    frozen: its encoder stays as it starts.
    ahead: it trains an encoder alone, before a +, on a task of its own.
  """

  alone: bool
  continues: bool = False
  frozen: bool = False
  ahead: bool = False


# Each has settings of its own, as `training.settings.KINDS` says.
KINDS: Mapping[str, Kind] = {
  "single": Kind(alone=True),
  "multi": Kind(alone=False),
  "finetune": Kind(alone=True, continues=True),
  # Wang et al. (2019), section 3: what an encoder knows is asked of heads.
  "frozen": Kind(alone=True, frozen=True),
  "contrast": Kind(alone=True, ahead=True),
}
# What a chain is made of, and what stands before a part of it.
CHAINED = tuple(
  name for name, kind in KINDS.items() if not (kind.continues or kind.ahead)
)
AHEAD = tuple(name for name, kind in KINDS.items() if kind.ahead)


@dataclasses.dataclass(frozen=True)
class First:
  """What an encoder is trained on before what is asked of it.

  Attributes:
    name: as it is typed: of a task or a set, or tasks with & between them.
    tasks: that are trained together; () = none are, it is drawn anew.
    variant: of the settings; "" = none.
  """

  name: str
  tasks: tuple[str, ...]
  variant: str = ""

  @property
  def kind(self) -> str:
    """Which of `KINDS` it is a run of."""
    if self.name in AHEAD:
      return self.name
    return "multi" if self.tasks[1:] else "single"

  @property
  def text(self) -> str:
    """How it stands in the name of a directory."""
    name = self.name.replace(AND, "-and-")
    return f"{name}@{self.variant}" if self.variant else name


@dataclasses.dataclass(frozen=True)
class Link:
  """A part of a chain, between two arrows.

  Attributes:
    kind: one of `KINDS`.
    before: what its encoder is trained on first, one after the other; () = it
      starts from that of the link before.
  """

  kind: str
  before: tuple[First, ...] = ()

  @property
  def text(self) -> str:
    """How it stands in the name of a directory."""
    return "+".join((*(each.text for each in self.before), self.kind))


def parse(
  method: str,
  first: Collection[str],
  sets: Mapping[str, Sequence[str]] | None = None,
  ahead: Mapping[str, str] | None = None,
) -> tuple[tuple[Link, ...], bool, str]:
  """Returns a method's chain, whether fine-tuned after, its variant.

  Args:
    method: such as "mnli&qnli+single->multi+finetune@slow".
    first: tasks that an encoder may be trained on first.
    sets: name -> several of them.
    ahead: a name of `AHEAD` -> its task.

  Raises:
    ValueError: it is no chain of `single`, `multi` and `frozen`.
  """
  stages, variant = varied(method)
  finetune = stages.endswith(FINETUNE)
  chain = []
  for link in stages.removesuffix(FINETUNE).split("->"):
    *before, kind = link.split("+")
    if kind.partition("@")[0] in KINDS and "@" in kind:
      raise ValueError(_no_variant(method))
    if kind in AHEAD:
      raise ValueError(
        f"method {method!r} ends a part with {kind}, which trains an encoder "
        f"alone and answers no task; type what follows it, as {kind}+multi"
      )
    if kind not in CHAINED:
      raise ValueError(_unknown(method, kind, CHAINED))
    known = {**{name: (task,) for name, task in (ahead or {}).items()}}
    known |= {name: tuple(tasks) for name, tasks in (sets or {}).items()}
    each = [_first(method, text, first, known) for text in before]
    if not all(one.tasks for one in each[1:]):
      raise ValueError(
        f"method {method!r} has {RANDOM} behind a task, which would be trained"
        f" for nothing; it comes first of all, as in {RANDOM}+mnli+single"
      )
    chain.append(Link(kind, tuple(each)))
  if method.endswith("@"):
    raise ValueError(_no_variant(method))
  return tuple(chain), finetune, variant


def _first(
  method: str,
  text: str,
  known: Collection[str],
  sets: Mapping[str, Sequence[str]],
) -> First:
  """Reads what stands before a +.

  Args:
    method: the whole.
    text: the part of it.
    known: tasks.
    sets: what else may be named -> its tasks.
  """
  name, at, variant = text.partition("@")
  if name in KINDS and name not in AHEAD:
    if at:
      raise ValueError(_no_variant(method))
    raise ValueError(_unknown(method, name, known))
  if at and (not variant or name == RANDOM):
    raise ValueError(
      f"method {method!r} has {text!r}; a variant of what is trained first"
      " stands behind it, as in mnli@NAME+single"
    )
  if name == RANDOM:
    return First(name, ())
  tasks = tuple(sets.get(name, name.split(AND)))
  if len({*tasks}) < len(tasks):
    raise ValueError(f"method {method!r} has {name!r}; name each task once")
  for task in tasks:
    if task not in known:
      words = [*known, *sets, RANDOM]
      near = difflib.get_close_matches(task, words, n=1, cutoff=0.5)
      raise ValueError(
        f"method {method!r} trains on {task!r} first, which is no task with "
        "training rows"
        + (
          f"; did you mean {method.replace(task, near[0])!r}?"
          if near
          else f"; there are {', '.join(words)}"
        )
      )
  return First(name, tasks, variant)


def _no_variant(method: str) -> str:
  return (
    f"method {method!r} names no variant of its last stage; its name comes"
    f" last, as in single->multi{FINETUNE}@NAME, and that of a task that is"
    " trained first behind it, as in mnli@NAME+single"
  )


def _unknown(method: str, name: str, known: Collection[str]) -> str:
  near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
  hint = f"; did you mean {method.replace(name, near[0])!r}?" if near else ""
  return (
    f"method {method!r} has {name!r}; a method is a chain of "
    f"{', '.join(CHAINED[:-1])} and {CHAINED[-1]} joined by '->', with "
    f"{FINETUNE} and @VARIANT at its end if you like, as in "
    f"single->multi{FINETUNE}, and TASK+ before what starts from an encoder "
    f"that was trained on TASK{hint}"
  )


def prefixes(methods: Sequence[str]) -> tuple[str, ...]:
  """Returns all names that stand before a + in methods, known or not.

  Of tasks that are trained together each; of a set its name.
  """
  links = (
    link
    for method in methods
    for link in varied(method)[0].removesuffix(FINETUNE).split("->")
  )
  texts = (text for link in links for text in link.split("+")[:-1])
  found = (x for text in texts for x in text.partition("@")[0].split(AND))
  return tuple(dict.fromkeys(found))


def sets_of(
  said: Mapping[str, str], known: Collection[str]
) -> dict[str, tuple[str, ...]]:
  """Returns the sets of tasks that a config names.

  Args:
    said: name -> tasks with commas between them.
    known: tasks that an encoder may be trained on first.

  Raises:
    ValueError: one is called as something else is, or has no two tasks.
  """
  found = {}
  for name, text in said.items():
    tasks = tuple(each.strip() for each in str(text).split(",") if each.strip())
    if name in known or name in KINDS or name == RANDOM:
      raise ValueError(
        f"sets has {name!r}, which stands for something else in a method; call"
        " it otherwise"
      )
    if not tasks[1:] or len({*tasks}) < len(tasks):
      raise ValueError(
        f"sets.{name} is {text!r}; it is two tasks or more, each once, with"
        " commas between them"
      )
    found[name] = tasks
  return found
