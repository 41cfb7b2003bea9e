"""The stage `contrast`, which trains an encoder alone on pairs of texts."""

from ml_collections import ConfigDict


def add(c: ConfigDict) -> None:
  """Adds the keys to the settings of every experiment."""
  # --- contrast+multi: the encoder is trained on pairs first, without any head
  # (docs/less-is-more.md). The numbers are those of Less is More, section 5.3.
  c.contrast = ConfigDict()
  # The task whose pairs these are; "" = no method has this stage.
  c.contrast.task = ""
  # Of its training rows the share that this stage has; what follows it has the
  # rest. Drawn as held-out rows are: what goes together stays on one side.
  c.contrast.share = 0.15
  # margin, by the Euclidean distance (Less is More, section 4.5), or
  # margin_cosine, by 1 - cosine (5.3); simcse, each first text among all second
  # ones of a step, of pairs that are alike; simcse_unsupervised, each text
  # among all of a step under another dropout (Gao et al. 2021).
  c.contrast.loss = "margin"
  # The label of pairs that are alike; "" = of two labels the second, of numbers
  # the number itself.
  c.contrast.alike = ""
  # What is an example's vector: that of its first token, cls, or the mean.
  c.contrast.pool = "cls"
  # Beyond which distance what is not alike costs nothing.
  c.contrast.margin = 0.5
  # What cosines are divided by, of simcse.
  c.contrast.temperature = 0.05
  # Tokens of each text.
  c.contrast.max_length = 64
  # Epochs at most: dev's pairs are scored after each, and the best is kept.
  c.contrast.epochs = 20.0
  c.contrast.min_steps = 0
  c.contrast.batch_size = 64
  c.contrast.rate = 1e-5
  c.contrast.layer_decay = 1.0
  c.contrast.weight_decay = 0.01
  # Epochs without a lower loss on dev after which it ends; 0 = never.
  c.contrast.patience = 5
