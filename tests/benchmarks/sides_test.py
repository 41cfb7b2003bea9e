"""Benchmarks in small: that the sides do the same work, not how fast.

Peers that did more, or ours that did less, would make every figure a lie.
"""

import argparse
import json
import os
import sys

import jax
import numpy as np
import optax
import pytest

from bam_jax.hf import directory as hf
from bam_jax.runtime import command
from bam_jax.training import state as states
from bam_jax.training.adversaries import Passes, plain
from bam_jax.training.step import make_losses, make_train_step
from benchmarks import (
  matmul,
  mixture,
  peer,
  sides,
  startup,
  teach_throughput,
  train_throughput,
  trials,
)
from tests import small

torch = pytest.importorskip("torch", reason="the peer is torch")
pytest.importorskip("transformers", reason="the peer is of transformers")

TASKS, BATCH = "cola,stsb,rte", 9


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
  """Flags of a tiny mixture without dropout."""
  root = tmp_path_factory.mktemp("benchmarks")
  glue = small.write_glue(root / "glue")
  encoder = small.write_encoder(
    root / "encoder", hidden_dropout=0.0, attention_dropout=0.0, layers=2
  )
  return [
    f"--encoder={encoder}",
    f"--glue_dir={glue}",
    f"--tasks={TASKS}",
    f"--batch_size={BATCH}",
    "--max_length=32",
    "--steps=2",
  ]


@pytest.fixture(scope="module")
def both(inputs, tmp_path_factory):
  """The mixture, and the examples as the peer reads them."""
  root = tmp_path_factory.mktemp("mixture")
  parser = argparse.ArgumentParser()
  mixture.add_arguments(parser)
  config = mixture.config(parser.parse_args(inputs))
  config.head_dropout = 0.0
  mixed = mixture.Mixture.of(config, root / "W")
  mixed.save(root / "examples.npz", 3)
  return mixed, peer.Examples(root / "examples.npz")


def test_the_peer_trains_on_the_same_examples(both):
  mixed, examples = both
  batches = mixed.batches()
  steps = mixed.measured(3)
  assert len(set(steps)) == 3 and sorted(steps) != [0, 1, 2]
  for k, numbers in zip(steps, examples.mixed(3), strict=True):
    batch = batches[k]
    ours = sorted(batch["label"][batch["task"] >= 0].tolist())
    there = examples.collate(numbers)
    assert sorted(there["labels"].tolist()) == ours
    real = batch["tokens"][batch["segments"] > 0]
    theirs = there["input_ids"][there["attention_mask"] > 0]
    assert sorted(theirs.tolist()) == sorted(real.tolist())


def test_grouped_batches_are_full_and_of_one_task_and_stand_for_all(both):
  _, examples = both
  everything = examples.grouped(10**4)
  assert len({number for batch in everything for number in batch}) > 3 * BATCH
  for batch in everything:
    assert len(batch) == BATCH
    assert len(set(examples.task[batch])) == 1
  widths = [examples.lengths[batch].max() for batch in examples.grouped(5)]
  assert widths == sorted(widths)


def test_gradients_are_the_peers(both, inputs):
  mixed, examples = both
  materials, run = mixed.session.materials, mixed.run
  model, encoder = materials.model(run), materials.encoder
  # Plain descent at rate 1 shows the gradient of the true step.
  passes = Passes(make_losses(model), model.heads, 1.0, 16, None)
  step = make_train_step(
    plain(passes),
    optax.sgd(1.0),
    lam=lambda _: mixture.SHARE,
    rate=lambda _: 1.0,
    micro_rows=0,
  )
  init = states.make_init(model, optax.sgd(1.0))
  before = init(jax.numpy.uint32(0), encoder.params)
  k = mixed.measured(3)[0]
  batch = {name: each[0] for name, each in mixed.batches()[k].items()}
  after, sums = jax.jit(step)(before, batch)
  ours = jax.tree.map(lambda x, y: x - y, before.params, after.params)

  theirs = peer.Model(inputs[0].partition("=")[2], examples.classes, 0.0)
  theirs.train()
  with torch.no_grad():
    for head, name in zip(theirs.heads, run.tasks, strict=True):
      mine = before.params["heads"][name]
      head.weight.copy_(torch.tensor(np.asarray(mine["kernel"]).T))
      head.bias.copy_(torch.tensor(np.asarray(mine["bias"])))
  numbers = examples.mixed(1)[0]
  loss = theirs(examples.collate(numbers), float(examples.share))
  loss.backward()
  np.testing.assert_allclose(loss.item(), sums["loss"].sum(), rtol=1e-5)
  parts = {name: ours[name] for name in ("bert", "pooler")}
  for name, gradient in hf.tensors(encoder.shape, parts).items():
    found = theirs.encoder.get_parameter(name).grad
    np.testing.assert_allclose(gradient, found, atol=1e-5, err_msg=name)
  for head, name in zip(theirs.heads, run.tasks, strict=True):
    mine = ours["heads"][name]
    np.testing.assert_allclose(mine["kernel"].T, head.weight.grad, atol=1e-5)
    np.testing.assert_allclose(mine["bias"], head.bias.grad, atol=1e-5)


def test_the_peer_clips_and_steps(both, inputs):
  _, examples = both
  model = peer.Model(inputs[0].partition("=")[2], examples.classes, 0.1)
  before = [p.detach().clone() for p in model.parameters()]
  step = peer.trainer(model, share=0.5, dtype="bfloat16")
  step(examples.collate(examples.mixed(1)[0]))
  moved = [
    float((p - q).abs().max().detach())
    for p, q in zip(model.parameters(), before, strict=True)
  ]
  # Adam's first step is the rate, wherever there is a gradient.
  assert np.median(moved) == pytest.approx(peer.RATE, rel=0.05)
  assert max(moved) < 2 * peer.RATE


@pytest.mark.parametrize("library", matmul.SIDES)
def test_products_are_counted(library, monkeypatch):
  monkeypatch.setattr(matmul, "SECONDS", 0.01)
  assert matmul.SIDES[library]("float32", 64)() > 1e6


@pytest.mark.parametrize(
  ("main", "flag", "said"),
  [
    (train_throughput.main, "--peer_dtypes=bf16", "float32 and bfloat16"),
    (trials.main, "--trials=1,0", "no row of numbers from 1 on"),
    (trials.main, "--dtype=float23", "did you mean 'float32'?"),
    (train_throughput.main, "--micro_rows=-2", "micro_rows is -2; it is 0 or"),
    (
      startup.main,
      "--encoder=nope",
      "no step was trained: error: encoder nope",
    ),
  ],
)
def test_a_benchmark_refuses_in_one_sentence(inputs, main, flag, said, capsys):
  with pytest.raises(SystemExit) as ended:
    command.run(lambda: main([*inputs[:-1], flag]))
  assert ended.value.code == command.WRONG
  assert said in capsys.readouterr().err


@pytest.mark.slow
def test_train_throughput_prints_one_object(inputs, capsys):
  flags = [*inputs, "--peer_dtypes=float32", "--repeats=1", "--json"]
  returned = train_throughput.main(flags)
  printed = json.loads(capsys.readouterr().out)
  assert printed == json.loads(json.dumps(returned))
  assert printed["ours"]["examples_per_s"] > 0
  for key in train_throughput.PEERS:
    assert printed[key]["float32"]["eager"]["examples_per_s"] > 0
  assert 0 < printed["useful_flops_share"] < 1 < printed["matmul_flops_per_s"]
  assert "peer (b), grouped" in "\n".join(train_throughput.rows(printed))


@pytest.mark.slow
def test_teach_throughput_prints_one_object(inputs, capsys):
  returned = teach_throughput.main([*inputs, "--repeats=1", "--json"])
  assert json.loads(capsys.readouterr().out) == returned
  rates = returned["teach"]["rows_per_s"], returned["train"]["examples_per_s"]
  assert returned["ratio"] == pytest.approx(rates[0] / rates[1])
  assert f"{returned['ratio']:.2f} |" in teach_throughput.rows(returned)[-1]


def test_sides_take_turns_and_medians_are_told(tmp_path, monkeypatch):
  monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
  log = tmp_path / "log"
  code = (
    "import sys; from benchmarks import sides; found = iter([0, 1, 5, 3])\n"
    "def measure():\n"
    "  with open(sys.argv[1], 'a') as log: log.write(sys.argv[2])\n"
    "  return {'figure': next(found), 'name': sys.argv[2]}\n"
    "sides.serve(measure)"
  )
  file = tmp_path / "side.py"
  file.write_text(code)
  asked = {name: [str(file), str(log), name] for name in "ab"}
  found = sides.measure(asked, repeats=3)
  assert log.read_text() == "abababab"
  assert found["b"]["figure"] == 3 and found["b"]["name"] == "b"
  assert found["a"]["peak_bytes"] > 1e6
