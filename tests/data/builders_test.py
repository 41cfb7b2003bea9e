"""What is read back must be what was made, or be refused."""

import json
import os
from pathlib import Path
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from bam_jax.data import builders, features, shards
from bam_jax.data import logits as logits_lib
from bam_jax.data.sources import examples
from bam_jax.data.sources import examples as sources
from bam_jax.data.store import Store
from bam_jax.data.tokenizer import load_tokenizer
from bam_jax.data.windows import Lengths
from bam_jax.runtime import sealed
from bam_jax.tasks import table as tasks

_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"]
_RTE, _MRPC, _COLA = tasks.get_tasks(["rte", "mrpc", "cola"])
_TEACHER = {
  "teacher": "config 1",
  "tokenizer": "words 1",
  "fingerprint": "source 1",
  "rows": 5,
  "labels": ["no", "yes", "maybe"],
}


@pytest.fixture
def tokenizer(tmp_path):
  (tmp_path / "vocab.txt").write_text("\n".join(_WORDS))
  return load_tokenizer(tmp_path, vocab_size=None)


@pytest.fixture
def data_dir(tmp_path):
  return tmp_path / "data"


def _examples(task, split="train", *, rows=5, labelled=True, columns=2):
  texts = tuple(
    [
      " ".join("abc"[(row + i) % 3] for i in range(row + column))
      for row in range(rows)
    ]
    for column in range(columns)
  )
  labels = np.arange(rows, dtype=np.float32) % 2 if labelled else None
  return sources.Examples(task.name, split, texts, labels, "rows.tsv")


def _load(tokenizer, data_dir, task, splits, load, **changes):
  return builders.load_features(
    task,
    splits,
    tokenizer=tokenizer,
    lengths=changes.pop("lengths", Lengths(8, 2)),
    store=Store(data_dir, **changes),
    load=load,
  )


def _same(one, other):
  for name in ("tokens", "types", "offsets", "index", "labels"):
    a, b = getattr(one, name), getattr(other, name)
    np.testing.assert_array_equal(a, b, strict=b is not None)


def test_features_come_back_as_made_over_chunks_and_shards(
  tokenizer, data_dir, monkeypatch
):
  monkeypatch.setattr(shards, "CHUNK", 4)
  monkeypatch.setattr(shards, "SHARD", 3)
  examples = _examples(_MRPC, rows=11)
  calls = []
  for _ in range(2):
    found = _load(
      tokenizer,
      data_dir,
      _MRPC,
      ["train"],
      lambda _: examples,
      progress=lambda *call: calls.append(call),
    )
  assert list(found) == ["train", "train_swapped"]
  arguments = (tokenizer, examples.texts, examples.labels)
  for name, swap in ("train", False), ("train_swapped", True):
    want = features.featurise(*arguments, max_length=8, swap=swap)
    _same(found[name], want)
  assert found["train_swapped"].index.tolist() == list(range(11, 22))
  assert len(list(data_dir.rglob("*train.array_record*"))) == 4
  # Once, though loaded twice: the second time it is read.
  assert calls == [
    (f"mrpc {name}", done, 11)
    for name in ("train", "train_swapped")
    for done in (4, 8, 11)
  ]


def test_only_the_train_split_of_a_symmetric_task_has_swapped_copies(
  tokenizer, data_dir
):
  def load(split):
    return _examples(_MRPC, split)

  found = _load(tokenizer, data_dir, _MRPC, ["validation"], load)
  assert list(found) == ["validation"]
  found = _load(tokenizer, data_dir, _RTE, ["train", "validation"], load)
  assert list(found) == ["train", "validation"]


def test_unlabelled_split_stays_unlabelled(tokenizer, data_dir):
  examples = _examples(_COLA, "test", labelled=False, columns=1)
  for _ in range(2):
    found = _load(tokenizer, data_dir, _COLA, ["test"], lambda _: examples)
    assert found["test"].labels is None
    assert len(found["test"]) == 5


def test_dataset_reads_with_tfds_alone(tokenizer, data_dir):
  splits = ["train", "validation"]
  found = _load(
    tokenizer, data_dir, _RTE, splits, lambda split: _examples(_RTE, split)
  )
  (folder,) = data_dir.iterdir()
  assert folder.name == f"rte-{tokenizer.digest[:8]}-8"
  builder = tfds.builder_from_directories([folder / each for each in splits])
  assert sorted(builder.info.splits) == splits
  for split in splits:
    rows = list(builder.as_data_source(split=split))
    np.testing.assert_array_equal(
      np.concatenate([row["tokens"] for row in rows]), found[split].tokens
    )
    assert [row["index"] for row in rows] == found[split].index.tolist()
    assert [row["label"].item() for row in rows] == found[split].labels.tolist()
    assert {row["types"].dtype for row in rows} == {np.dtype(np.int8)}


@pytest.mark.parametrize(
  "damage", ["flip", "cut", "remove", "digests", "empty"]
)
@pytest.mark.parametrize("file", ["array_record", "dataset_info", "metadata"])
def test_damaged_dataset_is_refused_with_file_and_cure(
  tokenizer, data_dir, damage, file
):
  def load(split):
    return _examples(_RTE, split)

  _load(tokenizer, data_dir, _RTE, ["train", "validation"], load)
  (path,) = data_dir.glob(f"*/train/*{file}*")
  if damage == "flip":
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
  elif damage == "cut":
    os.truncate(path, path.stat().st_size - 1)
  elif damage == "remove":
    path.unlink()
  else:
    path = path.with_name("integrity.json")
    path.write_text("" if damage == "empty" else '{"schema": 9, "files": {}}')
  with pytest.raises(sealed.IntegrityError) as caught:
    _load(tokenizer, data_dir, _RTE, ["train"], load)
  assert str(path) in str(caught.value)
  assert f"delete {path.parent} and run again" in str(caught.value)
  _load(tokenizer, data_dir, _RTE, ["validation"], load)


def test_changed_source_is_refused_naming_both_sides(tokenizer, data_dir):
  before, after = _examples(_RTE), _examples(_RTE)
  after.texts[1][2] = "c c c"
  _load(tokenizer, data_dir, _RTE, ["train"], lambda _: before)
  with pytest.raises(builders.IntegrityError) as caught:
    _load(tokenizer, data_dir, _RTE, ["train"], lambda _: after)
  for words in (before.fingerprint, after.fingerprint, "rows.tsv", "delete "):
    assert words in str(caught.value)
  unlabelled = _examples(_RTE, labelled=False)
  with pytest.raises(builders.IntegrityError, match="labelled is True there"):
    _load(tokenizer, data_dir, _RTE, ["train"], lambda _: unlabelled)


def test_tokenizer_and_max_length_have_folders_of_their_own(
  tokenizer, data_dir, tmp_path
):
  (tmp_path / "vocab.txt").write_text("\n".join([*_WORDS, "d"]))
  other = load_tokenizer(tmp_path, vocab_size=None)
  for each, max_length in (tokenizer, 8), (tokenizer, 9), (other, 8):
    _load(
      each,
      data_dir,
      _RTE,
      ["train"],
      lambda _: _examples(_RTE),
      lengths=Lengths(max_length, 2),
    )
  assert len(list(data_dir.iterdir())) == 3


def test_interrupted_write_leaves_nothing_that_is_read(
  tokenizer, data_dir, monkeypatch
):
  def interrupt(*_, **__):
    raise KeyboardInterrupt

  examples = _examples(_RTE)
  with monkeypatch.context() as patch:
    patch.setattr(sealed, "_digest", interrupt)
    with pytest.raises(KeyboardInterrupt):
      _load(tokenizer, data_dir, _RTE, ["train"], lambda _: examples)
  (folder,) = data_dir.iterdir()
  assert list(folder.iterdir()) == []
  # A process that was killed cannot clean up: the next one does, but leaves
  # what a living process or another machine is writing.
  host = socket.gethostname()
  dead = subprocess.Popen([sys.executable, "-c", ""])
  dead.wait()
  stale = [
    f".train.{host}.{process}.tmp" for process in (dead.pid, os.getpid())
  ]
  living = [f".train.{host}.{os.getppid()}.tmp", ".train.elsewhere.1.tmp"]
  for name in stale + living:
    (folder / name).mkdir()
  _load(tokenizer, data_dir, _RTE, ["train"], lambda _: examples)
  assert sorted(path.name for path in folder.iterdir()) == sorted(
    ["train", *living]
  )


def test_slower_of_two_writers_takes_the_others_rows(
  tokenizer, data_dir, monkeypatch
):
  examples = _examples(_RTE)
  rename = os.rename

  def other_was_faster(source, target):
    monkeypatch.setattr(os, "rename", rename)
    Path(source, "temporary").write_text("")
    monkeypatch.setattr(os, "getpid", lambda: 0)
    _load(tokenizer, data_dir, _RTE, ["train"], lambda _: examples)
    rename(source, target)

  monkeypatch.setattr(os, "rename", other_was_faster)
  found = _load(tokenizer, data_dir, _RTE, ["train"], lambda _: examples)
  assert len(found["train"]) == 5
  (folder,) = data_dir.iterdir()
  assert [path.name for path in folder.iterdir()] == ["train"]
  assert not (folder / "train" / "temporary").exists()


def test_logits_come_back_in_order_of_index(tmp_path):
  index = np.array([3, 0, 4, 1, 2])
  logits = np.arange(15, dtype=np.float32).reshape(5, 3) / 7
  path = tmp_path / "run" / "rte"
  logits_lib.write(path, index=index, logits=logits, metadata=_TEACHER)
  found = logits_lib.read(path, expected=_TEACHER)
  np.testing.assert_array_equal(found.index, np.arange(5), strict=True)
  np.testing.assert_array_equal(
    found.values, logits[np.argsort(index)], strict=True
  )
  assert found.words is None
  # As Python has them: a tuple is what JSON calls a list.
  logits_lib.read(path, expected=_TEACHER | {"labels": ("no", "yes", "maybe")})


def test_logits_of_words_come_back_with_what_was_not_read(tmp_path):
  logits = np.arange(12, dtype=np.float32).reshape(6, 2)
  logits[4] = np.nan
  said = dict(index=np.array([2, 0, 1]), words=np.array([3, 1, 2]))
  facts = {"rows": 3}
  logits_lib.write(tmp_path / "a", logits=logits, metadata=facts, **said)
  found = logits_lib.read(tmp_path / "a", expected=facts)
  assert found.words.tolist() == [1, 2, 3]
  np.testing.assert_array_equal(found.values, logits[[3, 4, 5, 0, 1, 2]])
  logits[5, 1] = np.nan
  with pytest.raises(ValueError, match="not finite at row 1;"):
    logits_lib.write(tmp_path / "b", logits=logits, metadata=facts, **said)


@pytest.mark.parametrize(
  ("name", "value"),
  [
    ("teacher", "config 2"),
    ("tokenizer", "words 2"),
    ("fingerprint", "source 2"),
    ("rows", 10),
    ("labels", ["yes", "no", "maybe"]),
    ("split", "train"),
  ],
)
def test_logits_of_another_run_are_refused_naming_both_sides(
  tmp_path, name, value
):
  path = tmp_path / "rte"
  logits_lib.write(
    path, index=np.arange(5), logits=np.zeros((5, 3)), metadata=_TEACHER
  )
  with pytest.raises(builders.IntegrityError) as caught:
    logits_lib.read(path, expected=_TEACHER | {name: value})
  both = f"{name} is {_TEACHER.get(name)!r} there and {value!r} here;"
  assert both in str(caught.value) and f"delete {path}" in str(caught.value)


@pytest.mark.parametrize(
  ("index", "words"),
  [
    ([0, 1, 2, 3, 3], "have rows more than once: 3"),
    ([0, 1, 2, 3, 5], "have rows that the split has not: 5 of 5"),
    ([0, 1, 2, 3, -1], "have rows that the split has not: -1 of 5"),
  ],
)
def test_logits_with_a_wrong_row_are_refused(tmp_path, index, words):
  path = tmp_path / "rte"
  logits_lib.write(
    path, index=np.array(index), logits=np.zeros((5, 3)), metadata=_TEACHER
  )
  with pytest.raises(builders.IntegrityError, match=words):
    logits_lib.read(path, expected=_TEACHER)


def test_rows_that_are_lacking_are_named():
  assert examples.uncovered(np.array([2, 0]), 3) == "lack rows: 1 of 3"
  assert examples.uncovered(np.array([5]), 9).endswith(
    "0, 1, 2, 3, 4 and 3 more of 9"
  )
  assert examples.uncovered(np.array([2, 0, 1]), 3) == ""


def test_logits_are_neither_nan_nor_written_over(tmp_path):
  path, logits = tmp_path / "rte", np.zeros((5, 3))
  logits[3, 1] = np.nan
  arguments = dict(index=np.arange(5)[::-1], metadata=_TEACHER)
  with pytest.raises(ValueError, match="not finite at row 1;"):
    logits_lib.write(path, logits=logits, **arguments)
  assert not path.exists()
  logits_lib.write(path, logits=np.zeros((5, 3)), **arguments)
  with pytest.raises(ValueError, match="holds teacher logits already"):
    logits_lib.write(path, logits=np.zeros((5, 3)), **arguments)


def test_damaged_or_absent_logits_are_refused(tmp_path):
  path = tmp_path / "rte"
  with pytest.raises(FileNotFoundError, match="no teacher logits in"):
    logits_lib.read(path, expected=_TEACHER)
  logits_lib.write(
    path, index=np.arange(5), logits=np.zeros((5, 3)), metadata=_TEACHER
  )
  (shard,) = path.glob("*array_record*")
  os.truncate(shard, 100)
  with pytest.raises(builders.IntegrityError, match=r"is damaged.*100 bytes"):
    logits_lib.read(path, expected=_TEACHER)


def test_neither_tensorflow_nor_jax_is_imported_to_write_and_read(tmp_path):
  (tmp_path / "vocab.txt").write_text("\n".join(_WORDS))
  code = f"""
import pathlib, sys
import numpy as np
from bam_jax.tasks import table as tasks
from bam_jax.data import builders, features
from bam_jax.data import logits as logits_lib
from bam_jax.data.tokenizer import load_tokenizer
from bam_jax.data.sources import examples as sources
from bam_jax.data.store import Store
from bam_jax.data.windows import Lengths
folder = {str(tmp_path)!r}
examples = sources.Examples("cola", "train", (["a", "b"],), None, "")
(cola,) = tasks.get_tasks(["cola"])
builders.load_features(
  cola,
  ["train"],
  tokenizer=load_tokenizer(folder, vocab_size=None),
  lengths=Lengths(8, 2),
  store=Store(pathlib.Path(folder)),
  load=lambda split: examples,
)
logits_lib.write(
  folder + "/l", index=np.arange(2), logits=np.eye(2), metadata=dict(rows=2)
)
logits_lib.read(folder + "/l", expected=dict())
heavy = {{"tensorflow", "jax", "torch", "transformers"}}
print(sorted(heavy & set(sys.modules)))
"""
  command = [sys.executable, "-W", "error", "-c", code]
  done = subprocess.run(command, check=True, capture_output=True, text=True)
  assert done.stdout == "[]\n"


def test_integrity_file_says_its_schema_and_every_file(tokenizer, data_dir):
  _load(tokenizer, data_dir, _RTE, ["train"], lambda _: _examples(_RTE))
  (folder,) = data_dir.glob("*/train")
  written = json.loads((folder / "integrity.json").read_text())
  assert written["schema"] == 1
  names = {path.name for path in folder.iterdir()} - {"integrity.json"}
  assert set(written["files"]) == names and len(names) == 4
