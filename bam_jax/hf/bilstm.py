"""What a bidirectional LSTM's settings and tensors are called in our own files.

transformers has none, so no other program reads them.
"""

from bam_jax.hf.family import Family

BILSTM = Family(
  name="bilstm",
  model="",
  prefix="bilstm.",
  encoder="bilstm",
  modules=(
    ("bilstm/embeddings/word", "embeddings.word", "table"),
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
  ),
  fixed={},
  facts={},
)
