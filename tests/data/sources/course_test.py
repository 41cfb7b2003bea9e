"""Reads the files of the course CS224N, good and bad, real and made up."""

import gzip

import pytest

from bam_jax.data.sources import course, readers
from bam_jax.tasks.table import TASKS

QUORA = "\tid\tsentence1\tsentence2\tis_duplicate\n"


@pytest.fixture
def folder(tmp_path):
  """Writes a file of the course; says its folder."""

  def write(name: str, text: str):
    raw = text.encode()
    zipped = gzip.compress(raw) if name.endswith(".gz") else raw
    (tmp_path / name).write_bytes(zipped)
    return str(tmp_path)

  return write


def load(task: str, split: str, folder: str):
  return readers.load(
    TASKS[task], split, glue_dir="", seed=0, cs224n_dir=folder
  )


def test_quotes_are_a_spreadsheets_and_columns_without_names_are_no_matter(
  folder, caplog
):
  text = '7\ta1\t"He ""said""\tso"\tB\t1.0\n9\tb2\tC\tD\t0\n8\tc3\tE\tF\t\n'
  # One in a hundred may lack a label.
  more = "".join(f"{n}\td{n}\tG\tH\t0.0\n" for n in range(97))
  where = folder("quora-dev.csv.gz", QUORA + text + more)
  found = load("quora", "validation", where)
  assert [column[:2] for column in found.texts] == [
    ['He "said"\tso', "C"],
    ["B", "D"],
  ]
  assert found.labels[:2].tolist() == [1, 0]
  assert len(found) == 99
  names = course.ids(TASKS["quora"], "validation", folder=where)
  assert names[:3] == ["a1", "b2", "d0"]
  assert len(names) == 99
  assert "line 4: no is_duplicate; dropped, as are 0 more" in caplog.text


def test_test_rows_have_no_labels_and_ratings_are_scaled(folder):
  where = folder(
    "sts-test-student.csv", "\tid\tsentence1\tsentence2\n0\tx\tA\tB\n"
  )
  folder(
    "sts-train.csv",
    "\tid\tsentence1\tsentence2\tsimilarity\n0\tx\tA\tB\t2.0\n1\ty\tA\tB\t5\n",
  )
  assert load("sts", "test", where).labels is None
  assert load("sts", "train", where).labels.tolist() == pytest.approx([0.4, 1])


@pytest.mark.parametrize(
  ("rows", "said"),
  [
    ("0\ta\tA\tB\t2\n", "line 2: quora has no label '2'; it must be 0, 1"),
    ("0\ta\tA\tB\n", "line 2: 4 columns instead of 5"),
    ("0\ta\tA\tB\t\n", "in 1 of 1 rows, too many to be dropped"),
    ("", "holds no rows"),
  ],
)
def test_damaged_files_are_refused(folder, rows, said):
  where = folder("quora-train.csv", QUORA + rows)
  with pytest.raises(ValueError, match=said):
    load("quora", "train", where)


def test_other_columns_are_refused(folder):
  where = folder("ids-sst-train.csv", "\tid\ttext\tsentiment\n0\ta\tA\t3\n")
  with pytest.raises(ValueError, match="there is no column 'sentence'"):
    load("sst5", "train", where)


@pytest.mark.parametrize(
  ("where", "said"),
  [
    ("", "data.cs224n_dir is ''; type --config.data.cs224n_dir=FOLDER"),
    ("/nowhere/cs224n", "there is no folder /nowhere/cs224n; type"),
    (None, "lacks sts-dev.csv, the validation split of sts; type"),
  ],
)
def test_what_is_missing_says_what_to_type(tmp_path, where, said):
  with pytest.raises(FileNotFoundError, match=said):
    load("sts", "validation", str(tmp_path) if where is None else where)


def test_an_id_that_is_there_twice_is_refused(folder):
  where = folder(
    "ids-sst-dev.csv", "\tid\tsentence\tsentiment\n0\ta\tA\t3\n1\ta\tB\t0\n"
  )
  with pytest.raises(
    ValueError, match=r"line 3: the id 'a' is that of .*line 2"
  ):
    course.ids(TASKS["sst5"], "validation", folder=where)


def test_the_courses_own_files_have_as_many_rows_as_it_says(glue_dir):
  folder = glue_dir.parent / "cs224n"
  if not folder.is_dir():
    pytest.skip(f"no files of CS224N at {folder}")
  rows = {
    (name, split): len(load(name, split, str(folder)))
    for name, split in (
      *(("sst5", split) for split in ("train", "validation", "test")),
      *(("sts", split) for split in ("train", "validation", "test")),
      ("quora", "validation"),
    )
  }
  # Two of 20,214 questions have no label.
  assert list(rows.values()) == [8544, 1101, 2210, 6040, 863, 1725, 20212]
