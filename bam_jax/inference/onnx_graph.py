"""The forward pass of a model as an ONNX graph, and how it is run.

jax2onnx makes the graph of what JAX traces, so any encoder and any head that
is here goes, without PyTorch. onnxruntime runs it.
"""

from collections.abc import Mapping, Sequence
import contextlib
import dataclasses
import importlib.util
import logging
from pathlib import Path
import tempfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.data.features import Features
from bam_jax.data.fields import EXAMPLE
from bam_jax.inference import model as inference
from bam_jax.inference import program
from bam_jax.inference import rows as rows_lib
from bam_jax.inference.trained import Trained

# The graph's inputs, as transformers' tokenizers name them: i64[B, S].
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# What weights may be kept as.
WEIGHTS = ("float32", "int8")
PACKAGES = ("jax2onnx", "onnx", "onnxruntime")


def check() -> None:
  """Refuses to begin where a package is missing.

  Raises:
    ValueError: one is.
  """
  missing = [x for x in PACKAGES if importlib.util.find_spec(x) is None]
  if missing:
    raise ValueError(
      f"--format=onnx needs {', '.join(missing)}, which is not installed; type "
      "pip install 'bam_jax[onnx]'"
    )


def in_float32(found: Trained) -> Trained:
  """Returns a model that computes in float32, whatever it was trained in."""
  said = dataclasses.replace(found.description, dtype="float32")
  return dataclasses.replace(found, description=said)


def build(
  model: inference.Model,
  tasks: Sequence[str],
  *,
  width: int | None,
  weights: str,
) -> bytes:
  """Returns the serialized graph of some heads, for any batch.

  Its outputs have the names of the tasks: f32[B, C], or f32[B, S, C] where
  words are answered.

  Args:
    model: in float32.
    tasks: names of heads.
    width: of rows; None = any.
    weights: one of `WEIGHTS`.

  Raises:
    ValueError: jax2onnx cannot write it.
  """
  import jax2onnx

  run = program.forward(model, tasks)

  def forward(input_ids, attention_mask, token_type_ids):
    # 0, 1, ... also behind the padding, which nobody looks at.
    positions = jnp.cumsum(jnp.ones_like(attention_mask), axis=1) - 1
    said = run(input_ids, token_type_ids, positions, attention_mask)
    return tuple(said.values())

  size, any_width = jax.export.symbolic_shape("rows, tokens")
  ids = jax.ShapeDtypeStruct((size, width or any_width), jnp.int32)
  with _quiet():
    try:
      graph = jax2onnx.to_onnx(
        forward,
        [ids] * len(INPUTS),
        model_name="bam_jax",
        input_names=list(INPUTS),
        output_names=list(tasks),
      )
    except Exception as error:
      # Of what it has no rule for it says so in many ways.
      raise ValueError(
        f"jax2onnx cannot write a {model.trained.config.kind} with these heads;"
        " --format=stablehlo can"
      ) from error
    _take_long_integers(graph)
    _name_products(graph)
    made = graph.SerializeToString()
    return made if weights == WEIGHTS[0] else _quantized(made)


def _name_products(graph: Any) -> None:
  """Calls a Gemm that adds and turns nothing what it is, a MatMul.

  onnxruntime keeps the weights of the other as int8 only where it has a bias.
  """
  for node in graph.graph.node:
    turns = {
      each.name for each in node.attribute if each.i or each.f not in (0, 1)
    }
    if node.op_type == "Gemm" and len(node.input) == 2 and not turns:
      node.op_type = "MatMul"
      del node.attribute[:]


def _take_long_integers(graph: Any) -> None:
  """Lets a graph be given i64, as tokenizers make them."""
  import onnx

  casts = []
  for given in graph.graph.input:
    inner = f"{given.name}_i32"
    for node in graph.graph.node:
      node.input[:] = [inner if x == given.name else x for x in node.input]
    given.type.tensor_type.elem_type = onnx.TensorProto.INT64
    casts.append(
      onnx.helper.make_node(
        "Cast", [given.name], [inner], to=onnx.TensorProto.INT32
      )
    )
  nodes = [*casts, *graph.graph.node]
  del graph.graph.node[:]
  graph.graph.node.extend(nodes)


def _quantized(graph: bytes) -> bytes:
  """Returns a graph whose weights are int8; it computes in float32."""
  from onnxruntime import quantization

  with tempfile.TemporaryDirectory() as folder:
    whole, small = (Path(folder) / name for name in ("whole", "small"))
    whole.write_bytes(graph)
    quantization.quantize_dynamic(
      whole,
      small,
      weight_type=quantization.QuantType.QInt8,
      per_channel=True,
    )
    return small.read_bytes()


@contextlib.contextmanager
def _quiet():
  """Keeps the libraries from telling each step of their work."""
  loggers = [logging.getLogger(name) for name in ("onnx_ir", "root")]
  levels = [each.level for each in loggers]
  for each in loggers:
    each.setLevel(logging.ERROR)
  try:
    yield
  finally:
    for each, level in zip(loggers, levels, strict=True):
      each.setLevel(level)


class Graph:
  """A graph that onnxruntime runs, asked as an `inference.Model` is."""

  def __init__(
    self, graph: bytes, model: inference.Model, *, width: int | None
  ):
    """Loads the graph.

    Args:
      graph: of `build`.
      model: whose heads it has.
      width: of rows; None = any.
    """
    import onnxruntime

    self._model, self._width = model, width
    self._session = onnxruntime.InferenceSession(
      graph, providers=["CPUExecutionProvider"]
    )

  def said(self, tasks: Sequence[str], rows: Features) -> Mapping[str, Any]:
    """Returns task -> f32[N, C], or f32[M, C] of words, of a batch of rows."""
    found = {}
    for asked in self._model.passes(tasks):
      batch = rows_lib.lay_out(
        rows,
        np.zeros(len(asked), np.int32),
        size=len(rows),
        width=self._width or int(rows.lengths.max()),
      )
      names = [spec.name for spec in asked]
      given = (batch[key] for key in ("tokens", "segments", "types"))
      fed = {k: v.astype(np.int64) for k, v in zip(INPUTS, given, strict=True)}
      outputs = self._session.run(names, fed)
      for spec, mine in zip(asked, outputs, strict=True):
        # As the net lays it out, each example alone in its row.
        whole = mine[:, None] if spec.space == EXAMPLE else mine
        found[spec.name] = inference.outputs_of(
          spec, {spec.space: whole}, rows, rows_lib.one_a_row(rows)
        )
    return found
