r"""Small tasks of GLUE beside the large ones that help them, well set.

  python -m bam_jax.main --config=configs/strong.py:tune_single --workdir=T \
      --config.trials=3 --config.encoder=DIR --config.data.glue_dir=GLUE
  python -m bam_jax.main --config=configs/strong.py:study --workdir=W \
      --config.trials=10 --config.encoder=DIR --config.data.glue_dir=GLUE

Parts: tune_single and tune_multi, three rates each, scored on a tenth of the
training rows, held out; study, the methods with what they chose. Small tasks
alone take 1,000 steps, 6 to 13 epochs: a baseline that is cut short would make
anything look like a gain. Of the large tasks 20,000 rows are taken. What came
out: docs/results.md.
"""

from ml_collections import ConfigDict

from configs import _parts, common

SMALL, LARGE = "rte,mrpc,cola,stsb", "mnli,qqp,qnli,sst2"
RATES = {"single": (5e-5, 1e-4, 2e-4), "multi": (1e-4, 2e-4, 4e-4)}


def _base(tasks):
  c = common.with_tasks(common.base(), tasks or f"{SMALL},{LARGE}")
  c.encoder = "sentence-transformers/all-MiniLM-L6-v2"
  large = set(LARGE.split(",")) & set(c.tasks.split(","))
  c.data.limit = ",".join(f"{task}=20000" for task in sorted(large))
  c.optim.bias_correction = True
  c.loss.reduction = "mean"
  for kind in (c.single, c.multi, c.finetune):
    kind.epochs, kind.layer_decay = 3.0, 1.0
  c.single.min_steps = c.finetune.min_steps = 1_000
  c.multi.batch_size = 64
  # Trials are compared by tests, so each has a teacher of its own.
  c.teacher.trials = "matched"
  return c


def tune_single(tasks):
  """Rates of single-task models of the small tasks, on held-out rows."""
  return _rates("single", tasks or SMALL)


def tune_multi(tasks):
  """Rates of multi, on held-out rows, in a third of the study's steps."""
  c = _rates("multi", tasks)
  # Which rate is best is asked, not how good it gets.
  c.multi.epochs = 1.0
  return c


def _rates(kind, tasks):
  c = _base(tasks)
  c.data.holdout = 0.1
  c.variants, methods = ConfigDict(), []
  for rate in RATES[kind]:
    name = f"rate_{rate:.0e}".replace("e-0", "e-")
    c.variants[name] = ConfigDict({kind: {"rate": rate}})
    methods.append(f"{kind}@{name}")
  c.methods = ",".join(methods)
  return c


def study(tasks):
  """What training together gives the small tasks, and what teachers add."""
  c = _base(tasks)
  c.methods = "single,multi,single->multi"
  c.claims = "single->multi > multi; multi >= single"
  if "rte" in c.tasks.split(","):
    # Which task gains most beside MNLI is known from the paper's Table 5.
    c.claims = f"multi > single on rte; {c.claims}"
  return c


PARTS = (tune_single, tune_multi, study)


def get_config(arg: str = ""):
  """Returns the config; `arg` is "part" or "part,task,task,..."."""
  part, tasks = _parts.part_of(arg, PARTS, "study", "configs/strong.py:study")
  return part(tasks)
