"""What is said of an encoder from scratch is said of the one there is."""

import pytest

from bam_jax.stages import values
from configs import common


@pytest.mark.parametrize(
  ("said", "why"),
  [
    ({"skip": True}, "skip is True, but encoder is google-bert"),
    ({"encoder": "scratch", "filters": 9}, "scratch.kind is bert, which has n"),
    ({"encoder": "scratch", "directions": "both"}, "it is together or apart"),
    ({"encoder": "scratch", "words_width": -1}, "it is from 0 to 10000"),
  ],
)
def test_only_a_bilstm_from_scratch_has_what_one_has(said, why):
  c = common.base()
  c.encoder = said.pop("encoder", c.encoder)
  c.scratch.update(said)
  with pytest.raises(ValueError, match=why):
    values.check(c)
