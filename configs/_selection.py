"""How often a run is evaluated, and which step's model is kept."""

from ml_collections import ConfigDict


def add(c: ConfigDict) -> None:
  """Adds the keys to the settings of every experiment."""
  # --- which step's model is kept
  # Steps between evaluations on dev while a run trains (and after its last
  # step): learning curves in metrics.jsonl. 0 = only the finished model.
  c.eval_every = 0
  c.select = ConfigDict()
  # Whether these are steps for each task of a run, so that one of several tasks
  # is evaluated as many times more seldom (Wang et al. 2019, appendix B).
  c.select.per_task = False
  # last (the paper), average (the best evaluation by the mean of the run's
  # headline scores), or a task (by that one's; runs without it take the mean).
  c.select.by = "last"
  # Evaluations without a gain after which a trial ends; 0 = never.
  c.select.patience = 0
