"""Texts without labels: behind the labelled ones, and never those of dev."""

import re

import numpy as np
import pytest

from bam_jax.data import corpus, holdout
from bam_jax.data.sources import readers, unlabelled
from bam_jax.tasks import own as own_tasks

TRAIN = "q,a,label,doc\none,x,no,A\ntwo,y,yes,B\nthree,z,no,C\n"
DEV = "q,a,label,doc\nfour,x,yes,D\n"
MORE = "a,q\nx,four\nx,one\nfour,x\nv,five\nw,six\nv,five\n"


def task_of(folder, **changes):
  entry = {
    "train": "train.csv",
    "dev": "dev.csv",
    "unlabelled": "more.csv",
    "text": ["q", "a"],
    "label": "label",
    "labels": ["no", "yes"],
    "metric": "accuracy",
  } | changes
  entry = {key: value for key, value in entry.items() if value is not None}
  return own_tasks.table({"pairs": entry}, folder / "my.toml")["pairs"]


def read(folder, train=TRAIN, more=MORE, scored=DEV, **changes):
  for name, text in (("train", train), ("more", more), ("dev", scored)):
    (folder / f"{name}.csv").write_text(text)
  task = task_of(folder, **changes)
  load = [readers.load(task, s, glue_dir="", seed=0) for s in task.splits]
  return unlabelled.joined(task, load[0], load[1:])


def test_they_stand_behind_train_without_those_of_dev(tmp_path, caplog):
  found = read(tmp_path)
  assert found.texts[0] == ["one", "two", "three", "x", "five", "six", "five"]
  assert found.texts[1] == ["x", "y", "z", "four", "v", "w", "v"]
  np.testing.assert_array_equal(found.labels, [0, 1, 0, *[np.nan] * 4])
  said = "leaves out 1 rows without a label whose text stands in validation"
  assert f"{said}, and 1 that stand in train" in caplog.text
  assert found.fingerprint != read(tmp_path, more=MORE + "q,q\n").fingerprint


def test_of_a_symmetric_task_either_order_is_the_same_text(tmp_path):
  found = read(tmp_path, symmetric=True)
  assert found.texts[0][3:] == ["five", "six", "five"]


def test_dev_that_is_a_share_of_train_is_held_against_them(tmp_path):
  train = "q,a,label\n" + "".join(
    f"t{i},x,{('no', 'yes')[i % 2]}\n" for i in range(9)
  )
  more = "q,a\n" + "".join(f"t{i},x\n" for i in range(9)) + "new,x\n"
  shares = {"dev": None, "dev_share": 0.3}
  found = read(tmp_path, train, more, **shares)
  assert len(found) == 7 and found.texts[0][-1] == "new"


def test_a_group_of_dev_has_no_text_among_them(tmp_path):
  train = "q,a,label,doc\n" + "".join(
    f"t{i},x,{('no', 'yes')[i % 2]},D{i // 3}\n" for i in range(12)
  )
  more = "q,a,doc\n" + "".join(f"u{i},x,D{i}\n" for i in range(4)) + "v,x,E\n"
  changes = {"dev": None, "dev_share": 0.3}
  found = read(tmp_path, train, more, **changes, group="doc")
  kept = set(found.groups[:9])
  assert len(kept) == 3
  assert set(found.groups[9:]) == kept | {"E"}
  # Without that column each is a group of its own.
  more = "q,a\nu0,x\nu1,x\n"
  found = read(tmp_path, train, more, **changes, group="doc")
  assert len(set(found.groups[9:])) == 2 and len(found) == 11


def test_rows_of_train_may_be_without_a_label_if_that_is_said(tmp_path, caplog):
  train = TRAIN + "four,x,,E\nfive,v,,E\n"
  with pytest.raises(ValueError, match="pairs has no label"):
    read(tmp_path, train, unlabelled=None)
  found = read(tmp_path, train, unlabelled=True)
  assert found.texts[0] == ["one", "two", "three", "five"]
  assert np.isnan(found.labels).tolist() == [False] * 3 + [True]
  assert "have no label and learn from a teacher alone" in caplog.text


def test_what_judges_say_of_them_is_read_and_the_unjudged_left_out(tmp_path):
  train = "q,a,label,n,y\none,x,no,0.9,0.1\ntwo,y,yes,,\n"
  more = "q,a,n,y\nfive,v,0.2,0.8\nsix,w,,\n"
  judges = {"gpt": {"columns": ["n", "y"]}}
  found = read(tmp_path, train, more, judges=judges)
  assert found.texts[0] == ["one", "two", "five"]
  np.testing.assert_allclose(np.exp(found.soft[2]), [0.2, 0.8], rtol=1e-6)
  with pytest.raises(ValueError, match="no row of it has an answer of a judge"):
    read(tmp_path, train, MORE, judges=judges)


@pytest.mark.parametrize(
  ("more", "said"),
  [
    ("q,b\none,x\n", "there is no column 'a', only ['q', 'b']"),
    ("q,a\n", "more.csv holds no rows"),
    ("q,a\nfour,x\n", "no row without a label is left of pairs"),
    ("q,a\n ,\n,\n", "has no text in any row"),
    ("q,a\none\n", "1 columns instead of 2"),
  ],
)
def test_bad_files_are_refused(tmp_path, more, said):
  with pytest.raises(ValueError, match=re.escape(said)):
    read(tmp_path, more=more)
  with pytest.raises(FileNotFoundError, match="no file"):
    read(tmp_path, unlabelled="gone.csv")


def test_a_hold_out_is_a_share_of_labelled_rows_with_their_equals(tmp_path):
  train = "q,a,label\n" + "".join(
    f"t{i},x,{('no', 'yes')[i % 2]}\n" for i in range(20)
  )
  # Equal but for capitals and spaces, which a hold-out does not see.
  more = "q,a\n" + "".join(f"T{i} ,x\nu{i},x\n" for i in range(20))
  found = read(tmp_path, train, more)
  task = task_of(tmp_path)
  texts = corpus.Texts(lambda task, split: found)
  out = texts.holdout(task, holdout.Part(asked=0.25))
  mask = out.mask
  # Other unlabelled rows are drawn too, and are not held out.
  assert "and 0 kept rows are a part of one" in out.sentence
  held = np.flatnonzero(mask[:20])
  assert len(held) == 5
  assert np.flatnonzero(mask[20:]).tolist() == [2 * i for i in held]
  # Of rows that are all labelled nothing is another one.
  ones = np.ones(60, bool)
  one, other = (
    holdout.hold_out(task, found.texts, 0.25, among=among).mask
    for among in (None, ones)
  )
  np.testing.assert_array_equal(one, other)


def test_all_tasks_of_a_table_have_the_same_rows(tmp_path):
  texts = "text,topic,mood,n,y\n"
  (tmp_path / "train.csv").write_text(
    texts + "a,p,no,0.9,0.1\nb,s,,,\nc,,yes,0.1,0.9\nd,s,,,\n"
  )
  (tmp_path / "dev.csv").write_text(texts + "e,p,no,,\nd,s,yes,,\n")
  (tmp_path / "more.csv").write_text("text\ne\nf\na\ng\n")
  (tmp_path / "my.toml").write_text(
    '[[table]]\ntrain = "train.csv"\ndev = "dev.csv"\n'
    'unlabelled = "more.csv"\ntext = "text"\n'
    '[table.labels.topic]\nlabels = ["p", "s"]\nunlabelled_weight = 0.5\n'
    '[table.labels.mood]\nlabels = ["no", "yes"]\n'
    '[table.labels.mood.judges.gpt]\ncolumns = ["n", "y"]\n'
  )
  path = tmp_path / "my.toml"
  found = {}
  for name, task in own_tasks.table(own_tasks.read(path), path).items():
    load = [readers.load(task, s, glue_dir="", seed=0) for s in task.splits]
    found[name] = unlabelled.joined(task, load[0], load[1:])
  assert found["topic"].texts == found["mood"].texts == (list("abcdfg"),)
  assert np.isnan(found["topic"].labels).tolist() == [0, 0, 1, 0, 1, 1]
  assert np.isnan(found["mood"].labels).tolist() == [0, 1, 0, 1, 1, 1]
  assert np.isnan(found["mood"].soft[:, 0]).tolist() == [0, 1, 0, 1, 1, 1]


def test_of_a_table_nothing_is_held_out_for_texts_that_nobody_labelled(
  tmp_path,
):
  (tmp_path / "train.csv").write_text(
    "text,topic,mood\n" + "".join(f"t{i},p,no\n" for i in range(20))
  )
  (tmp_path / "dev.csv").write_text("text,topic,mood\ne,p,no\nd,s,yes\n")
  # Equal but for capitals, which a hold-out does not see.
  more = "".join(f"T{i}\nu{i}\n" for i in range(20))
  (tmp_path / "more.csv").write_text(f"text\n{more}")
  path = tmp_path / "my.toml"
  path.write_text(
    '[[table]]\ntrain = "train.csv"\ndev = "dev.csv"\n'
    'unlabelled = "more.csv"\ntext = "text"\n'
    '[table.labels.topic]\nlabels = ["p", "s"]\n'
    '[table.labels.mood]\nlabels = ["no", "yes"]\n'
  )
  masks = []
  for task in own_tasks.table(own_tasks.read(path), path).values():
    load = [readers.load(task, s, glue_dir="", seed=0) for s in task.splits]
    found = unlabelled.joined(task, load[0], load[1:])
    texts = corpus.Texts(lambda task, split, found=found: found)
    part = holdout.Part("calibration.share", 0.25)
    masks.append(texts.holdout(task, part).mask)
  np.testing.assert_array_equal(*masks)
  held = np.flatnonzero(masks[0][:20])
  assert len(held) == 5
  assert np.flatnonzero(masks[0][20:]).tolist() == [2 * i for i in held]
