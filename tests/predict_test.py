"""Raw text in, answers out: no line is lost, shifted or silently misread."""

import io
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import bam_jax
from bam_jax import predict
from bam_jax.data.sources import glue as sources
from bam_jax.inference import model as inference
from bam_jax.inference import streams
from bam_jax.study import predictions
from bam_jax.tasks.answers import Answer
from bam_jax.tasks.description import Head
from bam_jax.tasks.table import TASKS
from tests import small

PAIR = ("sentence1", "sentence2")
RTE, COLA, STSB = (Head.of(TASKS[name]) for name in ("rte", "cola", "stsb"))
MULTI = "multi.cola+stsb"


def reader(text, *, format="", layouts=(PAIR,)):
  data = text if isinstance(text, bytes) else text.encode()
  lines = streams.lines_of(io.BytesIO(data))
  return streams.Reader(lines, name="F", format=format, layouts=layouts)


@pytest.mark.parametrize(
  ("text", "format"),
  [
    ("a, b\tc\nd\te\n", "tsv"),
    ("a, b\tc\r\nd\te", "tsv"),
    ("\ufeffsentence2\tlabel\tsentence1\nc\t1\ta, b\ne\t0\td\n", "tsv"),
    ('"a, b",c\nd,e\n', "csv"),
    ('label,sentence1,sentence2\n0,"a, b",c\n1,d,e\n', "csv"),
    ('["a, b", "c"]\n["d", "e"]\n', "jsonl"),
    (
      '{"sentence1": "a, b", "x": 3, "sentence2": "c"}\n'
      '{"sentence2": "e", "sentence1": "d"}\n',
      "jsonl",
    ),
  ],
)
def test_columns_are_found_by_name_or_by_position(text, format):
  found = reader(text)
  assert found.format == format
  assert list(found) == [("a, b", "c"), ("d", "e")]
  assert found.columns == 2


@pytest.mark.parametrize(
  ("text", "rows"),
  [
    ("Dogs bark, cats do not.\nNo\n", ["Dogs bark, cats do not.", "No"]),
    ('"Yes", she said\n', ['"Yes", she said']),
    ("[Music] plays\n", ["[Music] plays"]),
    ("{no json}\n", ["{no json}"]),
    ("sentence\nNo\n", ["No"]),
    ("sentence,label\nNo,0\n", ["No"]),
    ("", []),
  ],
)
def test_a_lone_sentence_is_not_taken_for_something_else(text, rows):
  found = list(reader(text, layouts=[("sentence",)]))
  assert found == [(row,) for row in rows]


def test_a_quoted_cell_may_hold_line_ends():
  assert list(reader('"a\nb",c\nd,e\n', format="csv")) == [
    ("a\nb", "c"),
    ("d", "e"),
  ]


@pytest.mark.parametrize(
  ("format", "line", "said"),
  [
    ("tsv", b"one", "has 1 column, .* 2 .sentence1, sentence2"),
    ("tsv", b"a\tb\tc", "has 3 columns"),
    ("tsv", b"", "is empty"),
    ("tsv", b"a\t\xff\xfe", "is not UTF-8 .*at byte 2"),
    ("tsv", b"x" * 2**21, "is longer than 1048576 bytes"),
    ("csv", b'a,"b" c', "is not CSV"),
    ("csv", b"a,b,c", "has 3 columns"),
    ("csv", b"", "is empty"),
    ("jsonl", b"{", "is not JSON"),
    ("jsonl", b"[" * 100_000, "is not JSON"),
    ("jsonl", b"3", "is no JSON object or list"),
    ("jsonl", b'["a"]', "has 1 column"),
    ("jsonl", b'["a", null]', "has None where a text is expected"),
    ("jsonl", rb'["a", "\ud800"]', "holds half a character"),
    ("jsonl", b'{"sentence1": "a"}', "has keys .'sentence1'."),
    (
      "jsonl",
      b'{"sentence1": "a", "sentence2": "b"}',
      "has keys .*, the first line has other",
    ),
  ],
)
def test_a_bad_line_is_named_and_those_before_it_are_read(format, line, said):
  good = {"tsv": b"a\tb\n", "csv": b"a,b\n", "jsonl": b'["a", "b"]\n'}[format]
  rows = iter(reader(2 * good + line + b"\n" + good, format=format))
  assert [next(rows), next(rows)] == [("a", "b")] * 2
  with pytest.raises(streams.BadLine, match=rf"^line 3 of F {said}"):
    next(rows)


@pytest.mark.parametrize(
  "first", [b"\xff\xfe\n", b"\n", b"one\n", b'{"premise": "a"}\n', b'{"a": 1\n']
)
def test_a_bad_first_line_is_named(first):
  with pytest.raises(streams.BadLine, match=r"^line 1 of F"):
    list(reader(first + b"a\tb\n"))


class Fake:
  """A model that answers without computing."""

  def __init__(self):
    self.heads = {head.name: head for head in (RTE, COLA, STSB)}

  fitting = inference.Model.fitting

  def answers(self, tasks, texts):
    rows = len(texts[0])
    assert rows <= inference.BATCH
    answer = Answer(
      label="entailment",
      probabilities={"entailment": 0.75, "not_entailment": 0.25},
    )
    known = {"rte": answer, "stsb": Answer(value=2.5)}
    return {task: [known[task]] * rows for task in tasks}


def run(lines, *, tasks=("rte",), format="jsonl", alone=True, out=None):
  out = io.StringIO() if out is None else out
  found = streams.Reader(
    lines, name="F", format="", layouts=[Fake().heads[t].text for t in tasks]
  )

  def writer_of(heads):
    made = streams.Writer(out, format=format, heads=heads, alone=alone)
    return made, out.flush

  predict.stream(Fake(), list(tasks), found, writer_of, lambda n: None)
  return out.getvalue() if isinstance(out, io.StringIO) else out


def test_memory_does_not_grow_with_the_input():
  ahead = []
  state = SimpleNamespace(read=0, written=0)

  def lines():
    for state.read in range(1, 20_001):
      ahead.append(state.read - state.written)
      yield b"a\tb\n"

  class Out:
    def write(self, text):
      state.written += text.count("\n")

    def flush(self):
      pass

  run(lines(), out=Out())
  assert state.written == 20_000
  # What is held is one batch, and the line at hand.
  assert max(ahead) <= inference.BATCH + 1


@pytest.mark.parametrize("good", [3, inference.BATCH, inference.BATCH + 1])
def test_what_came_before_a_bad_line_is_answered(good):
  out = io.StringIO()
  with pytest.raises(streams.BadLine, match=f"line {good + 1} of F"):
    run(iter([b"a\tb\n"] * good + [b"bad\n", b"a\tb\n"]), out=out)
  assert len(out.getvalue().splitlines()) == good


def test_all_heads_that_read_so_many_texts_answer():
  (line,) = run([b"a\tb\n"], tasks=Fake().heads, alone=False).splitlines()
  assert json.loads(line) == {
    "rte": {
      "label": "entailment",
      "probabilities": {"entailment": 0.75, "not_entailment": 0.25},
    },
    "stsb": {"value": 2.5},
  }


@pytest.mark.parametrize(("format", "between"), [("tsv", "\t"), ("csv", ",")])
def test_tables_name_their_columns(format, between):
  text = run([b"a\tb\n"], tasks=("rte", "stsb"), format=format, alone=False)
  header, row = (line.split(between) for line in text.splitlines())
  assert header == ["rte", "rte:entailment", "rte:not_entailment", "stsb"]
  assert row == ["entailment", "0.75", "0.25", "2.5"]


def test_no_input_is_no_answer():
  assert run([]) == ""


# --- with a trained model


@pytest.fixture(scope="module")
def model(small_run):
  return bam_jax.load(small_run.workdir / "runs" / MULTI)


def test_answers_are_those_that_were_scored_on_dev(small_run, model):
  kept = predictions.read(
    predictions.path(small_run.workdir / "runs" / MULTI, 0)
  )
  for name in ("cola", "stsb"):
    dev = sources.load(
      TASKS[name], "validation", glue_dir=str(small_run.glue), seed=0
    )
    rows, task = kept[name, "validation"], TASKS[name]
    got = model.logits([name], dev.texts)[rows.index, 0, : task.classes]
    assert np.abs(got - rows.logits).max() < 1e-5
    answers = model(name, *dev.texts)
    if task.labels:
      best = [task.labels[i] for i in rows.logits.argmax(1)]
      assert [answers[i].label for i in rows.index] == best
    else:
      values = [answers[i].value for i in rows.index]
      assert values == pytest.approx(5 * rows.logits[:, 0], abs=5e-5)


def test_batches_and_rows_of_any_size_answer_alike(model):
  rng = np.random.default_rng(0)
  texts = [
    " ".join(rng.choice(small.WORDS, size=rng.integers(1, 40)))
    for _ in range(inference.BATCH + 3)
  ]
  whole = model.logits(["cola"], [texts])
  for i in (0, 1, len(texts) - 1):
    alone = model.logits(["cola"], [texts[i : i + 1]])
    assert np.abs(alone[0] - whole[i]).max() < 1e-5


def test_all_is_each_one(model):
  texts = ["the dog", "a bird sees"]
  assert model("all", texts) == [{"cola": a} for a in model("cola", texts)]
  assert model("stsb", [], []) == []


@pytest.mark.parametrize(
  ("task", "texts", "said"),
  [
    ("rte", (["a"], ["b"]), "no head for 'rte'; .*--task=cola, stsb"),
    ("stsb", (["a"],), "got 1 columns of text, but stsb reads sentence1 and"),
    ("stsb", (["a", "b"], ["c"]), r"have lengths \[1, 2\]"),
    ("cola", ("a sentence",), "is a list of texts, not one text"),
  ],
)
def test_what_a_model_cannot_answer_it_says(model, task, texts, said):
  with pytest.raises(ValueError, match=said):
    model(task, *texts)


def test_the_command_ends_as_it_should(small_run):
  flags = [f"--run={small_run.workdir / 'runs' / MULTI}", "--task=stsb"]
  made = subprocess.Popen(
    [sys.executable, "-m", "bam_jax.predict", *flags],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
  )
  out, said = made.communicate(b"the dog\ta cat\n" * 3 + b"bad\n")
  assert made.returncode == 2
  assert len(out.splitlines()) == 3
  assert said.decode() == (
    "error: line 4 of standard input has 1 column, the first line has other "
    "ones; expected are columns of text: 2 (sentence1, sentence2)\n"
  )


def test_a_reader_that_has_enough_is_no_mistake(small_run):
  flags = f"--run={small_run.workdir / 'runs' / MULTI} --task=cola"
  ran = subprocess.run(
    f"yes the dog | head -n 9000 | {sys.executable} -m bam_jax.predict {flags}"
    " | head -n 1; echo ${PIPESTATUS[2]}",
    shell=True,
    executable="/bin/bash",
    capture_output=True,
    text=True,
    env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
  )
  first, code = ran.stdout.splitlines()
  assert json.loads(first)["label"] in COLA.labels
  assert (code, ran.stderr) == ("0", "")


def test_importing_the_package_imports_no_jax():
  code = "import sys, bam_jax; print('jax' in sys.modules, bam_jax.load)"
  ran = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True
  )
  assert ran.stdout.startswith("False <function load"), ran.stderr
