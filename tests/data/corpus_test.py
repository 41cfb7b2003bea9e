"""What is held out stays out; what was looked at is not read twice."""

import functools

import numpy as np
import pytest

from bam_jax.data import corpus
from bam_jax.data.holdout import Part
from bam_jax.data.sources import own as own_files
from bam_jax.data.sources import readers
from bam_jax.data.sources.examples import has_gold
from bam_jax.data.store import Store
from bam_jax.data.tokenizer import load_tokenizer
from bam_jax.data.windows import Lengths
from bam_jax.tasks.coverage import Coverage
from bam_jax.tasks.table import get_tasks
from tests import small
from tests.data.sources.table_test import ignoring, table

COLA, RTE, STSB = get_tasks(["cola", "rte", "stsb"])
ROWS = small.ROWS["train"]


def reader(root):
  """Returns what reads the tasks' files below root/glue."""
  return functools.partial(readers.load, glue_dir=str(root / "glue"), seed=0)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
  directory = tmp_path_factory.mktemp("tokenizer")
  words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *small.WORDS]
  (directory / "vocab.txt").write_text("\n".join(words) + "\n")
  return load_tokenizer(directory, vocab_size=None)


@pytest.fixture(scope="module")
def make(tmp_path_factory, tokenizer):
  root = tmp_path_factory.mktemp("corpus")
  small.write_glue(root / "glue")

  def make(**changes):
    settings = dict(
      lengths=Lengths(32, 8),
      double_unordered=True,
      holdout=Part(),
    )
    texts = corpus.Texts(reader(root))
    return corpus.Corpus(Store(root), tokenizer, texts, **(settings | changes))

  return make


def test_symmetric_tasks_get_swapped_copies_when_asked(make):
  assert len(make().train(STSB)) == 2 * ROWS
  assert len(make(double_unordered=False).train(STSB)) == ROWS
  assert len(make().train(RTE)) == ROWS
  assert make().rows(STSB) == ROWS


def test_held_out_rows_and_their_copies_are_never_trained_on(make):
  held = make(holdout=Part(asked=0.3))
  trained, scored = held.train(STSB), held.scored(STSB)
  assert list(scored) == ["holdout"]
  out = set(scored["holdout"].index.tolist())
  assert len(out) == round(0.3 * ROWS)
  assert out.isdisjoint((trained.index % ROWS).tolist())
  assert len(trained) == 2 * (ROWS - len(out))
  # Teachers answer for all rows, so that one set of logits serves any share.
  assert len(held.taught(STSB)) == 2 * ROWS


def test_dev_is_scored_where_nothing_is_held_out(make):
  scored = make().scored(COLA)
  assert {k: len(v) for k, v in scored.items()} == {
    "validation": small.ROWS["dev"]
  }


def test_test_rows_have_no_labels(make):
  (rows,) = make().test(RTE, RTE.test).values()
  assert len(rows) == small.ROWS["test"]
  assert rows.labels is None


def test_text_that_was_looked_at_is_read_once(make, monkeypatch, tmp_path):
  reads = []
  load = readers.load
  monkeypatch.setattr(
    readers,
    "load",
    lambda task, split, **how: (
      reads.append((task.name, split)) or load(task, split, **how)
    ),
  )
  it = make(lengths=Lengths(24, 8))
  it._texts.look(RTE, "train")
  assert len(it.train(RTE)) == ROWS
  assert it.train(RTE) is not None
  assert reads == [("rte", "train")]


def test_the_fingerprint_sees_ids_labels_and_numbers(make):
  rows = make().train(RTE)
  first = corpus.fingerprint(rows)
  assert first == corpus.fingerprint(make().train(RTE))
  for name in ("tokens", "labels", "index", "types"):
    changed = getattr(rows, name).copy()
    changed[-1] += 1
    other = {**vars(rows), name: changed}
    fields = {k: other[k] for k in rows.__dataclass_fields__}
    assert corpus.fingerprint(type(rows)(**fields)) != first, name


def test_unknown_words_and_cut_rows_are_counted_and_kept_on_disk(
  tmp_path, tokenizer
):
  (tmp_path / "glue/CoLA").mkdir(parents=True)
  texts = {
    "train": ["the zebra sees", "a dog", "old red bird no dog here", "here"],
    "dev": ["quux quux", "a cat sees the old red bird here"],
  }
  for split, lines in texts.items():
    rows = [f"src\t{i % 2}\t\t{text}" for i, text in enumerate(lines)]
    path = tmp_path / f"glue/CoLA/{split}.tsv"
    path.write_text("\n".join(rows) + "\n")

  def of(max_length, holdout=0.0):
    return corpus.Corpus(
      Store(tmp_path / "data"),
      tokenizer,
      corpus.Texts(reader(tmp_path)),
      lengths=Lengths(max_length, 8),
      double_unordered=True,
      holdout=Part(asked=holdout),
    ).coverage(COLA)

  for _ in range(2):  # the second time from disk
    assert of(7) == {
      "train": Coverage(rows=4, unknown=1 / 11, cut=0.25),
      "validation": Coverage(rows=2, unknown=2 / 7, cut=0.5),
    }
  assert of(8)["train"] == Coverage(rows=4, unknown=1 / 12, cut=0.0)
  assert list(of(7, holdout=0.25)) == ["train"]


def test_rows_of_dev_that_are_in_train_are_counted_swapped_ones_too(
  tmp_path, tokenizer
):
  head = "index\tsentence1\tsentence2\tscore\n"
  for split, pairs in {
    "train": ["a dog\ta cat", "the bird\tno bird"],
    "dev": ["a dog\tthe cat", "A cat \ta dog", "the bird\tno bird"],
  }.items():
    path = tmp_path / f"glue/STS-B/{split}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{i}\t{pair}\t{i}" for i, pair in enumerate(pairs)]
    path.write_text(head + "\n".join(rows) + "\n")
  found = corpus.Corpus(
    Store(tmp_path / "data"),
    tokenizer,
    corpus.Texts(reader(tmp_path)),
    lengths=Lengths(16, 8),
    double_unordered=False,
    holdout=Part(),
  ).coverage(STSB)
  assert found["train"].repeated == 0
  assert found["validation"].repeated == 2
  assert found["validation"].first == (1, 2)


def test_a_table_is_tokenised_once_and_scored_where_it_is_labelled(
  tmp_path, tokenizer
):
  tasks = [*table(tmp_path, ignoring()).values()]
  made = corpus.Corpus(
    Store(tmp_path / "W"),
    tokenizer,
    corpus.Texts(own_files.read),
    lengths=Lengths(32, 8),
    double_unordered=True,
    holdout=Part(),
  )
  trained = [made.train(task) for task in tasks]
  scored = [made.scored(task)["validation"] for task in tasks]
  folders = [path.name for path in (tmp_path / "W").iterdir()]
  assert len(folders) == 1 and folders[0].startswith("table.1-")
  for rows in trained:
    # One array in memory too, and one row of it a text, labelled or not.
    assert rows.table == "table.1 train"
    np.testing.assert_array_equal(rows.tokens, trained[0].tokens)
    np.testing.assert_array_equal(rows.index, trained[0].index)
  assert not trained[0].has_gold.all()
  assert all(rows.has_gold.all() for rows in scored)
  dev = [own_files.read(task, "validation") for task in tasks]
  for rows, each in zip(scored, dev, strict=True):
    assert len(rows) == has_gold(each.labels).sum()
  assert len({len(rows) for rows in scored}) > 1
