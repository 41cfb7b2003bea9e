"""What a config's training step costs on a slice of TPUs that is not here.

Neither data nor weights are read: the shapes are enough.
"""

import dataclasses
import os
from pathlib import Path

from ml_collections import ConfigDict

from bam_jax.data import pipeline
from bam_jax.data.fields import SIDE, VOCABULARY, Room
from bam_jax.hf import directory as hf
from bam_jax.models.bert import BertConfig
from bam_jax.models.heads import columns_of
from bam_jax.stages import checks, materials
from bam_jax.stages.materials import Encoder, Materials
from bam_jax.study import experiment as experiments
from bam_jax.training import sharding, tpu

_BASE = BertConfig(
  vocab_size=30522,
  width=768,
  layers=12,
  heads=12,
  mlp=3072,
  positions=512,
  types=2,
  layer_norm_eps=1e-12,
  hidden_dropout=0.1,
  attention_dropout=0.1,
  init_std=0.02,
  pad_id=0,
)
# Encoders whose shape is known without their files.
SHAPES = {
  "google-bert/bert-base-uncased": _BASE,
  "google-bert/bert-large-uncased": dataclasses.replace(
    _BASE, width=1024, layers=24, heads=16, mlp=4096
  ),
  "sentence-transformers/all-MiniLM-L6-v2": dataclasses.replace(
    _BASE, width=384, layers=6, mlp=1536
  ),
}


def shape_alone(config: ConfigDict, data: Path) -> Encoder:
  """Returns the encoder that a config names, its shape and nothing else of it.

  Args:
    config: the whole config.
    data: nothing is kept there.

  Raises:
    ValueError: the shape is not known without the encoder's files.
  """
  if config.scratch.tokenizer:
    return materials.load_encoder(config, data)
  if config.encoder == "scratch":
    shape = materials.scratch(config, config.scratch.vocab_size, 0)
    return Encoder(shape, {}, None, None)
  path = Path(config.encoder) / hf.CONFIG
  if config.encoder not in SHAPES and not path.is_file():
    raise ValueError(
      f"encoder {config.encoder!r} is no directory with {hf.CONFIG} and no "
      f"known name; give one of {', '.join(SHAPES)} or a directory"
    )
  shape = SHAPES.get(config.encoder) or hf.read_config(path)
  kept = range(0, shape.layers, config.encoder_every)
  shape = shape.keep(kept[: config.encoder_layers or None])
  materials.check_length(config, shape)
  return Encoder(shape, {}, None, None)


def cost(
  config: ConfigDict,
  topology: str,
  *,
  rows: int | None,
  examples: int,
  whole: bool,
) -> tpu.Cost:
  """Compiles the step of a config's last run, and returns what it costs.

  Args:
    config: the experiment.
    topology: such as "v5e:4x4".
    rows: of the whole batch; None = the run's batch size: a row for each
      example. How many rows packing takes, only the data knows.
    examples: that a row has room for.
    whole: see `tpu.cost`.

  Raises:
    ValueError: the compiler, the slice, the mesh or the config does not do, or
      the step does not fit the device.
  """
  experiment = experiments.read(config)
  it = Materials(
    experiment,
    Path(os.devnull),
    devices=tpu.devices(topology),
    load=shape_alone,
  )
  checks.settings(experiment)
  checks.kernel(it)
  run = experiment.runs[-1]
  settings, model, parts = (
    experiment.settings(run),
    it.model(run),
    sharding.row_multiple(it.mesh),
  )
  c = settings.config
  if c.micro_rows:
    raise ValueError(
      f"micro_rows={c.micro_rows} makes a loop, of which the compiler counts "
      f"one turn; set --config.micro_rows=0 --rows={c.micro_rows}"
    )
  rows = settings.batch_size if rows is None else rows
  if rows < 1 or rows % parts:
    raise ValueError(
      f"{rows} rows do not divide over {parts} devices (data x fsdp); type "
      f"--rows={max(-(-rows // parts), 1) * parts}"
    )
  columns = columns_of(model.heads)
  # As of a row that is full; without masked tokens there are no places.
  places = round(c.masking.share * c.max_length) if VOCABULARY in columns else 0
  if any(spec.reads == "decoded" for spec in model.heads):
    places = c.max_length
  if sided := any(spec.reads == "sided" for spec in model.heads):
    places = 2 * c.max_length
  room = Room(rows, c.max_length, examples, places)
  batch = pipeline.empty(c.trials_at_once or 1, room, columns)
  if sided:
    batch |= room.empty([SIDE], trials=c.trials_at_once or 1)
  return tpu.cost(
    model, batch, settings, it.mesh, topology=topology, whole=whole
  )
