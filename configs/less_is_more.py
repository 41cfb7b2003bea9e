r"""The studies of "Less is More", a table each: two designs, two orders.

  python -m bam_jax.main --config=configs/less_is_more.py:table2 --workdir=W \
      --config.encoder=DIR_OR_HUB_NAME --config.data.cs224n_dir=DIR

Parts: table1 and table2, designs 1 and 2 with and without round robin, with the
encoder frozen and fine-tuned; table3, both with SMART; table4, both with their
projected attention; table5, both after the encoder alone was trained on pairs;
table6, the rows that are best on a task, each task answered by its best;
slices, the rows of tables 1 to 5 side by side on a few rows of data, with the
claims of the paper; smoke, designs and orders on as few. The
average of the three tasks is the course's overall score. What differs from the
paper: docs/less-is-more.md.
"""

from ml_collections import ConfigDict

from configs import _parts, common

TASKS = "sst5,quora,sts"
# Whose two texts design 1 encodes each by itself.
PAIRS = ("quora", "sts")
# What follows what, by the part of a method's name.
ORDERS = {"rr": "round_robin", "in_turn": "sequential_epochs"}
# Section 5.3: what is trained, and how fast.
MODES = {
  "pretrain": {"encoder_frozen": True, "multi": {"rate": 1e-3}},
  "finetune": {"encoder_frozen": False, "multi": {"rate": 1e-5}},
}
# Section 5.3; the step and the norm are those of the code that it refers to.
SMART = {
  "kind": "smart_mtdnn",
  "weight": 5.0,
  "step_size": 1e-3,
  "epsilon": 1e-6,
  "noise": 1e-5,
}


def _base(tasks):
  c = common.with_tasks(common.base(), tasks or TASKS)
  c.loss.reduction = "mean"
  # A plain layer, as the course's code has it.
  c.loss.regression_output = "linear"
  # Adam, without what BERT's own has beside it.
  c.optim.bias_correction = True
  c.optim.weight_decay = c.optim.clip = c.optim.warmup = 0.0
  c.multi.epochs, c.multi.batch_size = 10.0, 32
  c.multi.rate, c.multi.layer_decay = 1e-5, 1.0
  c.eval_every, c.select.by = 1_000, "average"
  c.contrast.task = "quora"
  return c


def _heads(tasks, design):
  """Returns `learn.head` of a design: 512 wide, GELU between two layers."""
  names = tasks.split(",")
  pair = {1: "siamese", 2: "mlp"}[design]
  return ",".join(f"{n}={pair if n in PAIRS else 'mlp'}" for n in names)


def _varied(c, variants, method="multi"):
  c.variants = ConfigDict(variants)
  c.methods = ",".join(f"{method}@{name}" for name in variants)
  return c


def _designs(tasks):
  """Returns what each design in each order changes."""
  return {
    f"design_{design}_{name}": {
      "learn": {"head": _heads(tasks, design)},
      "sampling": {"kind": kind},
    }
    for design in (1, 2)
    for name, kind in ORDERS.items()
  }


def _orders(tasks, design):
  c = _base(tasks)
  c.learn.head = _heads(c.tasks, design)
  cells = {
    f"{mode}_{name}": change | {"sampling": {"kind": kind}}
    for name, kind in ORDERS.items()
    for mode, change in MODES.items()
  }
  return _varied(c, cells)


def table1(tasks):
  """Design 1, two texts encoded each by itself: in turns by batch and not."""
  return _orders(tasks, 1)


def table2(tasks):
  """Design 2, two texts encoded together: in turns by batch and not."""
  return _orders(tasks, 2)


def table3(tasks):
  """Both designs by round robin, without and with SMART."""
  c = _base(tasks)
  c.sampling.kind = "round_robin"
  designs = {
    f"design_{n}": {"learn": {"head": _heads(c.tasks, n)}} for n in (1, 2)
  }
  smart = {
    f"{name}_smart": change | {"adversary": SMART}
    for name, change in designs.items()
  }
  return _varied(c, designs | smart)


def table4(tasks):
  """Both designs in both orders, with attention beside each layer's own."""
  c = _base(tasks)
  c.adapter.kind = "pal_concat"
  return _varied(c, _designs(c.tasks))


def table5(tasks):
  """Both designs in both orders, from an encoder trained on pairs first."""
  c = _base(tasks)
  return _varied(c, _designs(c.tasks), "contrast+multi")


def table6(tasks):
  """The rows that are best on a task: each task is answered by its best one."""
  c = _base(tasks)
  designs = _designs(c.tasks)
  rows = {name: designs[f"design_2_{name}"] for name in ORDERS}
  c.submit = "study"
  c.variants = ConfigDict(rows)
  c.methods = ",".join(f"multi@{name}" for name in rows) + ",contrast+multi@rr"
  return c


def _short(tasks):
  c = _base(tasks)
  c.encoder = "sentence-transformers/all-MiniLM-L6-v2"
  # Of unlike size, as all rows are: without turns most steps are Quora's.
  sizes = {"sst5": 1000, "quora": 2000, "sts": 840}
  c.data.limit = ",".join(
    f"{name}={sizes[name]}" for name in c.tasks.split(",") if name in sizes
  )
  c.data.dev_limit, c.max_length = "500", 64
  # Batches of one task are as long as its texts: two shapes, not five.
  c.data.row_shapes = 2
  # An epoch, 120 steps; in turns each task has a third of them.
  c.multi.epochs, c.eval_every, c.multi.rate = 1.0, 60, 1e-4
  return c


def slices(tasks):
  """The rows of tables 1 to 5 side by side, 120 steps each; five seeds."""
  c = _short(tasks)
  c.trials, c.contrast.rate = 5, c.multi.rate
  designs = _designs(c.tasks)
  in_turns = {n: row for n, row in designs.items() if n.endswith("_rr")}
  own = SMART | {"shared_dropout": False}
  further = (
    ("frozen", designs, MODES["pretrain"]),
    ("pal", designs, {"adapter": {"kind": "pal_concat"}}),
    ("smart", in_turns, {"adversary": SMART}),
    ("smart_own_dropout", in_turns, {"adversary": own}),
  )
  rows = designs | {
    f"{name}_{what}": row | change
    for what, among, change in further
    for name, row in among.items()
  }
  # What the paper says, the surest first: each is tested if all before it hold.
  c.claims = "; ".join(
    f"multi@design_{a} > multi@design_{b}"
    for a, b in (
      ("2_rr", "1_rr"),
      ("1_rr", "1_rr_smart"),
      ("1_rr_smart", "1_rr_smart_own_dropout"),
      ("2_rr", "2_in_turn"),
      ("2_rr_pal", "2_rr"),
    )
  )
  _varied(c, rows)
  c.methods += "".join(f",contrast+multi@{name}" for name in designs)
  # The stage by the paper's other distance.
  c.variants.cosine = ConfigDict({"contrast": {"loss": "margin_cosine"}})
  c.methods += "".join(f",contrast@cosine+multi@{name}" for name in in_turns)
  return c


def smoke(tasks):
  """Designs and orders on a few rows, with an encoder of 6 layers."""
  c = _short(tasks)
  return _varied(c, _designs(c.tasks))


PARTS = (table1, table2, table3, table4, table5, table6, slices, smoke)


def get_config(arg: str = ""):
  """Returns the config; `arg` is "part" or "part,task,task,..."."""
  part, tasks = _parts.part_of(
    arg, PARTS, "study", "configs/less_is_more.py:table2"
  )
  return part(tasks)
