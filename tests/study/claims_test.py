"""What a study claims: read first, kept, and never changed unseen."""

import json

import pytest

from bam_jax.runtime.files import read_json
from bam_jax.stats.claims import Claim
from bam_jax.study import claims as study_claims
from bam_jax.study.workdir import Workdir
from bam_jax.tasks.table import get_tasks
from configs import common


def test_claims_stand_in_their_order():
  text = " single->multi  > multi ;multi >= single; multi@x > single on rte;"
  assert study_claims.parse(text) == (
    Claim("single->multi", ">", "multi"),
    Claim("multi", ">=", "single"),
    Claim("multi@x", ">", "single", "rte"),
  )
  assert study_claims.parse("") == ()
  assert str(study_claims.parse(text)[2]) == "multi@x > single on rte"


@pytest.mark.parametrize(
  ("text", "said"),
  [
    ("single->multi", "claims has 'single->multi'; a claim is 'METHOD > METH"),
    ("multi < single", "claims has 'multi < single'; a claim is"),
    ("multi > single on", "claims has 'multi > single on'; a claim is"),
    ("multi > multi", "a method against itself"),
    ("multi > single; multi  > single", "'multi > single' twice; name it once"),
    ("single->mutli > multi", "did you mean 'single->multi'?"),
    ("multi > single on rtee", "did you mean 'rte'?"),
  ],
)
def test_what_is_no_claim_is_said(text, said):
  methods = ("single", "multi", "single->multi")
  with pytest.raises(ValueError, match="claims has") as error:
    study_claims.check(text, methods, get_tasks(("rte", "cola")))
  assert said in str(error.value)


def opened(path, claims="", margin=1.0, trials=5, reuse=""):
  config = common.base()
  config.claims, config.claims_margin = claims, margin
  config.trials, config.reuse = trials, reuse
  place = Workdir(path)
  place.open(config)
  return place


def test_claims_are_kept_with_what_was_known_when_they_were_named(tmp_path):
  place = opened(tmp_path / "W", "multi > single", trials=2)
  first = {"claims": "multi > single", "margin": 1.0, "trials": 2, "scored": 0}
  assert place.claims() == [first]
  for seed in range(2):
    place.record("multi.rte", seed, {"scores": {}})
  # Not typed again they stay; typed otherwise it is seen.
  opened(place.path, "", trials=2)
  opened(place.path, "multi   > single", trials=2)
  assert place.claims() == [first]
  kept = read_json(place.file, cure="")
  assert kept["config"]["claims"] == "multi > single"
  opened(place.path, "single > multi", margin=0.5, trials=2)
  other = {"claims": "single > multi", "margin": 0.5, "trials": 2, "scored": 2}
  assert place.claims() == [first, other]
  # More trials after some were seen are a change too.
  opened(place.path, trials=3)
  assert place.claims()[2:] == [other | {"trials": 3}]
  json.dumps(place.claims())


def test_trials_to_be_reused_were_seen_too(tmp_path):
  opened(tmp_path / "A").record("multi.rte", 0, {"scores": {}})
  place = opened(tmp_path / "B", "multi > single", reuse=str(tmp_path / "A"))
  assert place.claims()[0]["scored"] == 1


def test_a_study_without_claims_has_none(tmp_path):
  place = opened(tmp_path)
  assert place.claims() == []
  assert read_json(place.file, cure="")["config"]["claims"] == ""
