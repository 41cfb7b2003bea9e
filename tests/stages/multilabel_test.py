"""Several labels at once: from a table to a student, answers, transformers."""

import csv
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import scipy
import torch
import transformers

import bam_jax
from bam_jax import export, predict
from bam_jax.data import logits as logits_lib
from bam_jax.study import predictions
from bam_jax.study.workdir import Workdir
from tests import small

LABELS = ("bird", "dog", "tree")
ROWS = {"train": 40, "dev": 16}
STUDENT = "single-to-multi.cola+there"


def write(folder):
  """Writes texts, and which of three words are in them."""
  rng = np.random.default_rng(8)
  others = [word for word in small.WORDS if word not in LABELS]
  found = {}
  for split, count in ROWS.items():
    rows = []
    for _ in range(count):
      words = list(rng.choice(others, size=rng.integers(2, 6)))
      said = [name for name in LABELS if rng.random() < 0.4]
      for name in said:
        words.insert(int(rng.integers(len(words) + 1)), name)
      rows.append((" ".join(words), said))
    (folder / f"there-{split}.csv").write_text(
      "text,said\n"
      + "".join(f"{text},{'|'.join(said)}\n" for text, said in rows)
    )
    found[split] = rows
  toml = folder / "there.toml"
  toml.write_text(
    '[there]\nkind = "multilabel"\ntrain = "there-train.csv"\n'
    'dev = "there-dev.csv"\ntext = "text"\nlabel = "said"\nseparator = "|"\n'
    'labels = ["bird", "dog", "tree"]\n'
    'metric = ["micro_f1", "macro_f1", "average_precision",'
    ' "subset_accuracy"]\n'
  )
  return toml, found


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """Teachers and a student of several labels and CoLA."""
  root = tmp_path_factory.mktemp("multilabel")
  glue = small.write_glue(root / "glue")
  encoder = small.write_encoder(root / "encoder")
  toml, rows = write(root)
  config = small.settings(
    glue,
    encoder,
    tasks_file=str(toml),
    tasks="cola,there",
    methods="single,single->multi",
    max_length=12,
    max_steps=40,
    data__packing=True,
    data__row_shapes=1,
  )
  small.execute(config, root / "W")
  return SimpleNamespace(root=root, workdir=root / "W", rows=rows)


def marks(rows):
  return np.array([[name in said for name in LABELS] for _, said in rows])


def test_labels_are_scored_and_learned(run):
  found = json.loads((run.workdir / "results.json").read_text())
  record = found["methods"]["single->multi"]["there"]
  assert record["metric"] == "micro_f1" and record["examples"] == ROWS["dev"]
  assert record["all"]["average_precision"][0] > 40
  assert len(record["all"]) == 4
  assert min(found["methods"]["single"]["there"]["scores"]) > 40
  # The same from what was kept, by a formula of its own.
  file = predictions.path(run.workdir / "runs" / "single.there", 0)
  dev = predictions.read(file)["there", "validation"]
  gold, said = marks(run.rows["dev"]), dev.logits > 0
  assert (dev.labels == gold).all()
  wanted = 200 * (gold & said).sum() / (gold.sum() + said.sum())
  score = found["methods"]["single"]["there"]["scores"][0]
  assert score == pytest.approx(wanted)
  # Every label of every row is a choice of two.
  right = (said == gold).mean()
  curve = found["calibration"]["single"]["there"]["curve"]
  counts = sum(count for *_, count in curve)
  trials = len(found["methods"]["single"]["there"]["scores"])
  assert counts == ROWS["dev"] * len(LABELS) * trials
  if trials == 1:
    hits = sum(accuracy * count for _, accuracy, count in curve)
    assert hits / counts == pytest.approx(right)


def test_a_teacher_says_the_chance_of_every_label(run):
  path = Workdir(run.workdir).teacher("single.there", "there", 0)
  found = logits_lib.read(path, expected={})
  assert found.values.shape == (ROWS["train"], len(LABELS))
  held = (found.values > 0) == marks(run.rows["train"])
  assert held.mean() > 0.7


def test_answers_are_the_labels_that_hold(run, tmp_path, capsys):
  folder = run.workdir / "runs" / STUDENT
  file = tmp_path / "rows.csv"
  file.write_text("text\nthe bird\ntree and dog\nno\n")
  flags = [f"--run={folder}", "--task=there", f"--input={file}"]
  predict.main(flags)
  got = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
  model = bam_jax.load(folder)
  logits = model.logits(["there"], [["the bird", "tree and dog", "no"]])
  for row, mine in zip(got, logits["there"], strict=True):
    chances = scipy.special.expit(np.float64(mine))
    assert list(row["probabilities"]) == list(LABELS)
    np.testing.assert_allclose(
      list(row["probabilities"].values()), chances, atol=1e-6
    )
    holds = [n for n, p in zip(LABELS, chances, strict=True) if p > 0.5]
    assert row["labels"] == holds
  predict.main([*flags, "--output-format=csv"])
  table = [*csv.DictReader(io.StringIO(capsys.readouterr().out))]
  assert [json.loads(row["there"]) for row in table] == [
    row["labels"] for row in got
  ]
  assert set(table[0]) >= {f"there:{name}" for name in LABELS}


def test_transformers_says_and_learns_the_same(run, tmp_path):
  out = tmp_path / "M"
  folder = run.workdir / "runs" / STUDENT
  export.main([f"--run={folder}", "--task=there", f"--out={out}"])
  theirs = transformers.AutoModelForSequenceClassification.from_pretrained(out)
  assert theirs.config.problem_type == "multi_label_classification"
  assert [*theirs.config.id2label.values()] == list(LABELS)
  tokenizer = transformers.AutoTokenizer.from_pretrained(out)
  texts = [text for text, _ in run.rows["dev"]]
  inputs = tokenizer(
    texts, padding=True, truncation=True, max_length=12, return_tensors="pt"
  )
  gold = torch.tensor(marks(run.rows["dev"]), dtype=torch.float32)
  with torch.no_grad():
    said = theirs.eval()(**inputs, labels=gold)
  ours = bam_jax.load(out).logits(["there"], [texts])["there"]
  np.testing.assert_allclose(said.logits.numpy(), ours, rtol=0, atol=1e-5)
  # Their loss is ours: the mean over labels of every row.
  mine = np.logaddexp(0, ours) - gold.numpy() * ours
  assert said.loss.item() == pytest.approx(mine.mean(), abs=1e-5)
