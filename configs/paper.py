r"""The studies of the paper, one table each, at any number of trials.

  python -m bam_jax.main --config=configs/paper.py:table1 --workdir=W \
      --config.trials=20 --config.encoder=DIR --config.data.glue_dir=GLUE

Parts: table1, table3, smoke (made-up tasks, no download). Tasks may follow:
configs/paper.py:table1,rte,mrpc,stsb. What they share is trained once in one
working directory. See docs/reproducing.md.
"""

from configs import common, glue_bam, quickstart


def table1(tasks):
  """Every method that the paper compares."""
  c = glue_bam.get_config(tasks)
  c.methods = (
    "single,multi,single->single,multi->multi,single->multi,"
    "single->multi->single->multi"
  )
  return c


def table3(tasks):
  """What single-task fine-tuning adds after multi-task training."""
  c = glue_bam.get_config(tasks)
  c.methods = "multi,multi+finetune,single->multi,single->multi+finetune"
  return c


def smoke(tasks):
  """The main methods on made-up tasks, eight seeds, on a laptop."""
  c = quickstart.get_config(
    tasks or "acceptability,sentiment,paraphrase,similarity"
  )
  c.methods = "single,multi,single->single,multi->multi,single->multi"
  c.trials = 8
  return c


PARTS = (table1, table3, smoke)


def get_config(arg: str = "table1"):
  """Returns the config; `arg` is "part" or "part,task,task,..."."""
  part, tasks = common.part_of(arg, PARTS, "study", "configs/paper.py:table1")
  return part(tasks)
