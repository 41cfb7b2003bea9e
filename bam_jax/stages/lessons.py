"""What a run trains on: its batches, with the teachers' logits in them."""

from collections.abc import Callable, Sequence
import dataclasses
import functools
from typing import Any

import numpy as np

from bam_jax.data import pipeline, sampling
from bam_jax.models import flops
from bam_jax.study.lineage import Lineage
from bam_jax.study.plan import OUTSIDE, Run
from bam_jax.tasks.table import Task
from bam_jax.training import sharding, teach


@dataclasses.dataclass
class Lessons(Lineage):
  """The batches of the runs of an experiment."""

  def order(self, run: Run, sizes: dict[str, int]) -> Callable[..., np.ndarray]:
    """Returns what draws the examples of a trial by its seed: i32[steps, B].

    Args:
      run: the run.
      sizes: training rows of each of its tasks, swapped copies included.
    """
    c = self.settings(run)
    settings = c[run.kind]
    copies, _ = self.mixture(run, sizes)
    pooled = sum(sizes[name] * copies[name] for name in run.tasks)
    steps = sampling.count_steps(
      pooled, batch_size=settings.batch_size, epochs=settings.epochs
    )
    steps = min(steps, c.max_steps) if c.max_steps else steps
    return functools.partial(
      sampling.train_order,
      tuple(sizes.values()),
      kind=c.sampling.kind,
      exponent=c.sampling.exponent,
      temperature=c.sampling.temperature,
      copies=tuple(copies[name] for name in run.tasks),
      batch_size=settings.batch_size,
      steps=steps,
    )

  def batches(
    self, run: Run, seeds: Sequence[int], *, taught: bool = True
  ) -> pipeline.TrialBatches:
    """Plans the steps of some trials of a run.

    Args:
      run: the run.
      seeds: of the trials.
      taught: False leaves the teachers out, who may not be trained yet: the
        shapes are the same.
    """
    c, tasks = self.settings(run), self.tasks_of(run)
    features = [self.corpus.train(task) for task in tasks]
    sizes = dict(zip(run.tasks, map(len, features), strict=True))
    _, weights = self.mixture(run, sizes)
    order, pools = self.order(run, sizes), {}
    for seed in seeds:
      teachers = self.teacher_seeds(seed) if taught else ()
      if teachers not in pools:
        data = [
          pipeline.TaskData(
            task.name,
            rows,
            task.classes,
            self.teacher(run, task, teachers) if teachers else None,
          )
          for task, rows in zip(tasks, features, strict=True)
        ]
        pools[teachers] = pipeline.join(
          data, weights=[weights[name] for name in run.tasks]
        )
    mine = [pools[self.teacher_seeds(seed) if taught else ()] for seed in seeds]
    orders = np.stack([order(seed=seed) for seed in seeds])
    seen = mine[0].task[orders[orders >= 0]]
    self.check_all_seen(run, seen, orders.shape[1])
    return pipeline.TrialBatches(
      mine,
      orders,
      width=self.width(run),
      packing=c.data.packing,
      row_shapes=c.data.row_shapes,
      multiple=c.micro_rows or sharding.row_multiple(self.mesh),
    )

  def useful(
    self, run: Run, batches: pipeline.TrialBatches, trial: int, steps: int
  ) -> float:
    """Returns the useful FLOPs of a trial's first steps (see flops.py)."""
    lengths, tasks = batches.trained(trial, steps)
    return float(
      sum(
        flops.train(
          self.encoder[0], lengths[tasks == i], classes=task.classes
        ).sum()
        for i, task in enumerate(self.tasks_of(run))
      )
    )

  def check_all_seen(self, run: Run, seen: np.ndarray, steps: int) -> None:
    """Refuses a run that would score a head it never trained.

    Args:
      run: the run.
      seen: i32[N] task of every example drawn.
      steps: of the run.
    """
    counts = np.bincount(seen, minlength=len(run.tasks))
    never = [n for n, count in zip(run.tasks, counts, strict=True) if not count]
    if never:
      capped = self.settings(run).max_steps
      key = "max_steps" if capped else f"{run.kind}.epochs"
      raise ValueError(
        f"no example of {', '.join(never)} is drawn in the {steps} steps of "
        f"{run.name}, so its head would stay random; raise --config.{key}, or "
        "leave the task out"
      )

  def untaught(
    self, run: Run, seeds: Sequence[int]
  ) -> list[tuple[Run, str, int]]:
    """Returns (teacher, task, seed) for all logits that a run lacks."""
    by_name = {other.name: other for other in self.runs}
    wanted = sorted({t for seed in seeds for t in self.teacher_seeds(seed)})
    return [
      (by_name[name], task, seed)
      for task, name in run.teachers
      for seed in wanted
      if name != OUTSIDE and not self.workdir.teacher(name, task, seed).exists()
    ]

  def metadata(self, name: str, task: Task, seed: int) -> dict[str, Any]:
    """Returns what a teacher's logits of a task must have been made with."""
    teacher = next(run for run in self.runs if run.name == name)
    return teach.metadata(
      self.corpus.taught(task),
      teacher=self.content(teacher, seed),
      tokenizer=self.encoder[2].digest,
      shared=self.shared(task),
    )

  def teacher(
    self, run: Run, task: Task, seeds: Sequence[int]
  ) -> np.ndarray | None:
    """Returns the logits that teach a run one task, or None."""
    rows = self.corpus.train(task)
    name = dict(run.teachers).get(task.name)
    if name is None:
      return None
    if name == OUTSIDE and task.name not in self.soft_files:
      soft = self.texts.take(task, task.train).soft
      # A swapped copy is taught what its original is.
      return soft[rows.index % len(soft)]
    if name == OUTSIDE:
      return teach.read_elsewhere(
        task,
        rows,
        paths=self.soft_paths(task.name, seeds),
        rows=self.corpus.rows(task),
        shared=self.shared(task),
      )
    return teach.read(
      task,
      rows,
      made={
        self.workdir.teacher(name, task.name, seed): self.metadata(
          name, task, seed
        )
        for seed in seeds
      },
    )
