"""Methods as chains of training, and the runs that they come down to."""

from collections.abc import Collection, Sequence
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
  """

  name: str
  kind: str
  tasks: tuple[str, ...]
  teachers: tuple[tuple[str, str], ...] = ()
  start: str = ""


def names(text: str) -> tuple[str, ...]:
  """Splits a comma-separated string."""
  return tuple(part.strip() for part in text.split(",") if part.strip())


def parse(method: str) -> tuple[tuple[str, ...], bool]:
  """Returns a method's chain of kinds, and whether it is fine-tuned after.

  Raises:
    ValueError: it is no chain of `single` and `multi`.
  """
  finetune = method.endswith(FINETUNE)
  chain = tuple(method.removesuffix(FINETUNE).split("->"))
  for kind in chain:
    if kind not in KINDS:
      near = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.5)
      hint = (
        f"; did you mean {method.replace(kind, near[0])!r}?" if near else ""
      )
      raise ValueError(
        f"method {method!r} has {kind!r}; a method is a chain of "
        f"{' and '.join(KINDS)} joined by '->', with {FINETUNE} at its end if "
        f"you like, as in single->multi{FINETUNE}{hint}"
      )
  return chain, finetune


def plan(
  methods: Sequence[str], tasks: Sequence[str], *, outside: Collection[str]
) -> dict[str, tuple[Run, ...]]:
  """Returns the runs of each method, every one after what it needs.

  The last stage's runs stand last and are the ones that are scored. Runs of
  the same name are the same run: single->multi shares those of single.

  Args:
    methods: such as "single->multi+finetune".
    tasks: to be trained on.
    outside: those whose soft labels come from a file: nothing is trained only
      to teach them.

  Raises:
    ValueError: no such method, or none, or one twice.
  """
  if not methods or len(set(methods)) < len(methods):
    raise ValueError(
      f"methods are {','.join(methods)!r}; name each once, as in "
      "--config.methods=single,multi,single-\\>multi"
    )
  return {
    method: _needed(_runs(*parse(method), tuple(tasks), outside), tasks)
    for method in methods
  }


def scored(runs: Sequence[Run], task: str) -> Run:
  """Returns the run of a method that answers for a task: its last."""
  return [run for run in runs if task in run.tasks][-1]


def _runs(
  chain: tuple[str, ...],
  finetune: bool,
  tasks: tuple[str, ...],
  outside: Collection[str],
) -> tuple[Run, ...]:
  runs: list[Run] = []
  for i, kind in enumerate(chain):
    method = "-to-".join(chain[: i + 1])
    groups = [(task,) for task in tasks] if kind == "single" else [tasks]
    before = tuple(runs)
    for group in groups:
      teachers = tuple(
        (t, OUTSIDE if t in outside else scored(before, t).name)
        for t in group
        if before
      )
      name = f"{method}.{'+'.join(group)}"
      runs.append(Run(name, kind, group, teachers))
  if finetune:
    last, method = tuple(runs), "-to-".join(chain)
    runs += [
      Run(
        f"{method}+finetune.{task}",
        "finetune",
        (task,),
        start=scored(last, task).name,
      )
      for task in tasks
    ]
  return tuple(runs)


def _needed(runs: tuple[Run, ...], tasks: Sequence[str]) -> tuple[Run, ...]:
  """Leaves out the runs that the scored ones do not build on."""
  wanted = {scored(runs, task).name for task in tasks}
  for run in reversed(runs):
    if run.name in wanted:
      wanted |= {name for _, name in run.teachers} | {run.start}
  return tuple(run for run in runs if run.name in wanted)
