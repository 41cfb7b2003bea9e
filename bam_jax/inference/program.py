"""The forward pass of some heads as one function of arrays, to be written."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from bam_jax.data.fields import EXAMPLE
from bam_jax.inference import model as inference


def forward(
  model: inference.Model, tasks: Sequence[str]
) -> Callable[..., dict[str, jax.Array]]:
  """Returns (tokens, types, positions, segments) -> what each head says.

  The arrays are i32[B, S], one example a row. What comes back is task ->
  f32[B, C], or f32[B, S, C] where words are answered.

  Args:
    model: whose parameters become constants.
    tasks: names of heads.
  """
  numbers = {spec: i for i, spec in enumerate(model.net.heads)}
  params = jax.tree.map(jnp.asarray, dict(model.trained.params))

  def run(tokens, types, positions, segments):
    said = {}
    for asked in model.passes(tasks):
      slots = jnp.array([numbers[spec] for spec in asked], jnp.int32)
      task = jnp.broadcast_to(slots, (tokens.shape[0], len(asked)))
      batch = {
        "tokens": tokens,
        "types": types,
        "positions": positions,
        "segments": segments,
        "cls": jnp.zeros_like(task),
        "task": task,
      }
      out = model.net.apply({"params": params}, batch, train=False)
      for slot, spec in enumerate(asked):
        mine = out[spec.space][..., : spec.outputs]
        said[spec.name] = mine[:, slot] if spec.space == EXAMPLE else mine
    return {name: said[name] for name in tasks}

  return run
