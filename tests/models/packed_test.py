"""Packed rows and rows of their own: the same loss, gradient and outputs.

For every kind of task, every head that kinds name and every adversary; what a
new row adds is held without a line here.
"""

import dataclasses
import functools
import itertools
import sys

import jax
import numpy as np
import pytest

from bam_jax.data import pipeline
from bam_jax.data.features import Features
from bam_jax.data.fields import VOCABULARY
from bam_jax.data.masking import Masker
from bam_jax.data.pool import TaskData, join
from bam_jax.data.ragged import offsets_of
from bam_jax.data.words import Words
from bam_jax.models import encoders
from bam_jax.models.adapted import Adapter
from bam_jax.models.adapters import ADAPTERS
from bam_jax.models.encoders import ENCODERS
from bam_jax.models.heads import HEADS, HeadSpec
from bam_jax.models.multitask import init_params
from bam_jax.tasks.kinds import KINDS, WHOLE
from bam_jax.training import spaces
from bam_jax.training.adversaries import ADVERSARIES, Passes
from bam_jax.training.perturbation import NORMS
from bam_jax.training.step import make_losses
from configs import common
from tests import tiny

C, N, LONGEST = 3, 9, 11


def rows(kind: str, seed: int) -> tuple[Features, np.ndarray]:
  """Returns random examples of a kind, and what a teacher says of most."""
  rng = np.random.default_rng(seed)
  lengths = rng.integers(4, LONGEST, N)
  total, words, units = int(lengths.sum()), None, N
  if KINDS[kind].reads == "words":
    counts = rng.integers(0, 5, N)
    at = [
      np.sort(rng.choice(np.arange(1, n - 1), min(n - 2, k), replace=False))
      for n, k in zip(lengths, counts, strict=True)
    ]
    # The last word of each row with two is cut away.
    at = [np.where(np.arange(len(a)) == 2, -1, a) for a in at]
    words = Words(
      np.concatenate(at).astype(np.int32), offsets_of([*map(len, at)])
    )
    units = len(words.at)
  whose = None
  if KINDS[kind].unit == WHOLE:
    # Of a question with several candidates, more than a row has room for.
    counts = rng.integers(1, 6, N)
    pairs = rng.integers(4, LONGEST, counts.sum())
    whose, starts = np.repeat(np.arange(N), counts), np.cumsum(pairs) - pairs
    at = starts - starts[offsets_of(counts)[:-1]][whose]
    words = Words(at.astype(np.int32), offsets_of(counts), apart=True)
    lengths, units = np.bincount(whose, pairs).astype(int), len(pairs)
    total = int(lengths.sum())
  if KINDS[kind].reads == "document":
    # All tokens but the first and the last; some go on with a word.
    at = [np.arange(1, n - 1) for n in lengths]
    counts = lengths - 2
    words = Words(
      np.concatenate(at).astype(np.int32),
      offsets_of(counts),
      drawn=True,
      sides=KINDS[kind].sides,
    )
    units = len(words.at)
  size = 1 if KINDS[kind].output == "value" or KINDS[kind].unit == WHOLE else C
  labels = rng.random(units) if size == 1 else rng.integers(0, C, units)
  if KINDS[kind].many:
    labels = rng.integers(0, 2, (units, C))
  if KINDS[kind].reads == "question context":
    words, labels = places(rng, lengths)
    units, size = len(labels), 2
  if KINDS[kind].reads == "document":
    labels = rng.random(units) < 0.7
    labels[words.offsets[:-1]] = True
  teacher = rng.normal(size=(units, size)).astype(np.float32)
  teacher[(np.arange(units) if whose is None else whose) % 4 == 0] = np.nan
  pieces = lengths if whose is None else pairs
  second = [np.arange(n) >= rng.integers(1, n) for n in pieces]
  if KINDS[kind].reads == "source target":
    # All of the second text but its last token.
    at = [np.flatnonzero(each)[:-1] for each in second]
    words = Words(
      np.concatenate(at).astype(np.int32),
      offsets_of([*map(len, at)]),
      drawn=True,
      sides=1,
    )
    labels = np.ones(len(words.at))
  features = Features(
    tokens=rng.integers(5, 30, total).astype(np.int32),
    types=np.concatenate(second).astype(np.int8),
    offsets=offsets_of(lengths),
    index=np.arange(N),
    labels=labels.astype(np.float32),
    words=words,
  )
  return features, teacher


def places(rng, lengths) -> tuple[Words, np.ndarray]:
  """Returns [CLS] and the tokens of contexts, and where answers are."""
  at, labels = [], []
  for n in lengths:
    at.append(np.array([0, *range(rng.integers(1, n - 1), n - 1)]))
    labels.append(np.zeros(len(at[-1])))
    for mark, place in enumerate(np.sort(rng.integers(0, len(at[-1]), 2))):
      labels[-1][place] += mark + 1
  words = Words(
    np.concatenate(at).astype(np.int32), offsets_of([*map(len, at)])
  )
  return words, np.concatenate(labels)


MASKER = Masker(0.4, mask=3, others=np.arange(5, 30, dtype=np.int32))
# What an adversary is asked for, if it reads it: to perturb much.
LARGE = dict(steps=2, step_size=0.3, epsilon=0.3, noise=5.0)
NEXT = [*KINDS][1:] + [*KINDS][:1]
# Kinds of which an example has a target by itself.
APART = [k for k in KINDS if HEADS[KINDS[k].head].space not in spaces.TOGETHER]
# Heads that tasks may choose, and the two tasks of a kind share.
CHOSEN = [name for name, head in HEADS.items() if head.chosen]
HEADED = [
  ("regression", "regression", "none", "paper"),
  ("classification", "tagging", "none", "paper"),
]


@pytest.mark.parametrize(
  ("kind", "other", "adversary", "norm", "head"),
  [
    # Each kind beside the next one.
    *((*pair, "none", "paper", "") for pair in zip(KINDS, NEXT, strict=True)),
    # All that an adversary asks of a kind is a distance or what is lost.
    *itertools.product(APART, ["tagging"], ["smart"], ["paper"], [""]),
    ("span", "tagging", "vat", "paper", ""),
    *itertools.product(
      ["classification"],
      ["tagging"],
      sorted(ADVERSARIES.keys() - {"none", "smart"}),
      ["paper"],
      [""],
    ),
    # Norms that are not their paper's.
    *(
      ("classification", "tagging", name, norm, "")
      for name in ("smart", "freelb")
      for norm in NORMS
      if norm != ADVERSARIES[name].constants["norm"]
    ),
    *((*case, head) for case in HEADED for head in CHOSEN),
    # What of an example a head reads; both tasks share it, or one alone has it.
    (*HEADED[0], "linear mean"),
    (*HEADED[1], "attention mix"),
    (*HEADED[1], "mlp late"),
    ("ranking", "classification", "none", "paper", "linear late"),
    ("choice", "classification", "none", "paper", "bilinear"),
    ("classification", "tagging", "smart", "paper", "san"),
  ],
)
def test_packing_changes_nothing(kind, other, adversary, norm, head):
  """Of a task of a kind, beside one of another kind in the same rows."""
  head, _, pool = head.partition(" ")
  layers, pool = (pool, "") if pool == "mix" else ("last", pool)
  names = (kind, f"{other}-too")
  specs, data = [], []
  for number, (name, each) in enumerate(zip(names, (kind, other), strict=True)):
    features, teacher = rows(each, number)
    vocabulary = HEADS[KINDS[each].head].space == VOCABULARY
    columns = tiny.ENCODER.vocab_size if vocabulary else teacher.shape[1]
    if KINDS[each].mean is None:
      teacher = None
    specs.append(
      HeadSpec(
        name,
        columns,
        output="sigmoid" if KINDS[each].output == "value" else "logits",
        loss=KINDS[each].loss,
        head=head if head and each == kind else KINDS[each].head,
        shared=kind if head and number and other == kind else "",
        dropout=0.3 if head and each == kind else None,
        pool=pool if pool and each == kind else "cls",
        layers=layers if each == kind else "last",
      )
    )
    data.append(TaskData(name, features, columns, teacher))
  sided = any(KINDS[each].sides > 1 for each in (kind, other))
  encoder = tiny.SPELLED if sided else tiny.ENCODER
  net = tiny.model(heads=tuple(specs), encoder=encoder)
  losses, c = make_losses(net), common.base()
  c.adversary.update(LARGE | {"norm": norm})
  width = encoders.of(encoder).embedded(encoder)
  slope = ADVERSARIES[adversary](Passes(losses, specs, 1.0, width, c.adversary))

  @tiny.quickly
  def measure(params, batch):
    key = jax.random.key(5)
    return slope(params, batch, key, 0.3), losses(params, batch, key, 0.3)

  params = init_params(net, jax.random.key(3))
  order = np.random.default_rng(2).permutation(2 * N).astype(np.int32)
  ways, found = (
    [
      pipeline.TrialBatches(
        [join(data, weights=[1.0, 0.5], masker=MASKER)],
        order[None, None],
        width=24,
        packing=packing,
        row_shapes=1,
        multiple=1,
      )
      for packing in (True, False)
    ],
    [],
  )
  packed, own = ways
  assert packed.sizes < own.sizes and packed.examples > own.examples
  # Rows and slots in which nothing lies change nothing either, and with them
  # both have one shape, which is compiled once.
  packed.sizes, own.examples = own.sizes, packed.examples
  packed.places = own.places = max(packed.places, own.places)
  for batches in ways:
    batch = {name: array[0] for name, array in batches[0].items()}
    (gradient, _), (outputs, loss) = measure(params, batch)
    here = batch["task"] >= 0
    by = np.lexsort((batch["index"][here], batch["task"][here]))
    said = {}
    if "example" in outputs:
      said["example"] = np.asarray(outputs["example"])[here][by]
    if "token" in outputs:
      row, slot = (axis[by] for axis in np.nonzero(here))
      said["token"] = np.concatenate(
        [
          np.asarray(outputs["token"])[b][batch["segments"][b] == e + 1]
          for b, e in zip(row, slot, strict=True)
        ]
      )
    if "vector" in outputs:
      said["vector"] = np.asarray(outputs["vector"])[here][by]
    if "vocabulary" in outputs:
      sums = spaces.kept(specs, outputs, batch)["vocabulary"]
      said["vocabulary"] = np.asarray(sums)[here][by]
    found.append((gradient, said, np.asarray(loss)[here][by]))
  assert (found[0][2] > 0).sum() > N
  jax.tree.map(close, *found)


def close(a, b) -> None:
  """Asserts that two arrays are the same but for rounding."""
  # What is left where large terms cancel is as exact as these.
  largest = float(np.abs(b).max(initial=0.0))
  np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6 * max(10, largest))


@pytest.mark.parametrize(
  "encoder", [*sorted(tiny.ENCODERS.keys() - {"bert"}), "bilstm by letters"]
)
def test_packing_changes_nothing_of_another_encoder(encoder, monkeypatch):
  known = tiny.ENCODERS | {"bilstm by letters": tiny.SPELLED}
  monkeypatch.setattr(tiny, "ENCODER", known[encoder])
  test_packing_changes_nothing(
    "classification", "tagging", "freelb", "paper", ""
  )


def test_packing_changes_nothing_among_the_pairs_of_a_step(monkeypatch):
  row = dataclasses.replace(KINDS["contrast"], loss="simcse=0.7")
  monkeypatch.setitem(KINDS, "contrast", row)
  test_packing_changes_nothing("contrast", "tagging", "none", "paper", "")


@pytest.mark.parametrize(
  ("kind", "adversary"),
  [*((kind, "none") for kind in ADAPTERS), ("pal", "freelb")],
)
def test_packing_changes_nothing_of_adapters(kind, adversary, monkeypatch):
  adapter = Adapter(
    kind, 6 if ADAPTERS[kind].rank else 0, False, ADAPTERS[kind].alpha
  )
  plain, drawn = tiny.model, init_params

  def stirred(net, key):
    # Adapters that do nothing at the start would show nothing.
    return jax.tree.map(lambda x: x + 0.1, drawn(net, key))

  monkeypatch.setattr(tiny, "model", functools.partial(plain, adapter=adapter))
  monkeypatch.setattr(sys.modules[__name__], "init_params", stirred)
  test_packing_changes_nothing(
    "classification", "tagging", adversary, "paper", ""
  )


def test_every_encoder_is_packed_here():
  assert tiny.ENCODERS.keys() == ENCODERS.keys()
  for name, config in tiny.ENCODERS.items():
    assert config.kind == name


def test_the_loss_of_a_row_is_the_mean_over_the_words_that_are_read():
  features, _ = rows("tagging", 7)
  spec = HeadSpec("w", C, output="logits", loss="ce", head="tags")
  net = tiny.model(heads=(spec,), dropout=0.0)
  params = init_params(net, jax.random.key(1))
  batches = pipeline.TrialBatches(
    [join([TaskData("w", features, C, None)], weights=[1.0])],
    np.arange(N, dtype=np.int32)[None, None],
    width=24,
    packing=True,
    row_shapes=1,
    multiple=1,
  )
  batch = {name: array[0] for name, array in batches[0].items()}
  losses = tiny.quickly(make_losses(net))
  outputs, loss = losses(params, batch, jax.random.key(0), 1.0)
  lines = np.asarray(jax.nn.log_softmax(outputs["token"], -1))
  for b, e in np.argwhere(batch["task"] >= 0):
    number = batch["index"][b, e]
    mine = features.words.of(np.array([number]))
    read = mine[features.words.at[mine] >= 0]
    at = batch["cls"][b, e] + features.words.at[read]
    picked = lines[b, at, features.labels[read].astype(int)]
    want = -picked.mean() if len(read) else 0.0
    assert loss[b, e] == pytest.approx(float(want), abs=1e-5)
