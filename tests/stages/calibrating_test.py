"""Calibration end to end: rows held out, fitted, kept, exported, acted on."""

import dataclasses
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import scipy

import bam_jax
from bam_jax import export, label_next, predict
from bam_jax.stages import session
from bam_jax.study import predictions
from bam_jax.study.workdir import Workdir
from bam_jax.tasks import calibration
from bam_jax.tasks.calibration import SPLIT
from tests import small
from tests.stages import multilabel_test

RUN = "multi.cola+there+stsb"
LABELS = multilabel_test.LABELS


@pytest.fixture(scope="module")
def run(tmp_path_factory, compiled):
  """Two trials of classes, several labels and numbers, and their parts."""
  root = tmp_path_factory.mktemp("calibrating")
  toml, _ = multilabel_test.write(root)
  config = small.settings(
    small.write_glue(root / "glue"),
    small.write_encoder(root / "encoder"),
    tasks_file=str(toml),
    tasks="cola,there,stsb",
    methods="multi",
    max_length=12,
    max_steps=40,
    trials=2,
    calibration__share=0.3,
    calibration__threshold="there=f1",
  )
  small.execute(config, root / "W")
  folder = root / "W" / "runs" / RUN
  return SimpleNamespace(
    root=root, config=config, workdir=root / "W", folder=folder
  )


def scores(run):
  return json.loads((run.folder / "scores.json").read_text())


def test_held_out_rows_are_not_trained_on_and_dev_is_scored(run):
  it = session.opened(run.config, Workdir(run.workdir))
  corpus, texts = it.materials.corpus, it.materials.texts
  for task in it.experiment.trained_tasks:
    assert list(corpus.scored(task)) == ["validation"]
    if task.name == "stsb":
      # A number has no probability, so nothing is held out for it.
      assert corpus.fitted(task) is None
      assert len(corpus.train(task)) == 2 * small.ROWS["train"]
      continue
    held, trained = corpus.fitted(task), corpus.train(task)
    (column,) = texts.see(task, task.train).texts
    out, kept = ({column[i] for i in x.index} for x in (held, trained))
    assert out and kept and out.isdisjoint(kept)
    assert len(held) + len(trained) == len(column)
    for seed in it.experiment.seeds:
      said = predictions.read(predictions.path(run.folder, seed))
      np.testing.assert_array_equal(said[task.name, SPLIT].index, held.index)
      np.testing.assert_array_equal(said[task.name, SPLIT].labels, held.labels)


def test_each_trial_keeps_what_its_held_out_rows_alone_say(run):
  it = session.opened(run.config, Workdir(run.workdir))
  table = {task.name: task for task in it.experiment.trained_tasks}
  found = scores(run)
  temperatures = set()
  for seed in it.experiment.seeds:
    entry = found[str(seed)]
    said = predictions.read(predictions.path(run.folder, seed))
    assert set(entry["calibration"]) == {"cola", "there"}
    assert SPLIT not in " ".join(entry["scores"]["there"])
    for name, kept in entry["calibration"].items():
      rows = said[name, SPLIT]
      made, _ = calibration.fit(
        table[name], rows.logits, rows.labels, it.experiment.rules.get(name)
      )
      assert dataclasses.asdict(made) == {
        key: kept[key] for key in ("temperature", "thresholds")
      }
      assert kept["rows"] == len(rows.index)
      temperatures.add(kept["temperature"])
    assert set(entry["calibration"]["there"]["thresholds"]) == set(LABELS)
    assert entry["calibration"]["cola"]["thresholds"] == {}
  assert len(temperatures) > 2


def test_a_finished_run_is_not_fitted_again(run):
  file = run.folder / "scores.json"
  before = file.stat().st_mtime_ns, file.read_bytes()
  small.execute(run.config, run.workdir)
  assert (file.stat().st_mtime_ns, file.read_bytes()) == before


def test_the_report_has_both_sides_of_it(run):
  found = json.loads((run.workdir / "results.json").read_text())
  cells = found["calibration"]["multi"]
  assert "stsb" not in cells
  assert "thresholds" not in cells["cola"]["fitted"]
  made = cells["there"]["fitted"]
  # The same by a formula of its own.
  dev = predictions.read(predictions.path(run.folder, 1))["there", "validation"]
  kept = scores(run)["1"]["calibration"]["there"]
  chances = scipy.special.expit(np.float64(dev.logits) / kept["temperature"])
  least = np.array([kept["thresholds"][name] for name in LABELS])
  gold = dev.labels == 1
  for way, cut in (("half", 0.5), ("fitted", least)):
    holds = chances >= cut
    micro = 200 * (holds & gold).sum() / (holds.sum() + gold.sum())
    assert made["thresholds"][way]["f1"][1][-2] == pytest.approx(micro)
  loss = -np.log(np.where(gold, chances, 1 - chances)).mean()
  assert made["after"]["nll"][1] == pytest.approx(loss)
  right = ((chances >= least) == gold).all(1).mean()
  assert made["coverage"][1][-1] == pytest.approx(right)
  # One half is what all other scores are by.
  record = found["methods"]["multi"]["there"]["all"]["micro_f1"]
  assert [row[-2] for row in made["thresholds"]["half"]["f1"]] == (
    pytest.approx(record)
  )
  text = (run.workdir / "report" / "report.md").read_text()
  assert "AURC" in text and "one half → threshold" in text
  assert (run.workdir / "report" / "abstention.png").is_file()


def asked(capsys, *flags):
  """Returns what predict writes on a few rows, and what it says."""
  capsys.readouterr()
  predict.main(["--no-header", *map(str, flags)])
  said = capsys.readouterr()
  return [json.loads(line) for line in said.out.splitlines()], said.err


TEXTS = ["the bird", "tree and dog", "no", "old dog", "a red cat sees"]


@pytest.fixture
def file(tmp_path):
  path = tmp_path / "rows.csv"
  path.write_text("".join(f"{text}\n" for text in TEXTS))
  return path


def test_answers_are_calibrated_from_the_run_and_from_its_export(
  run, file, tmp_path, capsys
):
  out = tmp_path / "model"
  export.main(
    [f"--run={run.folder}", "--task=all", "--trial=1", f"--out={out}"]
  )
  card = (out / "README.md").read_text()
  assert "## Calibration" in card and "less the share of 0.3" in card
  kept = scores(run)["1"]["calibration"]["there"]
  logits = bam_jax.load(out).logits(["there"], [TEXTS])["there"]
  chances = scipy.special.expit(np.float64(logits) / kept["temperature"])
  holds = chances >= [kept["thresholds"][name] for name in LABELS]
  for folder in (f"--run={run.folder}", f"--run={out}"):
    trial = ["--trial=1"] if "runs" in folder else []
    got, _ = asked(capsys, folder, *trial, "--task=there", f"--input={file}")
    for row, mine, held in zip(got, chances, holds, strict=True):
      np.testing.assert_allclose([*row["probabilities"].values()], mine, 1e-4)
      assert row["labels"] == list(np.array(LABELS)[held])
  # transformers' own directory of one task has it too.
  alone = tmp_path / "alone"
  export.main([f"--run={run.folder}", "--task=there", f"--out={alone}"])
  (head,) = bam_jax.load(alone).heads.values()
  assert set(head.calibration.thresholds) == set(LABELS)


def test_predict_abstains_below_a_probability(run, file, capsys):
  plain, _ = asked(
    capsys, f"--run={run.folder}", "--task=cola", f"--input={file}"
  )
  sure = sorted(row["probabilities"][row["label"]] for row in plain)
  least = (sure[1] + sure[2]) / 2
  flags = f"--run={run.folder}", "--task=cola", f"--input={file}"
  got, said = asked(capsys, *flags, f"--abstain={least}")
  for row, was in zip(got, plain, strict=True):
    assert row["probabilities"] == was["probabilities"]
    if was["probabilities"][was["label"]] < least:
      assert row["label"] is None and row["abstained"] is True
    else:
      assert row == was
  assert "2 of 5 answers abstain" in said and "not calibrated" not in said
  predict.main(
    [
      *(f"--run={run.folder}", "--task=all", f"--input={file}"),
      *("--abstain=1", "--output-format=csv", "--no-header"),
    ]
  )
  header, *rows = capsys.readouterr().out.splitlines()
  assert header.startswith("cola,cola:")
  assert all(row.startswith(",") and ",," in row for row in rows)


def test_trials_are_tempered_before_they_disagree(run, tmp_path, capsys):
  file = tmp_path / "rows.csv"
  file.write_text("\n".join(["sentence", *TEXTS]))
  label_next.main(
    [f"--run={run.folder}", "--task=cola", f"--input={file}", "--most=5"]
  )
  lines = capsys.readouterr().out.splitlines()
  (row,) = [x for x in map(json.loads, lines) if x["row"] == 0]
  models = [bam_jax.load(run.folder, trial=seed) for seed in (0, 1)]
  each = [model("cola", TEXTS[:1])[0].probabilities for model in models]
  for name, chance in row["answer"]["probabilities"].items():
    assert chance == pytest.approx(np.mean([x[name] for x in each]), abs=1e-5)
  # All trials say the same where they are asked by predict.
  flags = f"--run={run.folder}", "--trial=all", f"--input={file}"
  predict.main([*flags, "--task=cola"])
  (first, *_) = capsys.readouterr().out.splitlines()
  said = json.loads(first)
  assert said.pop("disagreement") == pytest.approx(
    row["disagreement"], abs=1e-6
  )
  assert said == row["answer"]
  with pytest.raises(SystemExit):
    predict.main([*flags, "--task=cola", "--output-format=csv"])
  assert "has no column" in capsys.readouterr().err
  predict.main([*flags, "--task=all", "--no-header"])
  said = capsys.readouterr()
  assert set(json.loads(said.out.splitlines()[0])) == {"cola", "there"}
  assert "stsb read other texts" in said.err and "from one half on" in said.err


def test_runs_answer_by_their_mean(run, tmp_path, capsys):
  file = tmp_path / "rows.csv"
  file.write_text("\n".join(["sentence", *TEXTS]))
  folders = []
  for best in "01":
    folder = tmp_path / f"W{best}" / "runs" / RUN
    shutil.copytree(run.folder, folder)
    shutil.copy(run.workdir / "config.json", folder.parents[1])
    found = scores(run)
    for seed, entry in found.items():
      entry["scores"]["cola"] = {"matthews": float(seed == best)}
    (folder / "scores.json").write_text(json.dumps(found))
    folders.append(f"--run={folder}")
  flags = ["--task=cola", f"--input={file}"]
  predict.main([*folders, *flags])
  by_runs = capsys.readouterr().out
  predict.main([f"--run={run.folder}", "--trial=all", *flags])
  assert by_runs == capsys.readouterr().out
  predict.main([*folders, "--trial=1", *flags])
  assert json.loads(capsys.readouterr().out.splitlines()[0])[
    "disagreement"
  ] == pytest.approx(0, abs=1e-7)
  with pytest.raises(SystemExit):
    predict.main([folders[0], folders[0], *flags])
  assert "is given twice" in capsys.readouterr().err


def test_other_thresholds_take_the_same_trials_over(run, tmp_path):
  config = run.config.copy_and_resolve_references()
  config.reuse = str(run.workdir)
  config.calibration.threshold = "cola=precision=1.0,there=precision=0.6"
  small.execute(config, tmp_path / "W2")
  entry = Workdir(tmp_path / "W2").scores(RUN)["0"]
  assert entry["taken_from"]
  was = scores(run)["0"]["calibration"]
  for name, found in entry["calibration"].items():
    assert found["temperature"] == was[name]["temperature"]
    assert found["thresholds"] != was[name]["thresholds"]


def test_a_spoilt_calibration_is_refused(run, tmp_path):
  folder = tmp_path / "W" / "runs" / RUN
  shutil.copytree(run.folder, folder)
  shutil.copy(run.workdir / "config.json", tmp_path / "W")
  found = scores(run)
  found["0"]["calibration"]["there"]["temperature"] = -1
  (folder / "scores.json").write_text(json.dumps(found))
  with pytest.raises(ValueError, match=r"calibration of trial 0 that is none"):
    bam_jax.load(folder, trial=0)
