"""Who teaches a run, what of it is there, and what it says."""

from collections.abc import Sequence
import dataclasses
from typing import Any

import numpy as np

from bam_jax.data import teachers
from bam_jax.data import trust as trusting
from bam_jax.data.features import Features
from bam_jax.runtime.console import say
from bam_jax.stages.materials import Materials
from bam_jax.study.experiment import Experiment
from bam_jax.study.lineage import Lineage
from bam_jax.study.plan import OUTSIDE, Run
from bam_jax.study.workdir import Workdir
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.learn import USUAL
from bam_jax.tasks.table import Task


@dataclasses.dataclass(frozen=True, eq=False)
class Teachers:
  """The teachers of an experiment's runs.

  Attributes:
    experiment: the experiment.
    materials: what it is made from.
    lineage: of its trials.
    workdir: where the logits are.
  """

  experiment: Experiment
  materials: Materials
  lineage: Lineage
  workdir: Workdir

  def missing(
    self, run: Run, seeds: Sequence[int]
  ) -> list[tuple[Run, str, int]]:
    """Returns (teacher, task, seed) for all logits that a run lacks."""
    teaching = self.experiment.teacher_seeds
    wanted = {t for seed in seeds for t in teaching(run, seed)}
    return [
      (self.experiment.run(name), task, seed)
      for task, name in run.teachers
      for seed in sorted(wanted)
      if name != OUTSIDE and not self.workdir.teacher(name, task, seed).exists()
    ]

  def expected(self, name: str, task: Task, seed: int) -> dict[str, Any]:
    """Returns what a teacher's logits of a task must have been made with."""
    # Whether their heads read texts together or apart, rows are the same ones.
    rows = dataclasses.replace(task, learn=USUAL)
    return teachers.metadata(
      self.materials.corpus.taught(rows),
      teacher=self.lineage.content(self.experiment.run(name), seed),
      tokenizer=self.materials.encoder.tokenizer.digest,
      shared=self.shared(task),
    )

  def shared(self, task: Task) -> dict[str, Any]:
    """Returns what teacher and student share in any two directories."""
    share = self.experiment.held.share(task)
    fold = self.experiment.config.data.fold
    return {
      "labels": list(task.labels),
      "text": self.materials.texts.fingerprint(task, task.train),
      "holdout": [share, fold] if fold else share,
    }

  def targets(
    self, run: Run, task: Task, seeds: Sequence[int]
  ) -> np.ndarray | None:
    """Returns the logits f32[N, C] that teach a run one task, or None.

    NaN where there are none, and where a row without a label has an answer that
    teacher.confidence or teacher.agreement does not trust.

    Args:
      run: the student.
      task: one of its tasks; the N rows are its training rows.
      seeds: of the teacher's trials.
    """
    rows = self.materials.rows(run, task)
    name = dict(run.teachers).get(task.name)
    if name is None:
      return None
    said, agreed = self._said(name, task, rows, seeds)
    settings = self.experiment.settings(run).config.teacher
    trust, gold = trusting.Trust.of(settings), rows.has_gold
    if not trust or gold.all():
      return said
    asked = " and ".join(
      f"teacher.{key}={value}"
      for key, value in dataclasses.asdict(trust).items()
      if value
    )
    doubted = trusting.doubted(trust, KINDS[task.kind], said, agreed, gold)
    say(
      f"{run.name}: of {(~gold).sum()} rows of {task.name} without a label"
      f" {doubted.sum()} are left out by {asked}"
    )
    return np.where(doubted[:, None], np.float32(np.nan), said)

  def _said(
    self, name: str, task: Task, rows: Features, seeds: Sequence[int]
  ) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns what all teachers say, and how far they agree; see `Trust`."""
    corpus = self.materials.corpus
    if name != OUTSIDE:
      made = {
        self.workdir.teacher(name, task.name, seed): self.expected(
          name, task, seed
        )
        for seed in seeds
      }
      each = teachers.read(rows, made=made)
    elif paths := self.experiment.soft_paths(task.name, seeds):
      each = teachers.read_elsewhere(
        task,
        rows,
        paths=paths,
        rows=corpus.rows(task),
        shared=self.shared(task),
      )
    else:
      examples = self.materials.texts.take(task, task.train)
      # A swapped copy is taught what its original is.
      own = rows.index % len(examples)
      agreed = examples.agreed
      return examples.soft[own], None if agreed is None else agreed[own]
    voted = None
    if not rows.has_gold.all():
      voted = trusting.votes(KINDS[task.kind], each)
    return teachers.average(each, task, rows), voted
