"""A reader for each origin of a task: GLUE, a course, synthetic, own files.

Each gives `Examples` with labels in the order of the task's row, matched by
name. A split without labels has `labels=None`; none is made up.
"""

from collections.abc import Callable, Mapping
import dataclasses

from bam_jax.data.sources import course, glue, judge, own, synthetic
from bam_jax.data.sources.examples import Examples
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.origins import Course, Glue, Own, Synthetic
from bam_jax.tasks.table import Task


def load(
  task: Task, split: str, *, glue_dir: str, seed: int, cs224n_dir: str = ""
) -> Examples:
  """Reads one split of a task from where the run's config says.

  Args:
    task: row of `TASKS`.
    split: one of `task.splits`.
    glue_dir: the GLUE folder; "" = the Hugging Face hub.
    seed: of the synthetic suite; the other sources do not use it.
    cs224n_dir: the folder of the course CS224N; "" = there is none.

  Returns:
    The examples in file order.

  Raises:
    ValueError: the content is not what the task allows.
    OSError: a file is missing or the hub cannot be reached.
  """
  if split not in task.splits:
    raise ValueError(
      f"{task.name} has no split {split!r}; it has {', '.join(task.splits)}"
    )
  location = Location(glue_dir, seed, cs224n_dir)
  return READERS[type(task.origin)](task, split, location)


@dataclasses.dataclass(frozen=True)
class Location:
  """What a run's config says of where text comes from.

  Attributes:
    glue_dir: the GLUE folder; "" = the Hugging Face hub.
    seed: of the synthetic suite.
    cs224n_dir: the folder of the course CS224N; "" = there is none.
  """

  glue_dir: str
  seed: int
  cs224n_dir: str


def _glue(task: Task, split: str, location: Location) -> Examples:
  if location.glue_dir:
    return glue.read_glue_folder(task, split, glue_dir=location.glue_dir)
  return glue.read_hub(task, split)


def _course(task: Task, split: str, location: Location) -> Examples:
  return course.read(task, split, folder=location.cs224n_dir)


def _synthetic(task: Task, split: str, location: Location) -> Examples:
  if task.origin.judge:
    return judge.read(task, split, task.origin.judge, seed=location.seed)
  texts, labels = synthetic.generate(task, split, seed=location.seed)
  where = f"synthetic, seed {location.seed}"
  return Examples(task.name, split, texts, labels, where)


def _own(task: Task, split: str, location: Location) -> Examples:
  return own.READERS[KINDS[task.kind].reads](task, split)


# What a task's origin is -> how a split of it is read.
READERS: Mapping[type, Callable[[Task, str, Location], Examples]] = {
  Glue: _glue,
  Course: _course,
  Synthetic: _synthetic,
  Own: _own,
}
