"""Settings of stages beside those of BAM."""

from ml_collections import ConfigDict


def add(c: ConfigDict) -> None:
  """Adds the keys to the settings of every experiment."""
  # --- method `frozen`: each task alone, a head and a pooler over an encoder
  # that stays as it starts (docs/intermediate.md). The rate is that of target
  # tasks in Wang et al. (2019), appendix B.
  c.frozen = ConfigDict()
  c.frozen.min_steps = 0
  c.frozen.epochs = 3.0
  c.frozen.batch_size = 32
  c.frozen.rate = 3e-4
  c.frozen.layer_decay = 1.0
