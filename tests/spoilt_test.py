"""Encoders, tokenizers and caches of any bytes: right, or one sentence.

What is accepted is compared with the plainest reading of the same bytes.
"""

import json
import shutil
import struct

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from bam_jax.data import features
from bam_jax.data import logits as logits_lib
from bam_jax.data.tokenizer import load_tokenizer
from bam_jax.hf import directory as hf
from bam_jax.hf import families, weights
from bam_jax.runtime import sealed
from tests import small
from tests.spoilt import EDITS, NESTED, examples, read, spoil

ROWS = 3
KEYS = [key for _, key, _ in families.BERT.fields]
LOGITS = np.arange(6.0).reshape(ROWS, 2)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  return tmp_path_factory.mktemp("readers")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
  return small.write_encoder(tmp_path_factory.mktemp("readers") / "encoder")


def plain_tensor(data: bytes, name: str) -> np.ndarray:
  """Reads a tensor as the format's page tells it."""
  (size,) = struct.unpack("<Q", data[:8])
  entry = json.loads(data[8 : 8 + size])[name]
  start, stop = (8 + size + at for at in entry["data_offsets"])
  kind = {"F32": "<f4", "F64": "<f8", "F16": "<f2"}[entry["dtype"]]
  return np.frombuffer(data[start:stop], kind).reshape(entry["shape"])


@given(st.none() | st.binary(max_size=99), st.booleans(), EDITS)
@examples(120)
def test_weights_give_their_tensors_or_one_sentence(
  place, encoder, data, in_header, edits
):
  whole = (encoder / hf.WEIGHTS).read_bytes()
  size = int.from_bytes(whole[:8], "little")
  if in_header:  # there is the danger, and it is a small part
    head = spoil(whole[8 : 8 + size], edits)
    spoiled = struct.pack("<Q", len(head)) + head + whole[8 + size :]
  else:
    spoiled = spoil(whole, edits) if data is None else data
  config = hf.read_config(encoder / hf.CONFIG)
  path = place / "w.safetensors"
  path.write_bytes(spoiled)
  found = read(lambda: weights.read(path, config, kept=[0], aliases={}), path)
  if found is not None:
    for theirs, (ours,) in weights.names(config).items():
      want = plain_tensor(spoiled, theirs)
      want = want.T if ours.endswith("/kernel") else want
      np.testing.assert_array_equal(found[ours], want)


@given(st.dictionaries(st.sampled_from(KEYS), NESTED))
@examples(200)
def test_a_config_gives_a_bert_or_one_sentence(place, values):
  path = place / "config.json"
  path.write_text(json.dumps(values))
  found = read(lambda: hf.read_config(path), path)
  if found is not None:
    for field, key, default in families.BERT.fields:
      want = values.get(key)
      assert getattr(found, field) == (default if want is None else want)


@given(st.sampled_from(["tokenizer.json", "vocab.txt"]), EDITS)
@examples(250)
def test_a_tokenizer_reads_or_is_one_sentence(place, encoder, name, edits):
  folder = place / "tokenizer"
  folder.mkdir(exist_ok=True)
  content = (encoder / "vocab.txt").read_bytes()
  (folder / "vocab.txt").write_bytes(content)
  if name == "tokenizer.json":
    whole = load_tokenizer(folder, vocab_size=15)
    content = whole.backend.to_str().encode()
  (folder / name).write_bytes(spoil(content, edits))
  found = read(lambda: load_tokenizer(folder, vocab_size=15), folder)
  if found is not None:
    texts = (["the dog \ue000", "", "[SEP] \0"], ["a", "b", "c"])
    rows = features.featurise(found, texts, None, max_length=9)
    assert rows.tokens.min() >= 0 and rows.tokens.max() < 15
    assert rows.lengths.max() <= 9
  (folder / "tokenizer.json").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def logits(tmp_path_factory):
  folder = tmp_path_factory.mktemp("readers") / "logits"
  logits_lib.write(
    folder, index=np.arange(ROWS), logits=LOGITS, metadata={"rows": ROWS}
  )
  whole = shutil.copytree(folder, folder.with_name("whole"))
  return folder, sorted(whole.iterdir())


@given(st.integers(0, 4), st.booleans(), EDITS)
@examples(150)
def test_teacher_logits_are_whole_or_one_sentence(
  logits, number, forged, edits
):
  folder, files = logits
  name = files[number].name
  whole = files[number].read_bytes()
  # An array_record is padded with zeros, in which nothing would be seen.
  content = spoil(whole[:900], edits) + whole[900:]
  (folder / name).write_bytes(content)
  if forged and name != "integrity.json":
    # The digests are right, so that the readers below are asked.
    listed = json.loads((folder / "integrity.json").read_text())
    listed["files"][name] = sealed._digest(folder / name)
    (folder / "integrity.json").write_text(json.dumps(listed))
  try:
    found = read(
      lambda: logits_lib.read(folder, expected={"rows": ROWS}), folder
    )
  finally:
    for each in files:
      shutil.copyfile(each, folder / each.name)
  if found is not None:
    np.testing.assert_array_equal(found.values, LOGITS)
