r"""The studies of the MT-DNN toolkit (Liu et al. 2020), a table each.

  python -m bam_jax.main --config=configs/mtdnn.py:table2 --workdir=W \
      --config.trials=5 --config.encoder=DIR --config.data.glue_dir=GLUE

Parts: table2, alone, together, and alone with an adversary; workflows, every
workflow of its section 2, each without and with an adversary. Tasks may follow:
configs/mtdnn.py:table2,rte,mrpc. The toolkit trains by Adamax; here it is
Adam. Published for BERT-base, one run: see docs/mtdnn.md.
"""

from ml_collections import ConfigDict

from configs import _parts, common

TASKS = "mnli,rte,qnli,sst2,mrpc"
# The paper names SMART; its code computes another step (docs/mtdnn.md).
ADVERSARIAL = {"adv": {"adversary": {"kind": "smart"}}}


def _base(tasks):
  """Returns the toolkit's own settings: section 3 and its defaults."""
  c = common.base()
  c.encoder = "google-bert/bert-base-uncased"
  c.max_length = 128
  for kind in (c.single, c.multi, c.finetune):
    kind.epochs, kind.batch_size, kind.rate, kind.layer_decay = (
      5.0,
      32,
      5e-5,
      1.0,
    )
  # Every batch of every task once an epoch.
  c.sampling.kind = "proportional"
  c.loss.reduction = "mean"
  c.optim.bias_correction = True
  c.variants = ConfigDict(ADVERSARIAL)
  return common.with_tasks(c, tasks or TASKS)


def table2(tasks):
  """Each task alone, all together, and each alone with an adversary."""
  c = _base(tasks)
  c.methods = "single,multi,single@adv"
  return c


def workflows(tasks):
  """Alone, together, then fine-tuned, then distilled; each with SMART too."""
  c = _base(tasks)
  plain = ["single", "multi", "multi+finetune", "single->multi"]
  c.methods = ",".join([*plain, *(f"{method}@adv" for method in plain)])
  return c


PARTS = (table2, workflows)


def get_config(arg: str = ""):
  """Returns the config; `arg` is "part" or "part,task,task,..."."""
  part, tasks = _parts.part_of(arg, PARTS, "study", "configs/mtdnn.py:table2")
  return part(tasks)
