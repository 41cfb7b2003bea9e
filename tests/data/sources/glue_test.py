"""Reads GLUE folders, good and bad, real and made up."""

import gzip
import logging

import numpy as np
import pytest

from bam_jax.data.sources import glue as sources
from bam_jax.data.sources import readers
from bam_jax.tasks.table import TASKS

RTE = "index\tsentence1\tsentence2\tlabel\n"


@pytest.fixture
def folder(tmp_path):
  """Writes a file into a GLUE folder; says the folder."""

  def write(name: str, text: str | bytes):
    path = tmp_path / "glue" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(tmp_path / "glue")

  return write


def load(task: str, split: str, glue_dir: str) -> sources.Examples:
  return readers.load(TASKS[task], split, glue_dir=glue_dir, seed=0)


def test_columns_are_found_by_header_whatever_their_order(folder):
  glue = folder(
    "RTE/train.tsv",
    "label\tsentence2\tnote\tsentence1\nnot_entailment\tB\tn\tA\n"
    "entailment\tD\tn\tC\n",
  )
  examples = load("rte", "train", glue)
  assert examples.texts == (["A", "C"], ["B", "D"])
  assert examples.labels.tolist() == [1, 0]
  assert examples.labels.dtype == np.float32
  assert (len(examples), examples.task, examples.split) == (2, "rte", "train")
  assert examples.origin.endswith("RTE/train.tsv")


def test_cola_without_header_loses_no_first_row_and_test_has_one(folder):
  folder("CoLA/train.tsv", "gj04\t1\t\tA b.\ngj04\t0\t*\tB a.\n")
  glue = folder("CoLA/test.tsv", "index\tsentence\n0\tC d.\n")
  train, test = load("cola", "train", glue), load("cola", "test", glue)
  assert train.texts == (["A b.", "B a."],)
  assert train.labels.tolist() == [1, 0]
  assert test.texts == (["C d."],)
  assert test.labels is None


def test_quotes_are_literal_and_odd_line_ends_stay_in_the_text(folder):
  glue = folder(
    "MRPC/dev.tsv",
    "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
    '1\t1\t2\t"He said\tShe \x85 said"\x0b "so\r\n'
    "0\t3\t4\tC\u2028c\tD\rd\n\n",
  )
  examples = load("mrpc", "validation", glue)
  assert examples.texts == (
    ['"He said', "C\u2028c"],
    ['She \x85 said"\x0b "so', "D\rd"],
  )
  assert examples.labels.tolist() == [1, 0]


def test_gzipped_files_read_as_plain_ones(folder):
  text = RTE + "0\tA\tB\tentailment\n"
  plain = load("rte", "train", folder("RTE/train.tsv", text))
  glue = folder("RTE/dev.tsv.gz", gzip.compress(text.encode()))
  zipped = load("rte", "validation", glue)
  assert zipped.fingerprint == plain.fingerprint


def test_scores_are_scaled_to_one(folder):
  text = "index\tsentence1\tsentence2\tscore\n0\tA\tB\t5.000\n1\tC\tD\t1.25\n"
  examples = load("stsb", "train", folder("STS-B/train.tsv", text))
  np.testing.assert_array_equal(
    examples.labels, np.float32([1, 0.25]), strict=True
  )


@pytest.mark.parametrize("name", ["diagnostic/diagnostic", "MNLI/diagnostic"])
def test_the_diagnostic_set_is_found_in_both_its_places(folder, name):
  glue = folder(f"{name}.tsv", "index\tsentence1\tsentence2\n0\tA\tB\n")
  examples = load("ax", "test", glue)
  assert (examples.texts, examples.labels) == ((["A"], ["B"]), None)


def test_a_test_file_of_minus_ones_is_unlabelled_but_a_train_file_is_wrong(
  folder,
):
  text = RTE + "0\tA\tB\t-1\n1\tC\tD\t-1\n"
  folder("RTE/train.tsv", text)
  glue = folder("RTE/test.tsv", text)
  assert load("rte", "test", glue).labels is None
  with pytest.raises(ValueError, match="no label '-1'"):
    load("rte", "train", glue)


def test_a_wrong_label_names_file_line_value_and_the_allowed(folder):
  glue = folder("RTE/train.tsv", RTE + "0\tA\tB\tentailment\n1\tC\tD\tmaybe\n")
  with pytest.raises(
    ValueError,
    match=r"RTE/train\.tsv line 3: rte has no label 'maybe'; it must be"
    r" entailment, not_entailment$",
  ):
    load("rte", "train", glue)


@pytest.mark.parametrize("score", ["5.01", "-0.5", "nan", "good", ""])
def test_a_score_that_is_no_number_in_range_is_refused(folder, score):
  glue = folder(
    "STS-B/dev.tsv", f"sentence1\tsentence2\tscore\nA\tB\t1\nA\tB\t{score}\n"
  )
  with pytest.raises(
    ValueError, match=rf"line 3: stsb has no label '{score}'; .* 0 to 5"
  ):
    load("stsb", "validation", glue)


def test_a_wrong_number_of_columns_names_file_and_line(folder):
  glue = folder("RTE/dev.tsv", RTE + "0\tA\tB\tentailment\n1\tC\tentailment\n")
  with pytest.raises(
    ValueError, match=r"RTE/dev\.tsv line 3: 3 columns instead of 4"
  ):
    load("rte", "validation", glue)


def test_the_broken_lines_of_official_qqp_are_dropped_with_a_warning(
  folder, caplog
):
  head = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
  text = head + "0\t1\t2\tA\tB\t1\n1\t3\t4\tC\n\tD\t0\n2\t5\t6\tE\tF\t0\n"
  with caplog.at_level(logging.WARNING, logger="absl"):
    examples = load("qqp", "train", folder("QQP/train.tsv", text))
  assert examples.texts == (["A", "E"], ["B", "F"])
  assert examples.labels.tolist() == [1, 0]
  assert "line 3: 4 columns instead of 6; dropped" in caplog.text
  glue = folder("QQP/train.tsv", text + "1\t3\n" * 99)
  with pytest.raises(ValueError, match="line 3: 4 columns instead of 6"):
    load("qqp", "train", glue)


def test_missing_columns_are_named_with_those_that_are_there(folder):
  folder("RTE/train.tsv", "index\tpremise\tlabel\n0\tA\tentailment\n")
  with pytest.raises(ValueError, match=r"needs the columns \['sentence1', "):
    load("rte", "train", folder("RTE/train.tsv", "index\tx\n0\tA\n"))
  glue = folder("RTE/dev.tsv", "index\tsentence1\tsentence2\n0\tA\tB\n")
  with pytest.raises(ValueError, match="has no column 'label'"):
    load("rte", "validation", glue)


@pytest.mark.parametrize(
  ("data", "says"),
  [
    (b"", "holds no rows"),
    (RTE.encode(), "holds no rows"),
    (RTE.encode() + b"0\t\xff\tB\tentailment\n", "line 2 is not UTF-8"),
  ],
)
def test_an_empty_or_unreadable_file_is_refused(folder, data, says):
  with pytest.raises(ValueError, match=rf"RTE/train\.tsv {says}"):
    load("rte", "train", folder("RTE/train.tsv", data))


@pytest.mark.parametrize(
  ("end", "flip"), [(12, None), (-3, None), (None, 0), (None, 10), (None, -6)]
)
def test_a_cut_or_flipped_gzip_is_refused(folder, end, flip):
  data = bytearray(gzip.compress(RTE.encode() + b"0\tA\tB\tentailment\n" * 9))
  if flip is not None:
    data[flip] ^= 255
  glue = folder("RTE/train.tsv.gz", bytes(data[:end]))
  with pytest.raises(ValueError, match=r"train\.tsv\.gz cannot be read"):
    load("rte", "train", glue)


def test_missing_and_empty_folders_say_what_to_type(tmp_path):
  cases = {
    "there is no GLUE folder": tmp_path / "none",
    "is empty": tmp_path / "empty",
    "lacks the validation split of rte": tmp_path / "other",
  }
  (tmp_path / "empty").mkdir()
  (tmp_path / "other" / "CoLA").mkdir(parents=True)
  for says, glue in cases.items():
    with pytest.raises(FileNotFoundError, match=says) as error:
      load("rte", "validation", str(glue))
    message = str(error.value)
    assert "\n" not in message and str(glue) in message
    assert "--config.data.glue_dir=FOLDER" in message
    assert "RTE/dev.tsv" in message


def test_an_unknown_split_lists_those_there_are():
  with pytest.raises(ValueError, match="mnli has no split 'validation'; it"):
    load("mnli", "validation", "")


def test_a_number_of_rows_that_is_not_official_is_a_warning(folder, caplog):
  glue = folder("WNLI/dev.tsv", RTE + "0\tA\tB\t1\n" * 71)
  with caplog.at_level(logging.WARNING, logger="absl"):
    load("wnli", "validation", glue)
    assert not caplog.text
    folder("WNLI/dev.tsv", RTE + "0\tA\tB\t1\n" * 69)
    # Every run of a study reads them, and says it once.
    load("wnli", "validation", glue)
    load("wnli", "validation", glue)
  said = "dev.tsv has 69 rows; the official wnli validation has 71 (-2)"
  assert caplog.text.count(said) == 1


def test_the_fingerprint_sees_texts_their_cuts_and_labels():
  def fingerprint(texts, labels):
    return sources.Examples("t", "s", texts, labels, "here").fingerprint

  zero, one = np.float32([0]), np.float32([1])
  seen = [
    fingerprint((["ab"], ["c"]), zero),
    fingerprint((["a"], ["bc"]), zero),
    fingerprint((["ab", "c"],), zero),
    fingerprint((["a", "bc"],), zero),
    fingerprint((["ab"], ["c"]), one),
    fingerprint((["ab"], ["c"]), None),
  ]
  assert len(set(seen)) == len(seen)
  assert len(seen[0]) == 64
  elsewhere = sources.Examples("u", "x", (["ab"], ["c"]), zero, "there")
  assert elsewhere.fingerprint == seen[0]


def test_the_synthetic_suite_comes_through_the_same_door():
  first, again, other = (
    readers.load(TASKS["similarity"], "validation", glue_dir="", seed=seed)
    for seed in (0, 0, 1)
  )
  assert len(first) == len(first.labels) == len(first.texts[1]) > 0
  assert 0 <= first.labels.min() < first.labels.max() <= 1
  assert first.fingerprint == again.fingerprint != other.fingerprint


def test_the_manifest_names_every_data_set_split_and_label():
  data = sources.manifest()["datasets"]
  glue = {n: t for n, t in TASKS.items() if t.glue}
  assert set(data) == set(glue)
  for name, task in glue.items():
    assert tuple(data[name]["rows"]) == task.splits
    assert set(data[name]["hub_labels"]) == set(task.labels)
    assert data[name]["origin"] and data[name]["licence"]


# Rows and labels as counted from the files themselves; labels in our order.
REAL = {
  ("cola", "train"): (8551, [2528, 6023]),
  ("cola", "validation"): (1043, None),
  ("sst2", "train"): (67349, [29780, 37569]),
  ("mrpc", "train"): (3668, [1194, 2474]),
  ("mrpc", "validation"): (408, None),
  ("qqp", "validation"): (8000, None),
  ("mnli", "train"): (41377, [13774, 13794, 13809]),
  ("mnli", "validation_matched"): (9815, [3213, 3479, 3123]),
  ("mnli", "validation_mismatched"): (9832, [3240, 3463, 3129]),
  ("qnli", "validation"): (5463, [2702, 2761]),
  ("rte", "train"): (2490, [1249, 1241]),
  ("wnli", "train"): (635, [323, 312]),
}


@pytest.mark.parametrize(("task", "split"), REAL)
def test_real_files_have_the_rows_and_labels_counted_in_them(
  glue_dir, task, split
):
  rows, counts = REAL[task, split]
  examples = load(task, split, str(glue_dir))
  assert len(examples) == rows
  found = np.bincount(examples.labels.astype(int))
  assert found.sum() == rows and len(found) == TASKS[task].classes
  assert counts is None or found.tolist() == counts
  assert all(text for column in examples.texts for text in column)


def test_real_scores_have_the_known_mean(glue_dir):
  train = load("stsb", "train", str(glue_dir)).labels
  dev = load("stsb", "validation", str(glue_dir)).labels
  assert (len(train), len(dev)) == (5749, 1500)
  assert (round(5 * train.mean(), 2), round(5 * dev.mean(), 2)) == (2.7, 2.36)


@pytest.mark.parametrize(
  ("task", "split"),
  [
    (name, split)
    for name, task in TASKS.items()
    if task.glue and name not in ("qqp", "ax")
    for split in task.test
  ],
)
def test_real_test_files_are_unlabelled_and_whole(
  glue_dir, task, split, caplog
):
  with caplog.at_level(logging.WARNING, logger="absl"):
    assert load(task, split, str(glue_dir)).labels is None
  assert not caplog.text
