"""The stage before a +: an encoder is trained alone, on rows of its own."""

import json

import jax
import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from bam_jax import export, features
from bam_jax.hf import directory
from bam_jax.runtime.files import flatten
from bam_jax.similarity import cosines
from bam_jax.stages import recipe, session
from bam_jax.study import experiment as experiments
from bam_jax.study import predictions, results, sides
from bam_jax.study.workdir import Workdir
from bam_jax.training import checkpoint, loop
from bam_jax.training.checkpoint import load_params
from configs import less_is_more
from tests import small

STAGE, AFTER = "contrast.stsb", "contrast+single.stsb"
CHANGES = dict(
  methods="contrast+single",
  tasks="stsb",
  max_steps=0,
  checkpoint_every=4,
  # What follows leaves the encoder as it finds it.
  single__rate=1e-30,
  single__epochs=0.2,
  contrast__task="stsb",
  contrast__share=0.4,
  contrast__loss="margin_cosine",
  contrast__pool="mean",
  contrast__max_length=9,
  contrast__batch_size=8,
  contrast__epochs=9.0,
  contrast__patience=2,
  contrast__rate=3e-2,
)


@pytest.fixture(scope="module")
def made(small_run, tmp_path_factory):
  """A study whose encoder is trained on pairs of STS-B first."""
  workdir = tmp_path_factory.mktemp("contrast") / "W"
  config = small.settings(small_run.glue, small_run.encoder, **CHANGES)
  small.execute(config, workdir)
  return config, Workdir(workdir)


def opened(small_run, **changes):
  config = small.settings(
    small_run.glue, small_run.encoder, **(CHANGES | changes)
  )
  return session.opened(config, Workdir(small_run.root / "never"))


def test_the_encoder_alone_is_trained_and_taken_over(small_run, made):
  _, workdir = made
  stage, after = (load_params(workdir.params(n, 0))[0] for n in (STAGE, AFTER))
  jax.tree.map(np.testing.assert_array_equal, stage["bert"], after["bert"])
  assert not stage.get("heads") and set(after["heads"]) == {"stsb"}
  # Nothing reads the pooler there, so that no decay touches it either.
  assert np.array_equal(stage["pooler"]["kernel"], np.eye(16) * 0.5)
  assert moved(small_run, stage) > 1e-3


def test_the_report_does_not_tell_the_pairs_as_rows_of_a_task(small_run, made):
  _, workdir = made
  assert workdir.scores(STAGE)["0"]["coverage"]["stsb"]["train"]["cut"] > 0
  experiment = opened(small_run, tasks="rte").experiment
  assert STAGE in [run.name for run in experiment.runs]
  assert results._coverage(experiment, workdir) == {}


def moved(small_run, params):
  """Returns how far a weight of the encoder is from where it started."""
  _, before, _ = directory.load_encoder(small_run.encoder)
  one, two = (x["bert"]["layer_0"]["up"]["kernel"] for x in (before, params))
  return np.abs(one - two).max()


def test_pairs_of_the_stage_alone_are_cut_by_its_own_key(
  small_run, tmp_path, capsys
):
  changes = CHANGES | dict(tasks="rte", contrast__max_length=4)
  config = small.settings(small_run.glue, small_run.encoder, **changes)
  recipe.tell(session.opened(config, Workdir(tmp_path / "W")))
  said = [x for x in capsys.readouterr().out.splitlines() if " cut at " in x]
  pairs = [x for x in said if "stsb's train" in x]
  assert pairs and all(
    "cut at 4 tokens; raise --config.contrast.max_length" in x for x in pairs
  )
  assert not any("contrast" in x for x in said if "rte's" in x)


def test_dev_ends_it_as_a_plain_loop_would(made):
  config, workdir = made
  lines = (workdir.run(STAGE) / "metrics.jsonl").read_text().splitlines()
  curve = [row for row in map(json.loads, lines) if "scores" in row]
  losses = [row["scores"]["stsb"] for row in curve]
  # 20 of 50 rows, 8 a step.
  assert [row["step"] for row in curve] == [
    3 * (k + 1) for k in range(len(curve))
  ]
  best, waited, ended = np.inf, 0, None
  for epoch, loss in enumerate(losses, 1):
    best, waited = (loss, 0) if loss < best else (best, waited + 1)
    if waited == config.contrast.patience:
      ended = epoch
      break
  assert len(curve) == (ended or config.contrast.epochs)
  entry = workdir.scores(STAGE)["0"]
  assert entry["step"] == 3 * (1 + int(np.argmin(losses)))
  assert entry["scores"]["stsb"]["loss"] == pytest.approx(min(losses))


def test_its_scores_are_of_what_features_and_an_export_give(made, tmp_path):
  _, workdir = made
  run, out = workdir.run(STAGE), tmp_path / "out"
  texts = workdir.path.parent
  kept = predictions.read(predictions.path(run, 0))["stsb", "validation"]
  rows = pairs_of_dev(made[0])
  export.main([f"--run={run}", "--task=stsb", f"--out={out}"])
  vectors = []
  for name, source in (("run", run), ("out", out)):
    columns = []
    for number in (1, 2):
      text, file = texts / f"{name}.tsv", texts / f"{name}.parquet"
      text.write_text("\n".join(["text", *rows[f"sentence{number}"]]) + "\n")
      features.main(
        [
          *(f"--run={source}", "--layers=-1", "--pool=mean"),
          *(f"--input={text}", f"--out={file}"),
          *["--max-length=9"] * (source == out),
        ]
      )
      columns.append(np.stack(pq.read_table(file).column(0).to_numpy()))
    vectors.append(columns)
  np.testing.assert_array_equal(*map(np.stack, vectors))
  near = cosines(*vectors[0])[kept.index]
  np.testing.assert_allclose(kept.logits[:, 0], near, atol=1e-5)
  found = workdir.scores(STAGE)["0"]["scores"]["stsb"]
  want = stats.spearmanr(near, kept.labels).statistic
  assert found["spearman"] == pytest.approx(100 * want, abs=0.01)
  y, d = kept.labels, 1 - near
  loss = (y * d**2 + (1 - y) * np.maximum(0, 0.5 - d) ** 2) / 2
  assert found["loss"] == pytest.approx(100 * loss.mean(), rel=1e-4)


def pairs_of_dev(config):
  import pandas as pd

  return pd.read_csv(f"{config.data.glue_dir}/STS-B/dev.tsv", sep="\t")


def test_what_is_finished_is_not_done_again(made):
  config, workdir = made
  files = list(workdir.path.glob("runs/*/checkpoints/**/*"))
  before = {p: p.stat().st_mtime_ns for p in files}
  small.execute(config, workdir.path)
  assert {p: p.stat().st_mtime_ns for p in before} == before


def test_a_stage_that_was_killed_ends_in_the_same_bits(
  made, tmp_path, monkeypatch
):
  config, workdir = made

  class Killed(BaseException):
    pass

  saves, real = [], checkpoint._items

  def mortal(*args, **kwargs):
    saves.append(1)
    if len(saves) == 2:
      raise Killed
    return real(*args, **kwargs)

  with monkeypatch.context() as patch:
    patch.setattr(checkpoint, "_items", mortal)
    with pytest.raises(Killed):
      small.execute(config, tmp_path / "W")
  again = Workdir(tmp_path / "W")
  assert not again.finished(STAGE, 0)
  small.execute(config, again.path)
  for run in (STAGE, AFTER):
    one, two = (load_params(w.params(run, 0))[0] for w in (workdir, again))
    jax.tree.map(np.testing.assert_array_equal, one, two)
  assert (
    again.scores(STAGE)["0"]["scores"] == (workdir.scores(STAGE)["0"]["scores"])
  )


def test_no_row_is_on_both_sides_and_none_is_lost(small_run):
  here = opened(small_run, data__holdout=0.1)
  runs = here.experiment.runs
  stage, after = (here.rows(run)["stsb"] for run in runs)
  corpus = here.materials.corpus
  (task,) = here.experiment.tasks
  every = {*(corpus.train(task).index % corpus.rows(task))}
  one, two = ({*(rows.index % corpus.rows(task))} for rows in (stage, after))
  assert not one & two and one | two == every
  assert len(one) == round(0.4 * len(every))
  held = {*corpus.scored(task)["holdout"].index}
  assert held and not held & every


def test_other_numbers_of_the_stage_are_another_trial(small_run):
  def contents(**changes):
    here = opened(small_run, **changes)
    return [here.lineage.content(run, 0) for run in here.experiment.runs]

  same, usual = contents(), contents(single__rate=1e-3)
  assert same[0] == usual[0] and same[1] != usual[1]
  for key, value in (("share", 0.3), ("margin", 0.4), ("patience", 3)):
    other = contents(**{f"contrast__{key}": value})
    assert not {*other} & {*same}, key
  alone = contents(methods="single")
  unused = contents(methods="single", contrast__task="")
  assert alone == unused


@pytest.mark.parametrize(
  "methods", ["contrast+multi,contrast+single->multi", "mnli+contrast+single"]
)
def test_methods_share_the_stage(methods):
  config = less_is_more.get_config("smoke")
  config.methods = methods
  runs = experiments.read(config).runs
  names = [run.name for run in runs]
  if methods.startswith("mnli"):
    assert names[:2] == ["single.mnli", "mnli+contrast.quora"]
    assert {run.start for run in runs[2:]} == {names[1]}
    return
  assert names.count("contrast.quora") == 1
  assert names[-1] == "contrast+single-to-multi.sst5+quora+sts"
  assert {run.start for run in runs[1:]} == {"contrast.quora"}
  assert flatten(config.to_dict())["contrast.share"] == 0.15


@pytest.mark.parametrize(
  ("loss", "task"), [("simcse", "rte"), ("simcse_unsupervised", "cola")]
)
def test_every_loss_trains_an_encoder(small_run, tmp_path, loss, task):
  alike = {"contrast__alike": "entailment"} if task == "rte" else {}
  config = small.settings(
    small_run.glue,
    small_run.encoder,
    **(CHANGES | alike),
  )
  config.max_steps = 3
  config.contrast.update(dict(loss=loss, task=task, patience=0))
  small.execute(config, tmp_path / "W")
  workdir = Workdir(tmp_path / "W")
  params = load_params(workdir.params(f"contrast.{task}", 0))[0]
  assert moved(small_run, params) > 1e-3
  entry = workdir.scores(f"contrast.{task}")["0"]
  assert ("spearman" in entry["scores"][task]) == (task == "rte")
  assert 0 < entry["scores"][task]["loss"] < 1000


def test_after_several_stages_the_rows_of_the_largest_are_left_out():
  config = less_is_more.get_config("smoke")
  config.variants = {"big": {"contrast": {"share": 0.5}}}
  config.methods = "contrast@big+contrast+multi"
  experiment = experiments.read(config)
  found = [sides.of(experiment, run) for run in experiment.runs]
  assert [(side.share, side.inside) for side in found] == [
    *((0.5, True), (0.15, True), (0.5, False)),
  ]


def test_a_step_of_the_stage_can_be_looked_at(small_run, tmp_path, capsys):
  from bam_jax import replay

  config = small.settings(small_run.glue, small_run.encoder, **CHANGES)
  config.contrast.update(
    dict(loss="simcse_unsupervised", task="cola", patience=0)
  )
  asked = iter(range(100))
  with pytest.raises(loop.Stopped):
    small.execute(config, tmp_path / "W", lambda: next(asked) >= 3)
  run = tmp_path / "W" / "runs" / "contrast.cola"
  path = run / "checkpoints" / "training-0-0"
  found = replay.replay(path, 3)
  (rows,) = found["index"]
  here = session.opened(config, Workdir(tmp_path / "W"))
  side = sides.of(here.experiment, here.experiment.run("contrast.cola"))
  cola = here.experiment.table["cola"]
  mine = here.materials.texts.side(cola, side, here.experiment.held)
  assert {*rows} <= {*np.flatnonzero(mine)}
  replay.show(found, here, rows=2)
  assert "gradient norms: " in capsys.readouterr().out
