"""Signals: the first asks, the second ends, and no compiler outlasts either."""

from pathlib import Path
import signal
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Takes the signals over, then stays in C for minutes, as in the compiler.
BUSY = """
import hashlib
from bam_jax.runtime.preemption import Preemption
stop = Preemption(grace={grace})
print("busy", flush=True)
hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2_000_000_000)
"""
ASKED = """
import time
from bam_jax.runtime.preemption import Preemption
stop = Preemption()
print("busy", stop(), flush=True)
while not stop():
  time.sleep(0.01)
print("stopped")
"""
# Hears a signal when Python has already put its handlers away.
LATE = """
import os, signal
from bam_jax.runtime.preemption import Preemption
class Late:
  def __del__(self, kill=os.kill, me=os.getpid(), number=signal.SIGTERM):
    kill(me, number)
late = Late()
stop = Preemption()
print("busy", flush=True)
stop.over()
"""


def started(code: str) -> subprocess.Popen:
  process = subprocess.Popen(
    [sys.executable, "-c", code],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline().startswith("busy")
  return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks_and_the_run_goes_on_to_its_step(number):
  process = started(ASKED)
  process.send_signal(number)
  out, err = process.communicate(timeout=60)
  assert (process.returncode, out) == (0, "stopped\n")
  assert "once more stops at once" in err


def test_the_second_signal_ends_even_the_compiler():
  process = started(BUSY.format(grace=600))
  process.send_signal(signal.SIGTERM)
  assert process.stderr.readline() == "\n"
  assert "once more" in process.stderr.readline()
  process.send_signal(signal.SIGINT)
  process.communicate(timeout=60)
  assert process.returncode == 128 + signal.SIGINT


def test_a_run_that_comes_to_no_step_ends_when_its_grace_is_over():
  process = started(BUSY.format(grace=0.2))
  process.send_signal(signal.SIGTERM)
  _, err = process.communicate(timeout=60)
  assert process.returncode == 3
  assert "goes on from the last checkpoint" in err


def test_a_signal_after_the_end_does_not_change_the_exit_code():
  process = started(LATE)
  process.communicate(timeout=60)
  assert process.returncode == 0
