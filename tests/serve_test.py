"""A real server, asked by real clients, well and badly."""

from concurrent.futures import ThreadPoolExecutor
import importlib.util
import json
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from bam_jax import serve
from bam_jax.inference import model as inference

pytest.importorskip("uvicorn", reason="pip install 'bam_jax[serve]'")

ROOT = Path(__file__).resolve().parents[1]
RUN = "multi.cola+stsb"
LINE = re.compile(r"serves (.+) on (http://\S+)")


def start(run, *flags):
  """A server, its address and what it has said so far."""
  process = subprocess.Popen(
    [sys.executable, "-m", "bam_jax.serve", f"--run={run}", "--port=0", *flags],
    cwd=ROOT,
    env=os.environ | {"PYTHONUNBUFFERED": "1"},
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )
  said = ""
  for line in process.stdout:
    said += line
    if found := LINE.search(line):
      return process, found[2], said
  return process, None, said


def ask(address, body, *, path="/v1/predict"):
  """The status and the JSON of a request."""
  data = body if isinstance(body, bytes) else json.dumps(body).encode()
  request = urllib.request.Request(address + path, data=data)
  try:
    with urllib.request.urlopen(request, timeout=120) as found:
      return found.status, json.load(found)
  except urllib.error.HTTPError as error:
    text = error.read()
    return error.code, json.loads(text) if text.startswith(b"{") else text


def get(address, path):
  with urllib.request.urlopen(address + path, timeout=120) as found:
    return found.read().decode()


@pytest.fixture(scope="module")
def run(small_run):
  return small_run.workdir / "runs" / RUN


@pytest.fixture(scope="module")
def address(run):
  process, address, said = start(
    run, "--no-warm-up", "--max-rows=9", "--max-bytes=4000"
  )
  assert address, said
  yield address
  process.send_signal(signal.SIGTERM)
  said, _ = process.communicate(timeout=60)
  assert process.returncode == 0
  assert "all that was asked is answered" in said


@pytest.fixture(scope="module")
def model(run):
  return inference.load(run)


def test_it_answers_what_the_model_answers(address, model):
  status, found = ask(
    address, {"task": "cola", "texts": [["the dog sees"], ["no"]]}
  )
  assert status == 200
  want = [each.record() for each in model("cola", ["the dog sees", "no"])]
  for mine, theirs in zip(found["answers"], want, strict=True):
    assert mine["label"] == theirs["label"]
    assert mine["probabilities"] == pytest.approx(
      theirs["probabilities"], abs=1e-5
    )
  status, found = ask(address, {"task": "all", "texts": [["a dog", "a cat"]]})
  (answer,) = found["answers"]
  assert status == 200 and answer.keys() == {"stsb"}
  assert ask(address, {"task": "all", "texts": []}) == (200, {"answers": []})
  health = json.loads(get(address, "/healthz"))
  assert health == {"status": "ok", "tasks": ["cola", "stsb"]}


def test_many_at_once_all_get_their_own(address, model):
  texts = [f"the dog sees {'a bird ' * (n % 4)}{n}" for n in range(60)]
  want = [each.record()["probabilities"] for each in model("cola", texts)]
  bad = {"task": "stsb", "texts": [["one text where two are read"]]}

  def one(n):
    # Every tenth is a bad one.
    if n % 10 == 3:
      assert ask(address, bad)[0] == 400
    return ask(address, {"task": "cola", "texts": [[texts[n]]]})

  with ThreadPoolExecutor(8) as pool:
    found = list(pool.map(one, range(60)))
  for (status, answer), mine in zip(found, want, strict=True):
    assert status == 200
    assert answer["answers"][0]["probabilities"] == pytest.approx(
      mine, abs=1e-5
    )
  told = get(address, "/metrics")
  passes = float(re.search(r"^bam_jax_pass_rows_count (\S+)$", told, re.M)[1])
  rows = float(re.search(r"^bam_jax_rows_total (\S+)$", told, re.M)[1])
  assert rows >= 60 and passes < rows
  assert re.search(r'bam_jax_requests_total{status="400"} \d', told)


@pytest.mark.parametrize(
  ("body", "status", "says"),
  [
    (b"{", 400, "no JSON"),
    (b"\xff\xfe", 400, "no JSON"),
    (b"[" * 3000, 400, "no JSON"),
    ([1], 400, "is not {"),
    ({"task": "cola"}, 400, "is not {"),
    ({"task": "cola", "texts": [["a"]], "rows": 1}, 400, "['rows'] too"),
    ({"task": 3, "texts": [["a"]]}, 400, "task is 3"),
    ({"task": "colla", "texts": [["a"]]}, 400, "cola"),
    ({"task": "cola", "texts": "a"}, 400, "no list of lists"),
    ({"task": "cola", "texts": ["a"]}, 400, "no list of lists"),
    ({"task": "cola", "texts": [[]]}, 400, "no list of lists"),
    ({"task": "cola", "texts": [["a"], ["a", "b"]]}, 400, "[1, 2] texts"),
    ({"task": "cola", "texts": [[None]]}, 400, "row 0 of texts has None"),
    ({"task": "cola", "texts": [["a", "b"]]}, 400, "cola reads sentence"),
    ({"task": "all", "texts": [["\ud800"]]}, 400, "half a character"),
    ({"task": "cola", "texts": [["a"]] * 10}, 413, "more than 9"),
    ({"task": "cola", "texts": [["a" * 5000]]}, 413, "more than 4000 bytes"),
  ],
)
def test_a_bad_request_gets_a_sentence(address, body, status, says):
  got, found = ask(address, body)
  assert got == status
  assert says in found["error"] and "Traceback" not in found["error"]


def test_another_path_or_method_is_none(address):
  for path, status in (("/v2/predict", 404), ("/healthz", 405)):
    got, found = ask(address, {}, path=path)
    assert got == status
    assert f"POST {path} is none of POST /v1/predict, GET" in found["error"]


@pytest.mark.parametrize(
  ("flags", "says"),
  [
    (["--max-rows=0"], "--max-rows is 0; it is 1 or more"),
    (["--port=70000"], "--port is 70000"),
    (["--wait-ms=nan"], "--wait-ms is nan"),
    (["--run=nowhere"], "no finished run"),
    (["--abstain=1.5"], "--abstain is 1.5; it is a probability"),
    (["--host=256.1.1.1"], "give another --port or --host"),
  ],
)
def test_what_is_wrong_with_the_command_is_a_sentence(run, capsys, flags, says):
  with pytest.raises(SystemExit) as ended:
    serve.main([f"--run={run}", "--port=0", *flags])
  assert ended.value.code == 2
  assert says in capsys.readouterr().err


def test_what_is_not_sure_enough_is_not_said(run, model):
  texts = [[text] for text in ("the dog sees", "no", "a bird")]
  sure = [each.confidence for each in model("cola", [row[0] for row in texts])]
  least = sorted(sure)[1]
  process, address, said = start(run, "--no-warm-up", f"--abstain={least}")
  _, found = ask(address, {"task": "cola", "texts": texts})
  told = get(address, "/metrics")
  process.send_signal(signal.SIGTERM)
  process.communicate(timeout=60)
  assert "cola was not calibrated" in said
  # What is least sure is not said; the middle one may be rounded either way.
  silent = [bool(each.get("abstained")) for each in found["answers"]]
  assert silent[sure.index(min(sure))] and not silent[sure.index(max(sure))]
  assert f"bam_jax_abstained_total {sum(silent)}.0" in told


def test_a_missing_package_is_named(run, capsys, monkeypatch):
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  with pytest.raises(SystemExit):
    serve.main([f"--run={run}", "--port=0"])
  assert "pip install 'bam_jax[serve]'" in capsys.readouterr().err
