"""The worked examples of docs/architecture.md do what the page says."""

from pathlib import Path
import re

from flax.traverse_util import flatten_dict
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.data import pipeline
from bam_jax.data.sources import readers
from bam_jax.models import encoders, flops, heads
from bam_jax.models.heads import Heads, HeadSpec
from bam_jax.models.multitask import init_params
from bam_jax.stats import multibootstrap
from bam_jax.tasks import kinds, metrics
from bam_jax.tasks import own as own_tasks
from bam_jax.tasks.table import TASKS
from bam_jax.training import adversaries, objectives, optim, sharding
from bam_jax.training.step import make_losses
from tests import tiny

PAGE = Path(__file__).resolve().parent.parent / "docs" / "architecture.md"
MOST = 40


TABLES = (
  TASKS,
  encoders.ENCODERS,
  metrics.METRICS,
  objectives.OBJECTIVES,
  adversaries.ADVERSARIES,
  kinds.KINDS,
  multibootstrap.SCORERS,
  heads.HEADS,
)


@pytest.fixture
def examples():
  """Runs every example as it is written; takes its rows away again."""
  blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
  assert all(len(block.splitlines()) <= MOST for block in blocks)
  were = [dict(table) for table in TABLES]
  for block in blocks:
    exec(compile(block, str(PAGE), "exec"), {})
  yield len(blocks)
  for table, rows in zip(TABLES, were, strict=True):
    table.clear()
    table.update(rows)


def test_every_example_adds_its_row(examples):
  assert examples == 7
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


def test_the_head_has_gates_of_its_own(examples):
  spec = HeadSpec("rte", 2, output="logits", loss="ce", head="gated")
  pooled, task = jnp.ones((3, 2, 5)), jnp.zeros((3, 2), jnp.int32)
  net = Heads((spec,))
  given = {"pooled": pooled}, {"example": task}
  params = net.init(jax.random.key(0), *given)
  shapes = jax.tree.map(jnp.shape, params["params"])
  assert shapes == {"rte": {"kernel": (5, 4), "bias": (4,)}}
  found = net.apply(params, *given)["example"]
  assert found.shape == (3, 2, 2)
  own = params["params"]["rte"]
  value, gate = np.split(np.ones(5) @ own["kernel"] + own["bias"], 2)
  want = value / (1 + np.exp(-gate))
  np.testing.assert_allclose(found[0, 0], want, rtol=1e-5)


def test_the_encoder_tells_packed_examples_apart(examples):
  row = encoders.ENCODERS["bag"]
  shape = row.module.__annotations__["config"]
  config = shape(vocab_size=40, width=16, positions=tiny.WIDTH)
  net = tiny.model(dropout=0.0).clone(config=config)
  params = init_params(net, jax.random.key(0))
  assert params.keys() == {"bag", "pooler", "heads"}
  for name, leaf in flatten_dict(params, sep="/").items():
    assert len(sharding.spec(name)) <= leaf.ndim
    deepest = {"bag": 0, "pooler": 1, "heads": 2}[name.split("/")[0]]
    assert optim.depth_of(name, config.layers) == deepest
  said = []
  for packing in (True, False):
    batch = pipeline.Batches(tiny.batches(packing=packing))[0]
    out = net.apply({"params": params}, batch, train=False)["example"]
    here = batch["task"] >= 0
    order = np.lexsort((batch["index"][here], batch["task"][here]))
    said.append(np.asarray(out)[here][order])
  np.testing.assert_allclose(*said, atol=1e-5)
  assert np.ptp(said[0]) > 0.1
  # The pooler's 16 x 16 and 16 more a token, then the head; two for each.
  spec = HeadSpec("mnli", 3, output="logits", loss="ce")
  found = flops.forward(config, [5, 7], head=spec)
  assert found.tolist() == [2 * 16 * (n + 16 + 3) for n in (5, 7)]


def test_the_task_is_read_from_its_folder(examples, tmp_path):
  file = tmp_path / "SciTail" / "dev.tsv"
  file.parent.mkdir()
  file.write_text(
    "gold_label\tpremise\thypothesis\nneutral\tIt rains.\tIt snows.\n"
  )
  task = TASKS["scitail"]
  rows = readers.load(task, "validation", glue_dir=str(tmp_path), seed=0)
  assert rows.texts == (["It rains."], ["It snows."])
  assert rows.labels.tolist() == [1]
  assert task.splits == ("train", "validation")


def test_the_table_has_every_folder():
  package = PAGE.parent.parent / "bam_jax"
  there = {
    str(path.parent.relative_to(package))
    for path in package.rglob("__init__.py")
    if "shipped" not in path.parts
  } - {"."}
  told = set(re.findall(r"^\| `([\w/]+)` \|", PAGE.read_text(), re.M))
  assert told == there


def test_the_kind_is_named_in_a_tasks_file(examples, tmp_path):
  given = dict(
    kind="stars",
    train="a.csv",
    dev="b.csv",
    text="text",
    label="stars",
    labels=["1", "2", "3"],
    metric=["near", "accuracy"],
  )
  task = own_tasks.table({"reviews": given}, tmp_path / "t.toml")["reviews"]
  logits = np.eye(3)[[0, 2, 2, 1]]
  found = metrics.scores(task, logits, np.array([0.0, 1, 0, 1]))
  assert found == {"near": 75.0, "accuracy": 50.0}
  full, _ = multibootstrap.resample_examples(
    logits.argmax(-1)[None], np.array([0, 1, 0, 1]), "near", draws=9
  )
  assert full.tolist() == [75.0]


def test_the_adversary_is_the_mean_over_draws_of_dropout(examples):
  net = tiny.model()
  passes = adversaries.Passes(make_losses(net), net.heads, 1.0, 16, None)
  params = init_params(net, jax.random.key(0))
  batch = pipeline.Batches(tiny.batches())[0]
  key = jax.random.key(4)
  got, sums = adversaries.ADVERSARIES["draws"](passes)(params, batch, key, 0.5)
  alone = [
    adversaries.plain(passes)(params, batch, jax.random.fold_in(key, n), 0.5)
    for n in range(3)
  ]
  want = sum(grads["heads"]["rte"]["bias"] for grads, _ in alone) / 3
  np.testing.assert_allclose(got["heads"]["rte"]["bias"], want, rtol=1e-5)
  assert sums["count"].tolist() == alone[0][1]["count"].tolist()
