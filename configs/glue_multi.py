"""Multi-task fine-tuning on GLUE without teachers.

python -m bam_jax.main --config=configs/glue_multi.py --workdir=W
"""

from configs import glue_bam


def get_config(arg: str = ""):
  """Returns the config; `arg` is "task,task,..."."""
  c = glue_bam.get_config(arg)
  c.methods = "multi"
  return c
