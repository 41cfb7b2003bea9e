"""results.json from scores and kept logits; nothing is trained here."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from bam_jax.stats import compare, crossed, multibootstrap
from bam_jax.study import predictions, results
from bam_jax.study.plan import plan
from bam_jax.study.predictions import Predictions
from bam_jax.study.workdir import Workdir
from bam_jax.tasks import metrics
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import get_tasks
from bam_jax.training.settings import Settings
from configs import common

TASKS = ("rte", "stsb")
ROWS = {"rte": 30, "stsb": 20}
METHODS = ("single", "multi")


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
  monkeypatch.setattr(multibootstrap, "DRAWS", 199)


def answers(task, seed, skill):
  rng = np.random.default_rng([seed, ROWS[task.name]])
  n = ROWS[task.name]
  index = rng.permutation(n)
  labels = (index % 2 if task.labels else index / n).astype(np.float32)
  gold = np.eye(2)[index % 2] if task.labels else labels[:, None]
  noise = rng.normal(0, 1, gold.shape)
  logits = (skill * gold + noise).astype(np.float32)
  return Predictions(index, logits, labels)


def trained(path, trials=10, split="validation", kept=METHODS):
  """A working directory as it is after training, and its experiment."""
  workdir = Workdir(path)
  tasks = get_tasks(TASKS)
  methods = plan(METHODS, TASKS, outside=(), subsets={})
  runs = [run for runs in methods.values() for run in runs]
  for run in runs:
    method = run.name.split(".")[0]
    for seed in range(trials):
      logits, entry = {}, {"scores": {}, "examples": {}}
      for task in get_tasks(run.tasks):
        rows = answers(task, seed, 1 + METHODS.index(method))
        logits[task.name, split] = rows
        found = metrics.scores(task, rows.logits, rows.labels)
        entry["scores"][task.name] = found
        entry["examples"][task.name] = len(rows.labels)
      workdir.record(run.name, seed, entry)
      if method in kept:
        predictions.write(predictions.path(workdir.run(run.name), seed), logits)
  config = common.base()
  config.encoder, config.trials = "tiny", trials
  config.data.holdout = 0.1 * (split == "holdout")
  return SimpleNamespace(
    config=config,
    workdir=workdir,
    trained_tasks=tasks,
    methods=methods,
    runs=runs,
    settings=lambda run: Settings.of(config, run.kind),
    seeds=tuple(range(trials)),
  )


def gathered(experiment):
  return results.gather(experiment, experiment.workdir)


def test_kept_logits_bring_the_multi_bootstrap_and_calibration(tmp_path):
  found = gathered(trained(tmp_path))
  tests = {(t["test"], t["task"]): t for t in found["tests"]}
  kinds = {kind for kind, _ in tests}
  assert kinds == set(compare.TESTS)
  # The average is of no dev set of its own.
  assert ("multi-bootstrap", "average") not in tests
  for task in get_tasks(TASKS):
    a, b = (
      predictions.together(
        {
          str(seed): answers(task, seed, 1 + METHODS.index(method))
          for seed in range(10)
        }
      )
      for method in ("multi", "single")
    )
    predicted = KINDS[task.kind].predicted
    expected = multibootstrap.multi_bootstrap(
      predicted(task, a.logits, None),
      predicted(task, b.logits, None),
      a.labels,
      task.headline,
      paired_seeds=True,
      draws=199,
    )
    test = tests["multi-bootstrap", task.name]
    assert test["p"] == expected.p
    assert test["difference"][0] == pytest.approx(expected.difference.value)
    parts = [
      crossed.pseudo_values(
        predicted(task, each.logits, None),
        each.labels,
        task.headline,
      )
      for each in (a, b)
    ]
    test = tests["crossed-effects", task.name]
    assert test["p"] == pytest.approx(crossed.compare(*parts).p)
    test = tests["multi-bootstrap", task.name]
    means = [
      np.mean(found["methods"][method][task.name]["scores"])
      for method in ("multi", "single")
    ]
    assert test["difference"][0] == pytest.approx(means[0] - means[1])
  # Of RTE alone: STS-B is a regression.
  assert [list(found["calibration"][m]) for m in METHODS] == [["rte"], ["rte"]]
  assert len(found["calibration"]["multi"]["rte"]["ece"]) == 10
  rows = {(row["task"], row["b"]) for row in found["differences"]}
  assert rows == {(task, "single") for task in ("average", *TASKS)}
  json.loads(json.dumps(found, allow_nan=False))


@pytest.mark.parametrize(
  ("changes", "multi", "calibrated"),
  [
    ({"trials": 9}, False, ["single", "multi"]),
    ({"trials": 3}, False, ["single", "multi"]),
    ({"kept": ("multi",)}, False, ["multi"]),
    ({"kept": ()}, False, []),
    ({"split": "holdout"}, True, ["single", "multi"]),
  ],
)
def test_what_is_kept_decides(tmp_path, changes, multi, calibrated):
  found = gathered(trained(tmp_path, **changes))
  kinds = {t["test"] for t in found["tests"]}
  assert ("multi-bootstrap" in kinds) == multi
  assert {"paired-t", "sign-flip", "bootstrap", "mann-whitney-u"} <= kinds
  # It does with any number of trials from three on.
  assert ("crossed-effects" in kinds) == (len(calibrated) == 2)
  assert list(found["calibration"]) == calibrated


def test_claims_of_the_directory_are_tested(tmp_path):
  experiment = trained(tmp_path, kept=())
  assert "claims" not in results.gather(experiment, experiment.workdir)
  experiment.config.claims = "multi > single; multi >= single on rte"
  experiment.config.claims_margin = 2.5
  experiment.workdir.open(experiment.config)
  # A later command need not type them again.
  experiment.config.claims, experiment.config.claims_margin = "", 1.0
  found = results.gather(experiment, experiment.workdir)
  assert [row["claim"] for row in found["claims"]] == [
    *("multi > single", "multi >= single on rte"),
  ]
  assert found["claims"][1]["margin"] == 2.5
  # 10 trials of three runs had scores when they were named.
  assert found["claims_named"][0]["scored"] == 30
  assert [row["a"] for row in found["noninferiority"]] == ["multi"]
  # One report has one margin, that of the claims.
  assert found["noninferiority"][0]["margin"] == 2.5
  assert found["overall"]["tasks"] == list(TASKS)
  json.loads(json.dumps(found, allow_nan=False))


def test_a_trial_without_logits_leaves_its_method_out(tmp_path):
  experiment = trained(tmp_path)
  predictions.path(experiment.workdir.run("multi.rte+stsb"), 4).unlink()
  found = gathered(experiment)
  assert list(found["calibration"]) == ["single"]


def test_logits_of_other_scores_are_refused(tmp_path):
  experiment = trained(tmp_path)
  file = predictions.path(experiment.workdir.run("single.rte"), 3)
  other = answers(get_tasks(["rte"])[0], 3, 9.0)
  predictions.write(file, {("rte", "validation"): other})
  with pytest.raises(
    ValueError, match="logits of single on rte are not those that were scored"
  ):
    gathered(experiment)


def test_logits_of_another_split_are_refused(tmp_path):
  experiment = trained(tmp_path)
  file = predictions.path(experiment.workdir.run("single.rte"), 3)
  (rows,) = predictions.read(file).values()
  predictions.write(file, {("rte", "holdout"): rows})
  with pytest.raises(ValueError, match=r"seed-3.npz has no rte/validation"):
    gathered(experiment)


def logs(experiment, steps=12):
  """Writes what the runs of an experiment would have logged."""
  for run in experiment.runs:
    file = experiment.workdir.run(run.name) / "metrics.jsonl"
    lines = [
      {
        "step": step,
        "seed": seed,
        "rate": 0.1,
        "lambda": 0.2,
        "task_loss": dict.fromkeys(run.tasks, seed + step / 4),
      }
      for seed in (*experiment.seeds, 99)
      for step in range(4 - (seed == 99), steps + 1, 4)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_runs_bring_their_curves_and_schedules(tmp_path):
  experiment = trained(tmp_path, trials=3, kept=())
  logs(experiment)
  found = gathered(experiment)
  assert found["scored"]["multi"] == dict.fromkeys(TASKS, "multi.rte+stsb")
  assert found["scored"]["single"]["stsb"] == "single.stsb"
  assert set(found["curves"]) == {run.name for run in experiment.runs}
  curve = found["curves"]["multi.rte+stsb"]["loss"]["stsb"]
  # Seed 99 is no trial of this experiment.
  assert curve == {
    "step": [4, 8, 12],
    "seeds": [0, 1, 2],
    "values": [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0], [3.0, 4.0, 5.0]],
  }
  assert found["schedules"]["multi"]["step"] == list(range(12))
  assert max(found["schedules"]["multi"]["rate"]) == pytest.approx(1e-4)
  assert found["device"]["count"] >= 1
  json.loads(json.dumps(found, allow_nan=False))


def test_the_same_study_elsewhere_gives_the_same_but_for_times(tmp_path):
  twice = []
  for name, seconds in (("a", 1.5), ("b", 2.5)):
    experiment = trained(tmp_path / name, trials=3)
    logs(experiment)
    for run in experiment.runs:
      for seed, entry in experiment.workdir.scores(run.name).items():
        more = {"seconds": seconds, "step": 12}
        experiment.workdir.record(run.name, int(seed), entry | more)
    twice.append(gathered(experiment))
  one, other = twice
  assert one.pop("seconds") != other.pop("seconds")
  assert json.dumps(one) == json.dumps(other)


@pytest.mark.parametrize(
  ("words", "shown"),
  [
    (
      ["-m", "bam_jax.main", "--workdir=a b"],
      "-m bam_jax.main '--workdir=a b'",
    ),
    (["--config.hub_token=abc"], "'--config.hub_token=***'"),
    (["--password", "abc", "x"], "--password '***' x"),
    (["https://me:abc@host/x"], "'https://***@host/x'"),
    (["--config.encoder=hf_abcABC123456"], "'--config.encoder=***'"),
    # Neither of these is a secret.
    (["--config.max_length=9", "data/tokens"], None),
  ],
)
def test_a_command_is_exact_but_for_secrets(words, shown):
  found = results.command(["/somewhere/bin/python3", *words])
  assert found == f"python {shown or ' '.join(words)}"
