r"""Checks a submission by the rules of the GLUE server, before it is sent.

    python -m bam_jax.glue_server --check=W/submission

Looks at the folder's `.tsv` files and submission.zip, or at a zip alone: the
eleven files and no others, the header, the number of rows and their order,
label names, the range of scores, the layout of the zip. Exit codes: 0 the
server will take it, 2 it will not, one sentence for each reason.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
import sys

from bam_jax.tasks.server import check
from bam_jax.tasks.submission import FILES


def main(args: Sequence[str] | None = None) -> int:
  """Prints what is wrong with a submission; returns the exit code."""
  parser = argparse.ArgumentParser(
    "python -m bam_jax.glue_server",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
    "--check", type=Path, required=True, help="W/submission, or a zip"
  )
  given = parser.parse_args(args)
  try:
    wrong = check(given.check)
  except OSError as error:
    wrong = [str(error)]
  for sentence in wrong:
    print(f"error: {sentence}", file=sys.stderr)
  if not wrong:
    print(f"{given.check}: all {len(FILES)} files are as the server wants them")
  return 2 if wrong else 0


if __name__ == "__main__":
  sys.exit(main())
