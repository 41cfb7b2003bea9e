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
from bam_jax.data.sources import readers
from bam_jax.inference import model as inference
from bam_jax.inference import streams
from bam_jax.study import predictions
from bam_jax.tasks.answers import Answer
from bam_jax.tasks.description import Head
from bam_jax.tasks.table import TASKS
from tests import small

RTE, COLA, STSB = (Head.of(TASKS[name]) for name in ("rte", "cola", "stsb"))
MULTI = "multi.cola+stsb"


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


def run(data, *, tasks=("rte",), format="jsonl", alone=True, out=None):
  out = io.StringIO() if out is None else out
  raw = io.BytesIO(data) if isinstance(data, bytes) else data
  found = streams.Reader(
    io.BufferedReader(raw, 16), layouts=[Fake().heads[t].text for t in tasks]
  )

  def writer_of(heads):
    made = streams.Writer(out, format=format, heads=heads, alone=alone)
    return made, out.flush

  predict.stream(Fake(), list(tasks), found, writer_of, lambda n: None)
  return out.getvalue() if isinstance(out, io.StringIO) else out


class Endless(io.RawIOBase):
  """Gives a line whenever it is asked, and tells how far it is ahead."""

  def __init__(self, state):
    self.state, self.ahead = state, []

  def readable(self):
    return True

  def readinto(self, place):
    state = self.state
    self.ahead.append(state.read - state.written)
    if state.read == 20_000:
      return 0
    state.read += 1
    place[:4] = b"a\tb\n"
    return 4


def test_memory_does_not_grow_with_the_input():
  state = SimpleNamespace(read=0, written=0)

  class Out:
    def write(self, text):
      state.written += text.count("\n")

    def flush(self):
      pass

  pipe = Endless(state)
  run(pipe, out=Out())
  assert state.written == 20_000
  # What is held is one batch, and a few lines at hand.
  assert max(pipe.ahead) <= inference.BATCH + 5


@pytest.mark.parametrize("good", [3, inference.BATCH, inference.BATCH + 1])
def test_what_came_before_a_bad_line_is_answered(good):
  out = io.StringIO()
  with pytest.raises(ValueError, match=f"line {good + 1}: 1 columns"):
    run(b"a\tb\n" * good + b"bad\na\tb\n", out=out)
  assert len(out.getvalue().splitlines()) == good


def test_all_heads_that_read_so_many_texts_answer():
  (line,) = run(b"a\tb\n", tasks=Fake().heads, alone=False).splitlines()
  assert json.loads(line) == {
    "rte": {
      "label": "entailment",
      "probabilities": {"entailment": 0.75, "not_entailment": 0.25},
    },
    "stsb": {"value": 2.5},
  }


@pytest.mark.parametrize(("format", "between"), [("tsv", "\t"), ("csv", ",")])
def test_tables_name_their_columns(format, between):
  text = run(b"a\tb\n", tasks=("rte", "stsb"), format=format, alone=False)
  header, row = (line.split(between) for line in text.splitlines())
  assert header == ["rte", "rte:entailment", "rte:not_entailment", "stsb"]
  assert row == ["entailment", "0.75", "0.25", "2.5"]


def test_no_input_is_no_answer():
  assert run(b"") == ""


# --- with a trained model


@pytest.fixture(scope="module")
def model(small_run):
  return bam_jax.load(small_run.workdir / "runs" / MULTI)


def test_answers_are_those_that_were_scored_on_dev(small_run, model):
  kept = predictions.read(
    predictions.path(small_run.workdir / "runs" / MULTI, 0)
  )
  for name in ("cola", "stsb"):
    dev = readers.load(
      TASKS[name], "validation", glue_dir=str(small_run.glue), seed=0
    )
    rows, task = kept[name, "validation"], TASKS[name]
    got = model.logits([name], dev.texts)[name][rows.index]
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
  whole = model.logits(["cola"], [texts])["cola"]
  for i in (0, 1, len(texts) - 1):
    alone = model.logits(["cola"], [texts[i : i + 1]])["cola"]
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
    # A cell that is missing, as pandas reads it.
    ("cola", (["a", float("nan")],), "row 1 of texts has nan, no text"),
    ("all", (["a"], [None]), "row 0 of texts has None, no text"),
    ("cola", (["a", "b\ud800"],), "row 1 of texts holds half a character"),
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
  first, end = said.decode().splitlines()
  assert first == (
    "standard input line 1 names no columns 'sentence1' and 'sentence2', so"
    " columns are taken by their place, and it is the first example: ['the"
    " dog', 'a cat']"
  )
  assert end == (
    "error: standard input line 4: 1 columns instead of 2, which are"
    " ['sentence1', 'sentence2']"
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
  assert code == "0" and ran.stderr.count("\n") == 1


def test_importing_the_package_imports_no_jax():
  code = "import sys, bam_jax; print('jax' in sys.modules, bam_jax.load)"
  ran = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True
  )
  assert ran.stdout.startswith("False <function load"), ran.stderr
