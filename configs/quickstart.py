"""Three methods on five made-up tasks with a small encoder from scratch.

  python -m bam_jax.main --config=configs/quickstart.py --workdir=W

No download; minutes on two CPU cores. How many, what seeds end at, and why
settings are as they are, docs/results/quickstart.md says.
"""

from configs import common


def get_config(arg: str = ""):
  """Returns the config; `arg` is "task,task,..."."""
  c = common.base()
  c.tasks = "entailment,acceptability,sentiment,paraphrase,similarity"
  c.encoder = "scratch"
  c.scratch.mlp = 256
  c.scratch.dropout = 0.0
  c.head_dropout = 0.0
  c.max_length = 32
  # Each shape is compiled anew for each of the seven runs.
  c.data.row_shapes = 1
  # An encoder from scratch learns at all depths, and fast.
  c.optim.bias_correction = True
  # Through a sigmoid a row of similarity pulls a fifth as hard as a row of
  # classes, and of a mixed batch little of what it teaches of pairs arrives.
  c.loss.regression_output = "linear"
  for kind in (c.single, c.multi, c.finetune, c.frozen):
    kind.epochs, kind.batch_size, kind.layer_decay = 6.0, 32, 1.0
  # Pairs come in one jump, at a step that the seed decides: here, whichever was
  # seen, in the first half, while the rate is high.
  c.multi.epochs = 8.0
  # To fine-tune takes a fifth of single's rate, as in the paper.
  c.single.rate, c.multi.rate, c.finetune.rate = 1e-3, 7e-4, 2e-4
  c.log_every = 50
  return common.with_tasks(c, arg)
