"""The encoder from scratch where it is a bidirectional LSTM."""

from ml_collections import ConfigDict


def add(c: ConfigDict) -> None:
  """Adds the keys to the settings of every experiment."""
  # --- what only scratch.kind=bilstm has (docs/intermediate.md)
  # together: each layer reads both directions of the one below; apart: only its
  # own, as ELMo has it, and as a language model needs it from two layers on.
  c.scratch.directions = "together"
  # What the first layer reads of a token; 0 = as wide as a layer.
  c.scratch.words_width = 0
  # Filters over a token's letters, projected to words_width, in place of a
  # table of tokens: ELMo's are 2048; 0 = a table.
  c.scratch.filters = 0
  # Whether what the first layer reads stands beside what the last one says.
  c.scratch.skip = False
