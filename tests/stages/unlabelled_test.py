"""Texts without labels, from a file to a student; answers part by part."""

import dataclasses
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.special

from bam_jax.data import logits as logits_lib
from bam_jax.data import parts, shards
from bam_jax.stages import evaluate, session, teach, unlabelled, values
from bam_jax.study.leases import Leases
from bam_jax.study.workdir import Workdir
from bam_jax.training import loop
from tests import small

STUDENT, TEACHER = "single-to-multi.mood", "single.mood"
ROWS = {"train": 40, "dev": 16, "more": 37}
REPEATED = 3


def write(folder):
  """Writes a task of two labels, one of numbers, and texts without labels."""
  rng = np.random.default_rng(8)
  texts = {
    name: [" ".join(rng.choice(small.WORDS, size=9)) for _ in range(count)]
    for name, count in ROWS.items()
  }
  texts["more"] += texts["dev"][:REPEATED]
  for name in ("train", "dev"):
    (folder / f"{name}.csv").write_text(
      "text,mood,score\n"
      + "".join(
        f"{t},{'bad' if 'red' in t else 'good'},{len(t)}\n" for t in texts[name]
      )
    )
  (folder / "more.csv").write_text("text\n" + "\n".join(texts["more"]) + "\n")
  both = 'train = "train.csv"\ndev = "dev.csv"\nunlabelled = "more.csv"\n'
  both += 'text = "text"\n'
  (folder / "tasks.toml").write_text(
    f'[mood]\n{both}label = "mood"\nlabels = ["bad", "good"]\n'
    'metric = "accuracy"\nunlabelled_weight = 0.25\n'
    f'[score]\n{both}label = "score"\nrange = [0, 99]\nmetric = "pearson"\n'
  )
  return folder / "tasks.toml"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """Two teachers, and students of both, who have to agree."""
  root = tmp_path_factory.mktemp("unlabelled")
  encoder = small.write_encoder(root / "encoder")
  glue = small.write_glue(root / "glue")
  config = small.settings(
    glue,
    encoder,
    tasks_file=str(write(root)),
    tasks="mood",
    methods="single,single->multi",
    trials=2,
    teacher__trials="ensemble",
    teacher__agreement=1.0,
    max_steps=3,
  )
  small.execute(config, root / "W")
  return SimpleNamespace(root=root, workdir=root / "W", config=config)


def opened(run, workdir=None, **changes):
  config = run.config.copy_and_resolve_references()
  config.update_from_flattened_dict(
    {key.replace("__", "."): value for key, value in changes.items()}
  )
  return session.opened(config, Workdir(workdir or run.workdir))


def test_a_student_learns_from_all_and_a_teacher_from_the_labelled(run):
  it = opened(run)
  teacher, student = (it.experiment.run(n) for n in (TEACHER, STUDENT))
  (alone,) = it.batches(teacher, [0])._pools
  assert len(alone.weight) == ROWS["train"] and (alone.weight == 1).all()
  (pool,) = it.batches(student, [0])._pools
  total = ROWS["train"] + ROWS["more"]
  assert len(pool.weight) == total
  assert (pool.weight[: ROWS["train"]] == 1).all()
  said = [
    logits_lib.read(
      Workdir(run.workdir).teacher(TEACHER, "mood", seed), expected={}
    ).values
    for seed in (0, 1)
  ]
  assert [each.shape for each in said] == [(total, 2)] * 2
  votes = np.stack(said).argmax(-1)[:, ROWS["train"] :]
  np.testing.assert_array_equal(
    pool.weight[ROWS["train"] :], np.where(votes[0] == votes[1], 0.25, 0)
  )
  # The probabilities of both, of which every second row is trusted.
  mean = scipy.special.softmax(said, axis=-1).mean(0)
  sure = mean[ROWS["train"] :].max(-1)
  it = opened(
    run, teacher__agreement=0.0, teacher__confidence=float(np.median(sure))
  )
  (pool,) = it.batches(student, [0])._pools
  trusted = np.flatnonzero(pool.weight[ROWS["train"] :])
  assert abs(len(trusted) - len(sure) / 2) <= 1
  assert set(np.argsort(-sure)[: len(trusted) - 1]) <= set(trusted)


def test_what_is_left_out_is_said(run, capsys):
  it = opened(run, teacher__agreement=0.0)
  (pool,) = it.batches(it.experiment.run(STUDENT), [0])._pools
  assert (pool.weight[ROWS["train"] :] == 0.25).all()
  assert "left out" not in capsys.readouterr().out
  it = opened(run, teacher__confidence=0.999)
  (pool,) = it.batches(it.experiment.run(STUDENT), [0])._pools
  assert (pool.weight[ROWS["train"] :] == 0).all()
  said = capsys.readouterr().out
  assert (
    f"of {ROWS['more']} rows of mood without a label {ROWS['more']}" in said
  )
  assert "by teacher.confidence=0.999 and teacher.agreement=1.0" in said


def test_how_many_there_are_is_in_results_and_report(run):
  found = json.loads((run.workdir / "results.json").read_text())
  train = found["coverage"]["mood"]["train"]
  assert train["rows"] == ROWS["train"] + ROWS["more"]
  assert train["unlabelled"] == ROWS["more"]
  assert "unlabelled" not in found["coverage"]["mood"]["validation"]
  report = (run.workdir / "report" / "report.md").read_text()
  assert f"77 ({ROWS['more']} without a label)" in report


def test_what_made_a_trial_knows_the_filters_and_the_weight(run):
  made = {}
  for name, changes in {
    "here": {},
    "trusting": {"teacher__agreement": 0.0},
    "heavy": {"learn__unlabelled_weight": "2"},
    "usual": {"learn__unlabelled_weight": "1"},
  }.items():
    it = opened(run, **changes)
    made[name] = [
      it.lineage.made_of(it.experiment.run(n), 0) for n in (TEACHER, STUDENT)
    ]
  # Nobody teaches the teacher.
  assert all(each[0] == made["here"][0] for each in made.values())
  assert made["here"][1]["settings.teacher.agreement"] == 1.0
  assert made["here"][1]["learn.mood.unlabelled_weight"] == 0.25
  assert "settings.teacher.agreement" not in made["trusting"][1]
  assert "settings.teacher.confidence" not in made["here"][1]
  assert made["heavy"][1]["learn.mood.unlabelled_weight"] == 2.0
  assert "learn.mood.unlabelled_weight" not in made["usual"][1]


def contents(workdir):
  folder = workdir.teacher(TEACHER, "mood", 0)
  return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def untaught(run, tmp_path, monkeypatch):
  """A copy that has to teach again, in parts of 20 rows."""
  monkeypatch.setattr(shards, "CHUNK", 10)
  monkeypatch.setattr(parts, "SIZE", 20)
  place = shutil.copytree(run.workdir, tmp_path / "W")
  shutil.rmtree(place / "data" / "teachers")
  return place


def test_a_stopped_teacher_goes_on_with_the_next_part_to_the_same_bytes(
  run, untaught, monkeypatch
):
  config = dict(stage="teach", eval_batch_size=8)
  it = opened(run, untaught, **config)
  teach.teach(it)
  whole = contents(it.workdir)
  there = logits_lib.read(it.workdir.teacher(TEACHER, "mood", 0), expected={})
  once = logits_lib.read(
    Workdir(run.workdir).teacher(TEACHER, "mood", 0), expected={}
  )
  np.testing.assert_allclose(there.values, once.values, rtol=1e-5, atol=1e-6)
  shutil.rmtree(untaught / "data" / "teachers")
  # Each part has three batches; it is stopped in the third part.
  asked = iter(range(100))
  stopping = dataclasses.replace(it, stop=lambda: next(asked) >= 7)
  with pytest.raises(loop.Stopped):
    teach.teach(stopping)
  kept = it.workdir.teacher_parts(TEACHER, "mood", 0)
  assert sorted(p.name for p in kept.iterdir()) == ["00000", "00001"]
  assert not it.workdir.teacher(TEACHER, "mood", 0).exists()
  answered, logits = [], evaluate.logits

  def counted(session, run, params, datasets, **how):
    answered.append(len(datasets[0][2]))
    return logits(session, run, params, datasets, **how)

  monkeypatch.setattr(evaluate, "logits", counted)
  teach.teach(it)
  # What is left of the first teacher, and all of the second one.
  assert answered == [20, 17, 20, 20, 20, 17]
  assert contents(it.workdir) == whole
  assert not kept.exists()


def test_commands_that_share_a_study_take_parts_each(run, untaught):
  it = opened(run, untaught, stage="teach", share=True)
  folder = it.workdir.run(TEACHER)
  other = Leases(untaught, share=True)
  with other.hold(folder, "logits-mood-0-1") as mine:
    assert mine
    teach.teach(it)
    kept = it.workdir.teacher_parts(TEACHER, "mood", 0)
    names = sorted(p.name for p in kept.iterdir())
    assert names == ["00000", "00002", "00003"]
    assert not it.workdir.teacher(TEACHER, "mood", 0).exists()
    # The second teacher was nobody's.
    assert it.workdir.teacher(TEACHER, "mood", 1).exists()
    assert it.leases._met
  teach.teach(it)
  shared = contents(it.workdir)
  shutil.rmtree(untaught / "data" / "teachers")
  teach.teach(opened(run, untaught, stage="teach"))
  assert contents(it.workdir) == shared


def test_parts_of_a_command_killed_after_it_joined_them_are_cleared(
  run, untaught
):
  it = opened(run, untaught)
  teach.teach(it)
  left = it.workdir.teacher_parts(TEACHER, "mood", 0)
  other = left.with_name("parts-7")
  for folder in (left, other):
    (folder / "00000").mkdir(parents=True)
  it.workdir.open(it.config)
  # Those of a dataset that is not there yet stay.
  assert not left.exists() and other.exists()


NAN = np.float32([0, np.nan])
GOLD = np.float32([0, 1])


@pytest.mark.parametrize(
  ("changes", "labels", "said"),
  [
    (
      {"teacher__agreement": 0.0, "teacher__confidence": 0.5},
      {"mood": GOLD},
      "confidence is 0.5, which looks at rows without a label that somebody",
    ),
    ({"methods": "single"}, {"mood": NAN}, "agreement is 1.0, which looks at"),
    (
      {"teacher__trials": "first"},
      {"mood": NAN},
      "agreement is 1.0, and one alone teaches mood; have several trials",
    ),
    ({"trials": 1}, {"mood": NAN}, "and one alone teaches mood"),
    (
      {"tasks": "mood,score"},
      {"mood": NAN, "score": NAN},
      "rows of score without a label are taught numbers, of which",
    ),
  ],
)
def test_filters_that_could_do_nothing_are_refused(run, changes, labels, said):
  with pytest.raises(ValueError, match=said):
    unlabelled.check(opened(run, **changes).experiment, labels)


def test_filters_look_at_what_they_can(run, capsys):
  unlabelled.check(opened(run).experiment, {"mood": NAN})
  # Numbers that are all labelled are none of their business.
  both = opened(run, tasks="mood,score").experiment
  unlabelled.check(both, {"mood": NAN, "score": GOLD})
  assert not capsys.readouterr().out


def test_rows_that_nobody_teaches_are_said(run, capsys):
  it = opened(run, methods="single,multi", teacher__agreement=0.0)
  unlabelled.check(it.experiment, {"mood": NAN})
  said = capsys.readouterr().out
  assert "warning: 1 rows of mood have no label, and nobody teaches" in said
  assert "unlabelled_weight of mood is not looked at" in said


@pytest.mark.parametrize(
  ("key", "value", "said"),
  [
    ("teacher__confidence", 1.0, "a share, from 0 to below 1"),
    ("teacher__confidence", -0.1, "a share, from 0 to below 1"),
    ("teacher__agreement", 1.5, "from 0 to 1"),
    ("teacher__agreement", float("nan"), "from 0 to 1"),
  ],
)
def test_what_no_share_is_is_refused(run, key, value, said):
  with pytest.raises(ValueError, match=f"{key.replace('__', '.')} is .*{said}"):
    values.check(opened(run, **{key: value}).config)
