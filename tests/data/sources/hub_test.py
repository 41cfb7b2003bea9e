"""Splits of hub data sets, from a server that the hub's own client asks."""

import json

import pyarrow as pa
from pyarrow import parquet
import pytest

from tests import served

PETS, NAMES = "me/pets", ["no", "maybe", "yes"]
# Reads each task of a tasks file; what is said of it on the way goes along.
READ = """
import json, logging, sys
from pathlib import Path
from absl import logging as absl_logging
from bam_jax.data.sources import own
from bam_jax.runtime import hub
from bam_jax.tasks import own as tasks
said = []
absl_logging.use_absl_handler()
absl_logging.get_absl_logger().handlers = []
class Keep(logging.Handler):
  def emit(self, record):
    said.append(record.getMessage())
absl_logging.get_absl_logger().addHandler(Keep())
file = Path(sys.argv[1])
out = {"listed": hub.listed("me/pets", "main")}
for name, task in tasks.table(tasks.read(file), file).items():
  for split in task.splits:
    del said[:]
    try:
      found = own.read(task, split)
      labels = [task.labels[int(i)] for i in found.labels]
      out[f"{name}/{split}"] = [found.texts[0], labels, said[:]]
    except (OSError, ValueError) as error:
      out[f"{name}/{split}"] = str(error)
print(json.dumps(out))
"""
README = """\
---
license: mit
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
  - split: validation
    path: ["data/dev-a.csv", "data/dev-b.csv"]
- config_name: short
  data_dir: extra
  data_files: [x.csv, "sub/*.csv"]
- config_name: far
  data_files: https://example.org/far.csv
- config_name: gone
  data_files: {train: extra/x.csv, test: "nothing-*.csv"}
- config_name: odd
  sep: ";"
  data_files: extra/x.csv
---
# Pets
"""


def shard(path, texts, labels):
  """Writes a shard as the hub has it: class numbers, named beside."""
  info = {"features": {"label": {"names": NAMES, "_type": "ClassLabel"}}}
  rows = pa.table({"text": texts, "label": labels})
  path.parent.mkdir(parents=True, exist_ok=True)
  parquet.write_table(
    rows.replace_schema_metadata({"huggingface": json.dumps({"info": info})}),
    path,
  )


def csv(path, *texts):
  path.parent.mkdir(parents=True, exist_ok=True)
  rows = zip(texts, ["yes", "no", "maybe"], strict=False)
  path.write_text("text,label\n" + "".join(f"{t},{x}\n" for t, x in rows))


@pytest.fixture(scope="module")
def there(tmp_path_factory):
  """A served data set of three shards and more; a cache beside it."""
  root = tmp_path_factory.mktemp("hub")
  pets = root / PETS
  for i, texts in enumerate((["a", "b"], ["c"], ["d", "e", "f"])):
    file = pets / f"data/train-{i:05}-of-00003.parquet"
    shard(file, texts, [(i + j) % 3 for j in range(len(texts))])
  csv(pets / "data/dev-a.csv", "g", "h")
  csv(pets / "data/dev-b.csv", "i")
  csv(pets / "data/test.csv", "j")
  csv(pets / "alone/train.csv", "k")
  csv(pets / "extra/x.csv", "l")
  csv(pets / "extra/sub/y.csv", "m", "n")
  csv(pets / "extra/sub/z.txt", "not a row")
  (pets / "README.md").write_text(README)
  with served.hub(root) as server:
    yield server, root.parent


@pytest.fixture
def read(there, tmp_path):
  """Reads tasks that differ from one of the default config."""
  server, _ = there

  def run(offline=False, home=None, **tasks):
    entry = {
      "hub": PETS,
      "train": "train",
      "dev": "validation",
      "text": "text",
      "label": "label",
      "labels": NAMES,
      "metric": "accuracy",
    }
    lines = [
      line
      for name, changes in tasks.items()
      for line in (
        f"[{name}]",
        *(f"{k} = {json.dumps(v)}" for k, v in (entry | changes).items()),
      )
    ]
    (tmp_path / "t.toml").write_text("\n".join(lines))
    done = served.run(
      server,
      home or tmp_path / "home",
      *("-c", READ, str(tmp_path / "t.toml")),
      offline=offline,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])

  return run


def test_splits_of_a_served_data_set_are_all_of_their_files(there, read):
  train = [[*"abcdef"], ["no", "maybe", "maybe", "yes", "no", "maybe"], []]
  dev = [["g", "h", "i"], ["yes", "no", "yes"], []]
  tasks = {
    # By the README, by the folder, by pattern, by names.
    "default": {"config": "default"},
    "folder": {"config": "data", "dev": "test"},
    "pattern": {"train": "data/train-*.parquet", "dev": "data/dev-?.csv"},
    "first": {
      "train": "data/train-00000-of-00003.parquet",
      "dev": "data/*.csv",
    },
  }
  found = read(**tasks)
  assert found.pop("listed")[:2] == ["README.md", "alone/train.csv"]
  part, _ = found["first/train"].pop()
  assert "without data/train-00001-of-00003.parquet and 1 more" in part
  assert found == {
    "default/train": train,
    "default/validation": dev,
    "folder/train": train,
    "folder/validation": [["j"], ["yes"], []],
    "pattern/train": train,
    "pattern/validation": dev,
    "first/train": [["a", "b"], ["no", "maybe"]],
    "first/validation": [["g", "h", "i", "j"], ["yes", "no", *["yes"] * 2], []],
  }
  # From the cache alone it is the same, and said.
  again = read(offline=True, default={"config": "default"})
  assert again["default/train"][:2] == train[:2]
  assert (
    "the files of it in the cache are taken" in again["default/train"][2][0]
  )


def test_what_a_readme_says_of_files_is_followed_or_said(read):
  dev = {"dev": "data/test.csv"}
  found = read(
    short={"config": "short", **dev},
    far={"config": "far", **dev},
    gone={"config": "gone", "dev": "test"},
    odd={"config": "odd", **dev},
    alone={"config": "alone", **dev},
    none={"config": "default", "dev": "dev"},
  )
  texts, labels, said = found["short/train"]
  assert (texts, labels) == (["l", "m", "n"], ["yes", "yes", "no"])
  assert "no training row of short" in said.pop() and not said
  assert found["far/train"].endswith(
    "t.toml: the README.md of me/pets says of 'far': data_files has "
    "'https://example.org/far.csv', which lies elsewhere; give files in place "
    "of the split 'train', such as 'alone/train.csv'"
  )
  assert "test is nothing-*.csv, which is no file" in found["gone/validation"]
  texts, _, said = found["odd/train"]
  assert (
    texts == ["l"] and "says of 'odd' {'sep': ';'}, which is not" in said[0]
  )
  texts, _, said = found["alone/train"]
  assert texts == ["k"]
  assert "config = 'default' reads that" in said[0]
  assert "no split in 'default' called 'dev'" in found["none/validation"]
  assert "'default': ['train', 'validation']" in found["none/validation"]


def test_a_mirror_without_lists_is_asked_for_one_file(there, read):
  server, _ = there
  server.lists = False
  try:
    done = served.run(
      server,
      server.root / "empty",
      "-c",
      "from bam_jax.runtime import hub; hub.listed('me/pets', 'main')",
    )
  finally:
    server.lists = True
  assert "ConnectionError: cannot get the files of me/pets" in done.stderr
