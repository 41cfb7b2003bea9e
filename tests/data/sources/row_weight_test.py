"""What a row counts is read from a column, kept, and met in the batches."""

import json

import numpy as np
import pytest

from bam_jax.data.sources import own as own_files
from bam_jax.stages import lessons, session
from bam_jax.study.workdir import Workdir
from bam_jax.tasks import own
from tests import small

ENTRY = {
  "train": "a.jsonl",
  "dev_share": 0.3,
  "text": "text",
  "label": "label",
  "labels": ["no", "yes"],
  "row_weight": "sure",
  "metric": "accuracy",
}


def write(folder, sure, suffix="jsonl"):
  """Writes rows of few words, with what each counts; returns their texts."""
  rng = np.random.default_rng(2)
  texts = [
    " ".join(rng.choice(small.WORDS, size=rng.integers(3, 9))) for _ in sure
  ]
  rows = [
    {"text": text, "label": ["no", "yes"][i % 2], "sure": each}
    for i, (text, each) in enumerate(zip(texts, sure, strict=True))
  ]
  (folder / f"a.{suffix}").write_text("\n".join(map(json.dumps, rows)) + "\n")
  return texts


def test_a_batch_has_it_beside_class_weight_and_the_tasks_own(tmp_path):
  rng = np.random.default_rng(1)
  sure = [round(float(x), 3) for x in rng.uniform(0.2, 5, 43)]
  known = dict(zip(write(tmp_path, sure), sure, strict=True))
  entry = ENTRY | {"class_weight": [1, 3], "weight": 2.0}
  lines = [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
  (tmp_path / "t.toml").write_text("\n".join(["[mine]", *lines]) + "\n")
  c = small.settings(
    small.write_glue(tmp_path / "glue"),
    small.write_encoder(tmp_path / "encoder"),
    tasks_file=str(tmp_path / "t.toml"),
    tasks="mine,cola",
    methods="multi",
    max_length=16,
    data__packing=True,
  )
  found = session.opened(c, Workdir(tmp_path / "W"))
  (run,) = found.experiment.runs
  task, other = found.experiment.tasks_of(run)
  corpus = found.materials.corpus
  rows = {each.name: corpus.train(each) for each in (task, other)}
  texts = found.materials.texts.see(task, "train").texts[0]
  wanted = np.float32([known[text] for text in texts])
  assert len({*texts}) == len(texts) and 10 < len(texts) < 43
  assert rows["mine"].weights.tolist() == wanted.tolist()
  assert rows["cola"].weights is None
  taken = rows["mine"].take(np.array([7, 2]))
  assert taken.weights.tolist() == wanted[[7, 2]].tolist()
  batches = lessons.batches(
    found.experiment,
    run,
    (0,),
    rows=rows,
    targets=None,
    frame=lessons.Frame(16, 1),
  )
  seen = set()
  for k in range(len(batches)):
    batch = {name: array[0] for name, array in batches[k].items()}
    for b, e in np.argwhere(batch["task"] >= 0):
      count, index = batch["weight"][b, e], batch["index"][b, e]
      if batch["task"][b, e] == 1:
        assert count == 1
        continue
      by_class = (1, 3)[int(batch["label"][b, e])]
      assert count == pytest.approx(2 * by_class * wanted[index])
      seen.add(int(index))
  assert len(seen) > 9


@pytest.mark.parametrize("value", [0, -1, "x", None, True, float("nan"), 1e999])
def test_what_is_no_number_above_0_is_refused(tmp_path, value):
  write(tmp_path, [1, value, 0.5, 2])
  task = own.table({"mine": ENTRY}, tmp_path / "t.toml")["mine"]
  with pytest.raises(ValueError, match=r"line 2.*'sure'.*no number above 0"):
    own_files.read(task, "train")
  # Nobody asks what a row counts that is only scored.
  assert len(own_files.read(task, "validation").texts[0]) == 1


def test_a_row_that_is_ignored_counts_nothing_and_need_not_say_it(tmp_path):
  write(tmp_path, [1, 0.5, 3, 2])
  path = tmp_path / "a.jsonl"
  lines = path.read_text().splitlines()
  lines.append('{"text": "no cat", "label": "-", "sure": "?"}')
  path.write_text("\n".join(lines))
  entry = {key: x for key, x in ENTRY.items() if key != "dev_share"}
  entry |= {"ignore": ["-"], "dev": "a.jsonl"}
  task = own.table({"mine": entry}, tmp_path / "t.toml")["mine"]
  assert own_files.read(task, "train").weights.tolist() == [1, 0.5, 3, 2]


def test_other_weights_are_other_data(tmp_path):
  task = own.table({"mine": ENTRY}, tmp_path / "t.toml")["mine"]
  prints = []
  for sure in ([1, 1, 1, 1], [1, 1, 1, 2]):
    write(tmp_path, sure)
    prints.append(own_files.read(task, "train").fingerprint)
  assert prints[0] != prints[1]


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"row_weight": "label"}, "is a column that is read as text or label"),
    ({"row_weight": 3}, "row_weight"),
    ({"row_weigth": "sure"}, "did you mean 'row_weight'?"),
    ({"kind": "tagging"}, "row_weight = 'sure' is for tasks of other kinds"),
  ],
)
def test_what_cannot_be_said_is_refused(tmp_path, changes, message):
  entry = ENTRY | changes
  with pytest.raises(ValueError, match="row_weig") as error:
    own.table({"mine": entry}, tmp_path / "t.toml")
  assert message in str(error.value)


def test_a_column_that_is_not_there_is_named(tmp_path):
  write(tmp_path, [1, 1, 1, 1])
  task = own.table(
    {"mine": ENTRY | {"row_weight": "sur"}}, tmp_path / "t.toml"
  )["mine"]
  with pytest.raises(ValueError, match=r"'sur'.*did you mean 'sure'"):
    own_files.read(task, "train")
