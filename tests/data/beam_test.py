"""What Beam's workers make is byte for byte what one process makes."""

import dataclasses
import importlib.util
from pathlib import Path
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from bam_jax.data import builders, runners, shards, workers
from bam_jax.data.sources.examples import Examples
from bam_jax.data.store import Store
from bam_jax.data.tokenizer import load_tokenizer
from bam_jax.data.windows import Lengths
from bam_jax.tasks import table as tasks

ROOT = Path(__file__).resolve().parent.parent.parent
_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"]
_MRPC, _COLA = tasks.get_tasks(["mrpc", "cola"])
_SPAN = dataclasses.replace(_COLA, name="asked", kind="span")
_MLM = dataclasses.replace(_COLA, name="plain", kind="mlm")
_PROCESSES = (
  "DirectRunner --direct_num_workers=2 --direct_running_mode=multi_processing"
)
_THREADS = _PROCESSES.replace("multi_processing", "multi_threading")
needs_beam = pytest.mark.skipif(
  importlib.util.find_spec("apache_beam") is None,
  reason="pip install 'bam_jax[beam]'",
)
# What of Beam itself warns, not of ours.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def tokenizer(tmp_path):
  (tmp_path / "vocab.txt").write_text("\n".join(_WORDS))
  return load_tokenizer(tmp_path, vocab_size=None)


@pytest.fixture(autouse=True)
def small(monkeypatch):
  """Makes chunks and shards of a few rows, of which neither divides the other.

  Workers are other processes; they know it from their job.
  """
  monkeypatch.setattr(shards, "CHUNK", 4)
  monkeypatch.setattr(shards, "SHARD", 3)


def _texts(rows, longest, step):
  return [
    " ".join("abc"[(row + i) % 3] for i in range(step * row % longest))
    for row in range(rows)
  ]


def _pairs():
  texts = (_texts(11, 7, 3), _texts(11, 5, 2))
  labels = np.arange(11, dtype=np.float32) % 2
  weights = np.linspace(0.5, 2, 11, dtype=np.float32)
  return Examples("mrpc", "train", texts, labels, "rows", weights=weights)


def _questions(question="a"):
  # Contexts of up to 16 words are several windows of 8 tokens.
  contexts = _texts(9, 17, 5)
  answers = [
    [("b", text.index("b"))] if "b" in text else [] for text in contexts
  ]
  texts = ([question] * 9, contexts)
  return Examples("asked", "train", texts, None, "rows", answers=answers)


def _documents():
  return Examples("plain", "train", (_texts(10, 19, 7),), None, "rows")


def _load(task, examples, tokenizer, store):
  return builders.load_features(
    task,
    ["train"],
    tokenizer=tokenizer,
    lengths=Lengths(8, 2),
    store=store,
    load=lambda _: examples,
  )


def _files(root):
  return {
    str(path.relative_to(root)): path.read_bytes()
    for path in root.rglob("*")
    if path.is_file()
  }


@needs_beam
@pytest.mark.parametrize(
  ("task", "examples", "beam", "least"),
  [
    # 11 rows, and as many swapped, in shards of 3.
    (_MRPC, _pairs(), _PROCESSES, 8),
    # How many windows and parts there are is not known before.
    (_SPAN, _questions(), _THREADS, 4),
    (_MLM, _documents(), _THREADS, 4),
  ],
  ids=["pairs", "windows", "documents"],
)
def test_workers_write_the_bytes_of_one_process(
  tokenizer, tmp_path, task, examples, beam, least
):
  calls = []
  _load(task, examples, tokenizer, Store(tmp_path / "here"))
  _load(
    task,
    examples,
    tokenizer,
    Store(tmp_path / "there", beam, lambda *call: calls.append(call)),
  )
  here, there = _files(tmp_path / "here"), _files(tmp_path / "there")
  assert list(here) and here.keys() == there.keys()
  assert [name for name in here if here[name] != there[name]] == []
  assert sum("array_record" in name for name in here) >= least
  _, done, total = calls[-1]
  assert done == total == len(examples) * (2 if task is _MRPC else 1)


@needs_beam
def test_files_pass_through_the_temp_location(tokenizer, tmp_path):
  place = tmp_path / "bucket"
  beam = f"{_THREADS} --temp_location={place}"
  _load(_MRPC, _pairs(), tokenizer, Store(tmp_path / "there", beam))
  assert list(place.iterdir()) == []
  _load(_MRPC, _pairs(), tokenizer, Store(tmp_path / "here"))
  assert _files(tmp_path / "here") == _files(tmp_path / "there")


@needs_beam
def test_what_is_wrong_with_the_text_is_said_once_and_nothing_is_left(
  tokenizer, tmp_path, capfd
):
  examples = _questions("a a a a a a a a")
  with pytest.raises(ValueError, match="leave no room") as alone:
    _load(_SPAN, examples, tokenizer, Store(tmp_path / "here"))
  with pytest.raises(ValueError, match="leave no room") as found:
    _load(_SPAN, examples, tokenizer, Store(tmp_path / "there", _PROCESSES))
  assert str(found.value) == str(alone.value)
  assert "Traceback" not in "".join(capfd.readouterr())
  assert _files(tmp_path / "there") == {}


@needs_beam
def test_a_disk_that_fails_a_worker_is_said_and_nothing_is_left(
  tokenizer, tmp_path, monkeypatch, capfd
):
  def full(found, *args):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(workers.columns, "of", full)
  with pytest.raises(OSError, match=r"Beam job has failed: .*No space left"):
    _load(_MRPC, _pairs(), tokenizer, Store(tmp_path / "data", _THREADS))
  assert "Traceback" not in "".join(capfd.readouterr())
  assert _files(tmp_path / "data") == {}


@needs_beam
def test_a_defect_of_ours_shows_where_it_is(tokenizer, tmp_path, monkeypatch):
  monkeypatch.setattr(workers.columns, "of", lambda found, weights: found.nose)
  with pytest.raises(RuntimeError, match=r"(?s)beam_test.py.*'nose'"):
    _load(_MRPC, _pairs(), tokenizer, Store(tmp_path / "data", _THREADS))
  assert _files(tmp_path / "data") == {}


@needs_beam
def test_a_killed_job_leaves_no_dataset_and_the_next_one_clears_up(
  tokenizer, tmp_path
):
  code = f"""
import pathlib, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import beam_test as this
from bam_jax.data import shards
shards.CHUNK, shards.SHARD = 4, 3
this._load(
  this._MRPC, this._pairs(),
  this.load_tokenizer({str(tmp_path)!r}, vocab_size=None),
  this.Store(pathlib.Path({str(tmp_path / "data")!r}), this._PROCESSES),
)
"""
  data = tmp_path / "data"
  ran = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
  while ran.poll() is None and not [*data.rglob("text-*")]:
    time.sleep(0.01)
  ran.send_signal(signal.SIGKILL)
  _, said = ran.communicate()
  assert ran.returncode == -signal.SIGKILL, said
  (parent,) = data.iterdir()
  assert [path.name[0] for path in parent.iterdir()] == ["."]
  _load(_MRPC, _pairs(), tokenizer, Store(data))
  assert [path.name for path in parent.iterdir()] == ["train"]


@needs_beam
@pytest.mark.parametrize(
  ("text", "words"),
  [
    ("DirektRunner", "did you mean 'DirectRunner'?"),
    (
      "DirectRunner --direct_num_worker=2",
      "did you mean 'direct_num_workers'?",
    ),
    ("DirectRunner --direct_num_workers=two", "cannot read that"),
    ("DirectRunner direct_num_workers=2", "options are --name=value"),
    ("DirectRunner '--a", "No closing quotation"),
    (" ", "it is the name of a runner"),
  ],
)
def test_what_names_no_runner_is_one_sentence(text, words):
  with pytest.raises(ValueError, match=re.escape(words)) as caught:
    runners.flags(text)
  assert "\n" not in str(caught.value)


@needs_beam
def test_no_program_is_fetched_for_the_direct_runner():
  first, *rest = runners.flags(_THREADS)
  assert first == "--runner=BundleBasedDirectRunner"
  assert rest[1:] == _THREADS.split()[1:]
  # Its servers know options that Beam's Python does not.
  assert runners.flags("FlinkRunner --parallelism=4")[1] == "--parallelism=4"


def test_without_beam_it_is_said_what_to_type(monkeypatch):
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  with pytest.raises(ValueError, match=r"pip install 'bam_jax\[beam\]'"):
    runners.flags("DirectRunner")
