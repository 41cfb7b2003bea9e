"""Variants: what they change, what they share, and what they leave alone."""

import json
import re
import shutil

import jax
from ml_collections import ConfigDict
import numpy as np
import pytest

from bam_jax.stages import session
from bam_jax.study import variants
from bam_jax.study.chains import parse
from bam_jax.study.plan import plan, scored
from bam_jax.study.workdir import Workdir
from bam_jax.training import loop
from bam_jax.training.checkpoint import load_params
from configs import common
from tests import small

CHANGES = {
  "lambda_0": {"teacher": {"schedule": "constant", "value": 0.0}},
  "flat": {"multi": {"layer_decay": 1.0, "rate": 5e-3}},
  "alone": {"tasks": "stsb"},
}
STUDENT = "single-to-multi.cola+stsb"
METHODS = "single->multi,single->multi@lambda_0,multi@flat,single->multi@alone"


def study(run, methods=METHODS, changes=CHANGES, **more):
  """Returns the config of small_run with variants."""
  config = small.settings(run.glue, run.encoder, methods=methods, **more)
  config.variants = ConfigDict(changes)
  return config


def opened(config, workdir) -> session.Session:
  return session.opened(config, Workdir(workdir))


def params_of(workdir, run, seed=0):
  return load_params(Workdir(workdir).params(run, seed))[0]


def assert_equal(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope="module")
def varied(small_run):
  """A finished study with variants, made from nothing."""
  workdir = small_run.root / "varied"
  config = study(small_run)
  small.execute(config, workdir)
  return config, workdir


def test_a_variant_is_of_the_last_stage_and_shares_its_teachers():
  methods = plan(
    ["single->multi", "single->multi@x", "multi->multi+finetune@x"],
    ("rte", "cola"),
    outside=(),
    subsets={"x": ("rte", "cola")},
  )
  whole, student = (methods[m] for m in ("single->multi", "single->multi@x"))
  assert whole[:-1] == student[:-1]
  assert student[-1].name == "single-to-multi@x.rte+cola"
  assert (whole[-1].variant, student[-1].variant) == ("", "x")
  assert student[-1].teachers == whole[-1].teachers
  tuned = methods["multi->multi+finetune@x"]
  assert [(run.name, run.variant) for run in tuned] == [
    ("multi.rte+cola", ""),
    ("multi-to-multi.rte+cola", ""),
    ("multi-to-multi+finetune@x.rte", "x"),
    ("multi-to-multi+finetune@x.cola", "x"),
  ]


def test_a_variant_of_some_tasks_answers_for_no_others():
  (runs,) = plan(
    ["multi->multi@x"], ("rte", "cola"), outside=(), subsets={"x": ("cola",)}
  ).values()
  assert [run.name for run in runs] == [
    "multi.rte+cola",
    "multi-to-multi@x.cola",
  ]
  assert scored(runs, "cola") == runs[-1]
  # Its teacher knows rte too, but is not what is asked about.
  assert scored(runs, "rte") is None


@pytest.mark.parametrize("method", ["multi@", "multi@x+finetune"])
def test_a_method_ends_in_the_name_of_a_variant(method):
  with pytest.raises(ValueError, match=r"its name comes last"):
    parse(method, ())


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    ({"teacher": {"valeu": 0.0}}, "did you mean 'teacher.value'?"),
    ({"trials": 3}, "variant x changes trials, which all runs of a study"),
    ({"encoder": "scratch"}, "changes encoder, which all runs"),
    ({"data": {"holdout": 0.1}}, "changes data.holdout, which all runs"),
    ({"teacher": {"files": "cola=W"}}, "changes teacher.files, which"),
    ({"teacher": {"trials": "all"}}, "is one of first, matched, ensemble"),
    ({"variants": {"y": {"seed": 1}}}, "which is no config key"),
    ({"multi": {"rate": "fast"}}, "multi.rate to 'fast', which is no float"),
    ({"multi": {"rate": -1.0}}, "variant x: multi.rate is -1.0; it is above 0"),
    ({"tasks": "rte"}, "none of the study's tasks cola,stsb"),
    ({"tasks": "cola,stbs"}, "did you mean 'stsb'?"),
    ({"tasks": ","}, "variant x trains on no task"),
    ({"sampling": {"kind": "pwoer"}}, "variant x: sampling.kind is 'pwoer'"),
    ({"select": {"by": "average"}}, "variant x: select.by=average needs"),
    (
      {"multi": {"batch_size": 9}},
      "multi.batch_size=9 without packing does not",
    ),
    ({}, "with the keys it changes"),
    (3, "with the keys it changes"),
  ],
)
def test_a_variant_that_cannot_be_is_one_sentence(
  small_run, tmp_path, changes, said
):
  config = study(small_run, "multi@x", {"x": changes}, micro_rows=2)
  with pytest.raises(ValueError, match=re.escape(said)) as error:
    small.execute(config, tmp_path / "W")
  assert "\n" not in str(error.value)
  assert not (tmp_path / "W").exists()


def test_a_misspelt_variant_is_told_the_nearest(small_run, tmp_path):
  config = study(small_run, "single->multi@lamda_0")
  with pytest.raises(ValueError, match=r"did you mean 'lambda_0'\?"):
    small.execute(config, tmp_path / "W")
  assert not (tmp_path / "W").exists()


def test_the_config_of_a_run_has_its_changes_and_no_others(small_run, tmp_path):
  config = study(small_run)
  it = opened(config, tmp_path)
  found = {
    run.variant: {
      key: value
      for key, value in variants.flatten(
        it.experiment.settings(run).config.to_dict()
      ).items()
      if value != variants.flatten(config.to_dict())[key]
    }
    for run in it.experiment.runs
  }
  assert found == {
    "": {},
    "lambda_0": {"teacher.schedule": "constant", "teacher.value": 0.0},
    "flat": {"multi.layer_decay": 1.0, "multi.rate": 5e-3},
    "alone": {"tasks": "stsb"},
  }
  # Asking changes nothing: the next variant starts from the same.
  assert config == study(small_run)


def test_the_library_of_options_of_a_schedule_may_be_new():
  config = common.base()
  options = {"schedule": "cosine", "options": {"decay_steps": 7}}
  config.variants = ConfigDict({"x": {"teacher": options}})
  made = variants.settings(config.lock(), "x")
  assert made.teacher.options.to_dict() == {"decay_steps": 7}
  assert config.teacher.options.to_dict() == {}


def test_what_is_not_varied_has_the_bits_of_a_study_without_variants(
  small_run, varied
):
  _, workdir = varied
  for run in ("single.cola", "single.stsb", STUDENT):
    assert_equal(params_of(workdir, run), params_of(small_run.workdir, run))
    metrics = [
      (place / "runs" / run / "metrics.jsonl").read_bytes()
      for place in (workdir, small_run.workdir)
    ]
    assert metrics[0] == metrics[1]
  hashes = [
    {run.name: it.lineage.content(run, 0) for run in it.experiment.runs}
    for it in (
      opened(study(small_run), workdir),
      opened(small_run.config, small_run.workdir),
    )
  ]
  shared = hashes[0].keys() & hashes[1].keys()
  assert len(shared) == 3
  assert all(hashes[0][name] == hashes[1][name] for name in shared)
  assert len(set(hashes[0].values())) == len(hashes[0])


def test_a_variant_trains_as_a_study_with_its_settings_does(
  small_run, varied, tmp_path
):
  _, workdir = varied
  for variant, method, run in (
    ("lambda_0", "single->multi", "single-to-multi{}.cola+stsb"),
    ("flat", "multi", "multi{}.cola+stsb"),
  ):
    config = study(small_run, method, {})
    with config.unlocked():
      config.update(CHANGES[variant])
    small.execute(config, tmp_path / variant)
    apart = params_of(tmp_path / variant, run.format(""))
    assert_equal(params_of(workdir, run.format(f"@{variant}")), apart)
    base = params_of(small_run.workdir, run.format(""))
    assert not np.array_equal(*(p["pooler"]["kernel"] for p in (apart, base)))


def test_lambda_0_never_sees_gold_in_its_targets(varied):
  _, workdir = varied
  curves = {
    run: [
      row["lambda"]
      for row in map(
        json.loads,
        (workdir / "runs" / run / "metrics.jsonl").read_text().splitlines(),
      )
      if "lambda" in row
    ]
    for run in (STUDENT, "single-to-multi@lambda_0.cola+stsb")
  }
  annealed, pure = curves.values()
  assert set(pure) == {0.0}
  assert annealed[-1] > 0.5


def test_results_hold_a_variant_as_a_method(varied):
  _, workdir = varied
  found = json.loads((workdir / "results.json").read_text())
  assert list(found["methods"]) == METHODS.split(",")
  assert list(found["methods"]["single->multi@alone"]) == ["stsb"]
  # A mean over fewer tasks would stand beside the others.
  assert found["average"]["single->multi@alone"] == []
  assert found["variants"]["flat"] == {
    "multi.layer_decay": 1.0,
    "multi.rate": 5e-3,
  }
  report = (workdir / "report" / "report.md").read_text()
  assert "Single→Multi, lambda 0" in report
  assert "lambda 0: teacher.schedule constant, teacher.value 0.0" in report


def test_a_study_takes_more_variants_but_no_others_of_the_same_name(
  small_run, varied, tmp_path, monkeypatch
):
  _, whole = varied
  workdir = shutil.copytree(whole, tmp_path / "W")
  more = CHANGES | {"half": {"teacher": {"schedule": "constant"}}}
  monkeypatch.setattr(loop, "train", _refuse)
  # All but the new one is there: only that one is trained.
  with pytest.raises(AssertionError, match="single-to-multi@half"):
    small.execute(
      study(small_run, METHODS + ",single->multi@half", more), workdir
    )
  # Left out, and put in again with other values: its runs are still there.
  small.execute(study(small_run, "single->multi", {}), workdir)
  other = {"lambda_0": {"teacher": {"schedule": "constant", "value": 0.1}}}
  before = (workdir / "config.json").read_bytes()
  with pytest.raises(
    ValueError, match=r"variants\.lambda_0\.teacher\.value: 0\.0 there, 0\.1"
  ):
    small.execute(study(small_run, "single->multi@lambda_0", other), workdir)
  assert (workdir / "config.json").read_bytes() == before


def _refuse(job, given, watch, **kwargs):
  raise AssertionError(f"{watch.checkpoints.path} was to be trained")


def test_a_stopped_study_goes_on_and_trial_1_alone_is_trial_1_among_two(
  small_run, tmp_path
):
  def config(**more):
    return study(small_run, "multi@flat", checkpoint_every=2, **more)

  asked = iter(range(1000))
  both = config(trials=2, trials_at_once=2)
  with pytest.raises(loop.Stopped):
    small.execute(both, tmp_path / "both", lambda: next(asked) >= 2)
  small.execute(both, tmp_path / "both")
  small.execute(config(seed=1), tmp_path / "alone")
  among, alone = (
    params_of(tmp_path / name, "multi@flat.cola+stsb", 1)
    for name in ("both", "alone")
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), among, alone
  )
