"""Questions with contexts whole: from SQuAD's JSON to a student, and out."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers

import bam_jax
from bam_jax import export, predict
from bam_jax.stats import squad
from bam_jax.study import predictions
from bam_jax.study.workdir import Workdir
from tests import small

ROWS = {"train": 48, "dev": 17}
STUDENT = "single-to-multi.qa+cola"
OTHERS = [word for word in small.WORDS if word not in ("dog", "cat", "bird")]


def document(rng, count: int) -> dict:
  """Returns SQuAD's JSON, version 2: which animal is there, if any?"""
  paragraphs = []
  for number in range(count):
    words = rng.choice(OTHERS, size=rng.integers(4, 20)).tolist()
    answers = []
    if number % 4:
      place = int(rng.integers(len(words)))
      words[place] = str(rng.choice(["dog", "cat", "bird"]))
      start = sum(len(word) + 1 for word in words[:place])
      answers = [{"text": words[place], "answer_start": start}] * 2
    entry = {"question": "the old", "answers": answers, "id": str(number)}
    entry["is_impossible"] = not answers
    paragraphs.append({"context": " ".join(words), "qas": [entry]})
  return {"version": "v2.0", "data": [{"paragraphs": paragraphs}]}


def write(folder):
  """Writes a tasks file and what it names."""
  rng = np.random.default_rng(8)
  for split, count in ROWS.items():
    text = json.dumps(document(rng, count))
    (folder / f"{split}.json").write_text(text)
  toml = folder / "qa.toml"
  toml.write_text(
    '[qa]\nkind = "span"\nformat = "squad"\ntrain = "train.json"\n'
    'dev = "dev.json"\nmetric = "f1"\n'
  )
  return toml


def questions(root, split="dev"):
  """Returns questions, contexts and gold answers of a split."""
  (article,) = json.loads((root / f"{split}.json").read_text())["data"]
  rows = [(p["context"], *p["qas"]) for p in article["paragraphs"]]
  golds = [[each["text"] for each in q["answers"]] for _, q in rows]
  return [q["question"] for _, q in rows], [c for c, _ in rows], golds


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A teacher and a student of questions and CoLA, several windows each."""
  root = tmp_path_factory.mktemp("span")
  glue = small.write_glue(root / "glue")
  encoder = small.write_encoder(root / "encoder")
  config = small.settings(
    glue,
    encoder,
    tasks_file=str(write(root)),
    tasks="qa,cola",
    methods="single,single->multi",
    max_length=14,
    max_steps=60,
    span__stride=3,
    eval_every=30,
  )
  small.execute(config, root / "W")
  return SimpleNamespace(root=root, workdir=root / "W", config=config)


def test_it_is_learned_and_scored_question_by_question(run):
  found = json.loads((run.workdir / "results.json").read_text())
  for method in ("single", "single->multi"):
    record = found["methods"][method]["qa"]
    assert record["metric"] == "f1" and record["examples"] == ROWS["dev"]
    assert set(record["all"]) == {"f1", "exact_match"}
  assert found["methods"]["single"]["qa"]["scores"][0] > 60
  assert "qa" not in found["calibration"]["single"]
  assert found["calibration"]["single"]["cola"]
  (coverage,) = [found["coverage"]["qa"]["validation"]]
  assert (coverage["what"], coverage["unread"]) == ("answers", 0)
  assert coverage["words"] == ROWS["dev"] < coverage["rows"]
  report = (run.workdir / "report" / "report.md").read_text()
  assert "exact_match" in report
  # And the same from the answers themselves.
  asked, contexts, golds = questions(run.root)
  model = bam_jax.load(run.workdir / "runs" / "single.qa")
  answers = model("qa", asked, contexts)
  want = [
    squad.exact(answer.part.text, gold, version=2)
    if gold
    else not answer.part.text
    for answer, gold in zip(answers, golds, strict=True)
  ]
  got = found["methods"]["single"]["qa"]["all"]["exact_match"]
  assert got[0] == pytest.approx(100 * np.mean(want))
  file = predictions.path(run.workdir / "runs" / "single.qa", 0)
  dev = predictions.read(file)["qa", "validation"]
  assert dev.logits.shape == (ROWS["dev"], 3)
  assert dev.labels.tolist() == [float(not gold) for gold in golds]


def test_answers_are_parts_of_the_raw_context(run, tmp_path, capsys):
  folder = run.workdir / "runs" / STUDENT
  long = "The  red, OLD bird " + "sees here " * 12
  lines = ["question\tcontext", f"the old\t{long.strip()}", "the old\tno no no"]
  file = tmp_path / "asked.tsv"
  file.write_text("\n".join(lines) + "\n")
  predict.main([f"--run={folder}", "--task=qa", f"--input={file}"])
  one, two = map(json.loads, capsys.readouterr().out.splitlines())
  assert one["text"] == long[one["start"] : one["end"]] == "bird"
  assert 0.1 < one["probability"] <= 1
  assert (two["text"], two["start"]) == ("", None)
  flags = ["--output-format=csv", f"--input={file}"]
  predict.main([f"--run={folder}", "--task=qa", *flags])
  header, first, second = capsys.readouterr().out.splitlines()
  assert header == "qa,qa:start,qa:end,qa:probability"
  assert first.startswith("bird,14,18,0.") and second.startswith(",,,")
  model = bam_jax.load(folder)
  with pytest.raises(ValueError, match="1 of 1 questions leave no room"):
    model("qa", ["the " * 20], ["a dog"])
  with pytest.raises(ValueError, match="got 1 columns of text, but qa reads"):
    model("qa", ["a dog"])
  assert model("qa", [], []) == []


def test_transformers_answers_the_same(run, tmp_path):
  out = tmp_path / "M"
  folder = run.workdir / "runs" / STUDENT
  export.main([f"--run={folder}", "--task=qa", f"--out={out}"])
  theirs = transformers.AutoModelForQuestionAnswering.from_pretrained(out)
  words = transformers.AutoTokenizer.from_pretrained(out)
  asked, contexts, _ = questions(run.root)
  given = words(
    asked,
    contexts,
    truncation="only_second",
    max_length=14,
    stride=3,
    return_overflowing_tokens=True,
    padding=True,
    return_tensors="pt",
  )
  given.pop("overflow_to_sample_mapping")
  with torch.no_grad():
    said = theirs(**given)
  both = np.stack([said.start_logits, said.end_logits], -1)
  model = bam_jax.load(out)
  from bam_jax.data import contexts as contexts_lib
  from bam_jax.data.windows import Lengths

  rows = contexts_lib.windows(
    model.tokenizer, asked, contexts, None, lengths=Lengths(14, 3)
  )
  want = model.said(["qa"], rows)["qa"]
  window = np.repeat(np.arange(len(rows)), rows.words.counts)
  assert len(both) == len(rows)
  np.testing.assert_allclose(both[window, rows.words.at], want, atol=1e-5)
  assert np.ptp(want) > 0.1
  # What was exported answers as the run does.
  assert model("qa", asked, contexts) == bam_jax.load(folder)(
    "qa", asked, contexts
  )
  assert "question-answering" in (out / "README.md").read_text()
  assert theirs.config.id2label == {0: "start", 1: "end"}


def test_a_published_model_is_where_a_run_starts(run, tmp_path):
  out = tmp_path / "M"
  folder = run.workdir / "runs" / "single.qa"
  export.main([f"--run={folder}", "--task=qa", f"--out={out}"])
  # As others publish it.
  saved = json.loads((out / "config.json").read_text())
  for key in ("bam_jax", "id2label", "label2id"):
    del saved[key]
  (out / "config.json").write_text(json.dumps(saved))
  config = small.settings(
    run.root / "glue",
    out,
    tasks_file=str(run.root / "qa.toml"),
    tasks="qa",
    methods="single",
    max_length=14,
    span__stride=3,
    max_steps=1,
    init_from=str(out),
    init_part="all",
    single__rate=1e-30,
  )
  small.execute(config, tmp_path / "W")
  before, after = (
    json.loads((path / "results.json").read_text())["methods"]["single"]["qa"]
    for path in (run.workdir, tmp_path / "W")
  )
  assert before["scores"] == after["scores"]


def test_answers_that_no_window_holds_are_counted_and_said(
  run, tmp_path, capsys
):
  text = json.loads((run.root / "train.json").read_text())
  row = text["data"][0]["paragraphs"][1]
  row["context"] = "the old dog " * 6
  whole = [{"text": row["context"].strip(), "answer_start": 0}]
  row["qas"][0] |= {"answers": whole, "is_impossible": False}
  (tmp_path / "train.json").write_text(json.dumps(text))
  (tmp_path / "dev.json").write_text((run.root / "dev.json").read_text())
  toml = tmp_path / "qa.toml"
  toml.write_text((run.root / "qa.toml").read_text())
  config = small.settings(
    run.root / "glue",
    run.root / "encoder",
    tasks_file=str(toml),
    tasks="qa",
    methods="single->single",
    data__holdout=0.3,
    max_length=14,
    max_steps=3,
    trials=1,
  )
  small.execute(config, tmp_path / "W")
  said = capsys.readouterr().out
  assert "(1 of its 48 answers are not read)" in " ".join(said.split())
  assert "1 of the 48 answers of qa's train rows are whole in no window" in (
    " ".join(said.split())
  )
  found = json.loads((tmp_path / "W" / "results.json").read_text())
  assert found["methods"]["single->single"]["qa"]["examples"] == 14
  assert Workdir(tmp_path / "W").teacher("single.qa", "qa", 0).exists()


def test_a_question_without_room_is_refused_before_anything_is_made(
  run, tmp_path
):
  config = run.config.copy_and_resolve_references()
  config.max_length = 5
  with pytest.raises(ValueError, match="questions leave no room for their"):
    small.execute(config, tmp_path / "W")
  assert not (tmp_path / "W").exists()


def test_a_teacher_with_another_tokenizer_and_other_windows_teaches(
  run, tmp_path
):
  other = small.write_encoder(tmp_path / "encoder")
  file = other / "vocab.txt"
  # Its animals are read in two pieces.
  words = file.read_text()
  for old, new in (("dog\n", "do\n"), ("here\n", "##g\n")):
    words = words.replace(old, new)
  file.write_text(words)
  (other / "tokenizer.json").unlink(missing_ok=True)
  teacher = run.workdir / "runs" / "single.qa"
  config = small.settings(
    run.root / "glue",
    other,
    tasks_file=str(run.root / "qa.toml"),
    tasks="qa",
    methods="single->single",
    max_length=24,
    max_steps=60,
    teacher__files=f"qa={teacher}",
    teacher__schedule="constant",
    teacher__value=0.0,
  )
  small.execute(config, tmp_path / "W")
  scores = json.loads((tmp_path / "W" / "results.json").read_text())
  # By the teacher's word alone.
  assert scores["methods"]["single->single"]["qa"]["scores"][0] > 50
  # What is no run's cannot teach.
  soft = tmp_path / "soft.jsonl"
  soft.write_text("{}\n")
  config.teacher.files = f"qa={soft}"
  with pytest.raises(ValueError, match="parts of texts are labelled; only a"):
    small.execute(config, tmp_path / "V")
