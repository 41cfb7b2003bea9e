r"""Looks at one training batch: every example's loss, every layer's gradient.

  python -m bam_jax.replay --state=W/runs/RUN/checkpoints/training-0-0 --step=37

The run's last whole state before that step is taken, and what lies between is
trained again, so the batch meets the very parameters and dropout that it met.
A run that ended because of it has kept the state right before it. Nothing in
the working directory is changed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
import re
from typing import Any

import jax
from ml_collections import ConfigDict
import numpy as np
import optax
import rich.table
import rich.text

from bam_jax.data import contrasts
from bam_jax.runtime import command
from bam_jax.runtime.console import CONSOLE, bar, say
from bam_jax.stages import session
from bam_jax.stages.session import Session
from bam_jax.study.chains import KINDS
from bam_jax.study.plan import Run
from bam_jax.study.workdir import Workdir
from bam_jax.tasks.table import Task
from bam_jax.training import loop, schedules
from bam_jax.training import state as states
from bam_jax.training.checkpoint import Checkpoints
from bam_jax.training.contrastive import LOSSES
from bam_jax.training.distillation import Mix
from bam_jax.training.step import make_losses


def opened(path: Path) -> tuple[Session, Run, Sequence[int]]:
  """Returns the session, the run and the seeds of a training directory.

  Raises:
    ValueError: it is none.
  """
  found = re.fullmatch(r"training-(\d+)-(\d+)", path.name)
  if not found or not path.is_dir():
    raise ValueError(
      f"{path} is no training state; give W/runs/RUN/checkpoints/training-A-B "
      "of a run that has not ended"
    )
  workdir = Workdir(path.absolute().parents[3])
  here = session.opened(workdir.config(), workdir)
  runs = here.experiment.runs
  name = path.absolute().parents[1].name
  run = next((run for run in runs if run.name == name), None)
  if run is None:
    raise ValueError(
      f"{workdir.file} has no run {name}; it has "
      f"{', '.join(run.name for run in runs)}"
    )
  return here, run, range(int(found[1]), int(found[2]) + 1)


def replay(path: Path, step: int) -> dict[str, Any]:
  """Returns what happened to each example of a batch.

  Args:
    path: W/runs/RUN/checkpoints/training-FIRST-LAST.
    step: counted from 1.

  Returns:
    `seeds`; `task` (names), `index`, `loss`, `label` of each example, one list
    per trial; `logits`, f32[C] of each; `norms`, {layer: gradient norm} per
    trial; `finite`, whether the parameters are.

  Raises:
    ValueError: there is no such run or step.
  """
  here, run, seeds = opened(path)
  settings = here.experiment.settings(run)
  job = loop.Job(
    model=here.materials.model(run),
    batches=here.batches(run, seeds),
    seeds=seeds,
    settings=settings,
    mesh=here.materials.mesh,
    matching=here.materials.matching(run),
  )
  steps = len(job.batches)
  if not 1 <= step <= steps:
    raise ValueError(f"--step is {step}; {run.name} has steps 1 to {steps}")
  checkpoints = Checkpoints(path)
  try:
    advance, state, _ = loop.begin(
      job, here.given(run, seeds), checkpoints, before=step - 1
    )
  finally:
    checkpoints.close()
  start = int(jax.device_get(state.step).max())
  with bar(run.name, step - 1, done=start, text="trains up to it") as progress:
    for k in range(start, step - 1):
      state, _ = advance(state, job.put(k))
      progress(1)
  return {"seeds": list(seeds)} | look(
    job, state, job.batches[step - 1], run, settings.config
  )


def look(
  job: loop.Job,
  state: states.TrainState,
  batch: dict[str, np.ndarray],
  run: Run,
  config: ConfigDict,
) -> dict[str, Any]:
  """Returns the losses and gradients of a batch [R, B, ...]; see `replay`."""
  model, matching = job.model, job.matching
  lam = schedules.lambda_of(config, len(job.batches))
  ahead = KINDS[run.kind].ahead
  twice = ahead and LOSSES[config.contrast.loss].rows == contrasts.TWICE

  @jax.jit
  def measure(params, key, step, batch, fixed):
    matched = matching.bound(fixed, model.dtype) if matching else None
    example_losses = make_losses(model, Mix.of(config.teacher), matched)

    def total(params):
      dropout = jax.random.fold_in(key, step)
      outputs, loss = example_losses(params, batch, dropout, lam(step))
      return (loss * batch["weight"]).sum(), (outputs, loss)

    gradient, (outputs, loss) = jax.grad(total, has_aux=True)(params)
    parts = dict(gradient[model.config.kind]) | {
      f"head of {name}": part
      for name, part in gradient.get("heads", {}).items()
    }
    adapters = gradient.get("adapters", {})
    parts |= {f"adapters of {name}": part for name, part in adapters.items()}
    norms = {name: optax.tree.norm(part) for name, part in parts.items()}
    finite = jax.tree.reduce(
      lambda a, x: a & jax.numpy.isfinite(x).all(), params, True
    )
    return outputs, loss, norms, finite

  found: dict[str, list] = {
    name: []
    for name in ("task", "index", "label", "loss", "logits", "norms", "finite")
  }
  for trial in range(len(state.step)):
    mine = {name: array[trial] for name, array in batch.items()}
    own = jax.tree.map(lambda x, t=trial: x[t], state)
    outputs, loss, norms, finite = jax.device_get(
      measure(own.params, own.key, own.step, mine, matching and matching.params)
    )
    here = mine["task"] >= 0
    found["task"].append([run.tasks[t] for t in mine["task"][here]])
    index = mine["index"][here]
    index = contrasts.row_of(index) if twice else index
    found["index"].append(index.tolist())
    found["loss"].append(loss[here].tolist())
    # Of labelled words there are too many to show.
    none = np.full((*here.shape, 0), np.nan)
    label = mine.get("label", np.full(here.shape, np.nan))
    found["label"].append(label[here].tolist())
    found["logits"].append(outputs.get("example", none)[here].tolist())
    found["norms"].append({name: float(norm) for name, norm in norms.items()})
    found["finite"].append(bool(finite))
  return found


def show(found: dict[str, Any], here: Session, *, rows: int) -> None:
  """Prints the examples, the worst first, and the gradient of every layer."""
  texts: dict[str, Any] = {}
  for trial, seed in enumerate(found["seeds"]):
    loss = np.array(found["loss"][trial])
    order = np.argsort(
      np.where(np.isfinite(loss), -loss, -np.inf), kind="stable"
    )
    table = rich.table.Table(title=f"seed {seed}", title_justify="left")
    for name in ("task", "example", "label", "loss", "logits", "text"):
      table.add_column(name)
    for i in order[:rows]:
      name, index = found["task"][trial][i], found["index"][trial][i]
      task = here.experiment.table[name]
      if name not in texts:
        texts[name] = here.materials.texts.look(task, task.train)
      examples = texts[name]
      row = row_of(here, task, index) % len(examples)
      text = " | ".join(column[row] for column in examples.texts)
      label = found["label"][trial][i]
      named = task.labels and np.isfinite(label)
      table.add_row(
        name,
        str(index),
        task.labels[int(label)] if named else f"{label:.3f}",
        f"{loss[i]:.4f}",
        " ".join(f"{x:.2f}" for x in found["logits"][trial][i][: task.classes]),
        rich.text.Text(text[:100]),
      )
    CONSOLE.print(table)
    worst = ", ".join(f"{k} {v:.3g}" for k, v in found["norms"][trial].items())
    say(f"gradient norms: {worst}")
    say(
      "the parameters before the step are "
      + ("finite" if found["finite"][trial] else "not finite")
    )


def row_of(here: Session, task: Task, index: int) -> int:
  """Returns the number of the row that an example of a batch is of.

  Args:
    here: the session.
    task: of the example.
    index: of it, in the batch; candidates are counted through all that are
      trained on, windows and parts of documents through all of their split.
  """
  rows = here.materials.corpus.train(task)
  if rows.windows:
    return int(rows.source[rows.index == index][0])
  if rows.words is None or not rows.words.apart:
    return index
  return int(np.repeat(rows.index, rows.words.counts)[index])


def answer(flags: argparse.Namespace) -> None:
  """Does what the command line says."""
  found = replay(flags.state, flags.step)
  show(found, opened(flags.state)[0], rows=flags.rows)


def main(args: Sequence[str] | None = None) -> None:
  """Prints the batch that the command line names."""
  parser = argparse.ArgumentParser(
    "python -m bam_jax.replay",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("--state", type=Path, required=True)
  parser.add_argument("--step", type=int, required=True, help="counted from 1")
  parser.add_argument("--rows", type=int, default=10, help="examples to show")
  given = parser.parse_args(args)
  command.run(lambda: answer(given))


if __name__ == "__main__":
  main()
