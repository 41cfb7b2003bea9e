"""The number of an array: any change is seen, and nothing else counts."""

import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.training.fingerprint import fingerprint


@pytest.mark.parametrize(
  "change",
  [
    lambda x: x.at[1, 2].add(1),
    lambda x: x.at[1, 2].set(-x[1, 2]),
    lambda x: x[::-1],
    lambda x: x.T.reshape(x.shape),
    lambda x: jnp.roll(x, 1),
  ],
)
@pytest.mark.parametrize("kind", ["float32", "bfloat16", "int32", "uint8"])
def test_the_fingerprint_sees_values_and_their_places(change, kind):
  x = jnp.arange(1, 13).reshape(3, 4).astype(kind)
  assert fingerprint({"x": change(x)}) != fingerprint({"x": x})


def test_the_fingerprint_does_not_depend_on_the_devices_order_of_adding():
  x = np.random.default_rng(0).normal(size=(6, 50)).astype(np.float32)
  word = (
    x.view(np.uint32)
    * (2 * np.arange(300, dtype=np.uint32) + 1).reshape(x.shape)
  ).astype(np.uint32)
  want = int((word ^ (word >> 15)).sum(dtype=np.uint32))
  assert fingerprint({"a": {"b": x}}) == {"a/b": want}
