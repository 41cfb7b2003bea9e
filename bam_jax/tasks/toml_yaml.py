"""What a TOML or YAML file says, and in which line."""

from pathlib import Path
import re
import tomllib
from typing import Any

from bam_jax.runtime import signatures
from bam_jax.runtime.spelling import shown

_TRUTH = re.compile("(?:true|True|TRUE|false|False|FALSE)$")


def read(path: Path) -> tuple[Any, str]:
  """Returns what a file says, and its text.

  Args:
    path: TOML (.toml), or else YAML.

  Raises:
    ValueError: it is not; says where.
  """
  try:
    data = path.read_bytes()
    if called := signatures.called(data[: signatures.LENGTH]):
      raise ValueError(called)
    text = data.decode("utf-8-sig")
    return _toml(text) if path.suffix == ".toml" else _yaml(text), text
  except UnicodeDecodeError as error:
    line = 1 + error.object[: error.start].count(b"\n")
    raise ValueError(
      f"{path} line {line} is not UTF-8; save it again as UTF-8"
    ) from error
  # Tables in tables in tables end in the last one.
  except RecursionError as error:
    raise ValueError(f"{path} is nested too deeply") from error
  except ValueError as error:
    raise ValueError(f"{path} {error}") from error


def line(text: str, name: str, key: str) -> int:
  """Returns the line of a key, or where its table begins; 0 = unknown.

  Args:
    text: of the file.
    name: of the table.
    key: in it; "" = the table itself.
  """
  quoted = r"[\"']?{}[\"']?"
  heads = re.compile(r"\s*\[\[?([^\[\]]+)\]?\]\s*(#.*)?|(\S+?)\s*:\s*(#.*)?")
  names = (name, f"table.labels.{name}")
  wanted = re.compile(r"\s*" + quoted.format(re.escape(str(key))) + r"\s*[=:]")
  begin, mine = 0, False
  for number, row in enumerate(text.split("\n"), 1):
    if head := heads.fullmatch(row.rstrip("\r")):
      mine = (head[1] or head[3]).strip().strip("\"'") in names
      begin = number if mine else begin
    elif mine and key and wanted.match(row):
      return number
  return begin


def _toml(text: str) -> Any:
  try:
    return tomllib.loads(text)
  except tomllib.TOMLDecodeError as error:
    what, _, place = str(error).rstrip(")").rpartition(" (at ")
    found = re.match(r"line (\d+), column (\d+)", place)
    if not found:
      raise ValueError(f"is not TOML: {error}") from error
    number, column = map(int, found.groups())
    row = text.split("\n")[number - 1].strip()
    raise ValueError(_placed("TOML", number, column, what, row)) from error


def _placed(kind: str, line: int, column: int, what: str, row: str) -> str:
  cure = ""
  if "\\" in row:
    cure = "; a path with backslashes stands in single quotes"
  elif what == "Invalid value":
    cure = "; texts stand in quotes"
  elif what.endswith(r"'\n'"):
    cure = "; a text ends with its quote in the same line"
  return (
    f"line {line}, column {column} is not {kind}: {what}, in {shown(row)}{cure}"
  )


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
    mark = getattr(error, "problem_mark", None)
    if mark is None:
      said = " ".join(str(error).split())
      raise ValueError(f"is not YAML: {said}") from error
    row = [*text.split("\n"), ""][mark.line].strip()
    what = " ".join(filter(None, (error.context, error.problem)))
    raise ValueError(
      _placed("YAML", mark.line + 1, mark.column + 1, what, row)
    ) from error
