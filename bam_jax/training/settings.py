"""What the config says of one run."""

import dataclasses

from ml_collections import ConfigDict

# Of `eval_every`: once an epoch.
EPOCH = -1
# The kinds of runs, each with settings of its own in the config.
KINDS = ("single", "multi", "finetune", "frozen", "contrast")

# The stage `contrast` where nothing is said of it.
CONTRAST = {
  "task": "",
  "share": 0.15,
  "loss": "margin",
  "alike": "",
  "pool": "cls",
  "margin": 0.5,
  "temperature": 0.05,
  "max_length": 64,
  "epochs": 20.0,
  "batch_size": 64,
  "rate": 1e-5,
  "layer_decay": 1.0,
  "weight_decay": 0.01,
  "patience": 5,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Settings:
  """The settings of a run.

  Attributes:
    config: the whole config, as it holds for the run.
    epochs: over the pool of its examples.
    min_steps: that are made however few the epochs are.
    batch_size: examples in a step.
    rate: peak learning rate.
    layer_decay: alpha, by which the rate falls with every layer downwards.
  """

  config: ConfigDict
  epochs: float
  min_steps: int
  batch_size: int
  rate: float
  layer_decay: float

  @classmethod
  def of(cls, config: ConfigDict, kind: str) -> "Settings":
    """Returns the settings of a kind of run, one of `KINDS`."""
    own = config[kind]
    return cls(
      config,
      own.epochs,
      own.min_steps,
      own.batch_size,
      own.rate,
      own.layer_decay,
    )
