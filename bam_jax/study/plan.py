"""Methods as chains of training, and the runs that they come down to."""

from collections.abc import Collection, Mapping, Sequence
import dataclasses
import difflib

KINDS = ("single", "multi")
FINETUNE = "+finetune"
# Stands for a teaching run where the soft labels were made elsewhere.
OUTSIDE = ""


@dataclasses.dataclass(frozen=True)
class Run:
  """One training job.

  Attributes:
    name: its directory: method and tasks.
    kind: which settings it takes: single, multi or finetune.
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
    if kind not in KINDS:
      near = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.5)
      hint = (
        f"; did you mean {method.replace(kind, near[0])!r}?" if near else ""
      )
      raise ValueError(
        f"method {method!r} has {kind!r}; a method is a chain of "
        f"{' and '.join(KINDS)} joined by '->', with {FINETUNE} and @VARIANT "
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

  Raises:
    ValueError: no such method, or none, or one twice.
  """
  if not methods or len(set(methods)) < len(methods):
    raise ValueError(
      f"methods are {','.join(methods)!r}; name each once, as in "
      "--config.methods=single,multi,single-\\>multi"
    )
  return {
    method: _runs(method, tuple(tasks), outside, subsets) for method in methods
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
) -> tuple[Run, ...]:
  chain, finetune, variant = parse(method)
  stages = [*chain, *(["finetune"] if finetune else [])]
  runs: list[Run] = []
  last: list[Run] = []
  for i, kind in enumerate(stages):
    here, varied = "-to-".join(chain[: i + 1]), ""
    if kind == "finetune":
      here += FINETUNE
    if variant and i + 1 == len(stages):
      here, varied = f"{here}@{variant}", variant
    mine = tuple(subsets.get(varied, tasks))
    groups = [mine] if kind == "multi" else [(task,) for task in mine]
    before = {task: run.name for run in last for task in run.tasks}
    last = []
    for group in groups:
      name, start = f"{here}.{'+'.join(group)}", ""
      teachers = [
        (t, OUTSIDE if t in outside else before[t]) for t in group if before
      ]
      if kind == "finetune":
        teachers, start = [], before[group[0]]
      last.append(Run(name, kind, group, tuple(teachers), start, varied))
    runs += last
  # What the last stage does not build on is left out.
  wanted = {run.name for run in last}
  for run in reversed(runs):
    if run.name in wanted:
      wanted |= needs(run)
  return tuple(run for run in runs if run.name in wanted)
