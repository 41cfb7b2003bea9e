"""The studies of "Less is More": every part plans its runs."""

import pytest

from bam_jax.data import apart
from bam_jax.runtime.files import flatten
from bam_jax.stages import checks
from bam_jax.study import experiment as experiments
from configs import common, less_is_more

ORDERS = (("rr", "round_robin"), ("in_turn", "sequential_epochs"))


def cells(adapter):
  return {
    f"design_{design}_{name}": (kind, design == 1, "none", False, adapter)
    for design in (1, 2)
    for name, kind in ORDERS
  }


def modes(alone):
  return {
    f"{mode}_{name}": (kind, alone, "none", mode == "pretrain", "none")
    for mode in ("pretrain", "finetune")
    for name, kind in ORDERS
  }


# Run -> order of tasks, whether pairs are read apart, adversary, whether the
# encoder is frozen, adapter.
TABLES = {
  "table1": modes(True),
  "table2": modes(False),
  "table3": {
    f"design_{design}{smart}": (
      "round_robin",
      design == 1,
      "smart_mtdnn" if smart else "none",
      False,
      "none",
    )
    for design in (1, 2)
    for smart in ("", "_smart")
  },
  "table4": cells("pal_concat"),
  "table5": cells("none"),
  "table6": {
    name: (kind, False, "none", False, "none") for name, kind in ORDERS
  },
  "slices": cells("none")
  | {
    f"{name}_{what}": (kind, alone, adversary, frozen, adapter)
    for name, (kind, alone, *_) in cells("none").items()
    for what, adversary, frozen, adapter in (
      ("frozen", "none", True, "none"),
      ("pal", "none", False, "pal_concat"),
      ("smart", "smart_mtdnn", False, "none"),
      ("smart_own_dropout", "smart_mtdnn", False, "none"),
    )
    if "smart" not in what or name.endswith("_rr")
  },
  "smoke": cells("none"),
}


@pytest.mark.parametrize("part", TABLES)
def test_every_part_can_be_and_is_planned_once(part):
  config = less_is_more.get_config(part)
  known = flatten(common.base().to_dict())
  assert flatten(config.to_dict() | {"variants": {}}).keys() == known.keys()
  experiment = experiments.read(config)
  checks.settings(experiment)
  found = {}
  stages = {run.name: run.start for run in experiment.runs}
  first, second = "contrast.quora", "contrast@cosine.quora"
  losses = {first: "margin", second: "margin_cosine"}
  assert stages.pop(first, "") == stages.pop(second, "") == ""
  some = {"", first}
  starts = {"table5": {first}, "table6": some, "slices": some | {second}}
  assert {*stages.values()} == starts.get(part, {""})
  for run in experiment.runs:
    asked = experiment.settings(run).config
    if run.name in losses:
      assert asked.contrast.loss == losses[run.name]
      continue
    heads = {task.name: task for task in experiment.tasks_of(run)}
    alone = {apart.asked(heads[name]) for name in ("quora", "sts")}
    assert heads["sst5"].learn.head == "mlp"
    (alone,) = alone
    found[run.variant] = (
      asked.sampling.kind,
      alone,
      asked.adversary.kind,
      asked.encoder_frozen,
      asked.adapter.kind,
    )
    whole = 1e-4 if part in ("slices", "smoke") else 1e-5
    assert asked.multi.rate == (1e-3 if asked.encoder_frozen else whole)
    own = (run.variant or "").endswith("own_dropout")
    assert asked.adversary.shared_dropout == (not own)
  assert found == TABLES[part]


def test_a_short_epoch_in_turns_reaches_every_task():
  config = less_is_more.get_config("smoke")
  sizes = dict(each.split("=") for each in config.data.limit.split(","))
  assert [*sizes] == config.tasks.split(",")
  steps = sum(int(n) for n in sizes.values()) / config.multi.batch_size
  assert steps == 2 * config.eval_every
  assert config.max_steps == 0


def test_a_part_that_is_none_names_the_nearest():
  with pytest.raises(ValueError, match="did you mean table"):
    less_is_more.get_config("table33")
