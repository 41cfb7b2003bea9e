"""What is known of the official files: rows and digests."""

import functools
from pathlib import Path
import tomllib
from typing import Any

# Of the checkout, or the copy that a wheel carries.
MANIFEST = Path(__file__).parents[2] / "third_party" / "manifest.toml"
if not MANIFEST.is_file():
  MANIFEST = Path(__file__).parents[1] / "shipped/third_party/manifest.toml"


@functools.cache
def manifest() -> dict[str, Any]:
  """The content of `third_party/manifest.toml`."""
  with MANIFEST.open("rb") as file:
    return tomllib.load(file)
