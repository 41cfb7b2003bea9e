"""Three methods on five made-up tasks with a small encoder from scratch.

python -m bam_jax.main --config=configs/quickstart.py --workdir=W
"""

from configs import common


def get_config(arg: str = ""):
  """Returns the config; `arg` is "task,task,..."."""
  c = common.base()
  c.tasks = "entailment,sentiment,paraphrase,similarity,acceptability"
  c.encoder = "scratch"
  c.max_length = 64
  return common.with_tasks(c, arg)
