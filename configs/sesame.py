r"""What is learned from training on another task first (Past Sesame Street).

  python -m bam_jax.main --config=configs/sesame.py:atlas,rte,mrpc,cola \
      --workdir=W --config.trials=5 --config.encoder=DIR \
      --config.data.glue_dir=GLUE
  python -m bam_jax.main --config=configs/sesame.py:smoke --workdir=W

Parts: table2, encoders from scratch that are trained on a task and stay; table3
and correlations, BERT with a task between; table6 and table7, samplers and
weights of the loss; samplers, table6's lines with a pretrained encoder;
diagnostic, what tables 11 and 12 are asked of; curves, by rows of what comes
first and of the task itself; atlas, each of the tasks first and then each of
them with a new head, and each alone; smoke, the same of made-up tasks, two
first and two after, without a download.

Tasks may follow, and behind table2, table3, correlations and diagnostic a tasks
file whose tasks come first too, the paper's tasks beyond GLUE:
configs/sesame.py:table3,rte,cola,outside.toml. See docs/intermediate.md.
"""

from pathlib import Path

from ml_collections import ConfigDict

from configs import _parts, common, minilm, quickstart

TASKS = "rte,mrpc,cola,stsb,mnli"
LARGE = ("mnli", "qqp", "qnli", "sst2")
NINE = "cola,sst2,mrpc,qqp,stsb,mnli,qnli,rte,wnli"
# Appendix C: single sentences, paraphrases, inference.
SUBSETS = {
  "s1": "sst2,cola",
  "s2": "mrpc,stsb,qqp",
  "s3": "wnli,qnli,mnli,rte",
}
# Tables 6 and 7, a line each.
SAMPLERS = {
  "uniform": {"kind": "uniform"},
  "proportional": {"kind": "proportional"},
  "log": {"kind": "log"},
  "power75": {"kind": "power", "exponent": 0.75},
  "power66": {"kind": "power", "exponent": 0.66},
  "power50": {"kind": "power", "exponent": 0.5},
}
# Table 7, a column each.
SCALES = {
  "uniform": {"loss_scale": "uniform"},
  "proportional": {"loss_scale": "proportional"},
  "power75": {"loss_scale": "power", "loss_scale_exponent": 0.75},
}
# Kinds that say words.
WRITTEN = ("mlm", "lm", "seq2seq")
# Table 5: what is read by attention between two texts, and how wide the heads
# of small tasks and of the others are, with what they drop.
ATTENDING = ("stsb", "qqp", "mnli", "qnli")
SMALL = ("rte", "wnli")
PAIRS = (*SMALL, "mrpc", *ATTENDING)
# Rows of what comes first, and of the task itself.
ROWS = (1_000, 4_000, 16_000)
FEW = (250, 500, 1_000)


def _told(tasks, usual):
  """Returns the tasks that are scored, those of a tasks file, and that file."""
  each = [name for name in (tasks or usual).split(",") if name]
  files = [name for name in each if Path(name).suffix]
  names = [name for name in each if name not in files] or usual.split(",")
  if not files:
    return names, {}, ""
  if files[1:]:
    raise ValueError(f"one tasks file, not {' and '.join(files)}")
  from bam_jax.tasks import own

  return names, own.read(Path(files[0])), files[0]


def _base(names, file):
  """Returns what all of the paper's tables have in common."""
  c = common.with_tasks(common.base(), ",".join(names))
  c.tasks_file = file
  c.loss.reduction = "mean"
  for kind in (c.single, c.multi, c.finetune, c.frozen):
    kind.layer_decay = 1.0
  # Appendix B and its code: every 1,000 steps, on the first 5,000 rows of dev.
  c.data.dev_limit = "5000"
  c.eval_every, c.select.per_task, c.select.by = 1_000, True, "average"
  # More than 20 evaluations without a gain.
  c.select.patience = 21
  return c


def _bert(names, file):
  """The paper's BERT: three epochs a stage, at 1e-5."""
  c = _base(names, file)
  c.encoder, c.max_length = "google-bert/bert-base-cased", 80
  for kind in (c.single, c.multi, c.finetune):
    kind.epochs, kind.batch_size, kind.rate = 3.0, 16, 1e-5
  return c


def _bilstm(names, file):
  """The paper's BiLSTM, with its filters over letters drawn and not given."""
  c = _base(names, file)
  c.encoder, c.scratch.kind, c.max_length = "scratch", "bilstm", 40
  c.scratch.layers, c.scratch.width = 2, 2048
  c.scratch.filters, c.scratch.words_width = 2048, 512
  c.scratch.skip, c.scratch.dropout = True, 0.2
  c.scratch.vocab_size, c.head_dropout = 20_000, 0.2
  # AMSGrad, at a rate that falls where nothing is gained.
  c.optim.kind, c.optim.schedule, c.optim.warmup = "amsgrad", "plateau", 0.0
  c.optim.bias_correction, c.optim.weight_decay = True, 0.0
  # It is for evaluations to end a run.
  for kind in (c.single, c.multi, c.frozen):
    kind.epochs, kind.batch_size, kind.rate = 50.0, 32, 3e-4
  c.first.rate = 1e-4
  nine = [name for name in names if name in NINE.split(",")]
  c.learn.head = ",".join(f"{name}={_head(name)}" for name in nine)
  c.learn.layers = ",".join(f"{name}=mix" for name in nine)
  return c


def _head(task):
  """The paper's head of one of GLUE's tasks above a BiLSTM."""
  if task in ATTENDING:
    return "attention"
  kind = "pair" if task in PAIRS else "project"
  if task in SMALL:
    return f"{kind}:width=128:answer_dropout=0.4"
  return f"{kind}:width=256"


def _firsts(c, names, outside, last):
  """Adds what comes first: each task, and the sets of them.

  Args:
    c: the config.
    names: of tasks.
    outside: name -> what a tasks file says of it.
    last: what comes after.
  """
  sets = {"glue": [*names], "outside": [*outside]}
  sets = {name: ",".join(each) for name, each in sets.items() if each[1:]}
  if outside:
    sets["all"] = ",".join((*names, *outside))
  c.sets = ConfigDict(sets)
  return [f"{name}+{last}" for name in (*names, *outside, *sets)]


def table2(tasks):
  """Encoders from scratch: random, single-task, and each task first."""
  names, outside, file = _told(tasks, NINE)
  c = _bilstm(names, file)
  firsts = _firsts(c, names, outside, "frozen")
  if "lm" in [entry.get("kind") for entry in outside.values()]:
    # A language model in each direction may not have read the other.
    c.scratch.directions = "apart"
  # Appendix B: text is generated at another rate.
  c.variants.text = ConfigDict({"single": {"rate": 1e-3}})
  said = {
    f"{name}+frozen": f"{name}@text+frozen"
    for name, entry in outside.items()
    if entry.get("kind") in WRITTEN
  }
  firsts = [said.get(method, method) for method in firsts]
  c.methods = ",".join(["frozen", "single", *firsts])
  return c


def table3(tasks):
  """BERT: each task alone, and with another, or several, between."""
  names, outside, file = _told(tasks, NINE)
  c = _bert(names, file)
  c.methods = ",".join(["single", *_firsts(c, names, outside, "single")])
  return c


def correlations(tasks):
  """Tables 4 and 8 to 10 stand in the report of table 3's runs."""
  return table3(tasks)


def diagnostic(tasks):
  """Tables 11 and 12: MNLI after each task, for bam_jax.glue_diagnostic."""
  names, outside, file = _told(tasks, NINE)
  c = _bert(["mnli"], file)
  c.methods = ",".join(["single", *_firsts(c, names, outside, "single")])
  return c


def _mixed(names, cells):
  """Trains all of some tasks together, by each of some ways to mix them."""
  c = _bilstm(names, "")
  # Nothing comes first here.
  c.first.rate, c.multi.rate = 0.0, 1e-4
  c.variants = ConfigDict(cells)
  c.methods = ",".join(f"multi@{name}" for name in cells)
  return c


def _nine(tasks, part):
  """Returns the tasks that are mixed, which are GLUE's."""
  names, _, file = _told(tasks, NINE)
  if file:
    raise ValueError(f"{part} mixes GLUE's tasks alone; leave {file} out")
  return names


def _whole(names):
  """Returns the paper's subsets whose tasks are all among those named."""
  return {
    name: each
    for name, each in SUBSETS.items()
    if {*each.split(",")} <= {*names}
  }


def _sampled(sets):
  """Returns a variant for each of some sets of tasks by each sampler."""
  return {
    f"{name}_{sampler}": {"sampling": dict(how), "tasks": each}
    for name, each in sets.items()
    for sampler, how in SAMPLERS.items()
  }


def table6(tasks):
  """Samplers, of all tasks and of three subsets."""
  names = _nine(tasks, "table6")
  # Not the same tasks twice.
  subsets = {
    name: each
    for name, each in _whole(names).items()
    if {*each.split(",")} != {*names}
  }
  return _mixed(names, _sampled({"all": ",".join(names)} | subsets))


def table7(tasks):
  """Samplers by weights of the loss."""
  names = _nine(tasks, "table7")
  samplers = ("uniform", "proportional", "log", "power75")
  cells = {
    f"{sampler}_loss_{scale}": {"sampling": SAMPLERS[sampler] | how}
    for sampler in samplers
    for scale, how in SCALES.items()
  }
  return _mixed(names, cells)


def samplers(tasks):
  """Table 6's samplers with a pretrained encoder, of its subsets alone."""
  names = _nine(tasks or f"{SUBSETS['s1']},{SUBSETS['s2']}", "samplers")
  subsets = _whole(names)
  if not subsets:
    from bam_jax.runtime.spelling import hint

    nine = NINE.split(",")
    near = "".join(hint(name, nine) for name in names if name not in nine)
    raise ValueError(
      f"{','.join(names)} have none of the paper's subsets whole, which are "
      f"{' and '.join(SUBSETS.values())}{near}; name the tasks of one: "
      f"samplers,{SUBSETS['s1']}"
    )
  c = minilm.get_config(",".join(names))
  c.variants = ConfigDict(_sampled(subsets))
  c.methods = ",".join(f"multi@{name}" for name in c.variants)
  # Enough for samplers to differ, and not a study of days.
  c.data.limit = ",".join(f"{task}=20000" for task in LARGE if task in names)
  return c


def atlas(tasks):
  """Every task before every task."""
  c = minilm.get_config(tasks or TASKS)
  names = c.tasks.split(",")
  c.methods = ",".join(["single", *(f"{name}+single" for name in names)])
  # As many as the small ones have, and enough to learn from.
  c.data.limit = ",".join(f"{task}=20000" for task in names if task in LARGE)
  c.single.rate = 1e-4
  return c


def curves(tasks):
  """By rows of MNLI first, and by rows of each task."""
  c = minilm.get_config(tasks or "rte")
  c.data.limit = "mnli=41000"
  c.single.rate = 1e-4
  first = {f"mnli_{n}": {"data": {"limit": f"mnli={n}"}} for n in ROWS}
  few = {f"rows_{n}": {"data": {"limit": f"{n}"}} for n in FEW}
  c.variants = ConfigDict(first | few)
  c.methods = ",".join(
    [
      "single",
      *(f"single@{name}" for name in few),
      "mnli+single",
      *(f"mnli@{name}+single" for name in first),
      *(f"mnli+single@{name}" for name in few),
    ]
  )
  return c


def smoke(tasks):
  """Two made-up tasks before two others that have few rows; three seeds."""
  c = quickstart.get_config(tasks or "paraphrase,similarity")
  first = ("entailment", "sentiment")
  c.methods = ",".join(["single", *(f"{name}+single" for name in first)])
  # It is to be done in minutes: small, three epochs first, all trials at once.
  c.scratch.width, c.scratch.mlp, c.first.epochs = 64, 128, 3.0
  c.trials = c.trials_at_once = 3
  return c


PARTS = (
  *(table2, table3, table6, table7, samplers),
  *(correlations, diagnostic, curves, atlas, smoke),
)


def get_config(arg: str = ""):
  """Returns the config; `arg` is "part" or "part,task,task,..."."""
  part, tasks = _parts.part_of(arg, PARTS, "study", "configs/sesame.py:atlas")
  return part(tasks)
