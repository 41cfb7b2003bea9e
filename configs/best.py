r"""What costs nothing when a model answers: which of it makes it better?

  python -m bam_jax.main --config=configs/best.py:study --workdir=W \
      --config.encoder=DIR --config.data.glue_dir=GLUE

Parts: study, on the four small tasks of GLUE, five options in half of their 32
combinations, each a student of single-task models, five seeds; smoke, four
options on two made-up tasks, without a download, in minutes. The report has
what each option gives over all cells, alone and with another. Named before:
that all of them together are above the paper's single->multi, and that above
its own baselines. Tasks may follow: configs/best.py:study,rte,mrpc. See
docs/reproducing.md.
"""

import string

from ml_collections import ConfigDict

from configs import _factorial, _parts, quickstart, strong

STUDENT = "single->multi"
# A word -> what the paper has, and what is tried in its place. They stand in
# the order of their keys, in which the report calls them A and so on.
FACTORS = {
  # The student learns for twice as long.
  "long": ({"multi": {"epochs": 3.0}}, {"multi": {"epochs": 6.0}}),
  # The mean of the weights of the second half of the steps.
  "swa": ({"optim": {"average": "none"}}, {"optim": {"average": "swa"}}),
  # Its last layer and its pooler start anew.
  "fresh": ({"reinit_layers": 0}, {"reinit_layers": 1}),
  # Teachers speak at twice the temperature (at 1 both ways to mix are one).
  "heat": (
    {"teacher": {"mix": "targets", "temperature": 1.0}},
    {"teacher": {"mix": "losses", "temperature": 2.0}},
  ),
  # All trials teach each student: the mean of their probabilities.
  "ensemble": (
    {"teacher": {"trials": "matched"}},
    {"teacher": {"trials": "ensemble"}},
  ),
}


def study(tasks):
  """Five options, resolution V: no two together are taken for another two."""
  c = strong.base(tasks or strong.SMALL)
  c.trials = 5
  # I = ABCDE: the cell where all are high is there.
  return _crossed(c, FACTORS, {"E": "ABCD"})


def smoke(tasks):
  """Four of them, resolution IV, on made-up tasks."""
  c = quickstart.get_config(tasks or "sentiment,paraphrase")
  c.data.limit = "400"
  c.scratch.width, c.scratch.mlp = 64, 128
  c.single.epochs, c.multi.epochs = 6.0, 3.0
  c.teacher.trials = "matched"
  c.trials = c.trials_at_once = 3
  # An encoder from scratch has no layer that could start anew.
  four = {word: each for word, each in FACTORS.items() if word != "fresh"}
  # I = ABCD.
  return _crossed(c, four, {"D": "ABC"})


def _crossed(c, factors, made):
  """Gives a config the cells of a fraction, and what is compared with them.

  Args:
    c: the config.
    factors: as in `FACTORS`; A is the first.
    made: letter -> letters that its sign is the product of.
  """
  letters = string.ascii_uppercase[: len(factors)]
  free = "".join(letter for letter in letters if letter not in made)
  c.variants = ConfigDict()
  for high in _factorial.fraction(free, made):
    words, cell = [], ConfigDict()
    for letter, (word, values) in zip(letters, factors.items(), strict=True):
      cell.update(ConfigDict(values[high[letter]]))
      words += [word] * high[letter]
    c.variants["_".join(words) or "paper"] = cell
  cells = [f"{STUDENT}@{name}" for name in c.variants]
  c.methods = ",".join(["single", "multi", STUDENT, *cells])
  best = f"{STUDENT}@{'_'.join(factors)}"
  c.claims = "; ".join(
    [f"{best} > {STUDENT}", f"{STUDENT} > multi", f"{STUDENT} > single"]
  )
  return c


PARTS = (study, smoke)


def get_config(arg: str = ""):
  """Returns the config; `arg` is "part" or "part,task,task,..."."""
  part, tasks = _parts.part_of(arg, PARTS, "study", "configs/best.py:smoke")
  return part(tasks)
