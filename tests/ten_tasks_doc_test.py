"""The page on ten tasks, pasted as it stands: a table, a served model."""

import json
import os
from pathlib import Path
import re
import shutil
import socket
import subprocess
import sys

import pytest

# Trains, exports, answers and serves: 50 s of two cores.
pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent
TASKS = [
  *("thing", "topic", "angry", "urgent", "again", "refund", "stars"),
  *("flags", "place", "gift"),
]
MOST, PORT = 20, 8080


def block(language: str) -> str:
  page = (ROOT / "docs/ten-tasks.md").read_text("utf-8")
  (found,) = re.findall(rf"^```{language}\n(.*?)^```$", page, re.M | re.S)
  return found


def test_the_shell_lines_are_few():
  lines = [line for line in block("sh").split("\n") if line.strip()]
  assert len(lines) <= MOST


def port() -> int:
  """Returns the page's port, or a free one where that is taken."""
  with socket.socket() as each:
    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
      each.bind(("127.0.0.1", PORT))
    except OSError:
      each.bind(("127.0.0.1", 0))
    return each.getsockname()[1]


@pytest.mark.skipif(not shutil.which("curl"), reason="the page asks by curl")
def test_a_table_becomes_a_served_model(tmp_path):
  (tmp_path / "bin").mkdir()
  (tmp_path / "bin" / "python").symlink_to(sys.executable)
  environment = os.environ | {
    "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
    "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
    "XLA_FLAGS": "",
  }

  def run(*line: str) -> None:
    done = subprocess.run(
      line,
      cwd=tmp_path,
      env=environment,
      capture_output=True,
      text=True,
      check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

  run(sys.executable, "-c", block("python"))
  (tmp_path / "wide.toml").write_text(block("toml"))
  # The configs are files of the project; the port may be another's.
  shell = block("sh").replace("configs/", f"{ROOT}/configs/")
  shell = shell.replace(str(PORT), str(port()))
  run("bash", "-euc", shell)
  results = json.loads((tmp_path / "W/results.json").read_text())
  assert [*results["methods"]["multi"]] == TASKS
  gate = json.loads((tmp_path / "model/gate.json").read_text())["tasks"]
  assert [*gate] == TASKS
  lines = (tmp_path / "answers.jsonl").read_text().splitlines()
  assert len(lines) == 300
  answers = [json.loads(line) for line in lines]
  assert all([*each] == TASKS for each in answers)
  said = json.loads((tmp_path / "answer.json").read_text())
  assert said["answers"][0].keys() == set(TASKS)
  assert len(json.loads((tmp_path / "next.json").read_text())) == 20
