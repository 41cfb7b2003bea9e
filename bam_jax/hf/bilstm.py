"""What a bidirectional LSTM's settings and tensors are called in our own files.

transformers has none, so no other program reads them.
"""

from bam_jax.hf.family import Family
from bam_jax.models.letters import HIGHWAYS, WIDTHS

_LETTERS = (
  ("bilstm/embeddings/letter", "embeddings.letter", "table"),
  *(
    (f"bilstm/embeddings/filters_{n}", f"embeddings.filters.{n}", "dense")
    for n in WIDTHS
  ),
  *(
    (f"bilstm/embeddings/highway_{n}/gates", f"embeddings.highway.{n}", "dense")
    for n in range(HIGHWAYS)
  ),
  ("bilstm/embeddings/project", "embeddings.project", "dense"),
)

BILSTM = Family(
  name="bilstm",
  model="",
  prefix="bilstm.",
  encoder="bilstm",
  modules=(
    ("bilstm/embeddings/word", "embeddings.word", "table"),
    *_LETTERS,
    ("bilstm/layer_{i}/input", "layers.{i}.input", "dense"),
    ("bilstm/layer_{i}/recurrent", "layers.{i}.recurrent", "dense"),
    ("pooler", "pooler.dense", "dense"),
  ),
  dropped=(),
  fields=(
    ("vocab_size", "vocab_size", 30522),
    ("width", "hidden_size", 768),
    ("layers", "num_hidden_layers", 1),
    ("positions", "max_position_embeddings", 512),
    ("hidden_dropout", "hidden_dropout_prob", 0.1),
    ("init_std", "initializer_range", 0.02),
    ("pad_id", "pad_token_id", 0),
    ("words_width", "words_width", 0),
    ("filters", "filters", 0),
    ("pieces", "pieces", ""),
    ("apart", "directions_apart", False),
    ("skip", "skip_connection", False),
  ),
  fixed={},
  facts={},
)
