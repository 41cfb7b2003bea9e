"""Faults in small: what benchmarks/faults.py does hundreds of times.

Runs in processes of their own, on a study that takes seconds.
"""

import gc
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

from bam_jax.runtime.sealed import IntegrityError
from bam_jax.stages import session
from bam_jax.study.workdir import Workdir
from bam_jax.training.checkpoint import load_params, save_params
from benchmarks import faults, flips, fuse, job, study, tables
from benchmarks.bench import Bench
from configs import quickstart

# When one read fails, Orbax leaves the others' futures without their loop.
pytestmark = pytest.mark.filterwarnings(
  "ignore::pytest.PytestUnraisableExceptionWarning"
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bench(tmp_path_factory, compiled) -> Bench:
  out = tmp_path_factory.mktemp("faults")
  (out / "cache").symlink_to(compiled)
  return Bench(out, seed=3, studies=("one",), flags=job.FLAGS)


@pytest.fixture
def copy(bench, tmp_path) -> Path:
  """A finished study to be spoilt."""
  whole = bench.reference("one")["whole"]
  return Path(shutil.copytree(whole, tmp_path / "W"))


@pytest.mark.slow
@pytest.mark.parametrize(
  "marks",
  [
    # In the fourth save, after lines that the third does not know of (how many
    # files were deleted before it differs from run to run); then before the
    # finished parameters get their name.
    [
      {"part": "states", "holds": "/12.orbax-checkpoint-tmp", "nth": 8},
      {"part": "parameters", "nth": 20},
    ],
    # While shards are written, and while states are deleted.
    [
      {"part": "features", "holds": ".tmp/", "nth": 2},
      {"part": "discarded", "nth": 3},
    ],
  ],
)
def test_killed_study_ends_in_the_bits_of_the_unkilled(bench, marks):
  found = faults.kill(bench, 0, marks)
  assert found["wrong"] == []
  assert len(found["kills"]) == 2
  # Every kill came in the middle of a write: none of them waits for a time.
  assert all(kill["half"] for kill in found["kills"])


@pytest.mark.slow
def test_terminated_study_saves_in_time_and_ends_in_the_same_bits(bench):
  found = faults.term(bench, 0)
  assert found["wrong"] == []
  assert found["code"] in (0, 3)


@pytest.mark.slow
def test_a_killed_process_ends_the_others_and_all_go_on_to_the_same_bits(bench):
  # The first of two processes; of another one's end it may take the heartbeat
  # to hear.
  found = job.case(bench, 12)
  assert found["wrong"] == []
  assert found["victim"] == 0
  assert found["others"][0]["code"] in (4, -signal.SIGABRT)


@pytest.mark.slow
def test_damage_is_noticed_or_does_no_harm_and_no_case_is_done_twice(bench):
  assert faults.run(bench, {"flips": 10}, "") == 0
  lines = (bench.out / "faults.jsonl").read_text()
  assert lines.count("\n") == 10
  outcomes = {row["outcome"] for row in map(json.loads, lines.splitlines())}
  assert outcomes <= {"detected", "harmless"}
  assert "detected" in outcomes
  assert faults.run(bench, {"flips": 10}, "") == 0
  assert (bench.out / "faults.jsonl").read_text() == lines
  assert "| flips |" in (bench.out / "faults.md").read_text()
  # What Orbax left of the reads that failed, while it is still ignored.
  gc.collect()


# --- would it be seen?


def bit_of_parameters(workdir):
  path = next(workdir.glob("runs/*/checkpoints/seed-0"))
  params, meta = load_params(path)
  params = jax.tree.map(np.array, params)
  params["bert"]["embeddings"]["norm"]["scale"].view("u4")[3] ^= 1
  del meta["arrays"], meta["seal"]
  save_params(path, params, meta)


def digit_of_metrics(workdir):
  path = next(workdir.glob("runs/*/metrics.jsonl"))
  text = path.read_text()
  at = text.index('"grad_norm": ') + len('"grad_norm": ')
  path.write_text(f"{text[:at]}{(int(text[at]) + 1) % 10}{text[at + 1 :]}")


def value_of_scores(workdir):
  path = next(workdir.glob("runs/*/scores.json"))
  scores = json.loads(path.read_text())
  scores["0"]["step"] += 1
  path.write_text(json.dumps(scores))


@pytest.mark.slow
@pytest.mark.parametrize(
  "spoil", [bit_of_parameters, digit_of_metrics, value_of_scores]
)
def test_the_smallest_difference_of_two_studies_is_seen(bench, copy, spoil):
  whole = bench.reference("one")["whole"]
  assert study.differences(whole, copy) == []
  spoil(copy)
  said = study.differences(whole, copy)
  assert said
  assert all(str(copy) in each for each in said)


def test_a_case_that_went_wrong_turns_the_whole_measurement():
  line = {"row": "kills", "seed": 0, "commit": "c", "states": 0, "kills": []}
  for wrong, holds in (([], True), (["a bit"], False)):
    text, held = tables.show(
      [line | {"wrong": []}, line | {"wrong": wrong}],
      command="c",
      limits=faults.LIMITS,
    )
    assert held is holds
    assert f"| 2 | {2 - len(wrong)} |" in text


@pytest.mark.parametrize(
  ("path", "part"),
  [
    ("data/tokenizer/vocab.txt", "tokenizer"),
    ("data/.tokenizer.host.12.tmp/vocab.txt", "tokenizer"),
    ("data/rte-0123-32/.train.host.12.tmp/features.json", "features"),
    ("data/teachers/single.rte/rte/seed-0/metadata.json", "teachers"),
    ("data/rte-0123-32/train/features.json", "features"),
    ("runs/multi/checkpoints", "states"),
    ("runs/multi/checkpoints/training-0-1/3/state/_METADATA", "states"),
    ("runs/multi/checkpoints/discarded/3", "discarded"),
    ("runs/multi/checkpoints/seed-0.orbax-checkpoint-tmp", "parameters"),
    ("runs/multi/.metrics.jsonl.host.12.tmp", "metrics"),
    ("runs/multi/dev_logits/.seed-0.npz.host.12.tmp", "dev_logits"),
    ("runs/multi/scores.json", "scores"),
    ("report/.report.md.host.12.tmp", "results"),
    (".results.json.host.12.tmp", "results"),
    ("lock", "config"),
  ],
)
def test_every_place_of_a_working_directory_has_a_part(path, part):
  assert fuse.part(Path(path)) == part
  assert part in faults.PARTS


def test_fuse_blows_before_the_nth_change(tmp_path):
  code = (
    "import os, pathlib, shutil, sys\n"
    "from benchmarks import fuse\n"
    "root = pathlib.Path(sys.argv[1])\n"
    "fuse.light(root, 'scores', 4)\n"
    "run = root / 'runs' / 'multi'\n"
    "run.mkdir(parents=True)\n"  # another part
    "(run / '.scores.tmp').write_text('1')\n"
    "os.replace(run / '.scores.tmp', run / 'scores.json')\n"
    "(run / 'scores.json').read_text()\n"  # no change
    "(run / '.scores.tmp').write_text('2')\n"
    "os.replace(run / '.scores.tmp', run / 'scores.json')\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", code, str(tmp_path)],
    cwd=ROOT,
    env=os.environ | {"PYTHONPATH": str(ROOT)},
    check=False,
  )
  assert done.returncode == -signal.SIGKILL
  run = tmp_path / "runs" / "multi"
  assert (run / "scores.json").read_text() == "1"
  assert (run / ".scores.tmp").read_text() == "2"


def test_a_changed_letter_of_the_trained_tokenizer_is_refused(tmp_path):
  config = quickstart.get_config("similarity")
  config.scratch.vocab_size = 300
  assert session.opened(config, Workdir(tmp_path)).materials.encoder
  file = tmp_path / "data" / "tokenizer" / "tokenizer.json"
  text = file.read_text()
  assert '"##t"' in text
  file.write_text(text.replace('"##t"', '"##T"'))
  with pytest.raises(IntegrityError, match=r"tokenizer\.json is damaged.*dele"):
    assert session.opened(config, Workdir(tmp_path)).materials.encoder


def test_keys_are_compared_as_the_words_that_they_are():
  one, other = ({"key": jax.random.key(seed)} for seed in (0, 1))
  assert study.unequal(study.flat(one), study.flat(one)) == []
  assert study.unequal(study.flat(one), study.flat(other)) == ["key"]


def test_a_sentence_has_to_name_the_file_or_its_directory(tmp_path):
  path = Path("data/teachers/single.rte/rte/seed-0/metadata.json")
  folder = tmp_path / path.parent
  assert flips.names_it(f"{folder} is damaged", tmp_path, path)
  assert not flips.names_it(f"{tmp_path} is damaged", tmp_path, path)
  assert not flips.names_it("KeyError: 'logits'", tmp_path, path)
