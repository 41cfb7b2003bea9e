"""Reads results.json, and refuses what it is not."""

import json
from pathlib import Path

SCHEMA = 1


def load(workdir: Path) -> dict:
  """Reads and checks W/results.json.

  Raises:
    ValueError: the file is missing, is not JSON or has another schema.
  """
  path = workdir / "results.json"
  if not path.is_file():
    raise ValueError(
      f"no {path}; train first: python -m bam_jax.main --workdir={workdir}"
    )
  try:
    results = json.loads(path.read_text(encoding="utf-8"))
  except ValueError as error:
    raise ValueError(f"{path} is not JSON ({error}); evaluate again") from None
  found = results.get("schema") if isinstance(results, dict) else None
  if found != SCHEMA:
    raise ValueError(
      f"{path} has schema {found!r} and {SCHEMA} is read here; evaluate again"
    )
  return results
