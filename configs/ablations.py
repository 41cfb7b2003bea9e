"""Table 4 of the paper: single->multi without one of its parts.

  for part in no_layer_rates no_task_sampling lambda_0 lambda_half; do
    python -m bam_jax.main --config=configs/ablations.py:$part --workdir=W/$part
  done

Tasks may follow: configs/ablations.py:lambda_0,rte,mrpc. Published, against
single->multi: -0.3, -0.4, -0.5, -0.3.
"""

import difflib

from configs import glue_bam


def no_layer_rates(c):
  """Every depth learns at the same rate."""
  c.multi.layer_decay = 1.0


def no_task_sampling(c):
  """All examples are shuffled together: p ~ |D|."""
  c.sampling.kind = "proportional"


def lambda_0(c):
  """Pure distillation: the gold labels are never used."""
  c.teacher.schedule, c.teacher.value = "constant", 0.0


def lambda_half(c):
  """Teacher and gold count the same throughout."""
  c.teacher.schedule, c.teacher.value = "constant", 0.5


PARTS = {
  part.__name__: part
  for part in (no_layer_rates, no_task_sampling, lambda_0, lambda_half)
}


def get_config(arg: str = ""):
  """Returns the config; `arg` is "part" or "part,task,task,..."."""
  part, _, tasks = arg.partition(",")
  if part not in PARTS:
    near = difflib.get_close_matches(part, PARTS, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(
      f"ablation {part!r} is none of {', '.join(PARTS)}{hint}; type "
      "--config=configs/ablations.py:lambda_0"
    )
  c = glue_bam.get_config(tasks)
  c.methods = "single->multi"
  PARTS[part](c)
  return c
