"""The tasks that data.text makes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ml_collections import ConfigDict

from bam_jax.data.sources import own as own_files
from bam_jax.study.plan import names
from bam_jax.tasks import own as own_tasks
from bam_jax.tasks.table import Task

# The tasks that data.text makes, by kind; one of the first two is among them.
TEXT, SIDED = "mlm", "lm"
TEXTS = {TEXT: "mlm", SIDED: "lm", "next": "next_sentence"}


def table(
  config: ConfigDict, known: Mapping[str, Task], told: Sequence[str]
) -> dict[str, Task]:
  """Returns the tasks that data.text means; {} = there are none.

  Args:
    config: the whole config.
    known: of all other tasks.
    told: what is trained on.

  Raises:
    ValueError: they are there and not trained, or trained and not there.
  """
  files = names(config.data.text)
  asked = [name for name in TEXTS if name in told]
  if not files:
    missing = [name for name in asked if name not in known]
    if missing:
      raise ValueError(
        f"tasks have {missing[0]}, which reads plain text; say which:"
        " --config.data.text=a.txt,b.txt.gz"
      )
    return {}
  if twice := [name for name in asked or [TEXT] if name in known]:
    raise ValueError(
      f"data.text is {config.data.text!r} and makes a task {twice[0]}, which"
      f" {config.tasks_file} has too; call that one otherwise"
    )
  if not {TEXT, SIDED} & {*asked}:
    raise ValueError(
      f"data.text is {config.data.text!r}, which the task {TEXT} reads, and"
      f" tasks are {config.tasks}; type --config.tasks={config.tasks},{TEXT}"
    )
  # Where they are wrong, the key that has them is named.
  entries = {
    name: {"kind": TEXTS[name], "train": list(files)} for name in asked
  }
  path = Path("data.text")
  return own_tasks.table(own_files.complete(entries, path), path)
