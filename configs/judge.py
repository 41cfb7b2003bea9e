r"""How much gold, how good a judge: a made-up task, soft labels with errors.

  python -m bam_jax.main --config=configs/judge.py --workdir=W

Labels on none to all of 500 rows of `sentiment`; a judge of all rows, who is
wrong in 5, 20 or 35 %; teacher annealing, or a constant half of each; and the
labels alone; three seeds. No download. The report has a table and a picture of
it, docs/distillation.md what came out. `configs/judge.py:smoke` is a corner of
it. Other tasks may follow the colon: TASK_goldG_noiseN has the labels of G % of
the rows, and a judge who is wrong in N % of them.
"""

from ml_collections import ConfigDict

from configs import quickstart

SUITE = "sentiment"
# Percent of the training rows that keep their label, and that the judge is
# wrong about; of the labels a tenth is wrong.
GOLD, NOISE = (0, 5, 20, 50, 100), (5, 20, 35)


def get_config(arg: str = ""):
  """Returns the config; `arg` is "", "smoke" or "task,task,..."."""
  smoke = arg == "smoke"
  gold, noise = ((5, 100), (20,)) if smoke else (GOLD, NOISE)
  tasks = [f"{SUITE}_gold{g}_noise{n}" for g in gold for n in noise]
  if arg and not smoke:
    tasks = arg.split(",")
  c = quickstart.get_config()
  c.tasks = ",".join(tasks)
  c.variants.half = ConfigDict(
    {"teacher": {"schedule": "constant", "value": 0.5}}
  )
  c.methods = "single->single,single->single@half"
  # Without a teacher the judges of one share of gold are the same to a student.
  alone = [f"{SUITE}_gold{g}_noise{noise[0]}" for g in gold if g]
  if set(alone) <= set(tasks):
    c.variants.gold = ConfigDict({"tasks": ",".join(alone)})
    c.methods = f"single@gold,{c.methods}"
  # Few rows, or a judge's errors, being drawn for each row, hardly matter; and
  # as many steps, however few of them have a label.
  c.data.limit = "500"
  c.single.min_steps, c.single.epochs = 200, 1.0
  c.scratch.width, c.scratch.mlp = 64, 128
  c.trials = c.trials_at_once = 1 if smoke else 3
  return c
