"""What to label next, from texts to what annotation tools import."""

import csv
import io
import json

import numpy as np
import pytest

from bam_jax import label_next
from bam_jax.inference import model as inference
from tests import small

TEXTS = [
  "the old dog sees the cat",
  "no",
  "a bird here, and there",
  "the red cat sees no dog",
  "here",
]
RUN = "multi.cola+stsb"


@pytest.fixture(scope="module")
def run(small_run, tmp_path_factory):
  """Three trials of one model."""
  workdir = tmp_path_factory.mktemp("next") / "W"
  config = small.settings(
    small_run.glue, small_run.encoder, methods="multi", trials=3
  )
  small.execute(config, workdir)
  return workdir / "runs" / RUN


@pytest.fixture
def ask(run, tmp_path, capsys):
  """Runs the command on texts and returns what it writes."""
  file = tmp_path / "in.csv"
  with file.open("w", newline="") as out:
    csv.writer(out).writerows([["sentence"], *([text] for text in TEXTS)])

  def command(*flags, task="cola", path=file):
    label_next.main(
      [f"--run={run}", f"--task={task}", f"--input={path}", *flags]
    )
    return capsys.readouterr().out

  return command


def chances(run):
  """f[R, N, C] of the trials, each asked by itself."""
  found = []
  for seed in (0, 1, 2):
    answers = inference.load(run, trial=seed)("cola", TEXTS)
    found.append([list(each.probabilities.values()) for each in answers])
  return np.array(found)


def test_those_that_trials_disagree_on_come_first(ask, run):
  records = [json.loads(line) for line in ask("--most=3").splitlines()]
  each = chances(run)

  def entropy(p):
    return -(p * np.log(p)).sum(-1)

  gain = entropy(each.mean(0)) - entropy(each).mean(0)
  order = np.argsort(-gain, kind="stable")[:3]
  assert [record["row"] for record in records] == order.tolist()
  for record in records:
    row = record["row"]
    assert record["texts"] == {"sentence": TEXTS[row]}
    assert record["disagreement"] == pytest.approx(gain[row], abs=2e-6)
    assert [*record["answer"]["probabilities"].values()] == pytest.approx(
      each.mean(0)[row], abs=1e-5
    )


def test_a_text_that_comes_again_is_listed_once(ask, tmp_path):
  again = tmp_path / "again.csv"
  texts = [TEXTS[0], *TEXTS[:2], TEXTS[0]]
  again.write_text("sentence\n" + "\n".join(texts) + "\n")
  records = [
    json.loads(line) for line in ask("--most=3", path=again).splitlines()
  ]
  assert [each["texts"]["sentence"] for each in records] in (
    [TEXTS[0], TEXTS[1]],
    [TEXTS[1], TEXTS[0]],
  )


def test_one_trial_has_margins(ask, run):
  lines = ask("--by=margin", "--trials=1").splitlines()
  found = [json.loads(line) for line in lines]
  mine = np.sort(chances(run)[1], -1)
  margin = mine[:, -1] - mine[:, -2]
  assert [each["row"] for each in found] == np.argsort(margin).tolist()
  assert all(each["disagreement"] == 0 for each in found)


def test_every_format_holds_texts_and_answers(ask):
  by_row = {
    record["row"]: record for record in map(json.loads, ask().splitlines())
  }
  table = list(csv.DictReader(io.StringIO(ask("--output-format=csv"))))
  assert [line["sentence"] for line in table] == [
    record["texts"]["sentence"] for record in by_row.values()
  ]
  assert {line["answer"] for line in table} <= {"acceptable", "unacceptable"}
  for task in json.loads(ask("--output-format=label-studio")):
    record = by_row[task["meta"]["row"]]
    assert task["data"]["text"] == record["texts"]["sentence"]
    (said,) = task["predictions"]
    (result,) = said["result"]
    assert result["type"] == "choices"
    assert result["value"] == {"choices": [record["answer"]["label"]]}
  for line in ask("--output-format=doccano").splitlines():
    found = json.loads(line)
    record = by_row[found["row"]]
    assert found["text"] == record["texts"]["sentence"]
    assert found["label"] == [record["answer"]["label"]]


def test_a_number_is_ranked_by_its_spread(ask, tmp_path):
  pairs = tmp_path / "pairs.tsv"
  pairs.write_text("sentence1\tsentence2\na cat\ta dog\nno\tthe old bird\n")
  lines = ask("--output-format=label-studio", task="stsb", path=pairs)
  for task in json.loads(lines):
    (result,) = task["predictions"][0]["result"]
    assert result["type"] == "number" and 0 <= result["value"]["number"] <= 5
    assert task["meta"]["margin"] is None


@pytest.mark.parametrize(
  ("flags", "says"),
  [
    (["--trials=1"], "one trial does not disagree with itself"),
    (["--trials=1,7"], "--trials is 1,7; "),
    (["--trials=x"], "--trials is x; "),
    (["--most=0"], "--most is 0; it is 1 or more"),
    (["--task=colla"], "cola"),
    (["--task=stsb", "--by=margin"], "stsb is a number, which has no margin"),
    (["--run=nowhere"], "no finished trial"),
    (["--input=nowhere.csv"], "nowhere.csv"),
  ],
)
def test_what_is_wrong_is_a_sentence(run, capsys, flags, says):
  with pytest.raises(SystemExit) as ended:
    label_next.main([f"--run={run}", "--task=cola", *flags])
  assert ended.value.code == 2
  assert says in capsys.readouterr().err
