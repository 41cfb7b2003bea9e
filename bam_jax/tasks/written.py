"""What a TOML or YAML file says, and in which line."""

from pathlib import Path
import re
import tomllib
from typing import Any

_TRUTH = re.compile("(?:true|True|TRUE|false|False|FALSE)$")


def read(path: Path) -> tuple[Any, str]:
  """Returns what a file says, and its text.

  Args:
    path: TOML (.toml), or else YAML.

  Raises:
    ValueError: it is not; says where.
  """
  try:
    text = path.read_bytes().decode("utf-8-sig")
    return tomllib.loads(text) if path.suffix == ".toml" else _yaml(text), text
  except UnicodeDecodeError as error:
    line = 1 + error.object[: error.start].count(b"\n")
    raise ValueError(
      f"{path} line {line} is not UTF-8; save it again as UTF-8"
    ) from error
  # Tables in tables in tables end in the last one.
  except (ValueError, RecursionError) as error:
    raise ValueError(f"{path} cannot be read: {error}") from error


def line(text: str, name: str, key: str) -> int:
  """Returns the line of a key, or where its table begins; 0 = unknown.

  Args:
    text: of the file.
    name: of the table.
    key: in it; "" = the table itself.
  """
  quoted = r"[\"']?{}[\"']?"
  heads = re.compile(r"\s*\[([^\[\]]+)\]\s*(#.*)?|(\S+?)\s*:\s*(#.*)?")
  wanted = re.compile(r"\s*" + quoted.format(re.escape(str(key))) + r"\s*[=:]")
  begin, mine = 0, False
  for number, row in enumerate(text.split("\n"), 1):
    if head := heads.fullmatch(row.rstrip("\r")):
      mine = (head[1] or head[3]).strip().strip("\"'") == name
      begin = number if mine else begin
    elif mine and key and wanted.match(row):
      return number
  return begin


def _yaml(text: str) -> Any:
  # Slow to import, and most tasks files are TOML.
  import yaml

  class Once(yaml.SafeLoader):
    """Refuses a key that comes twice; the library takes the last."""

    def construct_mapping(self, node, deep=False):
      keys = [self.construct_object(each, deep=True) for each, _ in node.value]
      for i, key in enumerate(keys):
        if key in keys[:i]:
          line = node.value[i][0].start_mark.line + 1
          raise ValueError(f"line {line} has {key!r} a second time")
      return super().construct_mapping(node, deep)

  # As in YAML 1.2: yes and no are words, which labels often are.
  Once.yaml_implicit_resolvers = {
    first: [
      (tag, _TRUTH if tag.endswith(":bool") else pattern)
      for tag, pattern in pairs
    ]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
  }
  try:
    return yaml.load(text, Once)
  except yaml.YAMLError as error:
    raise ValueError(" ".join(str(error).split())) from error
