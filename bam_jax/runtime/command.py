"""What the commands share: how they end, and what stays off the screen."""

from collections.abc import Callable
import os
import sys

from absl import logging

from bam_jax.runtime.errors import sentence

# Exit code of what is wrong with the command or its input.
WRONG = 2


def fail(text: str) -> None:
  """Says what is wrong and exits with code 2."""
  print(f"error: {text}", file=sys.stderr)
  sys.exit(WRONG)


def hush() -> None:
  """Keeps what libraries tell their own developers off the screen."""
  logging.set_verbosity(logging.WARNING)
  # What Orbax logs with a trace is also raised, and said in one sentence.
  logging.get_absl_handler().addFilter(
    lambda record: "orbax" not in record.pathname
  )


def run(work: Callable[[], None]) -> None:
  """Runs a command; the user's mistakes are one sentence and exit code 2.

  A reader of our output that has had enough is no mistake.
  """
  hush()
  try:
    work()
    sys.stdout.flush()
  except BrokenPipeError:
    # Else the interpreter tries to flush once more when it ends, and complains.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
  except (ValueError, OSError) as error:
    if "BAM_JAX_TRACEBACK" in os.environ:
      raise
    fail(sentence(error))
