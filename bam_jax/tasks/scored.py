"""What a tasks file says of how a task is scored."""

from collections.abc import Sequence

from bam_jax.runtime.spelling import hint
from bam_jax.tasks.entry import Entry
from bam_jax.tasks.kind import TaskKind


def metrics(
  entry: Entry, labels: Sequence[str], kind: TaskKind
) -> tuple[str, ...]:
  """Returns the metrics, the headline first.

  Args:
    entry: of the task.
    labels: of the task.
    kind: of the task.

  Raises:
    ValueError: one cannot be.
  """
  known = kind.metrics
  # Where there are no columns, a file and its kind are all that has to be said.
  if not kind.named and "metric" not in entry.given:
    return (next(iter(known)),)
  asked = entry.texts("metric", "a metric, or a list of them")
  for name in asked:
    if name not in known:
      given = "a range" if kind.defined == "range" else "labels"
      given = f"kind {kind.name}" if "kind" in entry.given else given
      entry.refuse(
        "metric",
        f"has {name!r}; with {given} it is one of {', '.join(known)}"
        f"{hint(name, known)}",
      )
  if asked[0] in kind.lower:
    more = next(name for name in known if name not in kind.lower)
    entry.refuse(
      "metric",
      f"begins with {asked[0]}, of which less is better, and methods are"
      f" compared by what is better if it is more; take {more}, and"
      f" {asked[0]} is reported beside it",
    )
  if "f1" in [known[name] for name in asked] and len(labels) != 2:
    entry.refuse(
      "metric",
      "has f1, which needs two labels, the second the positive one; take"
      " accuracy or matthews",
    )
  return asked
