"""The paper's main experiment: single, multi and single->multi on GLUE.

  python -m bam_jax.main --config=configs/glue_bam.py --workdir=W
  python -m bam_jax.main --config=configs/glue_bam.py:rte,mrpc,cola,stsb \
      --workdir=W --config.encoder=DIR --config.data.glue_dir=GLUE

The settings are the paper's, made for BERT-Large; see configs/minilm.py for a
small encoder. Not yet run whole with BERT-Large. Published, median of 20
trials: single 84.0, multi 85.5, single->multi 86.0.
"""

from configs import common


def get_config(arg: str = ""):
  """Returns the config; `arg` is "task,task,..."."""
  c = common.base()
  c.encoder = "google-bert/bert-large-uncased"
  return common.with_tasks(c, arg)
