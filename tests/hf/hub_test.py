"""Fetching an encoder by name, from a server on this machine."""

import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading

import pytest

NAME = "someone/tiny-bert"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
  "config.json": json.dumps(
    dict(
      model_type="bert",
      vocab_size=11,
      hidden_size=4,
      num_hidden_layers=1,
      num_attention_heads=2,
      intermediate_size=6,
      max_position_embeddings=8,
    )
  ).encode(),
  "vocab.txt": b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n",
  "pytorch_model.bin": b"a pickle",
  "tf_model.h5": b"large",
}


class Hub(http.server.BaseHTTPRequestHandler):
  """The hub's paths for one model: its listing and its files."""

  def answer(self, body):
    path = self.path.split("?")[0]
    self.server.asked.append(path)
    if path.startswith(f"/api/models/{NAME}"):
      siblings = [{"rfilename": name} for name in self.server.files]
      reply = {"id": NAME, "sha": COMMIT, "siblings": siblings}
      if "/tree/" in path:
        reply = [
          {"type": "file", "path": k, "size": len(v), "oid": "0" * 40}
          for k, v in self.server.files.items()
        ]
      content = json.dumps(reply).encode()
    else:
      found = re.fullmatch(f"/{NAME}/resolve/[^/]+/(.+)", path)
      content = self.server.files.get(found[1]) if found else None
    self.send_response(200 if content is not None else 404)
    content = content or b""
    self.send_header("Content-Length", str(len(content)))
    self.send_header("X-Repo-Commit", COMMIT)
    self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
    self.end_headers()
    if body:
      self.wfile.write(content)

  def do_GET(self):
    self.answer(True)

  def do_HEAD(self):
    self.answer(False)

  def log_message(self, *_):
    pass


@pytest.fixture
def hub():
  """A running server; `asked` is what was asked of it, `files` what it has."""
  with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
    server.asked, server.files = [], dict(FILES)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()


_LOAD = """
import sys
from bam_jax.hf import directory as hf
try:
  config, params, directory = hf.load_encoder(sys.argv[1])
except ValueError as error:
  sys.exit(str(error))
print(config.width, sorted(params), sorted(f.name for f in directory.iterdir()))
"""


def load(name, home, endpoint, offline):
  return subprocess.run(
    [sys.executable, "-c", _LOAD, name],
    env=os.environ
    | {
      "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
      "HF_HOME": str(home),
      "HF_ENDPOINT": endpoint,
      "HF_HUB_OFFLINE": str(int(offline)),
      "NO_PROXY": "127.0.0.1",
    },
    capture_output=True,
    text=True,
  )


def test_hub_name_fetches_what_is_needed_once(hub, tmp_path):
  from safetensors import numpy as st

  from bam_jax.hf import directory as hf
  from bam_jax.hf import weights

  (tmp_path / "config.json").write_bytes(FILES["config.json"])
  config = hf.read_config(tmp_path / "config.json")
  shapes = weights.shapes(config)
  hub.files["model.safetensors"] = st.save(
    {
      theirs: hf.np.zeros(
        shapes[ours][::-1] if "kernel" in ours else shapes[ours], "float32"
      )
      for theirs, (ours,) in weights.names(config).items()
    }
  )
  endpoint = f"http://127.0.0.1:{hub.server_port}"
  run = load(NAME, tmp_path / "home", endpoint, offline=False)
  want = (
    "4 ['bert', 'pooler'] ['config.json', 'model.safetensors', 'vocab.txt']\n"
  )
  assert run.stdout == want, run.stderr
  assert hub.asked
  assert not [path for path in hub.asked if "pytorch" in path or "tf_" in path]
  hub.asked.clear()
  run = load(NAME, tmp_path / "home", endpoint, offline=True)
  assert run.stdout == want, run.stderr
  assert not hub.asked


def test_hub_model_without_safetensors_or_at_all_gets_a_sentence(hub, tmp_path):
  endpoint = f"http://127.0.0.1:{hub.server_port}"
  run = load(NAME, tmp_path, endpoint, offline=False)
  assert run.returncode == 1
  assert f"encoder {NAME} has no model.safetensors" in run.stderr
  assert "hf download" in run.stderr
  run = load("someone/else", tmp_path, endpoint, offline=False)
  assert run.returncode == 1
  assert "could not be fetched from the Hugging Face hub" in run.stderr
  assert "Traceback" not in run.stderr
