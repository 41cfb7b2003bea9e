"""A hub of data sets on this machine, and the command that asks it."""

import contextlib
import hashlib
import http.server
import json
import os
from pathlib import Path
import subprocess
import sys
import threading
import urllib.parse

COMMIT = "0123456789abcdef" * 2 + "01234567"
ROOT = Path(__file__).resolve().parents[1]


class Handler(http.server.BaseHTTPRequestHandler):
  """Lists and gives the files below server.root/OWNER/NAME."""

  def answer(self):
    path = urllib.parse.unquote(self.path.partition("?")[0])
    body = self.listing(path) if path.startswith("/api/") else self.file(path)
    self.server.asked.append((self.command, path))
    self.send_response(404 if body is None else 200)
    if body is None:
      self.send_header("X-Error-Code", "EntryNotFound")
    body = body or b""
    self.send_header("X-Repo-Commit", COMMIT)
    self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
    self.send_header("Content-Length", str(len(body)))
    self.end_headers()
    if self.command == "GET":
      self.wfile.write(body)

  do_GET = do_HEAD = answer

  def listing(self, path: str) -> bytes | None:
    """What is said of a data set, or the tree of its files."""
    _, _, kind, owner, name, *rest = path.split("/")
    folder = self.server.root / owner / name
    if kind != "datasets" or not folder.is_dir() or not self.server.lists:
      return None
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    names = [str(p.relative_to(folder)) for p in files]
    if rest[:1] == ["tree"]:
      size = {n: p.stat().st_size for n, p in zip(names, files, strict=True)}
      found = [
        {"type": "file", "path": name, "size": size[name], "oid": "0" * 40}
        for name in names
      ]
    else:
      siblings = [{"rfilename": name} for name in names]
      found = {"id": f"{owner}/{name}", "sha": COMMIT, "siblings": siblings}
    return json.dumps(found).encode()

  def file(self, path: str) -> bytes | None:
    """A file of /datasets/OWNER/NAME/resolve/REVISION/FILE."""
    _, kind, owner, name, _, _, *file = [*path.split("/"), *[""] * 6]
    found = self.server.root.joinpath(owner, name, *file)
    return (
      found.read_bytes() if kind == "datasets" and found.is_file() else None
    )

  def log_message(self, *_):
    pass


@contextlib.contextmanager
def hub(root: Path):
  """A server of the data sets in root/OWNER/NAME.

  Its `asked` has what was asked of it; `lists` = False makes it a mirror that
  gives files and no lists.
  """
  with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
    server.root, server.asked, server.lists = root, [], True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def run(server, home: Path, *argv: str, offline: bool = False):
  """Runs Python against the hub, in a process of its own.

  Its client reads the environment when it is imported.

  Args:
    server: from `hub`.
    home: where files are cached.
    *argv: of Python.
    offline: whether the hub may not be asked.
  """
  keep = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
  return subprocess.run(
    [sys.executable, *argv],
    cwd=ROOT,
    env=keep
    | {
      "PYTHONPATH": str(ROOT),
      "HF_HOME": str(home),
      "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
      "HF_HUB_OFFLINE": str(int(offline)),
      "HF_HUB_DISABLE_TELEMETRY": "1",
      "NO_PROXY": "127.0.0.1",
    },
    capture_output=True,
    text=True,
    check=False,
  )
