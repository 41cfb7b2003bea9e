"""All heads in one ONNX graph, held against ours in other hands."""

import dataclasses
import importlib.util
import json
import subprocess
import sys

import jax
from jax import export as jax_export
import numpy as np
import pytest

from bam_jax import export
from bam_jax.inference import export as directories
from bam_jax.inference import model as inference
from bam_jax.inference import onnx_graph
from bam_jax.inference import rows as rows_lib
from tests.export_test import MULTI, TEXTS, command, random_model
from tests.inference.heads_test import CHOICES, found  # noqa: F401

onnx = pytest.importorskip("onnx", reason="pip install 'bam_jax[onnx]'")
pytest.importorskip("jax2onnx", reason="pip install 'bam_jax[onnx]'")

# Reads the directory as a service does that has neither JAX nor bam_jax.
SERVICE = """
import json, sys
import numpy as np, onnxruntime, tokenizers
folder, tasks, length = sys.argv[1], sys.argv[2].split(","), int(sys.argv[3])
tokenizer = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json")
tokenizer.enable_truncation(length)
tokenizer.enable_padding()
read = tokenizer.encode_batch([tuple(pair) for pair in json.load(sys.stdin)])
session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
given = {
  "input_ids": [x.ids for x in read],
  "attention_mask": [x.attention_mask for x in read],
  "token_type_ids": [x.type_ids for x in read],
}
logits = session.run(tasks, given)
assert not {"jax", "torch", "bam_jax"} & {*sys.modules}
print(json.dumps({t: x.tolist() for t, x in zip(tasks, logits)}))
"""


def rows_of(model, texts, words=None):
  most = model.trained.description.max_length
  return inference.featurise(
    model.tokenizer, texts, None, max_length=most, words=words
  )


def held(trained, rows_of_model, tasks=None):
  """The largest difference of any output, by task."""
  model = inference.Model(trained)
  tasks = list(tasks or model.heads)
  width = directories.width_of(trained)
  made = onnx_graph.build(model, tasks, width=width, weights="float32")
  graph = onnx_graph.Graph(made, model, width=width)
  rows = rows_of_model(model)
  ours, theirs = model.said(tasks, rows), graph.said(tasks, rows)
  assert ours.keys() == theirs.keys() == {*tasks}
  return {name: np.abs(ours[name] - theirs[name]).max() for name in tasks}


@pytest.mark.parametrize(
  "family", ["roberta", "deberta", "modernbert", "eurobert"]
)
def test_the_graph_of_every_family_says_what_ours_does(family, tmp_path):
  trained = random_model(family, tmp_path / "run")
  far = held(trained, lambda model: rows_of(model, TEXTS))
  assert max(far.values()) < 1e-4, far


def test_every_way_to_build_a_head_is_in_one_graph(found):  # noqa: F811
  far = held(found, lambda model: rows_of(model, TEXTS))
  assert far.keys() == CHOICES.keys()
  assert max(far.values()) < 1e-4, far


def test_one_length_of_rows_is_what_a_program_of_distances_has(tmp_path):
  trained = random_model("deberta", tmp_path / "run")
  model = inference.Model(trained)
  rows = rows_of(model, TEXTS)
  batch = rows_lib.lay_out(rows, np.arange(2), size=4, width=30)
  made = directories.serialize(trained, ["mnli", "stsb"])
  program = jax_export.deserialize(bytearray(made))
  out = program.call(*(batch[name] for name in directories.INPUTS))
  want = model.said(["mnli", "stsb"], rows)
  for name, logits in want.items():
    np.testing.assert_allclose(out[name], logits, atol=1e-5)


def test_words_are_answered_at_their_first_tokens(tmp_path):
  plain = random_model("bert", tmp_path / "run", tasks=("rte",))
  (head,) = plain.description.heads
  tags = dataclasses.replace(
    head,
    name="tags",
    kind="tagging",
    text=("text",),
    labels=("O", "B-x", "I-x"),
  )
  rng = np.random.default_rng(5)
  width = plain.config.width
  parameters = {
    "kernel": rng.normal(size=(width, 3)).astype(np.float32),
    "bias": rng.normal(size=3).astype(np.float32),
  }
  said = dataclasses.replace(plain.description, heads=(tags,))
  trained = dataclasses.replace(
    plain,
    description=said,
    params=plain.params | {"heads": {"tags": parameters}},
  )
  texts = ["the old dog sees", "no", "a bird here sees it"]

  def worded(model):
    read = inference.worded_rows(texts)
    return rows_of(model, [texts], [each.words for each in read])

  far = held(trained, worded)
  assert max(far.values()) < 1e-4, far


def test_a_service_without_jax_reads_what_was_written(
  small_run, tmp_path, capsys
):
  run, out = small_run.workdir / "runs" / MULTI, tmp_path / "out"
  command(f"run={run}", "task=all", f"out={out}", "format=onnx")
  printed = capsys.readouterr().out
  assert "stsb: " in printed and "largest difference" in printed
  model = inference.load(run)
  tasks = ["stsb"]
  ran = subprocess.run(
    [sys.executable, "-c", SERVICE, str(out), ",".join(tasks), "32"],
    input=json.dumps([*zip(*TEXTS, strict=True)]),
    capture_output=True,
    text=True,
  )
  assert ran.returncode == 0, ran.stderr
  got, want = json.loads(ran.stdout), model.logits(tasks, TEXTS)
  np.testing.assert_allclose(got["stsb"], want["stsb"], atol=1e-5)
  with pytest.raises(ValueError, match=r"model.onnx, which onnxruntime runs"):
    inference.load(out)
  gate = json.loads((out / directories.GATE).read_text())
  assert gate["tasks"].keys() == {"cola", "stsb"}
  for each in gate["tasks"].values():
    assert each["difference"] < 1e-4
    assert each["scores"] == pytest.approx(each["ours"], abs=0.01)


def held_as_int8(file) -> int:
  """How many of a graph's arrays are int8."""
  graph = onnx.load(file).graph
  return sum(
    each.data_type == onnx.TensorProto.INT8 for each in graph.initializer
  )


def test_int8_is_kept_and_a_bound_that_is_passed_writes_nothing(
  small_run, tmp_path, capsys
):
  run = small_run.workdir / "runs" / MULTI
  flags = f"run={run}", "task=stsb", "format=onnx", "weights=int8"
  command(*flags, f"out={tmp_path / 'small'}")
  command(*flags[:3], f"out={tmp_path / 'whole'}")
  small, whole = (
    held_as_int8(tmp_path / name / directories.GRAPH)
    for name in ("small", "whole")
  )
  # Of each layer six products, beside the word table, the pooler and the head.
  assert small > 6 and not whole
  capsys.readouterr()
  with pytest.raises(SystemExit) as ended:
    command(*flags, f"out={tmp_path / 'none'}", "bound=1e-9")
  assert ended.value.code == 2
  said = capsys.readouterr()
  assert "stsb: " in said.out and "(ours" in said.out
  assert "nothing is written" in said.err and "--bound=" in said.err
  assert not (tmp_path / "none").exists()


def test_every_way_to_keep_weights_has_a_bound():
  assert tuple(export.BOUNDS) == onnx_graph.WEIGHTS


@pytest.mark.parametrize(
  ("flags", "says"),
  [
    (("format=hf", "weights=int8"), "--weights and --bound are of"),
    (("format=stablehlo", "bound=1"), "--weights and --bound are of"),
  ],
)
def test_flags_of_another_format_are_refused(
  small_run, tmp_path, capsys, flags, says
):
  run = small_run.workdir / "runs" / MULTI
  with pytest.raises(SystemExit) as ended:
    command(f"run={run}", "task=stsb", f"out={tmp_path / 'out'}", *flags)
  assert ended.value.code == 2
  assert says in capsys.readouterr().err


def test_what_has_no_dev_set_or_no_package_is_a_sentence(
  small_run, tmp_path, capsys, monkeypatch
):
  run = small_run.workdir / "runs" / MULTI
  command(f"run={run}", "task=all", f"out={tmp_path / 'hf'}")
  flags = "task=stsb", f"out={tmp_path / 'out'}", "format=onnx"
  with pytest.raises(SystemExit):
    command(f"run={tmp_path / 'hf'}", *flags)
  assert "tried on a run's dev set; give W/runs/NAME" in capsys.readouterr().err
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  with pytest.raises(SystemExit):
    command(f"run={run}", *flags)
  assert "pip install 'bam_jax[onnx]'" in capsys.readouterr().err


def test_the_graph_does_not_know_the_machines_default_precision(found):  # noqa: F811
  low = dataclasses.replace(
    found,
    description=dataclasses.replace(found.description, dtype="bfloat16"),
  )
  model = inference.Model(onnx_graph.in_float32(low))
  assert model.net.dtype == jax.numpy.float32
