"""Single-task fine-tuning on GLUE: the baseline, and the teachers.

python -m bam_jax.main --config=configs/glue_single.py:rte --workdir=W
"""

from configs import glue_bam


def get_config(arg: str = ""):
  """Returns the config; `arg` is "task,task,..."."""
  c = glue_bam.get_config(arg)
  c.methods = "single"
  return c
