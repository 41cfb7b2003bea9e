"""Whatever bytes a file holds: right rows, or one sentence that names it.

Each reader is given files that are right, files that were right before some
bytes changed, and files that never were. What it does accept is compared with
the plainest reading of the same bytes that there is.
"""

import gzip
import io
import json
import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pyarrow as pa
from pyarrow import parquet
import pytest

from bam_jax.data import soft_labels
from bam_jax.data.sources import glue as sources
from bam_jax.data.sources import readers
from bam_jax.tasks.table import TASKS
from tests.spoilt import NESTED, examples, read, spoilt

RTE, STSB, COLA = TASKS["rte"], TASKS["stsb"], TASKS["cola"]
HEAD = "index\tsentence1\tsentence2\tlabel\n"
ROWS = 3


TEXT = st.text(
  st.characters(codec="utf-8", exclude_characters="\0\t\n"), max_size=9
)
WORDS = TEXT.filter(str.strip)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  return tmp_path_factory.mktemp("readers")


def glue(place: Path, name: str, data: bytes) -> Path:
  path = place / "glue" / name
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(data)
  return path


def load(task, place: Path):
  return readers.load(task, "train", glue_dir=str(place / "glue"), seed=0)


@given(st.data(), st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=9))
@examples(150)
def test_every_text_comes_through_a_tsv_unchanged(place, data, pairs):
  numbers = [data.draw(st.floats(0, 5)) for _ in pairs]
  classes = [data.draw(st.integers(0, 1)) for _ in pairs]
  end = data.draw(st.sampled_from(["\n", "\r\n"]))
  lines = [HEAD.strip()] + [
    f"{i}\t{a}\t{b}\t{RTE.labels[c]}"
    for i, ((a, b), c) in enumerate(zip(pairs, classes, strict=True))
  ]
  glue(place, "RTE/train.tsv", (end.join(lines) + end).encode())
  found = load(RTE, place)
  assert found.texts == tuple(map(list, zip(*pairs, strict=True)))
  assert found.labels.tolist() == classes
  lines = [HEAD.strip().replace("label", "score")] + [
    f"{i}\t{a}\t{b}\t{n!r}"
    for i, ((a, b), n) in enumerate(zip(pairs, numbers, strict=True))
  ]
  glue(place, "STS-B/train.tsv", end.join(lines).encode())
  want = np.divide(numbers, 5)
  np.testing.assert_allclose(load(STSB, place).labels, want, atol=1e-7)


PLAIN = HEAD + "".join(
  f"{i}\tone {i}\ttwo {i}\t{RTE.labels[i % 2]}\n" for i in range(ROWS)
)


@given(spoilt(PLAIN.encode()) | st.binary(max_size=99), st.booleans())
@examples(400)
def test_a_tsv_gives_its_lines_or_one_sentence(place, data, zipped):
  path = glue(place, "RTE/train.tsv", data)
  if zipped:
    path = glue(place, "RTE/train.tsv.gz", gzip.compress(data, mtime=0))
    (place / "glue/RTE/train.tsv").unlink()
  found = read(lambda: load(RTE, place), path)
  if found is not None:
    lines = data.decode("utf-8-sig").split("\n")
    table = [row.split("\t") for line in lines if (row := line.rstrip("\r"))]
    columns = dict(zip(table[0], zip(*table[1:], strict=True), strict=True))
    want = (columns["sentence1"], columns["sentence2"])
    assert found.texts == tuple(map(list, want))
    named = [RTE.labels[int(label)] for label in found.labels]
    assert named == list(columns["label"])
  path.unlink()


@given(spoilt(gzip.compress(PLAIN.encode(), mtime=0)))
@examples(150)
def test_a_spoilt_gzip_is_refused_unless_its_checksum_holds(place, data):
  path = glue(place, "RTE/dev.tsv.gz", data)
  found = read(
    lambda: readers.load(
      RTE, "validation", glue_dir=str(place / "glue"), seed=0
    ),
    path,
  )
  # What stands before the text (its date, say) is under no checksum.
  if found is not None:
    assert len(found) % ROWS == 0
    assert found.texts[0][:ROWS] == ["one 0", "one 1", "one 2"]


def probabilities(record: dict) -> list[float]:
  """Softmax of what a row of RTE says, or its probabilities."""
  values = record.get("probs", record.get("logits"))
  values = [values[n] for n in RTE.labels] if type(values) is dict else values
  if "probs" in record:
    return values
  largest = max(values)
  powers = [math.exp(value - largest) for value in values]
  return [power / sum(powers) for power in powers]


def agrees(found, records: list[dict]) -> None:
  index, logits = found.index, found.values
  assert index.tolist() == list(range(ROWS)) and np.isfinite(logits).all()
  powers = np.exp(logits - logits.max(1, keepdims=True).astype(float))
  got = powers / powers.sum(1, keepdims=True)
  assert len(records) == ROWS
  for record in records:
    np.testing.assert_allclose(
      got[record["index"]], probabilities(record), atol=2e-3
    )


JSONL = (
  b'{"index": 2, "probs": [0.25, 0.75]}\n'
  b'{"index": 0, "logits": {"not_entailment": -1.5, "entailment": 2}}\r\n\n'
  b'{"index": 1, "probs": [1, 0.0], "more": null}'
)
RECORD = st.dictionaries(
  st.sampled_from(["index", "probs", "logits", "value", "a"]),
  st.integers(-1, ROWS) | st.lists(st.floats(0, 1), max_size=3) | NESTED,
)


@given(
  spoilt(JSONL)
  | st.binary(max_size=99)
  | st.lists(RECORD | NESTED, max_size=4).map(
    lambda rows: "\n".join(json.dumps(row) for row in rows).encode()
  )
)
@examples(500)
def test_soft_labels_give_their_rows_or_one_sentence(place, data):
  path = place / "soft.jsonl"
  path.write_bytes(data)
  found = read(
    lambda: soft_labels.read_soft_labels(path, task=RTE, rows=ROWS, shared={}),
    path,
  )
  if found is not None:
    lines = [line for line in data.splitlines() if line.strip()]
    agrees(found, [json.loads(line.decode("utf-8-sig")) for line in lines])


def parquet_bytes(compression: str) -> bytes:
  file = io.BytesIO()
  table = pa.table(
    {
      "sentence1": ["one", "two", ""],
      "sentence2": ["a", "é", "\0"],
      "label": [0, 1, 1],
      "index": [2, 0, 1],
      "probs": [[0.5, 0.5], [1.0, 0.0], [0.25, 0.75]],
    }
  )
  # With checksums, so that every changed value is seen.
  parquet.write_table(
    table, file, compression=compression, write_page_checksum=True
  )
  return file.getvalue()


@given(
  spoilt(parquet_bytes("snappy")) | spoilt(parquet_bytes("none")) | st.binary()
)
@examples(300)
def test_a_parquet_gives_its_rows_or_one_sentence(place, data):
  path = place / "x.parquet"
  path.write_bytes(data)
  found = read(lambda: sources.read_parquet(RTE, "train", path=path), path)
  if found is not None:
    want = (["one", "two", ""], ["a", "é", "\0"])
    assert found.texts == want and len(found.labels) == ROWS
  found = read(
    lambda: soft_labels.read_soft_labels(path, task=RTE, rows=ROWS, shared={}),
    path,
  )
  if found is not None:
    rows = [[0.5, 0.5], [1.0, 0.0], [0.25, 0.75]]
    agrees(
      found,
      [{"index": i, "probs": p} for i, p in zip((2, 0, 1), rows, strict=True)],
    )


CELL = st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | TEXT
COLUMN = (
  st.lists(st.integers(-1, 2), min_size=ROWS, max_size=ROWS)
  | st.lists(TEXT, min_size=ROWS, max_size=ROWS)
  | st.lists(st.none() | st.floats(), min_size=ROWS, max_size=ROWS)
  | st.lists(st.binary(max_size=3), min_size=ROWS, max_size=ROWS)
  | st.lists(st.lists(st.integers(0, 9)), min_size=ROWS, max_size=ROWS)
)


@given(
  st.dictionaries(st.sampled_from(["sentence", "label", "x"]), COLUMN),
  st.binary(max_size=9) | st.sampled_from(["[" * 9999, "{}"]).map(str.encode),
)
@examples(200)
def test_columns_of_any_type_are_rows_or_one_sentence(place, columns, metadata):
  path = place / "y.parquet"
  table = pa.table(columns).replace_schema_metadata({"huggingface": metadata})
  parquet.write_table(table, path)
  found = read(lambda: sources.read_parquet(COLA, "train", path=path), path)
  if found is not None:
    assert found.texts == (columns["sentence"],)
    assert found.labels.tolist() == columns["label"]
