"""Answers as the GLUE server reads them, written whole or not at all."""

import zipfile

import numpy as np
import pytest

from bam_jax.tasks import submission
from bam_jax.tasks.table import TASKS

MADE = {"method": "x"}
# As the server's own sample submission has them.
FILES = (
  *("CoLA.tsv", "SST-2.tsv", "MRPC.tsv", "STS-B.tsv", "QQP.tsv"),
  *("MNLI-m.tsv", "MNLI-mm.tsv", "QNLI.tsv", "RTE.tsv", "WNLI.tsv", "AX.tsv"),
)


def submit(directory, **predictions):
  """Writes tasks whose test split is called "test"."""
  found = {(name, "test"): np.array(x) for name, x in predictions.items()}
  rows = {key: len(logits) for key, logits in found.items()}
  return submission.write_submission(
    directory, found, rows=rows, made_of=dict.fromkeys(rows, MADE)
  )


def answers(path):
  header, *lines = path.read_text().splitlines()
  assert header == "index\tprediction"
  index, found = zip(*(line.split("\t") for line in lines), strict=True)
  assert index == tuple(map(str, range(len(lines))))
  return list(found)


def test_columns_of_wider_tasks_are_never_the_answer():
  logits = np.array([[0.0, 1.0, 9.0], [2.0, 1.0, 9.0]])
  found = submission.answers_of(TASKS["rte"], logits)
  assert [each.label for each in found] == ["not_entailment", "entailment"]


def test_regression_comes_back_to_its_range_and_stays_in_it():
  logits = np.array([[-0.2, 7.0], [0.5, 7.0], [0.33333, 7.0], [1.3, 7.0]])
  found = submission.answers_of(TASKS["stsb"], logits)
  values = [each.value for each in found]
  assert values == pytest.approx([0.0, 2.5, 1.66665, 5.0])


@pytest.mark.parametrize("shape", [(3, 2), (3,), (3, 2, 3)])
def test_logits_of_another_head_are_refused(shape):
  with pytest.raises(ValueError, match="mnli has 3 classes but logits"):
    submission.answers_of(TASKS["mnli"], np.zeros(shape))


def test_nan_is_no_answer():
  logits = np.zeros((5, 2))
  logits[3, 1] = np.nan
  with pytest.raises(ValueError, match="1 rows, first in row 3"):
    submission.answers_of(TASKS["cola"], logits)
  # What does not belong to the task may be anything.
  logits = np.full((5, 3), np.nan)
  logits[:, :2] = 0
  assert len(submission.answers_of(TASKS["cola"], logits)) == 5


def test_file_names_are_the_servers():
  assert sorted(submission.FILES) == sorted(FILES)


def test_file_is_exactly_what_the_server_reads(tmp_path):
  submit(tmp_path, cola=[[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
  expected = b"index\tprediction\n0\t1\n1\t0\n2\t1\n"
  assert (tmp_path / "CoLA.tsv").read_bytes() == expected


def test_labels_are_written_as_each_file_has_them(tmp_path):
  submit(
    tmp_path,
    sst2=[[1.0, 0.0], [0.0, 1.0]],
    mrpc=[[1.0, 0.0], [0.0, 1.0]],
    qqp=[[1.0, 0.0], [0.0, 1.0]],
    wnli=[[1.0, 0.0], [0.0, 1.0]],
    qnli=[[1.0, 0.0], [0.0, 1.0]],
    rte=[[1.0, 0.0], [0.0, 1.0]],
    ax=np.eye(3).tolist(),
    stsb=[[0.12345], [-1.0], [2.0]],
  )
  for name in ("SST-2", "MRPC", "QQP", "WNLI"):
    assert answers(tmp_path / f"{name}.tsv") == ["0", "1"]
  for name in ("QNLI", "RTE"):
    found = answers(tmp_path / f"{name}.tsv")
    assert found == ["entailment", "not_entailment"]
  found = answers(tmp_path / "AX.tsv")
  assert found == ["contradiction", "entailment", "neutral"]
  assert answers(tmp_path / "STS-B.tsv") == ["0.617", "0.000", "5.000"]


def test_the_two_mnli_sets_do_not_mix(tmp_path):
  found = {
    ("mnli", "test_matched"): np.eye(3)[[0, 1]],
    ("mnli", "test_mismatched"): np.eye(3)[[2]],
  }
  rows = {("mnli", "test_matched"): 2, ("mnli", "test_mismatched"): 1}
  made = dict.fromkeys(rows, MADE)
  submission.write_submission(tmp_path, found, rows=rows, made_of=made)
  matched = answers(tmp_path / "MNLI-m.tsv")
  assert matched == ["contradiction", "entailment"]
  assert answers(tmp_path / "MNLI-mm.tsv") == ["neutral"]


@pytest.mark.parametrize(
  ("key", "logits", "rows", "message"),
  [
    (("rte", "test"), np.zeros((4, 2)), 5, "4 predictions for the 5 examples"),
    (("rte", "validation"), np.zeros((4, 2)), 4, "no validation of rte"),
    (("sentiment", "test"), np.zeros((4, 2)), 4, "it takes none of it"),
    (("rte", "test"), np.full((4, 2), np.inf), 4, "not finite in 4 rows"),
    (("rtee", "test"), np.zeros((4, 2)), 4, "did you mean 'rte'"),
  ],
)
def test_one_bad_split_and_nothing_is_written(
  tmp_path, key, logits, rows, message
):
  good = ("cola", "test")
  with pytest.raises(ValueError, match=message):
    submission.write_submission(
      tmp_path / "submission",
      {good: np.zeros((3, 2)), key: logits},
      rows={good: 3, key: rows},
      made_of={good: MADE, key: MADE},
    )
  assert not (tmp_path / "submission").exists()


SCORES = {
  4: {"cola": {"matthews": 10.0}, "rte": {"accuracy": 70.0}},
  5: {"cola": {"matthews": 30.0}, "rte": {"accuracy": 60.0}},
  6: {"cola": {"matthews": 28.0}, "rte": {"accuracy": 69.0}},
}


@pytest.mark.parametrize(
  ("by", "seeds"), [("average", [6, 6]), ("task", [5, 4])]
)
def test_one_trial_answers_all_tasks_unless_asked_otherwise(by, seeds):
  tasks = [TASKS["cola"], TASKS["rte"]]
  found = [
    submission.best_trial(SCORES, tasks, task, by=by)["seed"] for task in tasks
  ]
  assert found == seeds


def test_what_no_average_counts_decides_nothing_unless_it_is_alone():
  wnli, rte = TASKS["wnli"], TASKS["rte"]
  scores = {
    s: {"rte": {"accuracy": 50.0 + s}, "wnli": {"accuracy": 90.0 - 9 * s}}
    for s in range(3)
  }
  for tasks, seed in (([rte, wnli], 2), ([wnli], 0)):
    best = submission.best_trial(scores, tasks, wnli, by="average")
    assert best["seed"] == seed


def test_the_folder_tells_what_answered_each_file_and_earlier_ones(tmp_path):
  def write(name, seed):
    key = (name, "test")
    made = {"method": "m", "run": "r", "split": "dev"} | {
      "seed": seed, "trials": 3, "highest": ["cola", "rte"], "score": 48.5
    }  # fmt: skip
    return submission.write_submission(
      tmp_path, {key: np.eye(2)}, rows={key: 2}, made_of={key: made}
    )

  write("rte", 1)
  path = write("cola", 6)
  assert submission.whose(tmp_path) == {
    f"r seed {seed}, the highest of 3 trial(s) on dev (average of cola, rte "
    "48.5)": [file]
    for seed, file in ((6, "CoLA.tsv"), (1, "RTE.tsv"))
  }
  with zipfile.ZipFile(path) as archive:
    assert archive.namelist() == ["CoLA.tsv", "RTE.tsv"]


def test_zip_is_flat_and_holds_what_was_written_before(tmp_path):
  submit(tmp_path, rte=[[1.0, 0.0]])
  (tmp_path / "notes.txt").write_text("mine")
  path = submit(tmp_path, cola=[[1.0, 0.0]])
  assert path == tmp_path / "submission.zip"
  with zipfile.ZipFile(path) as archive:
    assert archive.testzip() is None
    assert archive.namelist() == ["CoLA.tsv", "RTE.tsv"]
    for name in archive.namelist():
      assert archive.read(name) == (tmp_path / name).read_bytes()
  assert not list(tmp_path.glob(".*"))


def test_same_answers_make_the_same_zip(tmp_path):
  first = submit(tmp_path / "a", rte=[[1.0, 0.0]])
  again = submit(tmp_path / "b", rte=[[1.0, 0.0]])
  assert again.read_bytes() == first.read_bytes()
  # The clock has not moved between them, so ask for it too.
  with zipfile.ZipFile(first) as archive:
    assert archive.infolist()[0].date_time[0] == 1980
