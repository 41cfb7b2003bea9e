"""The diagnostic set: every row counts where it belongs, by R3 of Gorodkin."""

import json

import numpy as np
import pytest

import bam_jax
from bam_jax import glue_diagnostic
from bam_jax.data.sources import diagnostic
from bam_jax.inference import export
from bam_jax.inference import model as inference
from bam_jax.stats import diagnostic as stats
from tests.export_test import random_model

NAMES = ("contradiction", "entailment", "neutral")
HEADER = [*diagnostic.COARSE, "Domain", *diagnostic.TEXTS, diagnostic.LABEL]
WORDS = "the a old red small dog cat bird sees here no".split()  # noqa: SIM905


def write(path, *, label=lambda n: NAMES[n % 3], header=HEADER, rows=24):
  rng = np.random.default_rng(1)
  lines = []
  for n in range(rows):
    fine = ["Negation;Double negation", "", "Negation", "Quantifiers"][n % 4]
    texts = [" ".join(rng.choice(WORDS, 5)) for _ in range(2)]
    lines.append(["Lexical entailment", "", fine, "", "News", *texts, label(n)])
  text = "\n".join("\t".join(row) for row in [list(header), *lines])
  path.write_text(text + "\n", "utf-8")
  return path


def gorodkin(table):
  """R_K from a confusion matrix, as the paper writes it."""
  covariance = np.trace(table) * table.sum() - table.sum(0) @ table.sum(1)
  gold = table.sum() ** 2 - (table.sum(1) ** 2).sum()
  said = table.sum() ** 2 - (table.sum(0) ** 2).sum()
  return covariance / np.sqrt(gold * said)


def test_r3_is_gorodkins_and_0_where_all_is_answered_alike():
  table = np.array([[5, 1, 2], [0, 4, 3], [2, 2, 6]])
  pairs = [(g, s) for g, s in np.ndindex(3, 3) for _ in range(table[g, s])]
  gold, said = zip(*pairs, strict=True)
  assert stats.r3(gold, said) == pytest.approx(100 * gorodkin(table))
  assert stats.r3(["a", "b", "c"], ["a", "a", "a"]) == 0


def test_a_row_counts_in_all_its_categories(tmp_path):
  found = diagnostic.read(write(tmp_path / "d.tsv"), NAMES)
  logic = [n for n in range(24) if n % 4 != 1]
  assert found.groups == {
    ("Lexical Semantics", ""): list(range(24)),
    ("Lexical Semantics", "Lexical entailment"): list(range(24)),
    ("Logic", ""): logic,
    ("Logic", "Double negation"): list(range(0, 24, 4)),
    ("Logic", "Negation"): list(range(0, 24, 2)),
    ("Logic", "Quantifiers"): list(range(3, 24, 4)),
  }


@pytest.fixture(scope="module")
def model(tmp_path_factory):
  folder = tmp_path_factory.mktemp("diagnostic")
  made = random_model("bert", folder / "random")
  # So that it says now this and now that.
  texts = diagnostic.read(write(folder / "d.tsv"), NAMES).texts
  logits = inference.Model(made).logits(["mnli"], texts)["mnli"]
  made.params["heads"]["mnli"]["bias"] -= np.median(logits, axis=0)
  export.write_heads(folder / "model", made, overwrite=False)
  return folder / "model"


def test_the_table_is_what_the_model_answers(model, tmp_path, capsys):
  file, out = write(tmp_path / "d.tsv"), tmp_path / "r3.json"
  glue_diagnostic.main([f"--run={model}", f"--file={file}", f"--out={out}"])
  said = capsys.readouterr().out
  rows = diagnostic.read(file, NAMES)
  answers = [each.label for each in bam_jax.load(model)("mnli", *rows.texts)]
  assert len(set(answers)) > 1
  for record in json.loads(out.read_text()):
    key = record["coarse"], record["fine"]
    numbers = rows.groups.get(key, range(24))
    table = np.zeros((3, 3))
    for n in numbers:
      table[NAMES.index(rows.labels[n]), NAMES.index(answers[n])] += 1
    (score,) = record["r3"]
    assert score == pytest.approx(100 * gorodkin(table))
    line = f"| {key[0]} | {key[1]} | {len(numbers)} | {score:.1f} |"
    assert line in said.splitlines()


def test_a_study_has_a_line_for_each_method_that_knows_the_task(
  model, tmp_path, capsys
):
  file, W = write(tmp_path / "d.tsv"), tmp_path / "W"
  scored = {
    "single": {"mnli": "single.mnli", "rte": "single.rte"},
    "rte+single": {"mnli": "rte+single.mnli"},
    "multi": {"rte": "multi.rte"},
  }
  (W / "runs").mkdir(parents=True)
  (W / "results.json").write_text(json.dumps({"scored": scored}))
  for name in ("single.mnli", "rte+single.mnli"):
    (W / "runs" / name).symlink_to(model)
  out = tmp_path / "r3.json"
  glue_diagnostic.main([f"--workdir={W}", f"--file={file}", f"--out={out}"])
  head, _, *lines = capsys.readouterr().out.splitlines()
  assert head == "| R3 x100 | All (24) | Lexical Semantics (24) | Logic (18) |"
  assert [line.split(" | ")[0] for line in lines] == [
    "| Single",
    "| RTE+Single",
  ]
  (record, same) = json.loads(out.read_text()).values()
  coarse = [f"{x['r3'][0]:.1f}" for x in record if not x["fine"]]
  assert lines[0] == f"| Single | {' | '.join(coarse)} |" and record == same
  with pytest.raises(SystemExit):
    glue_diagnostic.main([f"--workdir={W}", f"--file={file}", "--task=stsb"])
  assert "has no results of stsb; give the" in capsys.readouterr().err


@pytest.mark.parametrize(
  ("flags", "changes", "says"),
  [
    (["--task=stsb"], {}, "the diagnostic set is of two texts and three"),
    (["--task=mnly"], {}, "mnli"),
    ([], {"rows": 0}, "has no rows; give GLUE's"),
    ([], {"label": lambda n: "entailed"}, "'entailed'; it is one of contra"),
    ([], {"header": ["x", *HEADER[1:]]}, "Lexical Semantics"),
  ],
)
def test_what_is_wrong_is_a_sentence(
  model, tmp_path, capsys, flags, changes, says
):
  file = write(tmp_path / "d.tsv", **changes)
  with pytest.raises(SystemExit) as ended:
    glue_diagnostic.main([f"--run={model}", f"--file={file}", *flags])
  assert ended.value.code == 2
  said = capsys.readouterr()
  assert says in said.err and not said.out
