"""SQuAD's rules, against values that were worked out by hand."""

import gzip
import json

import numpy as np
import pytest

from bam_jax.stats import crossed, multibootstrap, squad


@pytest.mark.parametrize(
  ("said", "golds", "exact", "f1"),
  [
    ("the Nobel Prize", ["Nobel prize."], 1, 1),
    ("Nobel", ["the Nobel Prize"], 0, 2 / 3),
    ("a b b c", ["b b d", "x"], 0, 2 * 2 / 6),
    ("Oslo", ["Rome", "oslo, Norway"], 0, 2 / 3),
    ("", ["Rome"], 0, 0),
    # All article: the words that are left of both are none.
    ("the", ["The"], 1, 0),
    ("anthem", ["them"], 0, 0),
    ("1,957", ["1957"], 1, 1),
    ("one\u00a0 two", ["ONE two"], 1, 1),
    ("U.S.A", ["usa"], 1, 1),
    ("co-op", ["co op"], 0, 0),
  ],
)
def test_answers_are_compared_by_the_official_rules(said, golds, exact, f1):
  assert squad.exact(said, golds, version=1) == exact
  assert squad.f1(said, golds, version=1) == pytest.approx(f1)


def test_version_2_lets_what_has_no_words_be_the_same():
  assert squad.f1("the", ["A!"], version=2) == 1
  assert squad.exact("the", ["A!"], version=2) == 1
  # But it counts only where there is no other.
  assert squad.f1("the", ["A!", "x"], version=2) == 0
  assert squad.exact("the", ["A!", "x"], version=2) == 0
  assert squad.exact("the", ["A!", "x"], version=1) == 1
  assert squad.f1("x", ["A!"], version=2) == 0
  assert squad.f1("a b", ["b c"], version=2) == pytest.approx(2 / 3)


def test_weights_count_a_question_as_often():
  # Two trials of four questions: exact, F1, "no answer" said.
  said = np.zeros((2, 4, 3))
  said[0] = [[1, 1, 0], [0, 0.5, 0], [0, 0.25, 1], [0, 0, 1]]
  said[1] = [[0, 0.5, 1], [1, 1, 0], [0, 0, 0], [0, 0, 1]]
  gold = np.repeat([[0.0], [0.0], [1.0], [1.0]], 3, axis=1)
  weights = np.array([[1.0, 1, 1, 1], [0, 2, 0, 1], [2, 0, 1, 0]])
  want = {
    "answer_exact": [[3 / 4, 2 / 4], [1 / 3, 1], [1, 0]],
    "answer_f1": [[3.5 / 4, 2 / 4], [2 / 3, 1], [1, 0]],
    "has_answer_f1": [[1.5 / 2, 1 / 2], [1 / 2, 1], [1, 0]],
    "no_answer": [[1, 1 / 2], [1, 1], [1, 0]],
  }
  for name, rows in want.items():
    got = multibootstrap.SCORERS[name](said, gold)(weights)
    np.testing.assert_allclose(got, rows, err_msg=name)


def test_questions_are_drawn_as_other_examples_are():
  rng = np.random.default_rng(0)
  said = rng.random((4, 30, 3)).round(1)
  said[..., 2] = rng.random((4, 30)) < 0.2
  gold = np.repeat((rng.random((30, 1)) < 0.3).astype(float), 3, axis=1)
  full, drawn = multibootstrap.resample_examples(
    said, gold, "answer_f1", draws=7
  )
  want = 100 * squad.earned(said, gold, squad.F1).mean(1)
  np.testing.assert_allclose(full, want)
  assert drawn.shape == (7, 4) and np.ptp(drawn) > 0
  parts = crossed.pseudo_values(said, gold, "answer_exact")
  want = 100 * squad.earned(said, gold, squad.EXACT)
  np.testing.assert_allclose(parts, want, atol=1e-9)


def test_people_score_what_the_paper_says(glue_dir):
  """Table 5 of Rajpurkar et al. 2016: the second answer against two others."""
  file = glue_dir.parent / "squad" / "dev-v1.1.json.gz"
  if not file.is_file():
    pytest.skip(f"no SQuAD at {file}")
  rows = [
    [answer["text"] for answer in question["answers"]]
    for article in json.loads(gzip.decompress(file.read_bytes()))["data"]
    for paragraph in article["paragraphs"]
    for question in paragraph["qas"]
  ]
  rows = [(said, (one, two)) for one, said, two, *_ in filter(_three, rows)]
  exact = 100 * np.mean([squad.exact(*row, version=1) for row in rows])
  f1 = 100 * np.mean([squad.f1(*row, version=1) for row in rows])
  # The file is put together again, and lacks a few third answers.
  assert exact == pytest.approx(80.3, abs=0.3)
  assert f1 == pytest.approx(90.5, abs=0.1)


def _three(answers) -> bool:
  return len(answers) > 2
