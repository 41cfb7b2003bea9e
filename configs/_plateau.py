"""What evaluations without a gain do to the learning rate."""

from ml_collections import ConfigDict


def add(c: ConfigDict) -> None:
  """Adds the keys to the settings of every experiment."""
  # --- a rate that falls at a plateau, with optim.schedule=plateau (Wang et al.
  # 2019, appendix B); evaluations are those of eval_every, a gain is a new best
  # of select.by. docs/concepts.md
  c.plateau = ConfigDict()
  # What the rate is then multiplied by.
  c.plateau.factor = 0.5
  # The most evaluations without a gain that change nothing: at one more the
  # rate falls, and they are counted anew.
  c.plateau.patience = 4
  # A trial ends where its peak rate has fallen below it.
  c.plateau.least = 1e-6
