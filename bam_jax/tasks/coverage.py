"""What an encoder reads of a task: unknown words, rows cut short, rows again.

All are said before training and stand in results.json; what is high is a
warning, because a model that reads little of its text still trains.
"""

from collections.abc import Iterator, Mapping
import dataclasses
from typing import Any

# Shares from which on a task is warned of. A WordPiece vocabulary of the text's
# own language misses less than one token in a hundred, of tweets with emoji two
# or three; that of another language or another tokenizer misses every second.
UNKNOWN = 0.05
# GLUE's longest tasks lose the end of 1 to 5 rows in a hundred at BERT's 128
# tokens, and the published scores are of such rows.
CUT = 0.1
# A word that is not read is an answer that is lost.
UNREAD = 0.005
# Repeated rows that are named.
FIRST = 5


@dataclasses.dataclass(frozen=True)
class Coverage:
  """What an encoder reads of one split.

  Attributes:
    rows: how many there are.
    unknown: share of the text's tokens that are the unknown word.
    cut: share of the rows that max_length cuts; None = not known.
    repeated: how many of the rows read like a training row.
    first: the example numbers of the first of these.
    unread: labelled words that are cut away or lost; None where rows are
      labelled. Of questions those whose answer is whole in no window.
    words: all labelled words, or questions; 0 where rows are labelled.
    what: of which there are so many, "words" or "answers".
    unlabelled: how many rows have no label, and learn from a teacher alone.
  """

  rows: int
  unknown: float
  cut: float | None
  repeated: int = 0
  first: tuple[int, ...] = ()
  unread: int | None = None
  words: int = 0
  what: str = "words"
  unlabelled: int = 0


def record(found: Mapping[str, Coverage]) -> dict[str, Any]:
  """Returns the coverage of a task's splits as JSON values."""
  return {
    split: {
      key: value
      for key, value in dataclasses.asdict(each).items()
      # Most splits have none.
      if value or key != "unlabelled"
    }
    for split, each in found.items()
  }


def parse(found: Mapping[str, Any]) -> dict[str, Coverage]:
  """Returns what `record` has written."""
  return {
    split: Coverage(**{**each, "first": tuple(each.get("first", ()))})
    for split, each in found.items()
  }


def sentence(task: str, found: Mapping[str, Coverage]) -> str:
  """Returns what is read of a task, in one line."""
  parts = []
  for split, each in found.items():
    part = f"{each.unknown:.1%} of the tokens of {split} are unknown words"
    if each.cut is not None:
      part += f" and {each.cut:.1%} of its rows are cut"
    if each.unread is not None:
      part += f" ({each.unread} of its {each.words} {each.what} are not read)"
    if each.unlabelled:
      part += f"; {each.rows - each.unlabelled} of these have a label and"
      part += f" {each.unlabelled} have none"
    parts.append(part)
  return f"{task}: {'; '.join(parts)}"


def warnings(
  task: str,
  found: Mapping[str, Coverage],
  max_length: int,
  key: str = "max_length",
) -> Iterator[str]:
  """Yields what is high of a task, and what to do about it.

  Args:
    task: its name.
    found: of its splits.
    max_length: tokens of a row.
    key: of the config, which says so.
  """
  for split, each in found.items():
    if each.unknown >= UNKNOWN:
      yield (
        f"{each.unknown:.0%} of the tokens of {task}'s {split} rows are words "
        "that the encoder's vocabulary does not know; is it the tokenizer of "
        "the encoder, and an encoder of the text's language?"
      )
    if each.cut is not None and each.cut >= CUT:
      yield (
        f"{each.cut:.0%} of {task}'s {split} rows are cut at {max_length} "
        f"tokens; raise --config.{key}, if the encoder has the positions"
      )
    if each.unread and each.what == "answers":
      yield (
        f"{each.unread} of the {each.words} answers of {task}'s {split} rows "
        f"are whole in no window of {max_length} tokens: nothing is learned of "
        f"them, and dev counts what is said; raise --config.{key}, if the "
        "encoder has the positions, or --config.span.stride"
      )
    elif each.unread and each.unread >= UNREAD * each.words:
      yield (
        f"{each.unread} of the {each.words} words of {task}'s {split} rows are "
        f"cut away at {max_length} tokens and count as answered by none; raise "
        f"--config.{key}, if the encoder has the positions"
      )
    if each.repeated:
      more = ", ..." if each.repeated > len(each.first) else ""
      yield (
        f"{each.repeated} of {task}'s {each.rows} {split} rows "
        f"({each.repeated / each.rows:.1%}) are read like a row of train: "
        f"{', '.join(map(str, each.first))}{more}, counted from 0; "
        "they are scored by what was learned by heart"
      )
