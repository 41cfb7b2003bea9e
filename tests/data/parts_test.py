"""Teacher logits made part by part: the same bytes, in bounded memory."""

import tracemalloc

import numpy as np
import pytest

from bam_jax.data import logits as logits_lib
from bam_jax.data import parts as parts_lib
from bam_jax.data import shards, teachers
from bam_jax.data.features import Features
from bam_jax.data.parts import Parts
from bam_jax.data.words import Words
from bam_jax.runtime import sealed

META = {"teacher": "t0", "labels": ["a", "b", "c"]}


def features(rows, words=None):
  return Features(
    tokens=np.arange(2 * rows, dtype=np.int32),
    types=np.zeros(2 * rows, np.int8),
    offsets=np.arange(rows + 1) * 2,
    index=np.arange(rows)[::-1].copy(),
    labels=None,
    words=words,
  )


def cut(monkeypatch, chunk, parts):
  monkeypatch.setattr(shards, "CHUNK", chunk)
  monkeypatch.setattr(parts_lib, "SIZE", chunk * parts)


def kept(folder, rows, said):
  """Keeps all parts, the last first."""
  found = Parts(folder / "parts-0", rows, META | {"rows": len(rows)})
  counts = rows.words.counts if rows.words else np.ones(len(rows), int)
  ends = np.append(0, np.cumsum(counts))
  for part in reversed(range(len(found))):
    first = part * parts_lib.SIZE
    last = min(first + parts_lib.SIZE, len(rows))
    assert not found.there(part)
    found.keep(part, said[ends[first] : ends[last]])
    assert found.there(part)
  return found


def contents(folder):
  return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("worded", [False, True])
def test_parts_are_the_bytes_of_one_go(tmp_path, monkeypatch, worded):
  rows, words = 23, None
  if worded:
    counts = np.arange(rows) % 3 + 1
    at = np.zeros(counts.sum(), np.int32)
    at[5] = -1
    words = Words(at, np.append(0, np.cumsum(counts)))
  rows = features(rows, words)
  size = len(words.at) if worded else len(rows)
  said = np.random.default_rng(0).normal(size=(size, 3)).astype(np.float32)
  cut(monkeypatch, chunk=4, parts=2)
  path, found = tmp_path / "seed-0", kept(tmp_path, rows, said)
  found.join(path)
  assert not found.folder.exists()
  whole = teachers.said(rows, said)
  logits_lib.write(
    tmp_path / "whole",
    index=whole.index,
    logits=whole.values,
    metadata=META | {"rows": len(rows)},
    words=whole.words,
  )
  assert contents(path) == contents(tmp_path / "whole")
  found = logits_lib.read(path, expected=META)
  order = np.argsort(rows.index)
  np.testing.assert_array_equal(found.values, whole.take(order).values)


def test_memory_holds_one_part(tmp_path, monkeypatch):
  cut(monkeypatch, chunk=256, parts=2)
  peaks = []
  for count in (2, 2, 12):
    rows = features(512 * count)
    said = np.zeros((len(rows), 40), np.float32)
    found = kept(tmp_path / str(count * 10 + len(peaks)), rows, said)
    # What is imported or made once is no part's: the first two are alike.
    tracemalloc.start()
    found.join(found.folder.with_name("seed-0"))
    peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
  # The answers of ten parts more would be 0.8 MB, as rows ten times that.
  assert peaks[2] - peaks[1] < 2e5, peaks


def test_a_part_of_something_else_or_damaged_is_refused(tmp_path, monkeypatch):
  cut(monkeypatch, chunk=4, parts=1)
  rows, said = features(7), np.zeros((4, 3), np.float32)
  old = Parts(tmp_path / "parts-0", rows, META | {"rows": 7})
  old.keep(0, said)
  old.keep(1, said[:3])
  new = Parts(old.folder, rows, META | {"rows": 7, "teacher": "t1"})
  with pytest.raises(sealed.IntegrityError, match="'t0' there and 't1'"):
    new.join(tmp_path / "seed-0")
  (old.folder / "00001" / "logits.npy").write_bytes(b"\x93NUMPY")
  with pytest.raises(sealed.IntegrityError, match=r"logits\.npy is damaged"):
    old.join(tmp_path / "seed-0")
  assert [path.name for path in tmp_path.iterdir()] == ["parts-0"]


def test_a_teacher_that_diverged_is_refused_in_its_first_part(tmp_path):
  said = np.zeros((5, 3), np.float32)
  said[2, 1] = np.inf
  found = Parts(tmp_path / "parts-0", features(5), META | {"rows": 5})
  with pytest.raises(ValueError, match="not finite at row 2; its training"):
    found.keep(0, said)
  assert not found.there(0)
