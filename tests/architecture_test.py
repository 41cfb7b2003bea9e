"""The worked examples of docs/architecture.md do what the page says."""

from pathlib import Path
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.models import heads
from bam_jax.models.heads import Heads, HeadSpec
from bam_jax.tasks import metrics
from bam_jax.training import objectives

PAGE = Path(__file__).resolve().parent.parent / "docs" / "architecture.md"
MOST = 40


@pytest.fixture
def examples(monkeypatch):
  """Runs every example as it is written; takes its rows away again."""
  for table in (
    (metrics, "METRICS"),
    (objectives, "OBJECTIVES"),
    (heads, "HEADS"),
  ):
    monkeypatch.setattr(*table, dict(getattr(*table)))
  blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
  assert all(len(block.splitlines()) <= MOST for block in blocks)
  for block in blocks:
    exec(compile(block, str(PAGE), "exec"), {})
  return len(blocks)


def test_every_example_adds_its_row(examples):
  assert examples == 3
  said = metrics.METRICS["zero_one"](np.array([0, 1, 1]), np.array([0, 1, 0]))
  assert said == pytest.approx(2 / 3)


def test_the_objective_is_the_focal_loss(examples):
  logits = jnp.array([[2.0, 0.5, -1e30], [0.1, 0.2, 0.3]])
  owned = objectives.Owners(jnp.array([2, 3]), {"focal": jnp.array([1, 1]) > 0})
  gold = objectives.gold_targets(jnp.array([1.0, 0.0]), owned, 3)
  found = objectives.example_loss(logits, gold, owned)
  for row, (own, label) in enumerate(((2, 1), (3, 0))):
    share = jax.nn.softmax(logits[row, :own])[label]
    want = -((1 - share) ** 2) * jnp.log(share)
    assert found[row] == pytest.approx(float(want), rel=1e-5)


def test_the_head_has_two_layers_of_its_own(examples):
  spec = HeadSpec("rte", 2, output="logits", loss="ce", head="mlp")
  pooled, task = jnp.ones((3, 2, 5)), jnp.zeros((3, 2), jnp.int32)
  net = Heads((spec,))
  params = net.init(jax.random.key(0), pooled, task)
  shapes = jax.tree.map(jnp.shape, params["params"])
  assert shapes["rte_hidden"]["kernel"] == (5, 5)
  assert shapes["rte"]["kernel"] == (5, 2)
  assert net.apply(params, pooled, task).shape == (3, 2, 2)


def test_the_table_has_every_folder():
  package = PAGE.parent.parent / "bam_jax"
  there = {
    str(path.parent.relative_to(package))
    for path in package.rglob("__init__.py")
    if "shipped" not in path.parts
  } - {"."}
  told = set(re.findall(r"^\| `([\w/]+)` \|", PAGE.read_text(), re.M))
  assert told == there
