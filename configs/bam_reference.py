"""What the reference code does, where it is not what the paper says.

  python -m bam_jax.main --config=configs/bam_reference.py --workdir=W

Not followed: its clip per TPU core before the cores' gradients are summed, its
data order that is shuffled once and shared by all trials, and its last batch
of an epoch, which it pads.
"""

from configs import glue_bam


def get_config(arg: str = ""):
  """Returns the config; `arg` is "task,task,..."."""
  c = glue_bam.get_config(arg)
  # Rows are repeated and losses weighted; tasks are not drawn.
  c.sampling.kind = "copies"
  c.sampling.reference_sizes = True
  # A linear output for regression, where the paper has a sigmoid.
  c.loss.regression_output = "linear"
  # The decay starts at step 0 and warm-up overrides it.
  c.optim.warmup_join = "bert"
  # The first trial's logits teach every student.
  c.teacher.trials = "first"
  return c
