r"""Writes the tables of a document in LaTeX, each to be \input in a paper."""

import re

from bam_jax.report.document import Bold, Table, Text, pieces

PACKAGES = r"\usepackage{booktabs,longtable}"
# A float of more rows than this would not fit on a page.
ROWS = 40
# A table of more columns than this is wider than a column of text.
COLUMNS = 7

_ESCAPES = str.maketrans(
  {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    **{c: f"\\{c}" for c in "{}$&%#_"},
    # At the start of a line \\ would take these for its own.
    **{c: f"{{{c}}}" for c in "[]*"},
    "±": r"$\pm$",
    "→": r"$\to$",
    "–": "--",
    "−": "$-$",
    "×": r"$\times$",
  }
)


def render(table: Table) -> str:
  """Returns the text of a .tex file: one table, by booktabs."""
  columns = "l" * table.names + "r" * (len(table.header) - table.names)
  head = f"{_row(table.header)}\n\\midrule"
  rows = "\n".join(map(_row, table.rows))
  caption = f"\\caption{{{escape(table.caption)}}}"
  label = f"\\label{{tab:{table.name}}}"
  wide = len(table.header) > COLUMNS
  size = (
    f"\\{'scriptsize' if wide else 'small'}\\setlength{{\\tabcolsep}}{{4pt}}"
  )
  if len(table.rows) > ROWS:
    body = (
      f"\\begin{{longtable}}{{{columns}}}\n{caption}{label}\\\\\n\\toprule\n"
      f"{head}\n\\endfirsthead\n\\toprule\n{head}\n\\endhead\n"
      f"\\bottomrule\n\\endfoot\n{rows}\n\\end{{longtable}}"
    )
    body = f"{{{size}\n{body}}}"
  else:
    kind = "table*" if wide else "table"
    body = (
      f"\\begin{{{kind}}}\n\\centering{size}\n"
      f"{caption}{label}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head}\n"
      f"{rows}\n\\bottomrule\n\\end{{tabular}}\n\\end{{{kind}}}"
    )
  return f"% needs {PACKAGES}\n{body}\n"


def escape(text: object) -> str:
  """Escapes what LaTeX would take for its own; other letters stay."""
  text = " ".join(str(text).split())
  text = "".join(c for c in text if c.isprintable()).translate(_ESCAPES)
  return re.sub("∗+", lambda stars: f"$^{{{'*' * len(stars[0])}}}$", text)


def _row(cells: tuple[Text, ...]) -> str:
  return f"{' & '.join(map(_text, cells))} \\\\"


def _text(text: Text) -> str:
  parts = []
  for piece in pieces(text):
    if isinstance(piece, Bold):
      parts.append(f"\\textbf{{{escape(piece.text)}}}")
      continue
    before, after = piece[:1].isspace(), piece[-1:].isspace()
    parts.append(
      " " * before + escape(piece) + " " * (after and len(piece) > 1)
    )
  return "".join(parts)
