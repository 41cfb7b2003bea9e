"""Ranking and choice whole: from files to a student, answers, transformers."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.special
import torch
import transformers

import bam_jax
from bam_jax import export, predict
from bam_jax.data import logits as logits_lib
from bam_jax.study import predictions
from bam_jax.study.workdir import Workdir
from tests import small

ROWS = {"train": 24, "dev": 9}
STUDENT = "single-to-multi.best+cola+ranked"


def write(folder):
  """Writes questions whose good candidates have a bird, and the best a dog."""
  rng = np.random.default_rng(8)
  others = [word for word in small.WORDS if word not in ("bird", "dog")]
  for split, count in ROWS.items():
    rows, choices = [], []
    for _ in range(count):
      texts = [
        list(rng.choice(others, size=rng.integers(2, 12)))
        for _ in range(rng.integers(2, 7))
      ]
      good, *more = rng.permutation(len(texts))
      relevance = np.zeros(len(texts), int)
      texts[good].insert(1, "bird")
      relevance[good] = 2
      choices.append((" ".join(rng.choice(others, 2)), texts, int(good)))
      if len(more) > 2:
        texts = [*map(list, texts)]
        texts[more[0]].insert(0, "bird")
        relevance[more[0]] = 1
      rows.append((choices[-1][0], texts, relevance.tolist()))
    for name, found in (("ranked", rows), ("best", choices)):
      lines = [
        {"question": q, "candidates": [" ".join(c) for c in cs], "right": r}
        for q, cs, r in found
      ]
      (folder / f"{name}-{split}.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines)
      )
  common = 'text = ["question", "candidates"]\nlabel = "right"\n'
  toml = folder / "rank.toml"
  toml.write_text(
    '[ranked]\nkind = "ranking"\ntrain = "ranked-train.jsonl"\n'
    'dev = "ranked-dev.jsonl"\nmetric = ["mrr", "map", "ndcg", "accuracy"]\n'
    f'{common}\n[best]\nkind = "choice"\ntrain = "best-train.jsonl"\n'
    f'dev = "best-dev.jsonl"\nmetric = "accuracy"\n{common}'
  )
  return toml


def lines_of(run, name):
  text = (run.root / f"{name}.jsonl").read_text().splitlines()
  return [json.loads(line) for line in text]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """Teachers and a student of ranking, choice and CoLA."""
  root = tmp_path_factory.mktemp("ranking")
  glue = small.write_glue(root / "glue")
  encoder = small.write_encoder(root / "encoder")
  toml = write(root)
  config = small.settings(
    glue,
    encoder,
    tasks_file=str(toml),
    tasks="best,cola,ranked",
    methods="single,single->multi",
    max_length=14,
    max_steps=40,
    data__packing=True,
    data__row_shapes=1,
  )
  small.execute(config, root / "W")
  return SimpleNamespace(root=root, workdir=root / "W", config=config)


def test_questions_are_scored_and_learned(run):
  found = json.loads((run.workdir / "results.json").read_text())
  record = found["methods"]["single->multi"]["ranked"]
  assert record["metric"] == "mrr" and record["examples"] == ROWS["dev"]
  assert min(record["scores"]) > 70
  assert set(record["all"]) == {"mrr", "map", "ndcg", "accuracy"}
  assert min(found["methods"]["single"]["best"]["scores"]) > 60
  assert found["coverage"]["ranked"]["train"]["rows"] == ROWS["train"]
  assert 0 < found["coverage"]["ranked"]["train"]["cut"] < 1
  # And the same from what was kept, question by question.
  file = predictions.path(run.workdir / "runs" / "single.ranked", 0)
  dev = predictions.read(file)["ranked", "validation"]
  rows = lines_of(run, "ranked-dev")
  assert dev.words.tolist() == [len(row["right"]) for row in rows]
  assert dev.labels.tolist() == [x for row in rows for x in row["right"]]
  scores = np.split(dev.logits[:, 0], np.cumsum(dev.words)[:-1])
  ranks = []
  for said, row in zip(scores, rows, strict=True):
    order = np.argsort(-said)
    ranks.append(1 + min(np.flatnonzero(np.array(row["right"])[order] > 0)))
  record = found["methods"]["single"]["ranked"]
  assert record["scores"][0] == pytest.approx(
    100 * np.mean(1 / np.array(ranks))
  )


def test_teachers_say_something_of_every_candidate(run):
  path = Workdir(run.workdir).teacher("single.ranked", "ranked", 0)
  found = logits_lib.read(path, expected={})
  rows = lines_of(run, "ranked-train")
  assert found.words.tolist() == [len(row["right"]) for row in rows]
  assert np.isfinite(found.values).all() and found.values.shape[1] == 1


def test_answers_are_the_candidates_best_first(run, tmp_path, capsys):
  folder = run.workdir / "runs" / STUDENT
  file = tmp_path / "rows.csv"
  # A row of lists is told by JSON in a cell.
  file.write_text(
    'question,candidates\nold?,"[""the cat"", ""a bird"", ""no""]"\n'
    'red?,"[""here""]"\n'
  )
  predict.main([f"--run={folder}", "--task=ranked", f"--input={file}"])
  got = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
  (first, second) = (row["candidates"] for row in got)
  assert [each["rank"] for each in first] == [1, 2, 3]
  assert first[0]["text"] == "a bird" and first[0]["index"] == 1
  assert sorted(each["index"] for each in first) == [0, 1, 2]
  scores = [each["score"] for each in first]
  assert scores == sorted(scores, reverse=True)
  shares = [each["probability"] for each in first]
  np.testing.assert_allclose(shares, scipy.special.softmax(scores), atol=1e-6)
  assert second[0]["probability"] == 1
  model = bam_jax.load(folder)
  given = ["old?", "red?"], [["the cat", "a bird", "no"], ["here"]]
  assert [a.record() for a in model("ranked", *given)] == got
  predict.main(
    [f"--run={folder}", "--task=all", f"--input={file}", "--output-format=csv"]
  )
  said = capsys.readouterr()
  assert said.out.splitlines()[0] == "best,ranked"
  assert said.out.splitlines()[1].startswith('a bird,"[{""text"": ""a bird""')
  assert "cola read other texts: left out" in said.err
  both = model("all", *given)
  assert set(both[0]) == {"best", "ranked"}
  assert both[0]["best"].label == "a bird"


def test_what_cannot_be_asked_is_told(run):
  model = bam_jax.load(run.workdir / "runs" / STUDENT)
  with pytest.raises(
    ValueError, match="ranked reads question and candidates, a"
  ):
    model("ranked", ["old?"])
  with pytest.raises(ValueError, match="'a bird' is no list of candidates"):
    model("ranked", ["old?"], ["a bird"])
  with pytest.raises(ValueError, match=r"row 2 .*: the row has no candidates"):
    model("ranked", ["old?", "red?"], [["x"], []])
  with pytest.raises(ValueError, match="got 2 columns of text and a list, but"):
    model.answers(["ranked", "cola"], [["old?"], [["x"]]])


@pytest.mark.parametrize("task", ["ranked", "best"])
def test_transformers_gives_the_same_scores(run, tmp_path, task):
  folder, out = run.workdir / "runs" / STUDENT, tmp_path / "M"
  export.main([f"--run={folder}", f"--task={task}", f"--out={out}"])
  made = {
    "ranked": transformers.AutoModelForSequenceClassification,
    "best": transformers.AutoModelForMultipleChoice,
  }[task]
  theirs = made.from_pretrained(out)
  words = transformers.AutoTokenizer.from_pretrained(out)
  row = lines_of(run, f"{task}-dev")[0]
  question, texts = row["question"], row["candidates"]
  inputs = words(
    [question] * len(texts),
    texts,
    truncation=True,
    max_length=14,
    padding=True,
    return_tensors="pt",
  )
  if task == "best":
    inputs = {name: x[None] for name, x in inputs.items()}
  with torch.no_grad():
    got = theirs(**inputs).logits.numpy().ravel()
  model = bam_jax.load(out)
  (answer,) = model(task, [question], [texts])
  want = sorted(answer.candidates, key=lambda each: each.index)
  np.testing.assert_allclose(got, [each.score for each in want], atol=1e-5)
  assert np.ptp(got) > 0.1
  assert answer == bam_jax.load(folder)(task, [question], [texts])[0]
  card = (out / "README.md").read_text()
  assert "[QUESTION] * len(CANDIDATES)" in card
  pipeline = {"ranked": "text-classification", "best": "multiple-choice"}
  assert f'pipeline_tag: "{pipeline[task]}"' in card


def test_a_run_starts_from_transformers_scores(run, tmp_path):
  folder, out = run.workdir / "runs" / STUDENT, tmp_path / "M"
  export.main([f"--run={folder}", "--task=best", f"--out={out}"])
  config = small.settings(
    run.root / "glue",
    run.root / "encoder",
    tasks_file=str(run.root / "rank.toml"),
    tasks="best",
    methods="single",
    max_length=14,
    max_steps=1,
    single__rate=1e-30,
    init_from=str(out),
    init_part="all",
  )
  small.execute(config, tmp_path / "W")
  file = predictions.path(tmp_path / "W" / "runs" / "single.best", 0)
  dev = predictions.read(file)["best", "validation"]
  answers = bam_jax.load(out)(
    "best",
    [row["question"] for row in lines_of(run, "best-dev")],
    [row["candidates"] for row in lines_of(run, "best-dev")],
  )
  want = [
    each.score
    for answer in answers
    for each in sorted(answer.candidates, key=lambda each: each.index)
  ]
  np.testing.assert_allclose(dev.logits[:, 0], want, atol=1e-5)


def test_all_heads_leave_and_answer(run, tmp_path):
  folder, out = run.workdir / "runs" / STUDENT, tmp_path / "M"
  export.main([f"--run={folder}", "--task=all", f"--out={out}"])
  given = ["old?"], [["the cat", "a bird", "no"]]
  assert bam_jax.load(out)("all", *given) == bam_jax.load(folder)("all", *given)


def test_a_held_out_question_is_scored_whole(run, tmp_path):
  config = small.settings(
    run.root / "glue",
    run.root / "encoder",
    tasks_file=str(run.root / "rank.toml"),
    tasks="ranked",
    methods="single",
    max_length=14,
    max_steps=2,
    data__holdout=0.25,
    data__packing=True,
    data__row_shapes=1,
    micro_rows=8,
    adversary__kind="rdrop",
  )
  small.execute(config, tmp_path / "W")
  file = predictions.path(tmp_path / "W" / "runs" / "single.ranked", 0)
  dev = predictions.read(file)["ranked", "holdout"]
  rows = lines_of(run, "ranked-train")
  assert 0 < len(dev.index) < len(rows)
  assert dev.words.tolist() == [len(rows[i]["right"]) for i in dev.index]
  gold = [np.array(rows[i]["right"], float) for i in dev.index]
  assert np.concatenate(gold).tolist() == dev.labels.tolist()


@pytest.mark.parametrize(
  ("broken", "changes", "said"),
  [
    (
      '"right": [0, 0]',
      {},
      r"ranked-train\.jsonl line 1, column 'right': no ca",
    ),
    (
      "",
      {"micro_rows": 1},
      "micro_rows is 1, and a question with its candidat",
    ),
  ],
)
def test_the_command_says_what_is_wrong(tmp_path, broken, changes, said):
  toml = write(tmp_path)
  if broken:
    line = f'{{"question": "q", "candidates": ["a", "b"], {broken}}}\n'
    (tmp_path / "ranked-train.jsonl").write_text(line)
  encoder = small.write_encoder(tmp_path / "encoder")
  config = small.settings(
    small.write_glue(tmp_path / "glue"),
    encoder,
    tasks_file=str(toml),
    tasks="ranked",
    methods="single",
    max_length=14,
    **changes,
  )
  with pytest.raises(ValueError, match=said):
    small.execute(config, tmp_path / "W")
  assert not list((tmp_path / "W").glob("runs/*/checkpoints/*"))
