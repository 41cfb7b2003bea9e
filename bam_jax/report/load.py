"""Reads results.json, and refuses what it is not."""

import json
from pathlib import Path

SCHEMA = 1
_AGAIN = "type the command that made it again, with --config.stage=report"


def load(workdir: Path) -> dict:
  """Reads and checks W/results.json.

  Raises:
    ValueError: the file is missing, is not JSON or has another schema.
  """
  path = workdir / "results.json"
  if not path.is_file():
    raise ValueError(
      f"no {path}; train first: python -m bam_jax.main --config=FILE "
      f"--workdir={workdir}"
    )
  try:
    results = json.loads(path.read_text(encoding="utf-8"))
  except ValueError as error:
    raise ValueError(f"{path} is not JSON ({error}); {_AGAIN}") from None
  found = results.get("schema") if isinstance(results, dict) else None
  if found != SCHEMA:
    raise ValueError(
      f"{path} has schema {found!r} and {SCHEMA} is read here; {_AGAIN}"
    )
  return results
