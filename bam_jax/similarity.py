r"""Whether vectors of two texts are near where people say that these are alike.

  python -m bam_jax.similarity --run=ENCODER --pool=mean --glue-dir=GLUE
  python -m bam_jax.similarity --run=W/runs/NAME --pool=cls --task=mrpc \
      --glue-dir=GLUE

No head is asked and nothing is trained: each text of a pair is encoded by
itself, and the cosine of the two vectors is held against the pair's label, a
number or one of two classes, by Spearman's and Pearson's correlation x100.
Vectors are of the last layer, of [CLS] or the mean of all tokens
(bam_jax.features). Without --glue-dir the pairs come from the hub.

Exit codes: 0 done, 2 something in the command, the encoder or the data is wrong
(one sentence says what), 1 anything else.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from bam_jax.runtime import command


def parser() -> argparse.ArgumentParser:
  """Returns the flags."""
  found = argparse.ArgumentParser(
    prog="python -m bam_jax.similarity",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  add = found.add_argument
  add(
    "--run",
    required=True,
    help="W/runs/NAME, an exported directory, or any encoder's directory or"
    " hub name",
  )
  add("--pool", choices=("cls", "mean"), required=True)
  add("--task", default="stsb", help="whose pairs; default: stsb")
  add("--split", help="default: the first that the task is scored on")
  add("--glue-dir", default="", help="the folder of the GLUE download script")
  add("--trial", type=int, help="seed of the trial; the best on dev if absent")
  return found


def cosines(one: np.ndarray, two: np.ndarray) -> np.ndarray:
  """Returns the cosines f64[N] of vectors f[N, D], 0 of one without length."""
  one, two = np.float64(one), np.float64(two)
  norms = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
  return (one * two).sum(1) / np.where(norms, norms, 1.0)


def _length(text: str) -> tuple[int, str]:
  return len(text), text


def score(flags: argparse.Namespace) -> None:
  """Encodes the texts and prints what came out."""
  from bam_jax.data.sources import readers
  from bam_jax.inference import features
  from bam_jax.inference.model import BATCH
  from bam_jax.runtime.console import bar
  from bam_jax.tasks import metrics
  from bam_jax.tasks.table import get_tasks

  (task,) = get_tasks((flags.task,))
  if len(task.text) != 2 or task.classes > 2:
    raise ValueError(
      f"--task is {task.name}, which does not say how alike two texts are; take"
      " one of two texts with a number or two labels, as stsb, mrpc or qqp"
    )
  split = flags.split or task.dev[0]
  if split not in (task.train, *task.dev):
    known = ", ".join((task.train, *task.dev))
    raise ValueError(f"--split is {split}; {task.name} has labels in {known}")
  try:
    pairs = readers.load(task, split, glue_dir=flags.glue_dir, seed=0)
  except (ValueError, OSError) as error:
    # What is to be typed is called otherwise where a config is.
    said = str(error).replace("--config.data.glue_dir", "--glue-dir")
    raise ValueError(said) from error
  encoder = features.load(flags.run, trial=flags.trial)
  extract = features.Extractor(
    encoder, layers=[-1], pool=flags.pool, max_length=None
  )
  # A text that stands in several pairs is read once; equally long ones come
  # together, since the longest says how wide a batch is.
  texts = sorted({x for column in pairs.texts for x in column}, key=_length)
  place = {text: number for number, text in enumerate(texts)}
  found: list[np.ndarray] = []
  with bar(f"{task.name} {split}", len(texts), text="reads") as progress:
    for begin in range(0, len(texts), BATCH):
      some = texts[begin : begin + BATCH]
      (column,) = extract([some]).columns
      flat = column.combine_chunks().flatten().to_numpy()
      found.append(flat.reshape(len(some), -1))
      progress(len(some))
  vectors = np.concatenate(found)
  one, two = (
    vectors[[place[text] for text in column]] for column in pairs.texts
  )
  near = cosines(one, two)
  values = {
    name: 100 * metrics.METRICS[name](near, np.float64(pairs.labels))
    for name in ("spearman", "pearson")
  }
  said = ", ".join(f"{name} {value:.2f}" for name, value in values.items())
  print(f"{task.name} {split}, {len(near)} pairs, {flags.pool}: {said}")


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command."""
  flags = parser().parse_args(argv)
  command.run(lambda: score(flags))


if __name__ == "__main__":
  main()
