"""Checks what is said of the encoder that starts from random weights."""

from ml_collections import ConfigDict

from bam_jax.study.workdir import NEUTRAL

DIRECTIONS = ("together", "apart")
# What only a bidirectional LSTM has.
RECURRENT = tuple(
  f"scratch.{key}" for key in ("directions", "words_width", "filters", "skip")
)


def check(c: ConfigDict) -> None:
  """Checks that what is said of the encoder is said of the one there is.

  Args:
    c: the whole config.

  Raises:
    ValueError: it is said of another one.
  """
  if c.encoder != "scratch":
    for key in ("scratch.kind", "scratch.tokenizer", *RECURRENT):
      if (got := _of(c, key)) != NEUTRAL[key]:
        raise ValueError(
          f"{key} is {got!r}, but encoder is {c.encoder}, which is not made"
          " from random weights; set --config.encoder=scratch"
        )
    return
  for key, off in (("encoder_layers", 0), ("encoder_every", 1)):
    if (got := c[key]) != off:
      raise ValueError(
        f"{key} is {got}, but encoder is scratch, which has as many layers as"
        " scratch.layers says; set that"
      )
  for key in RECURRENT:
    if c.scratch.kind != "bilstm" and (got := _of(c, key)) != NEUTRAL[key]:
      raise ValueError(
        f"{key} is {got!r}, but scratch.kind is {c.scratch.kind}, which has"
        " none; set --config.scratch.kind=bilstm"
      )


def _of(c: ConfigDict, key: str) -> object:
  """Returns the value of a key of `scratch`."""
  return c.scratch[key.removeprefix("scratch.")]
