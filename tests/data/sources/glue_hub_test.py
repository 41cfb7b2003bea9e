"""Reads parquet files as the Hugging Face hub serves them.

The hub is a server on this machine. Each load runs in a process of its own,
since huggingface_hub reads its environment when it is imported.
"""

import collections
import hashlib
import http.server
import json
import os
from pathlib import Path
import subprocess
import sys
import threading

import pyarrow as pa
from pyarrow import parquet
import pytest

from bam_jax.data.sources import glue as sources
from bam_jax.tasks.table import TASKS

PREFIX = "/datasets/nyu-mll/glue/resolve/main/"
COMMIT = "0123456789abcdef" * 2 + "01234567"
LOAD = """
import json, sys, time
time.sleep = lambda seconds: None  # between the hub's five retries
from bam_jax.data.sources import readers
from bam_jax.tasks.table import TASKS
out = []
for name in sys.argv[1:]:
  task, split = name.split("/")
  try:
    e = readers.load(TASKS[task], split, glue_dir="", seed=0)
    labels = None if e.labels is None else e.labels.tolist()
    out.append([e.texts, labels, e.origin, e.fingerprint])
  except (OSError, ValueError) as error:
    out.append([type(error).__name__, str(error)])
print(json.dumps(out))
"""


def write(path: Path, columns: dict, names: list[str] | None) -> Path:
  """Writes a parquet file, label names in its metadata as the hub has them."""
  table = pa.table({**columns, "idx": list(range(len(columns["label"])))})
  if names is not None:
    features = {"label": {"names": names, "_type": "ClassLabel"}}
    info = json.dumps({"info": {"features": features}})
    table = table.replace_schema_metadata({"huggingface": info})
  path.parent.mkdir(parents=True, exist_ok=True)
  parquet.write_table(table, path)
  return path


@pytest.fixture
def hub(tmp_path):
  """A folder that is served as the hub; its address and what was asked."""

  class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
      asked.append((self.command, self.path))
      path = root / self.path.removeprefix(PREFIX).partition("?")[0]
      found = self.path.startswith(PREFIX) and path.is_file()
      data = path.read_bytes() if found else b""
      self.send_response(200 if found else 404)
      if found:
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
      else:
        self.send_header("X-Error-Code", "EntryNotFound")
      self.send_header("Content-Length", str(len(data)))
      self.end_headers()
      if self.command == "GET":
        self.wfile.write(data)

    do_HEAD = do_GET

    def log_message(self, *args):
      pass

  root, asked = tmp_path / "served", []
  with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    yield collections.namedtuple("Hub", "root url asked")(root, url, asked)
    server.shutdown()


@pytest.fixture
def load(tmp_path):
  """Loads task/split pairs in a fresh process with its own cache."""

  def run(*names: str, url: str, offline: str = "0") -> list:
    keep = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    env = keep | {
      "HF_ENDPOINT": url,
      "HF_HOME": str(tmp_path / "cache"),
      "HF_HUB_OFFLINE": offline,
      "HF_HUB_DISABLE_TELEMETRY": "1",
      "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
      [sys.executable, "-c", LOAD, *names],
      env=env,
      cwd=Path(__file__).parents[3],
      capture_output=True,
      text=True,
      check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])

  return run


def test_labels_are_matched_by_name_and_test_labels_stay_unknown(hub, load):
  pair = {"premise": ["a", "b", "c"], "hypothesis": ["d", "e", "f"]}
  ours = list(TASKS["mnli"].labels)
  names = ["neutral", "contradiction", "entailment"]
  assert all(a != b for a, b in zip(names, ours, strict=True))
  for task, split, labels in (
    ("mnli", "validation_matched", [2, 0, 1]),
    ("mnli", "test_mismatched", [-1, -1, -1]),
    ("ax", "test", [-1, -1, -1]),
  ):
    path = hub.root / task / f"{split}-00000-of-00001.parquet"
    write(path, {**pair, "label": labels}, names)
  dev, test, ax = load(
    "mnli/validation_matched", "mnli/test_mismatched", "ax/test", url=hub.url
  )
  assert dev[0] == [["a", "b", "c"], ["d", "e", "f"]]
  assert [ours[int(i)] for i in dev[1]] == [
    "entailment",
    "neutral",
    "contradiction",
  ]
  assert test[1] is None and ax[1] is None
  assert ax[0] == dev[0]
  assert f"/snapshots/{COMMIT}/mnli/validation_matched-" in dev[2]


def test_the_second_load_comes_from_the_cache_without_a_hub(hub, load):
  write(
    hub.root / "stsb/train-00000-of-00001.parquet",
    {"sentence1": ["a"], "sentence2": ["b"], "label": pa.array([2.5], "f4")},
    None,
  )
  first = load("stsb/train", url=hub.url)
  assert [first[0][0], first[0][1]] == [[["a"], ["b"]], [0.5]]
  assert ("GET", f"{PREFIX}stsb/train-00000-of-00001.parquet") in hub.asked
  # A second time with the hub there, nothing is downloaded again.
  hub.asked.clear()
  assert load("stsb/train", url=hub.url) == first
  assert not [path for command, path in hub.asked if command == "GET"]
  hub.asked.clear()
  assert load("stsb/train", url=hub.url, offline="1") == first
  assert not hub.asked
  again, missing = load("stsb/train", "stsb/test", url=hub.url, offline="1")
  assert again == first[0]
  assert missing[0] == "ConnectionError"
  assert "HF_HUB_OFFLINE is set and the cache has no copy" in missing[1]


def test_an_unreachable_hub_is_one_sentence_that_says_what_to_type(load):
  # Nothing listens on the port "discard" of this machine.
  [[kind, message]] = load("rte/validation", url="http://127.0.0.1:9")
  assert kind == "ConnectionError"
  assert "\n" not in message
  for part in (
    "nyu-mll/glue rte/validation-00000-of-00001.parquet",
    "from http://127.0.0.1:9 (",
    "--config.data.glue_dir=FOLDER, where FOLDER holds RTE/dev.tsv",
  ):
    assert part in message


def test_a_file_that_the_hub_lacks_is_one_sentence(hub, load):
  [[kind, message]] = load("rte/train", url=hub.url)
  assert kind == "ConnectionError" and "\n" not in message
  assert "404" in message and hub.url in message


def test_the_hub_and_the_folder_give_the_same_examples(glue_dir, tmp_path):
  task = TASKS["rte"]
  tsv = sources.read_glue_folder(task, "validation", glue_dir=str(glue_dir))
  # 1 - label: the file's own order is the reverse of ours.
  columns = {
    "sentence1": tsv.texts[0],
    "sentence2": tsv.texts[1],
    "label": [1 - int(label) for label in tsv.labels],
  }
  path = write(tmp_path / "x.parquet", columns, list(reversed(task.labels)))
  hub = sources.read_parquet(task, "validation", path=path)
  assert hub.fingerprint == tsv.fingerprint


@pytest.mark.parametrize("metadata", [None, b"{", b"{}", b"[]"])
def test_without_names_the_manifests_order_holds(tmp_path, metadata):
  columns = {"premise": ["a", "b"], "hypothesis": ["c", "d"], "label": [0, 2]}
  table = pa.table(columns)
  if metadata is not None:
    table = table.replace_schema_metadata({"huggingface": metadata})
  parquet.write_table(table, tmp_path / "x.parquet")
  examples = sources.read_parquet(
    TASKS["mnli"], "train", path=tmp_path / "x.parquet"
  )
  # The hub's 0 is entailment and its 2 contradiction.
  assert examples.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
  ("change", "names", "says"),
  [
    ({}, ["yes", "no"], "does not know 'yes', only entailment, not_entail"),
    ({"label": [0, 2]}, None, "row 1: rte has no label 2; it must be entail"),
    ({"label": [-1, 0]}, None, "row 0: rte has no label -1"),
    ({"label": [-1, -1]}, None, "row 0: rte has no label -1"),
    ({"label": [0.0, 1.0]}, None, "is double, not whole numbers"),
    ({"label": [0, None]}, None, "row 1: no value in column 'label'"),
    ({"sentence2": [None, "d"]}, None, "row 0: no value in column 'sentence2"),
    ({"sentence1": None}, None, "has no column 'sentence1'; rte needs"),
  ],
)
def test_what_a_task_does_not_allow_is_refused(tmp_path, change, names, says):
  columns = {"sentence1": ["a", "b"], "sentence2": ["c", "d"], "label": [0, 1]}
  columns = {k: v for k, v in (columns | change).items() if v is not None}
  path = write(tmp_path / "x.parquet", columns, names)
  with pytest.raises(ValueError, match=says) as error:
    sources.read_parquet(TASKS["rte"], "train", path=path)
  assert str(path) in str(error.value)


def test_a_score_out_of_range_is_refused(tmp_path):
  columns = {"sentence1": ["a"], "sentence2": ["b"], "label": [5.5]}
  path = write(tmp_path / "x.parquet", columns, None)
  with pytest.raises(ValueError, match=r"row 0: stsb has no label 5\.5; it"):
    sources.read_parquet(TASKS["stsb"], "train", path=path)


def test_a_damaged_file_is_named_where_it_really_lies(tmp_path):
  blob = tmp_path / "blobs" / "blob"
  blob.parent.mkdir()
  blob.write_bytes(b"PAR1 and then nothing")
  (tmp_path / "link.parquet").symlink_to(blob)
  with pytest.raises(
    ValueError, match="blob is not a whole Parquet file"
  ) as error:
    sources.read_parquet(TASKS["rte"], "train", path=tmp_path / "link.parquet")
  assert "delete it and run again" in str(error.value)


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize(
  ("new", "text"), [(b"xyz", True), (b"\xff" * 3, False)]
)
def test_a_changed_text_is_refused_where_a_checksum_or_utf8_shows_it(
  tmp_path, checksum, new, text
):
  columns = {"sentence1": ["the"], "sentence2": ["cat"], "label": [0]}
  path = tmp_path / "x.parquet"
  parquet.write_table(
    pa.table(columns),
    path,
    compression="none",
    use_dictionary=False,
    write_statistics=False,
    write_page_checksum=checksum,
  )
  data = path.read_bytes()
  assert data.count(b"the") == 1
  path.write_bytes(data.replace(b"the", new))
  if text and not checksum:
    # Nothing in the file tells that it was another word.
    found = sources.read_parquet(TASKS["rte"], "train", path=path)
    assert found.texts == (["xyz"], ["cat"])
  else:
    with pytest.raises(ValueError, match=r"x\.parquet is not a whole Parquet"):
      sources.read_parquet(TASKS["rte"], "train", path=path)
