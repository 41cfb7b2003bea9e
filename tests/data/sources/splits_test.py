"""A split is all of its files: named, matched by a pattern, or shards."""

import pytest

from bam_jax.data.sources import own as own_files
from bam_jax.data.sources import splits
from tests.data.sources.own_test import HEAD, task_of

TRAIN = [f"data/train-{n:05}-of-00003.parquet" for n in range(3)]
DEV = "data/validation-00000-of-00001.parquet"


def csv(folder, name, *texts):
  (folder / name).write_text(HEAD + "".join(f"{t},a,no\n" for t in texts))


@pytest.mark.parametrize(
  ("train", "texts"),
  [
    (["b.csv", "a.csv"], ["y", "z", "x"]),
    ("*.csv", ["x", "y", "z"]),
    ("[ab].csv", ["x", "y", "z"]),
    (["b.csv", "*.csv"], ["y", "z", "x"]),
    ("a.csv", ["x"]),
  ],
)
def test_files_and_patterns_are_read_one_after_the_other(
  tmp_path, train, texts
):
  csv(tmp_path, "a.csv", "x")
  csv(tmp_path, "b.csv", "y", "z")
  found = own_files.read(task_of(tmp_path, train=train), "train")
  assert found.texts[0] == texts
  more = " and 1 more" if len(texts) > 1 else ""
  assert found.origin.endswith(f".csv{more}")


def test_a_name_that_looks_like_a_pattern_is_the_file(tmp_path):
  csv(tmp_path, "a[1].csv", "x")
  csv(tmp_path, "a1.csv", "y")
  found = own_files.read(task_of(tmp_path, train="a[1].csv"), "train")
  assert found.texts[0] == ["x"]


def test_a_pattern_without_a_file_and_a_directory_are_refused(tmp_path):
  with pytest.raises(
    FileNotFoundError, match=r"no file matches .*\*\.csv, whi"
  ):
    splits.files(task_of(tmp_path, train="*.csv"), "train")
  (tmp_path / "data").mkdir()
  with pytest.raises(
    ValueError, match=r"data is a directory; name its files, "
  ):
    splits.files(task_of(tmp_path, train="data"), "train")


@pytest.fixture
def asked(monkeypatch):
  """What is downloaded of a hub; `there` has its files, None = no list."""
  found = type(
    "Asked", (), {"there": [*TRAIN, DEV, ".gitattributes"], "names": []}
  )

  def listed(repository, revision):
    if found.there is None:
      raise ConnectionError("cannot list")
    return tuple(found.there)

  def download(repository, name, revision, *, cure):
    assert repository == "me/pets" and revision == "main"
    found.names.append(name)
    return splits.Path("/cache") / name

  monkeypatch.setattr(splits.hub, "listed", listed)
  monkeypatch.setattr(splits.hub, "download", download)
  return found


def hub_task(folder, **changes):
  entry = {"hub": "me/pets", "config": "data", "train": "train"}
  return task_of(folder, **entry | {"dev": "validation"} | changes)


@pytest.mark.parametrize(
  ("train", "names"),
  [
    ("train", TRAIN),
    ("data/train-*.parquet", TRAIN),
    ("data/train-*", TRAIN),
    (TRAIN[::-1], TRAIN[::-1]),
    ("**/train*", TRAIN),
  ],
)
def test_a_split_of_the_hub_is_all_of_its_files(
  tmp_path, asked, caplog, train, names
):
  splits.files(hub_task(tmp_path, train=train), "train")
  assert asked.names == names and not caplog.text


@pytest.mark.parametrize(
  "there",
  [
    ["data/train-00000-of-00001-0123456789abcdef.parquet"],
    ["data/train.csv"],
    ["data/train.jsonl.gz"],
    ["data/train/0000.parquet", "data/train/0001.parquet"],
  ],
)
def test_a_split_is_found_in_every_layout_of_the_hub(tmp_path, asked, there):
  asked.there = [*there, "data/train_extra.csv", "other/train.csv"]
  splits.files(hub_task(tmp_path), "train")
  assert asked.names == there


@pytest.mark.parametrize(
  ("train", "first"),
  [(TRAIN[0], TRAIN[1]), (TRAIN[:2], TRAIN[2]), ("data/*1-of*", TRAIN[0])],
)
def test_a_part_of_the_shards_is_told(tmp_path, asked, caplog, train, first):
  splits.files(hub_task(tmp_path, train=train), "train")
  assert f"without {first}" in caplog.text
  assert "train = 'data/train-*-of-00003*.parquet' reads all" in caplog.text


def test_shards_of_a_folder_are_told_too(tmp_path, caplog):
  csv(tmp_path, "t-0-of-2.csv", "x")
  splits.files(task_of(tmp_path, train="t-0-of-2.csv"), "train")
  assert "t-1-of-2.csv; train = " in caplog.text


def test_a_split_that_is_not_whole_or_not_there_is_refused(tmp_path, asked):
  asked.there = [*TRAIN[:1], *TRAIN[2:]]
  with pytest.raises(
    ValueError, match=f"lacks files of train of pets: {TRAIN[1]}"
  ):
    splits.files(hub_task(tmp_path), "train")
  with pytest.raises(
    ValueError, match="no split in 'data' called 'validation'"
  ):
    splits.files(hub_task(tmp_path), "validation")
  with pytest.raises(ValueError, match=r"no file like '\*\.csv', which is dev"):
    splits.files(hub_task(tmp_path, dev="*.csv"), "validation")


def test_a_mirror_without_lists_serves_a_split_of_one_file(
  tmp_path, asked, caplog
):
  asked.there = None
  splits.files(hub_task(tmp_path), "train")
  assert asked.names == ["data/train-00000-of-00001.parquet"]
  assert "train is taken for one file" in caplog.text
  with pytest.raises(ConnectionError, match="cannot list"):
    splits.files(hub_task(tmp_path, train="data/*"), "train")


GROUPED = "question,answer,verdict,story\n" + "".join(
  f"q{i},a{i},{'yes' if i % 2 else 'no'},{story}\n"
  for i, story in enumerate([*"aaaabbbbccccddddeeeeffff"])
)


def test_a_share_of_dev_tears_no_group_apart(tmp_path):
  (tmp_path / "pets.csv").write_text(GROUPED)
  stories = dict(row.split(",")[::3] for row in GROUPED.split("\n")[1:-1])
  sides = {}
  for group in ("story", None):
    task = task_of(tmp_path, dev=None, dev_share=0.35, group=group)
    train, dev = (own_files.read(task, split) for split in task.splits)
    sides[group] = [{stories[q] for q in x.texts[0]} for x in (train, dev)]
    assert len(train) + len(dev) == 24
    assert [stories[q] for q in train.texts[0]] == [*train.groups] or not group
  assert not set.intersection(*sides["story"]) and len(sides["story"][1]) == 2
  assert set.intersection(*sides[None])


def test_equal_rows_of_two_groups_come_to_one_side(tmp_path):
  (tmp_path / "pets.csv").write_text(
    GROUPED + "q0,a0,no,f\nq5,a5,yes,f\nq9,a9,no,f\nq13,a13,yes,f\n"
  )
  task = task_of(tmp_path, dev=None, dev_share=0.1, group="story")
  train, dev = (own_files.read(task, split) for split in task.splits)
  assert len(dev) == 4 and len(train) == 24
  assert {*dev.groups} == {"e"}


@pytest.mark.parametrize(
  ("group", "text", "said"),
  [
    ("storey", GROUPED, "no column 'storey', only .*; did you mean 'story'"),
    (
      "story",
      GROUPED.replace(",b\n", ",\n", 1),
      "line 6, column 'story': this r",
    ),
  ],
)
def test_a_group_that_no_row_names_is_refused(tmp_path, group, text, said):
  (tmp_path / "pets.csv").write_text(text)
  for split in ("train", "validation"):
    with pytest.raises(ValueError, match=said):
      own_files.read(
        task_of(tmp_path, dev=None, dev_share=0.3, group=group), split
      )


def test_a_group_changes_what_the_rows_are(tmp_path):
  (tmp_path / "pets.csv").write_text(GROUPED)
  plain, told = (
    own_files.read(task_of(tmp_path, group=group), "train")
    for group in (None, "story")
  )
  assert plain.fingerprint != told.fingerprint
