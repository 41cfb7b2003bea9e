"""The shapes of what heads have, without making any."""

from collections.abc import Sequence

from flax import traverse_util
import jax
import jax.numpy as jnp

from bam_jax.models.decoder import Decoded
from bam_jax.models.heads import Heads, HeadSpec, apart, columns_of, texts
from bam_jax.models.masked import Drawn, Sided
from bam_jax.models.parts import Parts
from bam_jax.models.pooling import POOLS


def shapes(
  heads: Sequence[HeadSpec],
  width: int,
  drawn: Drawn | None = None,
  *,
  layers: int = 1,
  side: int = 1,
) -> dict[str, tuple[int, ...]]:
  """Returns the shapes of the parameters, by names such as "rte/kernel".

  Args:
    heads: of a model.
    width: D of what they read.
    drawn: what a head for masked tokens reads; None = there is no such head.
    layers: of which a mixture is, see `encoders.mixed`.
    side: how wide what has read one side of a token is.
  """
  tokens, one = jnp.zeros((1, 1, width)), jnp.ones((1, 1, 1), bool)
  row = jnp.zeros((1, 1), jnp.int32)
  parts = Parts(tokens, one, one, None, row, (tokens,) * layers)
  vectors = {
    "tokens": tokens,
    "parts": parts,
    "decoded": Decoded(parts, row, row),
    **{row.reads: tokens for row in POOLS.values()},
    **{apart(pool): jnp.zeros((1, 1, 3 * width)) for pool in POOLS},
    **{texts(pool): jnp.zeros((1, 1, 2 * width)) for pool in POOLS},
    "own": one,
    "drawn": drawn,
    "sided": Sided(
      jnp.zeros((1, 1, side)), (jnp.zeros((1, 1, side)),) * layers
    ),
  }
  task = dict.fromkeys(columns_of(heads), jnp.zeros((1, 1), jnp.int32))
  made = jax.eval_shape(
    lambda: Heads(tuple(heads)).init(jax.random.key(0), vectors, task)
  )
  flat = traverse_util.flatten_dict(made.get("params", {}), sep="/")
  return {name: leaf.shape for name, leaf in flat.items()}
