"""Another command of ours, run to its end in a process of its own."""

from collections.abc import Sequence
import os
from pathlib import Path
import signal
import subprocess
import sys


def main(args: Sequence[str], *, cache: Path) -> None:
  """Runs bam_jax.main; what it prints goes to stderr.

  A signal that ends us is passed on, so that it saves before it stops.

  Args:
    args: what is typed behind it.
    cache: where compiled programs are kept for the next one, unless
      $JAX_COMPILATION_CACHE_DIR says where.

  Raises:
    SystemExit: it has not finished; with its code.
  """
  child = subprocess.Popen(
    [sys.executable, "-m", "bam_jax.main", *args],
    # Ours is for what comes out.
    stdout=sys.stderr,
    env={"JAX_COMPILATION_CACHE_DIR": str(cache.absolute()), **os.environ},
  )
  # A terminal's Ctrl-C reaches it by itself.
  handlers = {
    signal.SIGTERM: lambda *_: child.terminate(),
    signal.SIGINT: lambda *_: None,
  }
  before = {each: signal.signal(each, do) for each, do in handlers.items()}
  code = child.wait()
  for each, do in before.items():
    signal.signal(each, do)
  if code:
    sys.exit(code if code > 0 else 128 - code)
