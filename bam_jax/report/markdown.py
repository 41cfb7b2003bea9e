"""Writes a document in Markdown (CommonMark with tables)."""

from collections.abc import Sequence
import re

from bam_jax.report.document import (
  Block,
  Bold,
  Bullets,
  Code,
  Paragraph,
  Picture,
  Section,
  Table,
  Text,
  Warn,
  pieces,
)


def render(sections: Sequence[Section]) -> str:
  """Returns the text of a Markdown file; the first title is the file's."""
  parts = []
  for level, section in enumerate(sections):
    parts.append(f"{'##' if level else '#'} {escape(section.title)}")
    parts += map(_block, section.blocks)
  return "\n\n".join(parts) + "\n"


def escape(text: object) -> str:
  """Escapes what Markdown, its tables and its HTML would take for theirs."""
  text = " ".join(str(text).split())
  text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
  # An underscore inside a word is no emphasis and paths are full of them.
  return re.sub(r"[\\`*\[\]|~$]|(?<!\w)_|_(?!\w)", r"\\\g<0>", text)


def _block(block: Block) -> str:
  match block:
    case Paragraph(text):
      return _text(text)
    case Warn(text):
      return f"> **{escape(text)}**"
    case Bullets(items):
      return "\n".join(f"- {escape(item)}" for item in items)
    case Code(text):
      # Longer than any fence in it.
      fence = "`" * max(3, *(len(f) + 1 for f in ["", *re.findall("`+", text)]))
      return f"{fence}sh\n{text}\n{fence}"
    case Table(_, header, rows, _, names):
      rule = [":--"] * names + ["--:"] * (len(header) - names)
      lines = [[*map(escape, header)], rule, *([*map(_text, r)] for r in rows)]
      return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    case Picture(name, text, _):
      return f"![{escape(text)}]({name})"


def _text(text: Text) -> str:
  return "".join(
    f"**{escape(piece.text)}**" if isinstance(piece, Bold) else _plain(piece)
    for piece in pieces(text)
  )


def _plain(piece: str) -> str:
  """Escapes a piece and keeps the blanks that part it from its neighbours."""
  before = " " * piece[:1].isspace()
  after = " " * piece[-1:].isspace()
  return f"{before}{escape(piece)}{after}" if piece.strip() else before
