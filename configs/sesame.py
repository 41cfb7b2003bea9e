r"""What is learned from training on another task first (Past Sesame Street).

  python -m bam_jax.main --config=configs/sesame.py:atlas,rte,mrpc,cola \
      --workdir=W --config.trials=5 --config.encoder=DIR \
      --config.data.glue_dir=GLUE
  python -m bam_jax.main --config=configs/sesame.py:smoke --workdir=W

Parts: atlas, each of the tasks first and then each of them with a new head,
and each alone (Wang et al. 2019, the BERT part of table 2); smoke, the same of
made-up tasks, two first and two after, without a download. W/report/atlas.png
and the table beside it have the gains. See docs/intermediate.md.
"""

from configs import _parts, minilm, quickstart

TASKS = "rte,mrpc,cola,stsb,mnli"
LARGE = ("mnli", "qqp", "qnli", "sst2")


def atlas(tasks):
  """Every task before every task."""
  c = minilm.get_config(tasks or TASKS)
  names = c.tasks.split(",")
  c.methods = ",".join(["single", *(f"{name}+single" for name in names)])
  # As many as the small ones have, and enough to learn from.
  c.data.limit = ",".join(f"{task}=20000" for task in names if task in LARGE)
  c.single.rate = 1e-4
  return c


def smoke(tasks):
  """Two made-up tasks before two others that have few rows; three seeds."""
  c = quickstart.get_config(tasks or "paraphrase,similarity")
  first = ("entailment", "sentiment")
  c.methods = ",".join(["single", *(f"{name}+single" for name in first)])
  c.trials = 3
  return c


PARTS = (atlas, smoke)


def get_config(arg: str = ""):
  """Returns the config; `arg` is "part" or "part,task,task,..."."""
  part, tasks = _parts.part_of(arg, PARTS, "study", "configs/sesame.py:atlas")
  return part(tasks)
