"""What comes first: by what settings, from what weights, in what sets."""

import re

from ml_collections import ConfigDict
import pytest

from bam_jax.stages import checks, session
from bam_jax.study import experiment
from bam_jax.study.workdir import Workdir
from bam_jax.tasks import own
from tests import small

VARIANTS = {
  "slow": {"single": {"rate": 1e-5}},
  "some": {"tasks": "cola"},
}


def study(run, methods, **changes):
  config = small.settings(run.glue, run.encoder, methods=methods, **changes)
  config.variants = ConfigDict(VARIANTS)
  config.sets = ConfigDict({"pair": "rte,stsb"})
  return config


def opened(config, tmp_path):
  return session.opened(config, Workdir(tmp_path / "W"))


def test_it_has_settings_of_its_own_where_they_are_said(small_run):
  config = study(
    small_run,
    "rte+single,pair+frozen,rte@slow+single",
    first__rate=3e-4,
    first__epochs=2.0,
  )
  found = experiment.read(config)

  def of(name):
    settings = found.settings(found.run(name))
    return settings.rate, settings.epochs, settings.batch_size

  assert of("first.rte") == (3e-4, 2.0, 8)
  assert of("first.rte+stsb") == (3e-4, 2.0, 8)
  # What a variant says of the same key comes before.
  assert of("first@slow.rte") == (1e-5, 2.0, 8)
  assert of("rte+single.cola") == (1e-2, 3.0, 8)
  plain = experiment.read(study(small_run, "rte+single,pair+frozen"))
  assert plain.settings(plain.run("single.rte")).rate == 1e-2
  assert plain.settings(plain.run("multi.rte+stsb")).epochs == 6.0


def test_the_same_settings_by_another_key_are_the_same_trial(
  small_run, tmp_path
):
  one, two = (
    opened(study(small_run, "rte+single", **said), tmp_path)
    for said in ({"first__rate": 3e-4}, {"single__rate": 3e-4})
  )
  content = [
    here.lineage.content(here.experiment.run(name), 0)
    for here, name in ((one, "first.rte"), (two, "single.rte"))
  ]
  assert content[0] == content[1]
  other = opened(study(small_run, "rte+single"), tmp_path)
  run = other.experiment.run("single.rte")
  assert other.lineage.content(run, 0) != content[0]


def test_a_random_encoder_is_given_nothing_and_is_another_trial(
  small_run, tmp_path
):
  here = opened(study(small_run, "single,random+single,rte+single"), tmp_path)
  run = {name: here.experiment.run(name) for name in (
    "single.cola", "random+single.cola", "rte+single.cola"
  )}  # fmt: skip
  assert here.given(run["random+single.cola"], (0,)) == {}
  assert "bert" in here.given(run["single.cola"], (0,))
  content = {here.lineage.content(each, 0) for each in run.values()}
  assert len(content) == 3
  # Whatever else runs start from.
  done = small_run.workdir / "runs" / "single.cola"
  config = study(small_run, "random+single", init_from=str(done))
  elsewhere = opened(config, tmp_path)
  assert elsewhere.given(run["random+single.cola"], (0,)) == {}


@pytest.mark.parametrize(
  ("methods", "changes", "said"),
  [
    ("single", {"first__rate": 1e-4}, "first.rate is 0.0001, and methods"),
    ("single", {"first__batch_size": -1}, "first.batch_size is -1"),
    ("rte+single", {"first__rate": -1.0}, "first.rate is -1.0; it is 0 or"),
    ("random+single", {"encoder": "scratch"}, "random+, an encoder without"),
    ("rte@some+single", {}, "by variant some, which changes tasks"),
    ("rte@slwo+single", {}, "did you mean 'slow'?"),
    ("pear+single", {}, "did you mean 'pair+single'"),
  ],
)
def test_what_nothing_reads_is_refused(small_run, methods, changes, said):
  config = study(small_run, methods, **changes)
  with pytest.raises(ValueError, match=re.escape(said)):
    checks.settings(experiment.read(config))


def test_a_workdir_takes_more_sets_but_no_others_of_the_same_name(
  small_run, tmp_path
):
  W = Workdir(tmp_path / "W")
  W.open(study(small_run, "pair+single"))
  more = study(small_run, "pair+single")
  more.sets = ConfigDict({"both": "cola,stsb"})
  W.open(more)
  assert W.config().sets.to_dict() == {"pair": "rte,stsb", "both": "cola,stsb"}
  other = study(small_run, "pair+single")
  other.sets = ConfigDict({"both": "cola,rte"})
  with pytest.raises(ValueError, match=r"sets\.both: 'cola,stsb' there, 'cola"):
    W.open(other)


def test_random_is_no_name_of_a_task(tmp_path):
  with pytest.raises(ValueError, match=r"and is not .* or random"):
    own.table({"random": {"train": "a.csv"}}, tmp_path / "t.toml")
