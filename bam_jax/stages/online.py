"""A frozen teacher that reads along in the steps of its student."""

from pathlib import Path
from typing import Any

from bam_jax.data import apart
from bam_jax.data.tokenizer import Tokenizer, load_tokenizer
from bam_jax.hf import directory as hf
from bam_jax.models.encoders import EncoderConfig
from bam_jax.runtime import sealed
from bam_jax.study.experiment import Experiment
from bam_jax.study.workdir import Workdir
from bam_jax.tasks import description as heads_lib
from bam_jax.training.checkpoint import load_params, trials


def read(name: str) -> tuple[EncoderConfig, dict[str, Any], Tokenizer]:
  """Returns an encoder's configuration, its parameters and its tokenizer.

  Args:
    name: a finished run, W/runs/NAME, of which it is the first trial's; or a
      directory or a hub name of an encoder.

  Raises:
    ValueError: it is neither, or damaged.
  """
  path = Path(name)
  if not (path / "checkpoints").is_dir():
    shape, params, folder = hf.load_encoder(name)
    words = load_tokenizer(folder, vocab_size=shape.vocab_size)
    return shape, params[shape.kind], words
  seeds = trials(path / "checkpoints")
  if not seeds:
    raise ValueError(
      f"teacher.online is {name}, which holds no finished run; train it: "
      "--config.stage=train"
    )
  workdir = Workdir(path.absolute().parent.parent)
  folder = workdir.model(path.absolute().name)
  sealed.verify(folder)
  shape = hf.read_config(folder / hf.CONFIG)
  if heads_lib.load(folder / heads_lib.FILE)[0].adapter:
    raise ValueError(
      f"teacher.online {name} has adapters, so its encoder alone is no teacher;"
      " give a run without, or the exported model of one task"
    )
  params, _ = load_params(workdir.params(path.absolute().name, min(seeds)))
  words = load_tokenizer(folder, vocab_size=shape.vocab_size)
  return shape, params[shape.kind], words


def check_fit(
  experiment: Experiment, shape: EncoderConfig, words: Tokenizer, own: Tokenizer
) -> None:
  """Refuses a teacher that cannot read what its student reads.

  Args:
    experiment: the experiment.
    shape: of the teacher.
    words: its tokenizer.
    own: the student's.
  """
  c = experiment.config
  for run in experiment.runs:
    for task in experiment.tasks_of(run) if run.teachers else ():
      if apart.asked(task):
        raise ValueError(
          f"teacher.online {c.teacher.online} is matched token by token, and"
          f" the head {task.learn.head} of {task.name} reads two texts each by"
          " itself; take linear, mlp or tower, or leave teacher.online out"
        )
  if words.digest != own.digest:
    raise ValueError(
      f"teacher.online {c.teacher.online} has another tokenizer than the "
      f"student ({c.encoder}), so their tokens are not the same; give a teacher"
      " with the student's, or leave it out: logits teach across tokenizers"
    )
  if c.max_length > shape.positions:
    raise ValueError(
      f"max_length is {c.max_length}, but teacher.online {c.teacher.online} has"
      f" {shape.positions} positions; try "
      f"--config.max_length={shape.positions}"
    )
