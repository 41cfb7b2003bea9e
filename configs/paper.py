r"""The studies of the paper, a table each, at any number of trials.

  python -m bam_jax.main --config=configs/paper.py:table1 --workdir=W \
      --config.trials=20 --config.encoder=DIR --config.data.glue_dir=GLUE

Parts: table1, table3, table4, table5; tune, which chooses settings for an
encoder on rows held out of train; smoke, made-up tasks without a download.
Tasks may follow: configs/paper.py:table1,rte,mrpc,stsb. What the tables share
is trained once in one working directory. See docs/reproducing.md.
"""

import itertools

from ml_collections import ConfigDict

from configs import _parts, glue_bam, quickstart

# Table 4: what single->multi has, taken away one by one.
ABLATIONS = {
  # Every depth learns at the same rate.
  "no_layer_rates": {"multi": {"layer_decay": 1.0}},
  # All examples are shuffled together: p ~ |D|.
  "no_task_sampling": {"sampling": {"kind": "proportional"}},
  # Pure distillation: the gold labels are never used.
  "lambda_0": {"teacher": {"schedule": "constant", "value": 0.0}},
  # Teacher and gold count the same throughout.
  "lambda_half": {"teacher": {"schedule": "constant", "value": 0.5}},
}
# Table 5: what RTE is trained with. The fourth line of it is all tasks.
WITH_RTE = {
  "rte": {"tasks": "rte"},
  "rte_mnli": {"tasks": "rte,mnli"},
  "rte_qqp_cola_sst2": {"tasks": "rte,qqp,cola,sst2"},
}
# What `tune` tries: peak rates around the paper's, alphas and epochs.
RATES = {"single": (2e-5, 5e-5, 1e-4), "multi": (5e-5, 1e-4, 2e-4)}
DECAYS, EPOCHS = (1.0, 0.9), (3.0, 6.0)


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


def table4(tasks):
  """What single->multi loses without each of its parts."""
  return ablated(glue_bam.get_config(tasks))


def table5(tasks):
  """Which tasks help RTE: none, MNLI, three unlike it, or all."""
  c = glue_bam.get_config(tasks)
  known = set(c.tasks.split(","))
  if "rte" not in known:
    raise ValueError(
      f"table5 is about rte, which is not among {c.tasks}; type "
      "--config=configs/paper.py:table5,rte,mnli"
    )
  # Some of the tasks have the lines that can be made of them.
  lines = {
    name: change
    for name, change in WITH_RTE.items()
    if known.issuperset(change["tasks"].split(","))
  }
  c.variants = ConfigDict(lines)
  # Alone it is taught by itself, as in the paper.
  methods = ["single->single@rte", *_varied("single->multi", [*lines][1:])]
  c.methods = ",".join([*methods, "single->multi"])
  return c


def tune(tasks):
  """The same number of rates, alphas and epochs for every method."""
  c = glue_bam.get_config(tasks)
  c.data.holdout = 0.1
  c.variants, methods = ConfigDict(), []
  for method in ("single", "multi", "single->multi"):
    kind = method.split("->")[-1]
    for rate, decay, epochs in itertools.product(RATES[kind], DECAYS, EPOCHS):
      # A name has no dots, being a key: 0p9 is 0.9.
      name = f"{kind}_rate_{rate:.0e}_alpha_{decay:g}_epochs_{epochs:g}"
      name = name.replace("e-0", "e-").replace(".", "p")
      cell = {"rate": rate, "layer_decay": decay, "epochs": epochs}
      c.variants[name] = ConfigDict({kind: cell})
      methods += _varied(method, [name])
  c.methods = ",".join(methods)
  return c


def smoke(tasks):
  """The main methods on made-up tasks, eight seeds, on a laptop."""
  c = quickstart.get_config(tasks or "sentiment,paraphrase,similarity")
  c.methods = "single,multi,single->single,multi->multi,single->multi"
  c.single.epochs = c.multi.epochs = c.finetune.epochs = 4.0
  # As docs/results/smoke.md was made, before the quickstart's were changed.
  c.loss.regression_output = "sigmoid"
  c.trials = 8
  return c


PARTS = (table1, table3, table4, table5, tune, smoke)


def get_config(arg: str = ""):
  """Returns the config; `arg` is "part" or "part,task,task,..."."""
  part, tasks = _parts.part_of(arg, PARTS, "study", "configs/paper.py:table1")
  return part(tasks)


def ablated(c):
  """Gives a config the methods of Table 4."""
  c.variants = ConfigDict(ABLATIONS)
  c.methods = ",".join(["single->multi", *_varied("single->multi", ABLATIONS)])
  return c


def _varied(method, variants):
  return [f"{method}@{variant}" for variant in variants]
