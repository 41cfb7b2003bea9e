"""A hub that lies, fails or repeats what it was told, on this machine."""

import hashlib
import http.server
import json
import os
from pathlib import Path
import re
import subprocess
import sys
import threading

import pytest

from tests import refusals, small

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "hf_" + "SecretOfTheUser" * 2
NAME = "someone/bert"
COMMIT = "0123456789abcdef" * 2 + "01234567"
RUN = """
import sys, time
time.sleep = lambda seconds: None  # between the client's retries
from bam_jax import main
from bam_jax.stages import recipe
recipe.train = lambda here, teaching: []
main.main(main.parse_flags(sys.argv))
"""


class Handler(http.server.BaseHTTPRequestHandler):
  """Answers as `server.status` and `server.files` say."""

  def answer(self):
    server = self.server
    given = self.headers.get("Authorization", "")
    server.asked.append((self.path, given))
    path, body = self.path.partition("?")[0], b""
    status = server.status
    if status == 200:
      found = re.fullmatch(f"/{NAME}/resolve/[^/]+/(.+)", path)
      if path.startswith("/api/"):
        siblings = [{"rfilename": name} for name in server.files]
        reply = {"id": NAME, "sha": server.commit, "siblings": siblings}
        if "/tree/" in path:
          reply = [
            {"type": "file", "path": k, "size": len(v), "oid": "0" * 40}
            for k, v in server.files.items()
          ]
        body = json.dumps(reply).encode()
      elif found and found[1] in server.files:
        body = server.files[found[1]]
      else:
        status = 404
    else:
      # The worst there is: it says what it was told.
      body = json.dumps({"error": f"no access with {given}"}).encode()
    self.send_response(status, f"no access with {given}"[:99])
    if status != 200:
      self.send_header("X-Error-Message", f"no access with {given}")
    self.send_header("Content-Length", str(len(body)))
    self.send_header("X-Repo-Commit", server.commit)
    self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
    self.end_headers()
    if self.command == "GET":
      self.wfile.write(body)

  do_GET = do_HEAD = answer

  def log_message(self, *_):
    pass


@pytest.fixture
def hub():
  with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
    server.asked, server.files = [], {}
    server.status, server.commit = 200, COMMIT
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
  root = tmp_path_factory.mktemp("inputs")
  return small.write_glue(root / "glue"), small.write_encoder(root / "encoder")


def run(hub, inputs, root: Path, *flags) -> subprocess.CompletedProcess:
  """Runs the command against the hub, with its cache in root/home."""
  given = [each.format(root=root) for each in refusals.BASE]
  keep = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
  return subprocess.run(
    [
      *(sys.executable, "-c", RUN, f"--config={refusals.CONFIG}", *given),
      *(f"--config.data.glue_dir={inputs[0]}", f"--config.encoder={NAME}"),
      *flags,
    ],
    cwd=ROOT,
    env=keep
    | {
      "PYTHONPATH": str(ROOT),
      "HF_TOKEN": TOKEN,
      "HF_HOME": str(root / "home"),
      "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
      "HF_HUB_DISABLE_TELEMETRY": "1",
      "NO_PROXY": "127.0.0.1",
    },
    capture_output=True,
    text=True,
    check=False,
  )


def one_sentence(ran: subprocess.CompletedProcess) -> str:
  """Returns what was said, which holds neither a traceback nor the token."""
  said = ran.stdout + ran.stderr
  assert ran.returncode == 2, said
  assert "Traceback" not in said and TOKEN not in said
  (line,) = [x for x in ran.stderr.splitlines() if x.startswith("error: ")]
  return line


def kept(root: Path) -> bytes:
  """Returns all that lies in files below a folder."""
  return b"".join(p.read_bytes() for p in root.rglob("*") if p.is_file())


@pytest.mark.parametrize(
  ("what", "status"),
  [("encoder", 401), ("encoder", 500), ("data", 403), ("data", 500)],
)
def test_a_token_is_sent_and_never_said(hub, inputs, tmp_path, what, status):
  hub.status = status
  data = [f"--config.encoder={inputs[1]}", "--config.data.glue_dir="]
  ran = run(hub, inputs, tmp_path, *(data if what == "data" else []))
  said = one_sentence(ran)
  assert any(TOKEN in given for _, given in hub.asked), "it was never sent"
  assert str(status) in said or "could not be fetched" in said
  assert TOKEN.encode() not in kept(tmp_path)


def files(encoder: Path) -> dict[str, bytes]:
  return {path.name: path.read_bytes() for path in encoder.iterdir()}


def test_a_token_is_in_no_file_of_a_run_that_starts(hub, inputs, tmp_path):
  hub.files = files(inputs[1])
  ran = run(hub, inputs, tmp_path, "--config.stage=train")
  assert ran.returncode == 0, ran.stderr
  assert any(TOKEN in given for _, given in hub.asked)
  assert TOKEN not in ran.stdout + ran.stderr
  assert (tmp_path / "W" / "config.json").exists()
  assert TOKEN.encode() not in kept(tmp_path)


def test_names_that_the_hub_gives_stay_in_the_cache(hub, inputs, tmp_path):
  hub.files = {
    **files(inputs[1]),
    "../../../../../../outside.json": b"{}",
    "/tmp/outside.json": b"{}",
    "sub/../../../../../../config.json": b"{}",
    "pytorch_model.bin": b"cbuiltins\nexec\n.",
    "modeling_evil.py": b"raise SystemExit",
  }
  config = json.loads(hub.files["config.json"]) | {"model_type": "evil"}
  config["auto_map"] = {"AutoModel": "modeling_evil.Evil"}
  hub.files["config.json"] = json.dumps(config).encode()
  said = one_sentence(run(hub, inputs, tmp_path))
  assert "says model_type 'evil'; this encoder is one of bert" in said
  fetched = {path.rpartition("/")[2] for path, _ in hub.asked}
  assert "config.json" in fetched and "model.safetensors" in fetched
  assert not {x for x in fetched if "outside" in x or x[-3:] in ("bin", ".py")}
  assert {path.name for path in tmp_path.iterdir()} == {"home"}
  assert not Path("/tmp/outside.json").exists()


@pytest.mark.parametrize("commit", ["../../../../../out", "/tmp/out"])
def test_a_commit_that_is_a_path_stays_in_the_cache(
  hub, inputs, tmp_path, commit
):
  hub.commit, hub.files = commit, files(inputs[1])
  ran = run(hub, inputs, tmp_path)
  assert "could not be fetched" in one_sentence(ran)
  assert {path.name for path in tmp_path.iterdir()} <= {"home"}
  assert not Path("/tmp/out").exists()
