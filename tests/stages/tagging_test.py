"""Tagging whole: from files to a student, spans of raw text, transformers."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from seqeval import metrics
import torch
import transformers

import bam_jax
from bam_jax import export, predict
from bam_jax.data import logits as logits_lib
from bam_jax.hf import directory as hf
from bam_jax.study import predictions
from bam_jax.study.workdir import Workdir
from tests import small

ROWS = {"train": 30, "dev": 11}
STUDENT = "single-to-multi.animals+cola"


def write(folder, suffix=""):
  """Writes CoNLL files in which dogs, cats and birds are entities."""
  rng = np.random.default_rng(8)
  for split, count in ROWS.items():
    lines = []
    for _ in range(count):
      for word in rng.choice(small.WORDS, size=rng.integers(2, 12)):
        animal = word in ("dog", "cat", "bird")
        lines.append(f"{word}\t{'B-Animal' if animal else 'O'}")
      lines.append("")
    (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n")
  toml = folder / "ner.toml"
  toml.write_text(
    '[animals]\nkind = "tagging"\nformat = "conll"\ntrain = "train.tsv"\n'
    'dev = "dev.tsv"\nmetric = ["f1", "accuracy"]\n'
  )
  return toml


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A teacher and a student of tagging and CoLA, some words cut away."""
  root = tmp_path_factory.mktemp("tagging")
  glue = small.write_glue(root / "glue")
  encoder = small.write_encoder(root / "encoder")
  toml = write(root)
  config = small.settings(
    glue,
    encoder,
    tasks_file=str(toml),
    tasks="animals,cola",
    methods="single,single->multi",
    max_length=10,
    max_steps=40,
  )
  small.execute(config, root / "W")
  return SimpleNamespace(root=root, workdir=root / "W", config=config)


def test_it_is_scored_by_seqeval_and_learned(run):
  found = json.loads((run.workdir / "results.json").read_text())
  record = found["methods"]["single"]["animals"]
  assert record["metric"] == "f1" and record["examples"] == ROWS["dev"]
  assert min(record["scores"]) > 60
  assert set(record["all"]) == {"f1", "accuracy"}
  (coverage,) = [found["coverage"]["animals"]["validation"]]
  text = (run.root / "dev.tsv").read_text().strip().split("\n\n")
  rows = [block.split("\n") for block in text]
  # [CLS] and [SEP] take two of ten tokens; every word is one token.
  assert coverage["unread"] == sum(max(len(row) - 8, 0) for row in rows) > 0
  assert coverage["words"] == sum(map(len, rows))
  # And the same from what was kept, row by row, words that were cut as O.
  file = predictions.path(run.workdir / "runs" / "single.animals", 0)
  dev = predictions.read(file)["animals", "validation"]
  assert dev.words.tolist() == [*map(len, rows)]
  gold = [[line.split("\t")[1] for line in row] for row in rows]
  said = np.split(dev.logits.argmax(-1), np.cumsum(dev.words)[:-1])
  said = [[("O", "B-Animal", "I-Animal")[i] for i in row] for row in said]
  want = 100 * metrics.f1_score(gold, said)
  assert record["scores"][0] == pytest.approx(want)
  assert all(tag == "O" for row in said for tag in row[8:])


def test_teachers_say_something_of_every_word_that_they_read(run):
  path = Workdir(run.workdir).teacher("single.animals", "animals", 0)
  found = logits_lib.read(path, expected={})
  assert len(found.words) == ROWS["train"] == len(found.index)
  cut = np.maximum(found.words - 8, 0).sum()
  assert np.isnan(found.values).all(1).sum() == cut > 0
  report = (run.workdir / "report" / "report.md").read_text()
  assert "Words not read" in report


def test_spans_lead_back_to_the_raw_text(run, tmp_path, capsys):
  folder = run.workdir / "runs" / STUDENT
  lines = ["the old dog, sees a bird", "no"]
  file = tmp_path / "texts.tsv"
  file.write_text("\n".join(["text", *lines]) + "\n")
  predict.main([f"--run={folder}", "--task=animals", f"--input={file}"])
  got = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
  assert [[s["text"] for s in row["spans"]] for row in got] == [
    ["dog", "bird"],
    [],
  ]
  for row, line in zip(got, lines, strict=True):
    for span in row["spans"]:
      assert line[span["start"] : span["end"]] == span["text"]
      assert span["label"] == "Animal" and 0.3 < span["probability"] <= 1
  model = bam_jax.load(folder)
  apart = model("animals", [["the", "old", "dog"], []])
  assert [span.text for span in apart[0].spans] == ["dog"]
  assert apart[1].spans == ()
  both = model("all", ["the old dog"])
  assert both[0]["animals"] == model("animals", ["the old dog"])[0]
  alone = model("cola", ["the old dog"])[0]
  assert both[0]["cola"].label == alone.label
  assert both[0]["cola"].probabilities == pytest.approx(alone.probabilities)


def test_transformers_tags_the_same(run, tmp_path):
  out = tmp_path / "M"
  folder = run.workdir / "runs" / STUDENT
  export.main([f"--run={folder}", "--task=animals", f"--out={out}"])
  theirs = transformers.AutoModelForTokenClassification.from_pretrained(out)
  words = transformers.AutoTokenizer.from_pretrained(out)
  assert theirs.config.id2label == {0: "O", 1: "B-Animal", 2: "I-Animal"}
  texts = [["the", "old", "dog"], ["a", "bird", "sees", "no", "cat", "here"]]
  given = words(
    texts, is_split_into_words=True, padding=True, return_tensors="pt"
  )
  with torch.no_grad():
    got = theirs(**given).logits.numpy()
  model = bam_jax.load(out)
  answers = model._read(["animals"], [texts])
  want = model.logits(["animals"], *answers)["animals"]
  mine = [got[0, 1:4], got[1, 1:7]]
  np.testing.assert_allclose(np.concatenate(mine), want, atol=1e-5)
  assert np.ptp(want) > 0.1
  # What was exported answers as the run does.
  run_says = bam_jax.load(run.workdir / "runs" / STUDENT)
  assert model("animals", texts) == run_says("animals", texts)
  assert "token-classification" in (out / "README.md").read_text()


def test_a_teacher_with_another_tokenizer_teaches(run, tmp_path):
  other = small.write_encoder(tmp_path / "encoder")
  # Its words are split in two, and a short row cuts more of them away.
  file = other / "vocab.txt"
  found = file.read_text().replace("bird\n", "bi\n").replace("old\n", "##rd\n")
  file.write_text(found)
  for name in ("tokenizer.json",):
    (other / name).unlink(missing_ok=True)
  assert hf.read_config(other / hf.CONFIG).vocab_size == 15
  config = small.settings(
    run.root / "glue",
    other,
    tasks_file=str(run.root / "ner.toml"),
    tasks="animals",
    methods="single->single",
    max_length=9,
    max_steps=4,
    teacher__files=f"animals={run.workdir / 'runs' / 'single.animals'}",
  )
  small.execute(config, tmp_path / "W")
  scores = json.loads((tmp_path / "W" / "results.json").read_text())
  assert scores["methods"]["single->single"]["animals"]["scores"]


def test_the_command_says_what_is_wrong_with_a_tag(tmp_path):
  toml = write(tmp_path)
  broken = (tmp_path / "train.tsv").read_text().replace("B-A", "I-A", 1)
  (tmp_path / "train.tsv").write_text(broken)
  config = small.settings(tmp_path, tmp_path, tasks_file=str(toml))
  with pytest.raises(ValueError, match="does not go on with an entity Animal"):
    small.execute(config, tmp_path / "W")
  assert not (tmp_path / "W").exists()
