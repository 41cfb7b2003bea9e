"""Writes a document as one HTML page that needs no other file and no script."""

import base64
from collections.abc import Mapping, Sequence
import html
import struct

from bam_jax.report import plots
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

# Pixels of a picture to a pixel of the page, of which 96 are an inch.
DENSITY = plots.DPI / 96

# Whatever is wide scrolls in a box of its own; the page itself never does.
STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1a1a1a; --paper: #fff; --faint: #5c5c5c; --line: #d0d0d0;
  --stripe: #f6f6f6; --link: #0b57a4; --warn: #8a3b00; --note: #fff4e5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e8e8e8; --paper: #161616; --faint: #ababab; --line: #444;
    --stripe: #202020; --link: #8ab8f0; --warn: #ffb870; --note: #2c2115;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
main { max-width: 90rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.8rem; margin: .5rem 0; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; }
p, li { max-width: 50rem; }
a { color: var(--link); }
nav ul { list-style: none; padding: 0; margin: 0; display: flex;
  flex-wrap: wrap; gap: .25rem 1rem; }
.warn { border-left: 4px solid var(--warn); background: var(--note);
  padding: .5rem 1rem; font-weight: bold; }
.box { overflow-x: auto; max-width: 100%; margin: 1rem 0; }
.box:focus-visible { outline: 2px solid var(--link); }
table { border-collapse: collapse; font-size: .85rem;
  font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: .3rem .45rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
tbody th, .name { text-align: left; }
thead th { border-top: 2px solid; border-bottom: 2px solid; }
tbody th { font-weight: normal; }
tbody tr:nth-child(even) { background: var(--stripe); }
pre { margin: 0; padding: .75rem 1rem; background: var(--stripe);
  width: max-content; min-width: 100%; }
figure { margin: 0; }
img { display: block; background: #fff; max-width: none; height: auto; }
figcaption { color: var(--faint); font-size: .9rem; max-width: 50rem; }
@media print { .box { overflow: visible; } img { max-width: 100%; } }
"""
# Not even a flaw in the escaping could load or run anything.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def render(sections: Sequence[Section], pictures: Mapping[str, bytes]) -> str:
  """Returns the text of an HTML file; the first title is the page's.

  Args:
    sections: of the document.
    pictures: name -> PNG file, of every picture in it.
  """
  title = escape(sections[0].title)
  links = "".join(
    f'<li><a href="#part-{k}">{escape(section.title)}</a></li>'
    for k, section in enumerate(sections)
    if k
  )
  parts = [
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
    f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>",
  ]
  for k, section in enumerate(sections):
    level = "h2" if k else "h1"
    parts.append(f'<section id="part-{k}">')
    parts.append(f"<{level}>{escape(section.title)}</{level}>")
    if not k and links:
      parts.append(f'<nav aria-label="Contents"><ul>{links}</ul></nav>')
    parts += (
      _block(block, section.title, pictures) for block in section.blocks
    )
    parts.append("</section>")
  return "\n".join([*parts, "</main>\n</body>\n</html>\n"])


def escape(text: object) -> str:
  """Escapes text for an element or a quoted attribute."""
  return html.escape(" ".join(str(text).split()))


def _block(block: Block, title: str, pictures: Mapping[str, bytes]) -> str:
  match block:
    case Paragraph(text):
      return f"<p>{_text(text)}</p>"
    case Warn(text):
      return f'<p class="warn">{escape(text)}</p>'
    case Bullets(items):
      lines = "\n".join(f"<li>{escape(item)}</li>" for item in items)
      return f"<ul>\n{lines}\n</ul>"
    case Code(text):
      return _box(
        f"{title}: command", f"<pre><code>{html.escape(text)}</code></pre>"
      )
    case Table():
      return _box(f"{title}: table", _table(block))
    case Picture(name, text, _):
      return _picture(text, pictures[name], title)


def _box(label: str, inside: str) -> str:
  """Returns a box that scrolls; with a tab stop, so by keyboard too."""
  attributes = f'class="box" role="region" aria-label="{escape(label)}"'
  return f'<div {attributes} tabindex="0">{inside}</div>'


def _table(table: Table) -> str:
  # The first cell of a line names it; further names are cells on the left.
  kinds = [
    ' class="name"' if k < table.names else ""
    for k, _ in enumerate(table.header)
  ]
  head = "".join(
    f'<th scope="col"{kind}>{escape(cell)}</th>'
    for kind, cell in zip(kinds, table.header, strict=True)
  )
  lines = [f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>"]
  for first, *rest in table.rows:
    cells = "".join(
      f"<td{kind}>{_text(cell)}</td>"
      for kind, cell in zip(kinds[1:], rest, strict=True)
    )
    lines.append(f'<tr><th scope="row">{_text(first)}</th>{cells}</tr>')
  return "\n".join([*lines, "</tbody>\n</table>"])


def _picture(text: str, png: bytes, title: str) -> str:
  # The header of every PNG: signature, length, "IHDR", width and height.
  width, height = struct.unpack(">II", png[16:24])
  size = f'width="{round(width / DENSITY)}" height="{round(height / DENSITY)}"'
  data = base64.b64encode(png).decode()
  caption = escape(text)
  image = f'<img {size} alt="{caption}" src="data:image/png;base64,{data}">'
  return (
    f"<figure>{_box(f'{title}: picture', image)}"
    f"<figcaption>{caption}</figcaption></figure>"
  )


def _text(text: Text) -> str:
  return "".join(
    f"<strong>{escape(piece.text)}</strong>"
    if isinstance(piece, Bold)
    else html.escape(piece)
    for piece in pieces(text)
  )
