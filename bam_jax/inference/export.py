"""The directories that a trained model is exported to, each written whole."""

from collections.abc import Mapping
import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
from jax import export as jax_export
import jax.numpy as jnp
import numpy as np

from bam_jax.data import apart
from bam_jax.data.fields import FORWARD, TOKEN
from bam_jax.data.tokenizer import load_tokenizer
from bam_jax.hf import classifiers, families, masked, transfer
from bam_jax.hf import directory as hf
from bam_jax.inference import (
  card,
  merging,
  program,
  tokenizer_export,
  usages,
)
from bam_jax.inference import model as inference
from bam_jax.inference.trained import Trained
from bam_jax.models import encoders
from bam_jax.tasks.description import Description
from bam_jax.tasks.kinds import ENCODER, KINDS, WHOLE
from bam_jax.tasks.learn import USUAL_POOL

CARD = "README.md"
# The graph of `write_graph`, and what its gate has found.
GRAPH, GATE = "model.onnx", "gate.json"
# The serialized program of `write_program`, and what it takes beside tokens.
PROGRAM = "forward.stablehlo"
INPUTS = tuple(each.name for each in FORWARD if each.per == TOKEN)

_PROGRAM = f"""\
```python
import jax

forward = jax.export.deserialize(open("{PROGRAM}", "rb").read())
outputs = forward.call(tokens, types, positions, segments)
```

Each input is i32[B, S], any B, LENGTHS:
token ids, 0 or 1 for the first or second text, 0 to S - 1, and 1 where there is
a token, 0 where there is padding. What comes back is task -> f32[B, C]: logits,
or of a regression task its prediction, as `heads.json` says; where words are
answered f32[B, S, C], of which each word's first token counts."""

_GRAPH = f"""\
```python
import onnxruntime
import tokenizers

tokenizer = tokenizers.Tokenizer.from_file("tokenizer.json")
tokenizer.enable_truncation(MAX_LENGTH)
tokenizer.enable_padding(PADDED)
read = tokenizer.encode_batch(TEXTS)
session = onnxruntime.InferenceSession("{GRAPH}")
logits = session.run(["TASK"], {{
  "input_ids": [x.ids for x in read],
  "attention_mask": [x.attention_mask for x in read],
  "token_type_ids": [x.type_ids for x in read],
}})
```

Each input is i64[B, S], any B, LENGTHS; each head is an output with its task's
name, and all come from one pass: f32[B, C], logits, or of a regression task its
prediction, as `heads.json` says; where words are answered f32[B, S, C], of
which each word's first token counts. `{GATE}` has what the file scored on dev
when it was written."""


@dataclasses.dataclass(frozen=True)
class Contents:
  """What an exported directory holds beside its tokenizer and its card.

  Attributes:
    config: of config.json.
    named: tensors of the encoder's file, by transformers' names.
    description: what the heads mean.
    usage: how to use it, for the card.
    heads: task -> tensors of a file of its own; None = no heads.json either.
    files: the serialized forward pass and what is said of it, by their names.
  """

  config: Mapping[str, Any]
  named: Mapping[str, np.ndarray]
  description: Description
  usage: str
  heads: Mapping[str, Mapping[str, np.ndarray]] | None = None
  files: Mapping[str, bytes] = dataclasses.field(default_factory=dict)


def about(found: Trained) -> dict[str, Any]:
  """Returns what is known of where a model comes from, fit to be published."""
  known = dict(found.about)
  if "settings" in known:
    known["settings"] = card.settings(known["settings"]) | {
      "encoder": card.encoder(known["settings"])
    }
  return known


def _check_published(found: Trained) -> None:
  """Refuses to write for transformers what it has no class for."""
  if found.config.family not in families.PUBLISHED:
    raise ValueError(
      f"transformers has no {found.config.family}, so nothing could load what "
      "would be written; bam_jax.load answers from the run, and other programs "
      "from --format=stablehlo"
    )


def write_classifier(
  out: Path, found: Trained, task: str, *, overwrite: bool
) -> None:
  """Writes what the kind's AutoModelFor... of transformers loads.

  Args:
    out: where to.
    found: the model.
    task: the head that is written.
    overwrite: whether a model that is there may go.

  Raises:
    ValueError: no such head, nothing in transformers computes the same, or
      something is there.
  """
  _check_published(found)
  found = merging.plain(found, task)
  description = found.description.alone(task)
  known = about(found)
  contents = _CONTENTS.get(KINDS[description.heads[0].kind].model, _classifier)
  made = contents(found, description, known)
  _write(out, found, made, known, overwrite=overwrite)


def _masked(
  found: Trained, description: Description, known: Mapping[str, Any]
) -> Contents:
  """Returns the encoder with its head for masked words."""
  del known
  (head,) = description.heads
  named = masked.tensors(found.config, found.params, head.parameters)
  return Contents(
    masked.describe(found.config), named, description, usages.MASKED
  )


def _classifier(
  found: Trained, description: Description, known: Mapping[str, Any]
) -> Contents:
  """Returns a model for a task; its logits are those before any sigmoid."""
  (head,) = description.heads
  kind = KINDS[head.kind]
  named = classifiers.tensors(found.config, found.params, description)
  dropout = known.get("settings", {}).get("head_dropout", 0.0)
  ours = {k: v for k, v in known.items() if k != "settings"}
  config = classifiers.describe(
    found.config, description, ours | {"head_dropout": dropout}
  )
  usage = (
    (usages.CANDIDATES if kind.unit == WHOLE else usages.CLASSIFIER)
    .replace("MAX_LENGTH", str(description.max_length))
    .replace("MODEL", kind.model)
    .replace("SHAPED", usages.SHAPED.get(kind.model, ""))
    .replace("TEXTS", ", ".join(("first", "second")[: len(head.text)]))
    .replace("TASK", head.name)
  )
  return Contents(config, named, description, usage)


def _encoder(
  found: Trained, description: Description, known: Mapping[str, Any]
) -> Contents:
  """Returns the encoder, which has no head."""
  del known
  parts = {part: found.params[part] for part in (found.config.kind, "pooler")}
  (head,) = description.heads
  usage = usages.VECTORS.replace(
    "MAX_LENGTH", str(description.max_length)
  ).replace("TAKEN", usages.TAKEN[head.learn.pool or USUAL_POOL])
  named = hf.tensors(found.config, parts)
  return Contents(hf.write_config(found.config), named, description, usage)


# transformers' class for a task -> what is written for it; others as classes.
_CONTENTS = {masked.MODEL: _masked, ENCODER: _encoder}


def write_heads(out: Path, found: Trained, *, overwrite: bool) -> None:
  """Writes the encoder for AutoModel, one file per head, and heads.json.

  Args:
    out: where to.
    found: the model.
    overwrite: whether a model that is there may go.

  Raises:
    ValueError: transformers has no such encoder, or something is there.
  """
  if alone := [
    head.name
    for head in found.description.heads
    if KINDS[head.kind].model == ENCODER
  ]:
    # It has no heads to be put beside it.
    write_classifier(out, found, *alone, overwrite=overwrite)
    return
  _check_published(found)
  found = merging.plain(found, inference.ALL)
  encoder = {part: found.params[part] for part in (found.config.kind, "pooler")}
  named = hf.tensors(found.config, encoder)
  config = hf.write_config(found.config)
  heads = {
    head.parameters: transfer.tensors_of(found.params["heads"][head.parameters])
    for head in found.description.heads
  }
  made = Contents(config, named, found.description, usages.HEADS, heads)
  _write(out, found, made, about(found), overwrite=overwrite)


def write_program(
  out: Path, found: Trained, *, task: str, overwrite: bool
) -> None:
  """Writes the forward pass with its parameters, as StableHLO.

  Args:
    out: where to.
    found: the model.
    task: the head that answers, or "all".
    overwrite: whether a model that is there may go.

  Raises:
    ValueError: no such head, or something is there.
  """
  description = answering(found, task)
  made = serialize(found, [head.name for head in description.heads])
  config = hf.write_config(found.config)
  usage = _lengths(found, _PROGRAM)
  made = Contents(config, {}, description, usage, {}, {PROGRAM: made})
  _write(out, found, made, about(found), overwrite=overwrite)


def width_of(found: Trained) -> int | None:
  """Returns how wide rows have to be in one program; None = as one likes."""
  kind = encoders.of(found.config)
  return None if kind.any_length else found.description.max_length


def _lengths(found: Trained, usage: str) -> str:
  """Returns how a program is used, with what it says of rows' lengths."""
  width = width_of(found)
  if width is None:
    return usage.replace("PADDED", "").replace(
      "LENGTHS", "any S that the encoder has positions for"
    )
  return usage.replace("PADDED", f"length={width}").replace(
    "LENGTHS", f"S = {width}"
  )


def answering(found: Trained, task: str) -> Description:
  """Returns the heads that answer texts, of one task or of "all".

  Raises:
    ValueError: no such head, or it answers no text.
  """
  description = found.description
  if task != inference.ALL:
    description = description.alone(task)
  heads = [head for head in description.heads if KINDS[head.kind].answer]
  if not heads:
    raise ValueError(
      f"{task} has no head that answers a text; write it for transformers:"
      " --format=hf"
    )
  if alone := [head.name for head in heads if apart.asked(head)]:
    raise ValueError(
      f"{', '.join(alone)} reads two texts each by itself, which a program of"
      " one row of tokens does not; bam_jax.predict and bam_jax.serve do, from"
      " the run; write other heads one by one: --task=NAME"
    )
  return dataclasses.replace(description, heads=tuple(heads))


def write_graph(
  out: Path,
  found: Trained,
  description: Description,
  graph: bytes,
  *,
  gate: Mapping[str, Any],
  overwrite: bool,
) -> None:
  """Writes an ONNX graph with what its gate has found.

  Args:
    out: where to.
    found: the model.
    description: of the heads that are in it, of `answering`.
    graph: see `onnx_graph.build`.
    gate: what it scores on dev, and how far it is from ours.
    overwrite: whether a model that is there may go.

  Raises:
    ValueError: something is there.
  """
  config = hf.write_config(found.config)
  files = {GRAPH: graph, GATE: json.dumps(gate, indent=1).encode()}
  usage = (
    _lengths(found, _GRAPH)
    .replace("MAX_LENGTH", str(description.max_length))
    .replace("TASK", description.heads[0].name)
  )
  made = Contents(config, {}, description, usage, {}, files)
  _write(out, found, made, about(found), overwrite=overwrite)


def serialize(found: Trained, tasks: list[str]) -> bytes:
  """Returns the forward pass of some heads, for any batch; see `width_of`."""
  run = program.forward(inference.Model(found), tasks)
  if width := width_of(found):
    (size,) = jax_export.symbolic_shape("b")
  else:
    size, width = jax_export.symbolic_shape(
      "b, s", constraints=[f"s <= {found.config.positions}"]
    )
  ids = jax.ShapeDtypeStruct((size, width), jnp.int32)
  made = jax_export.export(jax.jit(run), platforms=("cpu", "cuda", "tpu"))(
    *[ids] * len(INPUTS)
  )
  return bytes(made.serialize())


def _write(
  out: Path,
  found: Trained,
  contents: Contents,
  known: Mapping[str, Any],
  *,
  overwrite: bool,
) -> None:
  """Writes a directory beside and renames it."""
  files = hf.tokenizer_files(found.tokenizer)
  with hf.beside(out, overwrite=overwrite) as made:
    hf.write(made, contents.config, contents.named, files)
    tokenizer = load_tokenizer(made, vocab_size=found.config.vocab_size)
    tokenizer_export.write(made, tokenizer, types=found.config.types > 1)
    if contents.heads is not None:
      contents.description.save(made, about=known)
    if contents.heads:
      (made / "heads").mkdir()
    for name, tensors in (contents.heads or {}).items():
      hf.write_tensors(made / "heads" / f"{name}.safetensors", tensors)
    for name, held in contents.files.items():
      (made / name).write_bytes(held)
    text = card.write(contents.description, known, usage=contents.usage)
    (made / CARD).write_text(text, encoding="utf-8")
