"""A report before it is written in any language: sections of blocks.

All text here is plain; whoever writes it into Markdown, HTML or LaTeX escapes
it there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bold:
  """Text in bold."""

  text: str


# A cell or a sentence: text, or pieces of which some are bold.
Text = str | Sequence[str | Bold]


@dataclass(frozen=True)
class Paragraph:
  """A few sentences."""

  text: Text


@dataclass(frozen=True)
class Warn:
  """A sentence that must not be missed."""

  text: str


@dataclass(frozen=True)
class Bullets:
  """Sentences, each on a line of its own."""

  items: tuple[str, ...]


@dataclass(frozen=True)
class Code:
  """Something to be typed."""

  text: str


@dataclass(frozen=True)
class Table:
  """Rows under a header.

  Attributes:
    name: of its file, letters only.
    header: one cell per column.
    rows: as wide as the header.
    caption: all that has to be said where the table stands alone.
    names: how many columns, from the left, hold names and no numbers.
  """

  name: str
  header: Sequence[str]
  rows: Sequence[Sequence[Text]]
  caption: str
  names: int = 1


@dataclass(frozen=True)
class Picture:
  """A picture, drawn when it is needed.

  Attributes:
    name: of its file, with its ending.
    text: what it shows, for those who do not see it.
    draw: returns a PNG file.
  """

  name: str
  text: str
  draw: Callable[[], bytes]


Block = Paragraph | Warn | Bullets | Code | Table | Picture


@dataclass(frozen=True)
class Section:
  """Blocks under a title."""

  title: str
  blocks: tuple[Block, ...]


def pieces(text: Text) -> tuple[str | Bold, ...]:
  """Returns the pieces of a text."""
  return (text,) if isinstance(text, str) else tuple(text)


def blocks_of(sections: Sequence[Section], kind: type) -> Iterator:
  """Yields all blocks of a kind."""
  for section in sections:
    yield from (block for block in section.blocks if isinstance(block, kind))


def noted(
  name: str,
  found: Sequence[Sequence[Text]],
  caption: str,
  note: str,
  *,
  names: int = 1,
) -> Iterator[Block]:
  """Yields a table and what has to be said of it; nothing without rows.

  Args:
    name: of the table.
    found: its rows, the header first.
    caption: of the table, before the note.
    note: what stands below it too.
    names: see `Table`.
  """
  header, *rows = found
  if rows:
    yield Table(name, header, rows, f"{caption} {note}", names)
    yield Paragraph(note)
