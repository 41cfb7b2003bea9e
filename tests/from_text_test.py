"""Tasks made of plain text: what is written is what a study reads."""

import json

import pytest

from bam_jax import from_text
from bam_jax.data.sources import own as own_files
from bam_jax.data.sources import readers
from bam_jax.tasks import own

CLAUSES = (
  ("The rain had stopped by noon", "the roads were still very wet", "but"),
  ("The old man was in the house", "the storm had reached the town", "because"),
  ("They had seen the small red bird", "it was gone a day later", "and"),
)


def text(documents=20):
  """Two sentences a document; a connective in the first of each."""
  found = []
  for number in range(documents):
    first, second, word = CLAUSES[number % 3]
    comma = "" if word == "because" else ","
    found.append(f"{first} {number}{comma} {word} {second}. So it is {number}.")
  return "\n\n".join(found) + "\n"


def made(tmp_path, kind, content, name="a.txt", *flags):
  file, out = tmp_path / name, tmp_path / kind
  file.write_text(content, "utf-8")
  from_text.main([f"--kind={kind}", f"--out={out}", *flags, str(file)])
  lines = (out / "rows.jsonl").read_text("utf-8").splitlines()
  return out, [json.loads(line) for line in lines]


def read(out, split):
  """Returns a split as a study reads it."""
  file = out / "tasks.toml"
  entries = own_files.complete(own.read(file), file)
  (task,) = own.table(entries, file).values()
  return task, readers.load(task, split, glue_dir="", seed=0, cs224n_dir="")


def test_clauses_are_a_task_whose_label_is_the_word(tmp_path, capsys):
  out, rows = made(tmp_path, "connective", text())
  assert [row["connective"] for row in rows] == [
    CLAUSES[n % 3][2] for n in range(20)
  ]
  assert rows[4] == {
    "first": "The old man was in the house 4",
    "second": "the storm had reached the town",
    "connective": "because",
    "document": 4,
  }
  task, dev = read(out, "validation")
  _, train = read(out, "train")
  assert (task.kind, task.labels) == (
    "classification",
    ("and", "because", "but"),
  )
  assert len(train) + len(dev) == 20 and len(dev) >= 1
  assert "20 rows (but 7, because 7, and 6)" in capsys.readouterr().out
  words = {(row["first"], row["second"]): row["connective"] for row in rows}
  for first, second, label in zip(*train.texts, train.labels, strict=True):
    assert task.labels[int(label)] == words[first, second]


@pytest.mark.parametrize("kind", ["next", "response"])
def test_what_is_right_is_the_next_and_what_is_wrong_is_of_another(
  tmp_path, kind
):
  sentences = [(f"Who is {n}?", f"It is {n}.") for n in range(12)]
  content = {
    "next": "\n\n".join(" ".join(pair) for pair in sentences),
    # Twice the same comment: neither answer is wrong.
    "response": "\n".join(
      "\t".join(pair) for pair in [*sentences, ("Who is 3?", "Three.")]
    ),
  }[kind]
  name = {"next": "a.txt", "response": "a.tsv"}[kind]
  out, rows = made(tmp_path, kind, content, name, "--candidates=4")
  right = dict(sentences)
  for row in rows:
    asked = row["sentence" if kind == "next" else "comment"]
    said = row["candidates"]
    assert len({*said}) == 4
    assert said[row["right"]] in (right[asked], "Three.")
    others = [x for n, x in enumerate(said) if n != row["right"]]
    assert right[asked] not in others
    assert asked != "Who is 3?" or "Three." not in others
  assert len({row["right"] for row in rows}) > 1
  task, train = read(out, "train")
  assert task.kind == "choice" and len(train) < len(rows)
  (tmp_path / "again").mkdir()
  _, same = made(tmp_path / "again", kind, content, name, "--candidates=4")
  assert same == rows


@pytest.mark.parametrize(
  ("kind", "name", "content", "flags", "said"),
  [
    ("connective", "a.txt", "No.\n\nNor here.\n", [], "0 rows of 0 labels"),
    ("next", "a.txt", "One. Two. Three. Four.\n", [], "too few differ"),
    ("response", "a.tsv", "a\tb\tc\n", [], "line 1: it is a comment, a tab"),
    ("next", "a.txt", text(), ["--candidates=1"], "--candidates is 1"),
    ("next", "a.csv", text(), [], "is not named as plain text"),
  ],
)  # fmt: skip
def test_text_of_which_no_task_can_be_made_is_refused(
  tmp_path, capsys, kind, name, content, flags, said
):
  with pytest.raises(SystemExit) as ended:
    made(tmp_path, kind, content, name, *flags)
  assert ended.value.code == 2 and said in capsys.readouterr().err
  assert not (tmp_path / kind).exists()


def test_a_task_that_is_there_is_not_written_over(tmp_path, capsys):
  out, _ = made(tmp_path, "connective", text())
  before = (out / "rows.jsonl").read_bytes()
  with pytest.raises(SystemExit):
    made(tmp_path, "connective", text(9))
  assert "is there already; give another --out" in capsys.readouterr().err
  assert (out / "rows.jsonl").read_bytes() == before
