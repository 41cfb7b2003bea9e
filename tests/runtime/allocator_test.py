"""Memory that is freed and asked for again costs no new pages."""

import os
from pathlib import Path
import subprocess
import sys

import pytest

from bam_jax.runtime import allocator

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import resource, sys, threading
from bam_jax.runtime import allocator
kept = sys.argv[1] == "keep" and allocator.keep()
import numpy as np

def work():
  def touch():
    # A block of 128 MB, and many that other threads would have heaps for.
    for parts, size in ((1, 1 << 24), (64, 1 << 18)):
      [np.ones(size) for _ in range(parts)]

  touch()
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  touch()
  print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

# The steps of a run do not run in the thread that starts it.
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
COMMAND = """
import os
from bam_jax import main

def keep():
  print(len(os.listdir("/proc/self/task")), flush=True)
  os._exit(0)

main.allocator.keep = keep
main.main([])
"""


def faults(word):
  """Returns whether memory is kept, and the pages that were cleared anew."""
  ran = subprocess.run(
    [sys.executable, "-c", CODE, word],
    env=os.environ | {"PYTHONPATH": str(ROOT), "GLIBC_TUNABLES": ""},
    capture_output=True,
    text=True,
    check=True,
  )
  kept, count = map(int, ran.stdout.split())
  return bool(kept), count


@pytest.mark.skipif(
  not sys.platform.startswith("linux"), reason="mallopt is glibc's"
)
def test_what_is_freed_serves_again():
  kept, count = faults("keep")
  if not kept:
    pytest.skip("an accelerator is there, or another C library")
  _, without = faults("not")
  assert count < 1000 < 30_000 < without


@pytest.mark.skipif(
  not sys.platform.startswith("linux"), reason="threads are counted in /proc"
)
def test_a_study_keeps_memory_before_it_has_threads():
  # A thread that is there has an arena, which those of a run get to share.
  ran = subprocess.run(
    [sys.executable, "-c", COMMAND],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  assert ran.stdout == "1\n"


def test_hosts_of_accelerators_stay_as_they_are(monkeypatch):
  monkeypatch.setattr(allocator.glob, "glob", lambda pattern: ["/dev/nvidia0"])
  monkeypatch.setattr(
    allocator.ctypes, "CDLL", lambda name: pytest.fail("was asked")
  )
  assert not allocator.keep()
