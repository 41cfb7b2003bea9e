"""Keeps the encoder that was pre-trained on plain text, for others to take."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bam_jax.hf import directory as hf
from bam_jax.hf import masked
from bam_jax.hf.family import Config
from bam_jax.runtime.console import say
from bam_jax.stages.session import Session
from bam_jax.study.plan import scored
from bam_jax.study.text_tasks import SIDED, TEXT
from bam_jax.training import adapting
from bam_jax.training.checkpoint import load_params

# In the working directory.
FOLDER = "encoder"


def keep(session: Session) -> None:
  """Writes W/encoder, which transformers and `--config.encoder` load.

  The first trial of the last method's run on data.text, with its head for
  masked words; a language model's without its own, which transformers has not.
  What is there stays: it is of the same run.
  """
  folder = session.workdir.path / FOLDER
  if not session.config.data.text or folder.exists():
    return
  experiment, seed = session.experiment, session.experiment.seeds[0]
  runs = list(experiment.methods.values())[-1]
  run, write = scored(runs, TEXT), _with_head
  if run is None:
    # Others may start from it.
    run = next((each for each in runs if SIDED in each.tasks), None)
    write = _alone
  if run is None or not session.workdir.finished(run.name, seed):
    return
  if experiment.settings(run).config.adapter.kind != adapting.OFF:
    say(
      f"{folder} is not written: {run.name} has adapters, and without them its"
      " encoder says something else; go on from it by --config.init_from"
    )
    return
  made = session.workdir.model(run.name)
  config = hf.read_config(made / hf.CONFIG)
  params, _ = load_params(session.workdir.params(run.name, seed))
  write(folder, made, config, params)
  say(f"wrote {folder}, to be given as --config.encoder={folder}")


def _with_head(
  folder: Path, made: Path, config: Config, params: Mapping[str, Any]
) -> None:
  """Writes an encoder with its head for masked words.

  Args:
    folder: where to.
    made: the run's model, with the tokenizer.
    config: of the encoder.
    params: of the run.
  """
  with hf.beside(folder, overwrite=False) as part:
    hf.write(
      part,
      masked.describe(config),
      masked.tensors(config, params, TEXT),
      hf.tokenizer_files(made),
    )


def _alone(
  folder: Path, made: Path, config: Config, params: Mapping[str, Any]
) -> None:
  """Writes an encoder alone; see `_with_head`."""
  own = {part: params[part] for part in (config.kind, "pooler")}
  hf.save_encoder(folder, config, own, tokenizer=made)
