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

  # --- what an encoder is trained on first, as mnli in mnli+single
  # Sets of tasks that are trained together first: name -> tasks, as {"glue":
  # "cola,sst2"} for glue+single; made in a config file. cola&sst2+single needs
  # none.
  c.sets = ConfigDict()
  # Settings of its own; 0 = those of single, or of multi for several tasks.
  c.first = ConfigDict()
  c.first.epochs = 0.0
  c.first.batch_size = 0
  c.first.rate = 0.0
  c.first.layer_decay = 0.0
