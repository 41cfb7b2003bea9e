"""Files of JSON that are never half written, and what is in them."""

from collections.abc import Mapping
import hashlib
import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, value: Any) -> None:
  """Writes JSON beside and renames it."""
  path.parent.mkdir(parents=True, exist_ok=True)
  beside = path.with_suffix(".tmp")
  beside.write_text(json.dumps(value, indent=1) + "\n")
  os.replace(beside, path)


def read_json(path: Path) -> Any:
  """Returns the value, or {} where there is no such file.

  Raises:
    ValueError: the file is not JSON.
  """
  if not path.exists():
    return {}
  try:
    return json.loads(path.read_text())
  except (ValueError, RecursionError) as error:
    raise ValueError(
      f"{path} is not JSON ({error}); delete it and run the same command again"
    ) from error


def flatten(tree: Mapping, prefix: str = "") -> dict[str, Any]:
  """Returns {"optim.clip": 1.0, ...}."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, Mapping):
      flat |= flatten(value, f"{prefix}{key}.")
    else:
      flat[prefix + key] = value
  return flat


def digest(value: Any) -> str:
  """Returns a short hash of JSON-like settings."""
  text = json.dumps(value, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:16]
