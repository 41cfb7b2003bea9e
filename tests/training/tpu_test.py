"""Steps compiled for TPUs that are not here, and what their programs say."""

import importlib.metadata
import json

import pytest

from bam_jax.stages import tpu_slice
from bam_jax.training import loop, tpu
from benchmarks import scaling
from launch import aot_compile

# ml_collections loads config files by what Python 3.12 no longer has.
pytestmark = pytest.mark.filterwarnings(
  "ignore:the load_module:DeprecationWarning"
)

PROGRAM = """HloModule jit_step

%pieces.1 (param_0.7: bf16[5,3]) -> bf16[20,3] {
  %param_0.7 = bf16[5,3]{1,0:T(8,128)(2,1)} parameter(0)
  ROOT %all-gather.2 = bf16[20,3]{1,0} all-gather(%param_0.7), channel_id=4
}

ENTRY %main.9 (a: f32[7], b: f32[20,3]) -> f32[7] {
  %a = f32[7]{0:T(8)} parameter(0)
  %b = pred[20,3]{1,0} parameter(1), backend_config={"estimated_cycles":"30"}
  %all-gather.3 = bf16[20,3]{1,0} all-gather(%p), channel_id=4, dimensions={0}
  %sum = (f32[7]{0:T(8)S(1)}, /*index=5*/pred[20,3]{1,0}) all-reduce(%a, %b), channel_id=1, to_apply=%add
  %start = (f32[7]{0}, f32[28]{0}) all-gather-start(%a), channel_id=2
  %done = f32[28]{0} all-gather-done(%start)
  %part = f32[5]{0} reduce-scatter(%done), channel_id=3
  %send = (f32[7]{0}, f32[7]{0}, u32[], u32[]) collective-permute-start(%a), channel_id=6
  %turn = (f32[7]{0}, s32[]) while(%t), condition=%c, body=%pieces.1
  %f = f32[7]{0} fusion(%a), calls=%x, backend_config={"estimated_cycles":"12"}
}
"""  # noqa: E501


def test_collectives_are_counted_once_in_bytes_of_their_larger_end():
  assert tpu.collectives(PROGRAM) == {
    "all-gather": {"count": 2, "bytes": 2 * 20 * 3 + 4 * 28},
    "all-reduce": {"count": 1, "bytes": 4 * 7 + 20 * 3},
    "collective-permute": {"count": 1, "bytes": 4 * 7 + 8},
    "reduce-scatter": {"count": 1, "bytes": 4 * 28},
  }


def test_loops_are_counted():
  assert tpu.loops(PROGRAM) == 1


def test_cycles_are_those_of_the_main_program():
  assert tpu.cycles('"estimated_cycles":"5"\n' + PROGRAM) == 42


@pytest.fixture
def compiler():
  """The TPU compiler; nothing is asked of a TPU or of the network."""
  try:
    tpu.check_compiler()
  except ValueError as error:
    pytest.skip(str(error))


def config(*flags):
  return aot_compile.read_config([*scaling.TINY, *flags])


@pytest.fixture(scope="module")
def compiled():
  """The tiny encoder on four chips, compiled once."""
  try:
    tpu.check_compiler()
  except ValueError as error:
    pytest.skip(str(error))
  c = config("--config.mesh.data=2", "--config.mesh.tensor=2")
  return tpu_slice.cost(c, "v5e:2x2", rows=24, examples=5, whole=False)


def test_the_true_step_compiles_for_a_slice(compiled):
  assert compiled.kind == "TPU v5 lite"
  assert (compiled.devices, compiled.rows, compiled.width) == (4, 24, 32)
  assert compiled.mesh == {"data": 2, "fsdp": 1, "tensor": 2}
  # Gradients of what both halves of the rows share are added up.
  assert compiled.collectives["all-reduce"]["count"] > 0
  # 300 words, whole and half, and two moments: no less, and no tenth of it.
  state = 3 * 4 * 300 * 32 / 2
  assert state < compiled.bytes < 10e6 < compiled.hbm
  assert compiled.flops > 12 * 24 * 32 * 32 * 32 / 4
  assert compiled.loops == 0
  assert compiled.cycles > 0 and 0 < compiled.seconds < 0.1
  assert compiled.wire_seconds > 0


def test_the_step_is_the_one_that_a_run_trains_with(compiler, monkeypatch):
  asked = []

  def make_step(model, *args, **kwargs):
    asked.append((model, kwargs["mesh"]))
    raise StopIteration

  monkeypatch.setattr(loop, "make_step", make_step)
  c = config("--config.methods=single", "--config.dtype=bfloat16")
  with pytest.raises(StopIteration):
    tpu_slice.cost(c, "v5e:2x2", rows=None, examples=4, whole=False)
  model, mesh = asked[0]
  assert [(spec.name, spec.outputs) for spec in model.heads] == [
    ("similarity", 1)
  ]
  assert str(model.dtype) == "bfloat16" and model.config.width == 32
  assert mesh.devices.size == 4 and mesh.devices.flat[0].platform == "tpu"


@pytest.mark.parametrize(
  ("topology", "flags", "rows", "complaint"),
  [
    ("v5e:3x3", (), 8, r"'v5e:3x3' .* type one like v5e:4x4"),
    ("tpu", (), 8, "'tpu' is none"),
    ("v5e:2x2", ("--config.mesh.data=3",), 8, "product must be 4"),
    ("v5e:2x2", (), 6, "type --rows=8"),
    ("v5e:2x2", (), 0, "type --rows=4"),
    (
      "v5e:2x2",
      ("--config.mesh.fsdp=4", "--config.scratch.width=30"),
      8,
      "does not divide over",
    ),
    ("v5e:2x2", ("--config.micro_rows=4",), 8, "micro_rows=0 --rows=4"),
    ("v5e:2x2", ("--config.encoder=nowhere",), 8, "google-bert/bert-large"),
  ],
)
def test_what_cannot_be_is_refused_with_what_to_type(
  compiler, topology, flags, rows, complaint
):
  with pytest.raises(ValueError, match=complaint):
    tpu_slice.cost(config(*flags), topology, rows=rows, examples=4, whole=False)


def test_without_its_compiler_it_says_what_to_install(monkeypatch):
  def version(name):
    if name != "libtpu":
      return original(name)
    if not found:
      raise importlib.metadata.PackageNotFoundError
    return found

  original, found = importlib.metadata.version, ""
  monkeypatch.setattr(importlib.metadata, "version", version)
  with pytest.raises(ValueError, match="type: pip install 'libtpu=="):
    tpu.devices("v5e:2x2")
  found = "0.0.1"
  with pytest.raises(ValueError, match=r"libtpu 0.0.1 .* pip install 'libtpu"):
    tpu.devices("v5e:2x2")


def test_a_directory_gives_the_shape_and_layers_are_left_out(minilm):
  c = config(f"--config.encoder={minilm}", "--config.encoder_every=2")
  known = tpu_slice.SHAPES["sentence-transformers/all-MiniLM-L6-v2"]
  assert tpu_slice.shape_alone(c, None).shape == known.keep([0, 2, 4])


def test_the_command_prints_one_object(compiled, monkeypatch, capsys):
  asked = []

  def cost(*args, **kwargs):
    asked.append((args, kwargs))
    return compiled

  monkeypatch.setattr(tpu_slice, "cost", cost)
  flags = [*scaling.TINY, "--topology=v5e:2x2", "--rows=24", "--examples=5"]
  aot_compile.main([*flags, "--json"])
  assert json.loads(capsys.readouterr().out)["bytes"] == compiled.bytes
  assert asked[0][0][1:] == ("v5e:2x2",)
  assert asked[0][1] == {"rows": 24, "examples": 5, "whole": False}
  aot_compile.main(flags)
  shown = capsys.readouterr().out
  assert "v5e:2x2, 4 x TPU v5 lite, data 2 x fsdp 1 x tensor 2" in shown
  for wrong, said in (("--config.sed=1", "config.seed"), ("--of=1", "--of;")):
    with pytest.raises(SystemExit) as exit:
      aot_compile.main([*flags, wrong])
    assert exit.value.code == 2
    assert said in capsys.readouterr().err


def test_scaling_gives_every_chip_as_many_rows(compiler, capsys):
  flags = ["--slices=v5e:2x2,v5e:4x4", "--rows_per_chip=6"]
  scaling.main([*flags, "--json"])
  few, many = json.loads(capsys.readouterr().out)["slices"]
  assert (few["rows"], many["rows"]) == (24, 96)
  assert many["flops"] == pytest.approx(few["flops"], rel=0.05)
  assert few["efficiency"] == 1 and 0.2 < many["efficiency"] < 5
  assert len(scaling.cells(many)) == len(scaling.HEADER)


@pytest.mark.parametrize(
  ("topology", "chips"), [("v5e:1x1", 1), ("v5e:2x4", 8)]
)
def test_a_slice_has_its_chips(compiler, topology, chips):
  assert len(tpu.devices(topology)) == chips
