"""One task of a tasks file: its keys, and the sentence where one is wrong."""

from collections.abc import Mapping, Sequence
import dataclasses
from pathlib import Path
import reprlib
from typing import Any

from bam_jax.runtime import hub
from bam_jax.tasks import labels as label_names
from bam_jax.tasks import toml_yaml


@dataclasses.dataclass
class Entry:
  """What the file says of one task.

  Attributes:
    name: of the task.
    given: key -> value.
    path: the tasks file.
    text: what is in it.
  """

  name: str
  given: Any
  path: Path
  text: str

  def called(self, key: str) -> list[str]:
    """Returns what the values of a list are called; see labels.name."""
    found = self.given.get(key, [])
    found = found if isinstance(found, Sequence) else [found]
    found = [found] if isinstance(found, str) else found
    try:
      return [label_names.name(value) for value in found]
    except ValueError as error:
      return self.refuse(key, f"has what can be no label ({error})")

  def string(self, key: str, *, needed: bool = True) -> str:
    """Returns a text that is not empty; "" where it may be left out."""
    if key not in self.given and not needed:
      return ""
    if key not in self.given:
      self.refuse(key, "is missing")
    if not isinstance(self.given[key], str) or not self.given[key].strip():
      self.refuse(key, "is a text in quotes")
    return self.given[key]

  def files(self, key: str) -> tuple[str, ...]:
    """Returns the files of a split: names, or patterns such as "*.csv"."""
    found = self.texts(key, "a file in quotes, or a list of different ones")
    if not all(name.strip() for name in found):
      self.refuse(key, "is a file in quotes, or a list of different ones")
    return found

  def texts(self, key: str, what: str, *, needed: int = 1) -> tuple[str, ...]:
    """Returns a text or a list of different ones as a tuple."""
    found = self.given.get(key, [])
    found = [found] if isinstance(found, str) else found
    good = isinstance(found, Sequence) and all(
      isinstance(value, str) and value for value in found
    )
    if not good or len(found) < needed or len(set(found)) < len(found):
      self.refuse(key, f"is {what}" if key in self.given else "is missing")
    return tuple(found)

  def flag(self, key: str) -> bool:
    """Returns true or false; false if nothing is said."""
    found = self.given.get(key, False)
    if type(found) is not bool:
      self.refuse(key, "is true or false")
    return found

  def refuse(self, key: str, why: str) -> Any:
    """Raises the sentence: file, line, task and key, value, and why."""
    line = toml_yaml.line(self.text, self.name, key)
    given = isinstance(self.given, Mapping) and key in self.given
    # A token in the wrong place is not repeated.
    value = f" = {hub.plain(reprlib.repr(self.given[key]))}" if given else ""
    what = f"{self.name}.{key}{value}" if key else self.name
    raise ValueError(
      f"{self.path}{f' line {line}' if line else ''}: {what} {why}"
    )
