"""Runs bam_jax.main, and kills it at a chosen change of a file.

  python -m benchmarks.fuse --part=states --nth=40 --delay=0.01 -- \
      --config=configs/quickstart.py --workdir=W

Kills at random times seldom fall into a rename. Python tells an audit hook of
every file that it opens, makes, renames and removes, before it does.
"""

import argparse
import collections
import json
import os
from pathlib import Path
import runpy
import signal
import sys
import threading

EVENTS = {
  "open",
  "os.mkdir",
  "os.remove",
  "os.rename",
  "os.rmdir",
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def part(path: Path) -> str:
  """Returns which part of a working directory a path in it belongs to."""
  # What is in the making is called .tokenizer.HOST.PROCESS.tmp.
  match [name.strip(".").split(".")[0] for name in path.parts]:
    case ("data", kind, *_):
      return kind if kind in ("tokenizer", "teachers") else "features"
    case ("runs", _, "checkpoints"):
      return "states"
    case ("runs", _, "checkpoints", name, *_):
      kinds = {"training": "states", "seed": "parameters"}
      return kinds.get(name.split("-")[0], "discarded")
    case ("runs", _, name, *_):
      return name
    case ("tensorboard", *_):
      return "trackers"
    case ("report" | "results", *_):
      return "results"
  return "config"


def changed(event: str, args: tuple) -> str | None:
  """Returns the path that an audited event is about to change, or None."""
  if event not in EVENTS or not args or isinstance(args[0], int):
    return None
  if event == "open" and not (args[2] or 0) & WRITING:
    return None
  path = os.fsdecode(args[0])
  # Whole trees are removed by names relative to an open directory.
  folder = args[-1] if event in ("os.remove", "os.rmdir") else -1
  if isinstance(folder, int) and folder >= 0:
    path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), path)
  return os.path.abspath(path)


def light(
  root: Path, wanted: str, nth: int, *, holds: str = "", delay: float = 0.0
) -> dict[str, int]:
  """Starts counting changes below `root`; the nth of a part is the last.

  Args:
    root: the working directory.
    wanted: a part of it, see `part`; "" = only count.
    nth: of that part's changes, from 1.
    holds: only paths that hold this count for it.
    delay: seconds that the process goes on after it.

  Returns:
    The changes of each part so far.
  """
  counts: dict[str, int] = collections.Counter()
  met = 0
  base = os.path.abspath(root) + os.sep

  def blow() -> None:
    os.kill(os.getpid(), signal.SIGKILL)

  def hook(event: str, args: tuple) -> None:
    nonlocal met
    path = changed(event, args)
    if path is None or not path.startswith(base):
      return
    kind = part(Path(path[len(base) :]))
    counts[kind] += 1
    if kind != wanted or holds not in path:
      return
    met += 1
    if met == nth:
      if delay:
        timer = threading.Timer(delay, blow)
        timer.daemon = True
        timer.start()
      else:
        blow()

  sys.addaudithook(hook)
  return counts


def keep_states() -> None:
  """Lets every state of a run in training stay, also when it is finished."""
  from bam_jax.training import checkpoint

  def discard(self) -> None:
    self.close()
    self.path.rename(self.path.with_name(f"all-{self.path.name}"))

  checkpoint.KEPT = 1_000_000
  checkpoint.Checkpoints.discard = discard


def main() -> None:
  """Runs the command that follows "--"."""
  parser = argparse.ArgumentParser("python -m benchmarks.fuse")
  parser.add_argument("--part", default="", help="what is being written")
  parser.add_argument("--nth", type=int, default=0, help="change of it")
  parser.add_argument("--holds", default="", help="text in its path")
  parser.add_argument("--delay", type=float, default=0.0, help="seconds")
  parser.add_argument("--counts", type=Path, help="a file to count into")
  parser.add_argument("--keep", action="store_true", help="all states")
  parser.add_argument("args", nargs="+", help="of bam_jax.main")
  given = parser.parse_args()
  root = next(a for a in given.args if a.startswith("--workdir="))
  counts = light(
    Path(root.partition("=")[2]),
    given.part,
    given.nth,
    holds=given.holds,
    delay=given.delay,
  )
  if given.keep:
    keep_states()
  sys.argv = ["bam_jax.main", *given.args]
  try:
    runpy.run_module("bam_jax.main", run_name="__main__", alter_sys=True)
  finally:
    if given.counts:
      given.counts.write_text(json.dumps(counts))


if __name__ == "__main__":
  main()
