"""A soup is the mean of trials that began alike, and is scored on dev."""

import json

import jax
import numpy as np
import pytest
from scipy.stats import spearmanr

import bam_jax
from bam_jax import soup
from bam_jax.stages import soups
from bam_jax.training.checkpoint import load_params
from tests import small

RUN = "multi.cola+stsb"


@pytest.fixture(scope="module")
def run(small_run, tmp_path_factory):
  workdir = tmp_path_factory.mktemp("soup") / "W"
  config = small.settings(
    small_run.glue,
    small_run.encoder,
    methods="multi,single",
    trials=3,
    init_seed=5,
    calibration__share=0.3,
  )
  small.execute(config, workdir)
  return workdir / "runs" / RUN


def params_of(run, seed):
  return load_params(run / "checkpoints" / f"seed-{seed}")[0]


def make(run, out, *flags):
  soup.main([f"--run={run}", f"--out={out}", *flags])


def test_trials_that_draw_alike_begin_with_the_same_heads(run, small_run):
  """At a rate of nearly nothing what is kept is what was drawn."""

  def first(workdir, **changes):
    config = small.settings(
      small_run.glue,
      small_run.encoder,
      methods="multi",
      trials=2,
      multi__rate=1e-30,
      **changes,
    )
    small.execute(config, workdir)
    trials = [params_of(workdir / "runs" / RUN, n) for n in range(2)]
    return [each["heads"]["cola"]["kernel"] for each in trials]

  alike = first(run.parents[1] / "alike", init_seed=5)
  apart = first(run.parents[1] / "apart")
  np.testing.assert_array_equal(*alike)
  assert np.abs(apart[0] - apart[1]).max() > 1e-3


def test_a_uniform_soup_is_the_mean_and_answers(run, tmp_path, capsys):
  make(run, tmp_path / "mean")
  said = capsys.readouterr().out
  trials = [params_of(run, n) for n in range(3)]
  assert np.ptp([each["heads"]["cola"]["kernel"] for each in trials], 0).max()
  model = bam_jax.load(tmp_path / "mean")
  want = jax.tree.map(
    lambda *x: np.mean(np.stack(x).astype(np.float64), 0), *trials
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7),
    model.trained.params,
    want,
  )
  scores = model.trained.about["scores"]
  for name, metric in (("cola", "matthews"), ("stsb", "spearman")):
    mine = scores[name][metric]
    assert f"{name}: {metric} {mine:.1f}; trials " in said
  card = (tmp_path / "mean/README.md").read_text()
  assert "a uniform soup) of the trials (seeds) 0, 1, 2 of the run" in card


def test_what_is_printed_is_what_the_written_model_scores(
  run, small_run, tmp_path, capsys
):
  make(run, tmp_path / "mean")
  dev = (small_run.glue / "STS-B/dev.tsv").read_text().splitlines()[1:]
  _, one, two, gold = zip(*(row.split("\t") for row in dev), strict=True)
  said = bam_jax.load(tmp_path / "mean")("stsb", one, two)
  found = 100 * spearmanr([each.value for each in said], [*map(float, gold)])[0]
  assert f"stsb: spearman {found:.1f}; trials " in capsys.readouterr().out


def test_the_report_has_what_all_trials_say_together(run, small_run):
  dev = (small_run.glue / "STS-B/dev.tsv").read_text().splitlines()[1:]
  _, one, two, gold = zip(*(row.split("\t") for row in dev), strict=True)
  said = [
    [each.value for each in bam_jax.load(run, trial=n)("stsb", one, two)]
    for n in range(3)
  ]
  want = 100 * spearmanr(np.mean(said, 0), [*map(float, gold)])[0]
  found = json.loads((run.parents[1] / "results.json").read_text())
  together = found["ensembles"]["multi"]
  assert together["stsb"] == pytest.approx(want)
  assert together["average"] == pytest.approx(
    (together["stsb"] + together["cola"]) / 2
  )
  page = (run.parents[1] / "report/report.md").read_text("utf-8")
  median = np.median(found["methods"]["multi"]["stsb"]["scores"])
  assert f"{want:.1f} ({want - median:+.1f})" in page


def test_a_greedy_soup_takes_what_does_not_make_it_worse():
  """Scores of sets of weights 1, 2, 4 are set, so the choice is known."""
  params = {seed: {"x": np.float32([2.0**seed])} for seed in (0, 1, 2)}
  # Alone 5, 9, 7; the best and 2: 8, worse; the best and 0: 9, no worse.
  scores = {1.0: 5, 2.0: 9, 4.0: 7, 3.0: 8, 1.5: 9}
  found = soups.chosen(
    (0, 1, 2), params, lambda tree: scores[float(tree["x"][0])]
  )
  assert found == (1, 0)


def test_a_greedy_soup_is_chosen_on_held_out_rows(run, tmp_path, capsys):
  make(run, tmp_path / "greedy", "--kind=greedy")
  about = bam_jax.load(tmp_path / "greedy").trained.about
  trials = about["soup"]["trials"]
  assert about["soup"]["kind"] == "greedy" and set(trials) <= {0, 1, 2}
  assert f"the mean of trials {', '.join(map(str, trials))}" in (
    capsys.readouterr().out
  )
  assert about["calibration"]["cola"]["rows"] > 0


@pytest.mark.parametrize(
  ("which", "flags", "says"),
  [
    ("small", [], "1 is finished; train more: --config.trials=5"),
    ("apart", [], "--config.init_seed=0"),
    ("alike", ["--kind=greedy"], "--config.calibration.share=0.1, or take"),
    ("single", ["--kind=greedy"], "of stsb none are"),
    ("none", [], "is no run, and a soup is made of"),
  ],
)
def test_what_makes_no_soup_is_a_sentence(
  run, small_run, tmp_path, capsys, which, flags, says
):
  path = {
    "small": small_run.workdir / "runs" / RUN,
    "apart": run.parents[1] / "apart/runs" / RUN,
    "alike": run.parents[1] / "alike/runs" / RUN,
    "single": run.parent / "single.stsb",
    "none": tmp_path,
  }[which]
  with pytest.raises(SystemExit) as ended:
    make(path, tmp_path / "out", *flags)
  assert ended.value.code == 2
  assert says in capsys.readouterr().err
  assert not (tmp_path / "out").exists()
