"""What an encoder hardly reads is said, and warned of where it is much."""

import json

import pytest

from bam_jax.tasks import coverage
from bam_jax.tasks.coverage import Coverage

FOUND = {
  "train": Coverage(rows=3, unknown=0.5, cut=0.02),
  "dev": Coverage(rows=5, unknown=0.01, cut=None),
}


def test_a_line_says_it_of_every_split():
  assert coverage.sentence("rte", FOUND) == (
    "rte: 50.0% of the tokens of train are unknown words and 2.0% of its rows "
    "are cut; 1.0% of the tokens of dev are unknown words"
  )
  assert coverage.parse(coverage.record(FOUND)) == FOUND


@pytest.mark.parametrize(
  ("unknown", "cut", "said"),
  [
    (0.049, 0.099, []),
    (0.05, 0.0, ["5% of the tokens of rte's train rows are words that"]),
    (0.0, 0.1, ["10% of rte's train rows are cut at 32 tokens; raise --conf"]),
    (0.0, None, []),
    (1.0, 1.0, ["100% of the tokens", "100% of rte's train rows are cut"]),
  ],
)
def test_what_is_high_is_a_warning(unknown, cut, said):
  found = {"train": Coverage(rows=7, unknown=unknown, cut=cut)}
  got = list(coverage.warnings("rte", found, 32))
  assert len(got) == len(said)
  assert all(map(str.startswith, got, said))


def test_the_cure_is_the_key_that_cuts():
  found = {"train": Coverage(rows=7, unknown=0.0, cut=0.5)}
  (text,) = coverage.warnings("rte", found, 128, "contrast.max_length")
  assert "cut at 128 tokens; raise --config.contrast.max_length" in text


def test_rows_of_train_are_counted_and_the_first_named():
  found = {
    "dev": Coverage(rows=8, unknown=0.0, cut=0.0, repeated=6, first=(0, 7))
  }
  (text,) = coverage.warnings("rte", found, 32)
  assert text.startswith(
    "6 of rte's 8 dev rows (75.0%) are read like a row of tr"
  )
  assert "0, 7, ..., counted from 0" in text
  again = json.loads(json.dumps(coverage.record(found)))
  assert coverage.parse(again) == found
