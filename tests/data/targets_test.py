"""Pairs of lines: which files they are of, and where their targets lie."""

import gzip

import numpy as np
import pytest

from bam_jax.data import targets
from bam_jax.data.sources import parallel
from bam_jax.data.tokenizer import load_tokenizer
from bam_jax.tasks import own
from tests import small


def task(folder, **entry):
  said = {"kind": "seq2seq", "train": ["a.en", "a.de.gz"], **entry}
  return own.table({"said": said}, folder / "tasks.toml")["said"]


def write(folder, source, target):
  (folder / "a.en").write_text(source)
  with gzip.open(folder / "a.de.gz", "wt") as file:
    file.write(target)


def test_lines_stand_side_by_side_and_a_share_of_them_is_dev(tmp_path, caplog):
  rows = [(f"one {n}", f"eins {n}") for n in range(40)]
  write(
    tmp_path,
    "\n".join(["blank", *(one for one, _ in rows)]),
    "\n".join(["", *(two for _, two in rows)]) + "\n",
  )
  asked = task(tmp_path, dev_share=0.2)
  train, dev = (
    parallel.read(asked, split) for split in ("train", "validation")
  )
  found = [
    pair for part in (train, dev) for pair in zip(*part.texts, strict=True)
  ]
  assert sorted(found) == sorted(rows)
  assert 2 < len(dev) < 16
  assert caplog.text.count("said leaves out 1 of the 41 pairs of") == 1


@pytest.mark.parametrize(
  ("entry", "target", "said"),
  [
    ({"train": "a.en"}, "x\ny", "reads two whose lines belong together, train"),
    ({}, "x", "has 2 lines and .* 1, and said pairs them one by one"),
    ({}, "\n\n", "have no line with text in both; give files that have"),
    (
      {"dev_share": 0.1},
      "x\ny",
      "makes 0 of the 2 rows of .* leave some on both",
    ),
    ({"labels": ["a", "b"]}, "x\ny", "is for tasks of other kinds than seq2s"),
  ],
)
def test_what_is_no_pair_of_files_is_refused(tmp_path, entry, target, said):
  write(tmp_path, "a\nb\n", target)
  with pytest.raises(ValueError, match=said):
    parallel.read(task(tmp_path, **entry), "train")


def test_a_missing_file_is_called_by_the_key_that_names_it(tmp_path):
  (tmp_path / "a.en").write_text("a")
  with pytest.raises(OSError, match=r"no file .*a.de.gz, .* train of said in"):
    parallel.read(task(tmp_path), "train")


def test_a_target_is_read_by_itself_and_each_token_of_it_says_the_next(
  tmp_path,
):
  words = load_tokenizer(small.write_encoder(tmp_path / "e"), vocab_size=None)
  texts = (["the old dog", "a cat"], ["a red bird", "no"])
  found = targets.pairs(words, texts, most=9)
  tokens = [words.backend.id_to_token(i) for i in found.tokens]
  first, second = np.split(np.array(tokens), found.offsets[1:-1])
  # Nine tokens: the longer text ends earlier.
  assert first.tolist() == [
    *("[CLS]", "the", "old", "dog", "[SEP]"),
    *("[CLS]", "a", "red", "[SEP]"),
  ]
  assert second.tolist() == [
    "[CLS]",
    "a",
    "cat",
    "[SEP]",
    "[CLS]",
    "no",
    "[SEP]",
  ]
  at = np.split(found.words.at, found.words.offsets[1:-1])
  assert second[at[1]].tolist() == ["[CLS]", "no"]
  assert found.words.sides == 1 and found.words.drawn
  assert (found.lengths <= 9).all()
