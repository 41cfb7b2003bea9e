"""A trained model whole: parameters, shape, tokenizer and what its heads mean.

It is read from a finished run or from a directory that `export` has written;
neither needs the data, and a run no longer needs its encoder's directory.
"""

from collections.abc import Mapping
import dataclasses
from pathlib import Path
from typing import Any

from flax import traverse_util
import numpy as np

from bam_jax.hf import classifiers, transfer, weights
from bam_jax.hf import directory as hf
from bam_jax.models import adapter_tree, encoders
from bam_jax.models.encoders import EncoderConfig
from bam_jax.models.shapes import shapes as shapes_of
from bam_jax.runtime import sealed
from bam_jax.runtime.errors import one_line
from bam_jax.study.workdir import Workdir
from bam_jax.tasks import description as heads_lib
from bam_jax.tasks.description import Description
from bam_jax.tasks.kinds import KINDS
from bam_jax.training import adapting, heads
from bam_jax.training.checkpoint import load_params, trials

# What an exported directory may hold in place of parameters, and who runs it.
_PROGRAMS = {".onnx": "onnxruntime", ".stablehlo": "jax.export"}


@dataclasses.dataclass(frozen=True)
class Trained:
  """One trial of one run.

  Attributes:
    config: of the encoder.
    params: f32 numpy, named as `multitask.init_params` does.
    description: what the heads mean.
    tokenizer: the directory with its files.
    about: where it comes from: `run`, `trial`, `scores`, `calibration`, `data`,
      `commit`, `settings`, as far as it is known.
  """

  config: EncoderConfig
  params: Mapping[str, Any]
  description: Description
  tokenizer: Path
  about: Mapping[str, Any]


def load(path: Path, *, trial: int | None, tasks: tuple[str, ...]) -> Trained:
  """Reads a model from a run, W/runs/NAME, or from an exported directory.

  Args:
    path: the directory.
    trial: the seed of a run's trial; None = the best one on dev, by the mean
      headline of the tasks.
    tasks: those that are asked for; () = all of its heads.

  Raises:
    ValueError: it is neither, or damaged, or lacks that trial or task.
  """
  if (path / "checkpoints").is_dir():
    return _of_run(path.absolute(), trial, tasks)
  if trial is not None:
    raise ValueError(
      f"{path} holds no trials to choose from; give a run like W/runs/NAME"
    )
  if classifiers.is_classifier(path):
    found = classifiers.read(path)
    if found.description is None:
      raise ValueError(
        f"{path} was not exported by bam_jax, so nobody knows which texts it "
        "reads; start a run from it: --config.init_from"
      )
    params = found.params | {"heads": {}}
    (head,) = found.description.heads
    # Another program may have written other names, or another order of them.
    columns = KINDS[head.kind].columns_of(head)
    if found.labels != columns:
      raise ValueError(
        f"{path / hf.CONFIG} names labels {', '.join(found.labels)} in "
        f"id2label and {', '.join(columns)} for bam_jax; export it again"
      )
    params["heads"][head.parameters] = found.head
    _check_tasks(path, found.description, tasks)
    return Trained(found.config, params, found.description, path, {})
  if transfer.is_exported(path):
    found = transfer.read_exported(path)
    _check_params(path, found.config, found.description, found.params)
    _check_tasks(path, found.description, tasks)
    return Trained(
      found.config, found.params, found.description, path, found.about
    )
  for suffix, runs in _PROGRAMS.items():
    for file in sorted(path.glob(f"*{suffix}")):
      raise ValueError(
        f"{path} holds {file.name}, which {runs} runs and bam_jax does not; "
        "give the run that it was written from"
      )
  raise ValueError(
    f"{path} is no finished run and no exported model; give a directory like "
    "W/runs/NAME"
  )


def _check_tasks(
  path: Path, description: Description, tasks: tuple[str, ...]
) -> None:
  for task in tasks:
    heads_lib.find(description.heads, task, where=str(path))


def _of_run(path: Path, trial: int | None, tasks: tuple[str, ...]) -> Trained:
  """Reads one trial of a finished run."""
  workdir, name = Workdir(path.parent.parent), path.name
  made = workdir.made()
  folder = workdir.model(name)
  scores = workdir.scores(name)
  seeds = trials(path / "checkpoints")
  if not seeds:
    raise ValueError(
      f"{path} holds no finished trial; train it: --config.stage=train"
    )
  sealed.verify(folder)
  config = hf.read_config(folder / hf.CONFIG)
  description, raw = heads_lib.load(folder / heads_lib.FILE)
  _check_tasks(path, description, tasks)
  seed = _choose(path, seeds, scores, trial, tasks, description)
  params, meta = load_params(workdir.params(name, seed))
  _check_params(path, config, description, params)
  entry = scores.get(str(seed), {})
  about = {
    "run": name,
    "trial": seed,
    "step": meta.get("step"),
    "scores": entry.get("scores", {}),
    "examples": entry.get("examples", {}),
    "data": raw.get("data", {}),
    "calibration": entry.get("calibration", {}),
    "commit": made.get("commit"),
    "versions": made.get("versions", {}),
    "settings": made.get("config", {}),
  }
  try:
    fitted = description.calibrated(about["calibration"])
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise ValueError(
      f"{path / 'scores.json'} has a calibration of trial {seed} that is none "
      f"({one_line(error)}); fit it again: --config.stage=evaluate"
    ) from error
  return Trained(config, params, fitted, folder, about)


def _choose(path, seeds, scores, trial, tasks, description) -> int:
  """Returns the seed that is meant."""
  if trial is not None and trial not in seeds:
    raise ValueError(
      f"{path} has no finished trial {trial}; give --trial="
      f"{' or '.join(map(str, seeds))}"
    )
  if trial is not None:
    return trial
  heads = [h for h in description.heads if h.name in tasks or not tasks]

  def score(seed: int) -> float:
    found = scores.get(str(seed), {}).get("scores", {})
    try:
      return sum(
        found[head.name][head.headline]
        * (-1 if head.headline in KINDS[head.kind].lower else 1)
        for head in heads
      )
    except (KeyError, TypeError):  # not scored
      return -np.inf

  return max(seeds, key=score)


def _shapes(named: Mapping[str, tuple[int, ...]]) -> str:
  return ", ".join(f"{name} {[*shape]}" for name, shape in named.items())


def _check_params(path, config, description, params) -> None:
  """Refuses parameters of another shape than the run's description says."""
  specs = heads.specs(
    description.heads,
    regression_output=description.regression_output,
    vocabulary=config.vocab_size,
  )
  drawn = None
  if encoders.of(config).masked:
    words = weights.shapes(config)[f"{config.kind}/embeddings/word/embedding"]
    vectors = np.zeros((1, 1, config.width))
    drawn = encoders.drawn(config, vectors, np.zeros(words))
  layers = encoders.mixed(config)
  side = encoders.side(config)
  wanted = shapes_of(specs, config.width, drawn, layers=layers, side=side)
  found = traverse_util.flatten_dict(params.get("heads", {}), sep="/")
  got = {name: np.shape(array) for name, array in found.items()}
  shapes = weights.shapes(config)
  flat = traverse_util.flatten_dict(
    {part: params.get(part, {}) for part in (config.kind, "pooler")}, sep="/"
  )
  adapter = adapting.adapter_of(description.adapter)
  adapted = {}
  if adapter:
    names = [head.name for head in description.heads]
    adapted = adapter_tree.shapes(adapter, config, names)
  own = traverse_util.flatten_dict(params.get("adapters", {}), sep="/")
  if {k: np.shape(v) for k, v in own.items()} != adapted:
    raise ValueError(
      f"the adapters of {path} are not those that are written beside them"
      f" ({adapter or 'none'}); take a whole copy of it"
    )
  if got != wanted or {k: np.shape(v) for k, v in flat.items()} != shapes:
    raise ValueError(
      f"the parameters of {path} do not fit what is written beside them; "
      f"heads there: {_shapes(got)}, described: {_shapes(wanted)}"
    )
