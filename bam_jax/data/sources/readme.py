"""Which files a hub data set's README says that its configs and splits are.

Its YAML header may list `configs:`, each with `data_files:`, as the hub's own
loader follows them.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from pathlib import Path
import re
from typing import Any

from bam_jax.runtime.spelling import shown

NAME = "README.md"
_HEADER = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.S | re.M)
# What a config may say that changes no row that is read.
_NEUTRAL = (
  *("config_name", "data_files", "data_dir", "default", "description"),
  *("version", "drop_labels", "drop_metadata"),
)
# What it may say of how files are read: what we do in any case.
_OURS: Mapping[str, Any] = {
  "sep": ",",
  "delimiter": ",",
  "encoding": "utf-8",
  "header": 0,
  "lines": True,
}


@dataclasses.dataclass(frozen=True)
class Config:
  """A config of a data set.

  Attributes:
    name: of the config.
    files: split -> patterns of its files; {} = the README names none.
    folder: whose files they are; "" = of the data set's top.
    other: what it says beside, of how the files are read.
    wrong: why its files cannot be followed; "" = they can.
  """

  name: str
  files: Mapping[str, tuple[str, ...]]
  folder: str
  other: Mapping[str, Any]
  wrong: str


def configs(path: Path) -> dict[str, Config]:
  """Returns the configs that a README names, by name; {} = none.

  Args:
    path: of the README.

  Raises:
    ValueError: its header is not YAML.
  """
  # Slow to import, and few data sets are the hub's.
  import yaml

  found = _HEADER.match(path.read_text("utf-8", errors="replace"))
  if not found:
    return {}
  try:
    said = yaml.safe_load(found[1])
  except (yaml.YAMLError, RecursionError) as error:
    what = getattr(error, "problem", None) or "it is nested too deeply"
    raise ValueError(f"its header is not YAML ({what})") from error
  entries = said.get("configs") if isinstance(said, Mapping) else None
  if not isinstance(entries, Sequence) or isinstance(entries, str):
    return {}
  rows = [_config(entry) for entry in entries if isinstance(entry, Mapping)]
  return {row.name: row for row in rows}


def _config(entry: Mapping[str, Any]) -> Config:
  files, wrong = {}, ""
  try:
    files = _files(entry.get("data_files"))
  except ValueError as error:
    wrong = str(error)
  return Config(
    str(entry.get("config_name", "default")),
    files,
    str(entry.get("data_dir") or "").strip("/"),
    {
      key: value
      for key, value in entry.items()
      if key not in _NEUTRAL and (key not in _OURS or value != _OURS[key])
    },
    wrong,
  )


def _files(said: Any) -> dict[str, tuple[str, ...]]:
  """The patterns of each split; without a word on splits all are train."""
  if said is None:
    return {}
  if isinstance(said, Mapping):
    pairs = list(said.items())
  elif isinstance(said, list) and any(isinstance(x, Mapping) for x in said):
    pairs = [
      (x.get("split"), x.get("path")) if isinstance(x, Mapping) else ("", None)
      for x in said
    ]
  else:
    pairs = [("train", said)]
  files: dict[str, tuple[str, ...]] = {}
  for split, given in pairs:
    paths = given if isinstance(given, list) else [given]
    if not split or not all(isinstance(x, str) and x for x in paths):
      raise ValueError(
        f"data_files is {shown(said)}, not splits and their files"
      )
    if far := next((x for x in paths if "://" in x), ""):
      raise ValueError(f"data_files has {shown(far)}, which lies elsewhere")
    files[str(split)] = (*files.get(str(split), ()), *paths)
  return files
