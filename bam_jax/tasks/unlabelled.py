"""What a tasks file says of texts without labels, which a teacher answers."""

from collections.abc import Sequence

from bam_jax.tasks.entry import Entry
from bam_jax.tasks.panel import Judge

# What their files are called among those of a task's splits.
SPLIT = "unlabelled"


def of_entry(
  entry: Entry, judges: Sequence[Judge]
) -> tuple[tuple[str, ...], bool]:
  """Returns their files, and whether rows of train may have no label.

  Args:
    entry: of the task.
    judges: who judges its rows; () = nobody does.

  Raises:
    ValueError: they are not as they have to be, nobody could judge them, or
      they are given a weight and are not there.
  """
  given = entry.given.get("unlabelled")
  blank = given is not None or judges or "table" in entry.given
  if "unlabelled_weight" in entry.given and not blank:
    entry.refuse(
      "unlabelled_weight",
      "is for rows without a label, and there are none: add unlabelled = FILE,"
      " or unlabelled = true for those of train",
    )
  if given is None or given is True:
    return (), given is True
  if given is False:
    entry.refuse(
      "unlabelled",
      "is a file in quotes, or a list of different ones, or true where they are"
      " rows of train; leave it out where there are none",
    )
  files = entry.files("unlabelled")
  if judges and not any(judge.columns for judge in judges):
    entry.refuse(
      "unlabelled",
      "has rows that nobody teaches: a file of soft labels counts the rows of"
      " train; put these texts into train, without a label, and their soft"
      " labels into that file",
    )
  return files, False
