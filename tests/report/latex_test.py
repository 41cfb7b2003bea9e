"""LaTeX tables: they compile whatever is in them."""

import re
import shutil
import subprocess

import pytest

from bam_jax.report import latex
from bam_jax.report import write as report
from bam_jax.report.document import Bold, Table
from tests.outcomes import complete, record, results

HOSTILE = r"<script> & % $ # _ { } ~ ^ \ | ` * [b] \input{x} ^^41"


def balanced(text):
  """Tells whether braces that are not escaped close as they open."""
  depth = 0
  for brace in re.sub(r"\\[{}%]|^%.*$", "", text, flags=re.MULTILINE):
    depth += {"{": 1, "}": -1}.get(brace, 0)
    assert depth >= 0
  return depth == 0


def test_table_is_exactly_this():
  rows = [["Single→Multi", (Bold("70.4"), "∗∗ ± 1.2")], ["[a]_b", "–"]]
  assert latex.render(Table("t", ["Method", "5 %"], rows, "All & more.")) == (
    "% needs \\usepackage{booktabs,longtable}\n"
    "\\begin{table}\n"
    "\\centering\\small\\setlength{\\tabcolsep}{4pt}\n"
    "\\caption{All \\& more.}\\label{tab:t}\n"
    "\\begin{tabular}{lr}\n"
    "\\toprule\n"
    "Method & 5 \\% \\\\\n"
    "\\midrule\n"
    "Single$\\to$Multi & \\textbf{70.4}$^{**}$ $\\pm$ 1.2 \\\\\n"
    "{[}a{]}\\_b & -- \\\\\n"
    "\\bottomrule\n"
    "\\end{tabular}\n"
    "\\end{table}\n"
  )


def test_every_special_letter_is_escaped():
  text = latex.escape(HOSTILE + "\n\x07 end")
  assert balanced(text)
  commands = set(re.findall(r"\\([a-z]+)", text))
  assert commands == {
    *("textless", "textgreater", "textasciitilde", "textasciicircum"),
    *("textbackslash", "textbar", "textasciigrave"),
  }
  bare = re.sub(r"\\([a-z]+\{\}|[&%$#_{}])|\{[*\[\]]\}", "", text)
  assert not set(bare) & set("<>&%$#_{}~^\\|`*[]\n\x07")


def test_long_tables_break_over_pages_and_wide_ones_span():
  table = Table("t", ["A"] * 8, [["x"] * 8] * 41, "Many.")
  text = latex.render(table)
  assert "\\begin{longtable}{lrrrrrrr}" in text
  assert text.count("\\toprule") == 2
  text = latex.render(Table("t", ["A"] * 8, [["x"] * 8] * 40, "Many."))
  assert "\\begin{table*}" in text
  assert "\\end{table*}" in text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp("latex")
  methods = {
    name: {task: record(1.0, 2.0, 4.0) for task in ("rte", HOSTILE)}
    for name in ("single", "multi", HOSTILE)
  }
  found = complete(results(methods))
  report.write(found | {"encoder": HOSTILE, "command": HOSTILE}, path)
  return path / "report"


def test_every_table_of_the_report_is_there(folder):
  files = sorted(folder.glob("table_*.tex"))
  assert [file.stem.removeprefix("table_") for file in files] == [
    *("calibration", "claims", "classes", "costs", "coverage"),
    *("differences", "gains", "metrics", "noninferiority", "scores"),
    *("spread", "temperature", "tests", "thresholds"),
  ]
  for file in files:
    text = file.read_text()
    assert balanced(text), file
    # As many cells in every line as there are columns.
    wide = len(re.search(r"\{([lr]+)\}", text)[1])
    lines = re.findall(r"^.* \\\\$", text, re.MULTILINE)
    assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {wide}


def test_caption_says_trials_selection_and_family(folder):
  text = (folder / "table_scores.tex").read_text()
  caption = re.search(r"\\caption\{(.*)\}\\label", text)[1]
  assert "Trials: 3." in caption
  assert "Selection: of every trial the best of its evaluations on dev" in text
  assert "Dev chose the step and gives the score as well" in caption
  assert "Holm's correction runs over all tests of one kind" in caption


def test_all_tables_compile(folder, tmp_path):
  if not shutil.which("pdflatex"):
    pytest.skip("no pdflatex; install TeX Live to compile the tables")
  names = [str(file) for file in sorted(folder.glob("table_*.tex"))]
  inputs = "\n".join(f"\\input{{{name}}}\\clearpage" for name in names)
  (tmp_path / "all.tex").write_text(
    f"\\documentclass{{article}}{latex.PACKAGES}\\begin{{document}}\n"
    f"{inputs}\n\\end{{document}}\n"
  )
  ran = subprocess.run(
    ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
    cwd=tmp_path,
    capture_output=True,
    text=True,
    check=False,
  )
  wrong = [line for line in ran.stdout.splitlines() if line.startswith("!")]
  assert ran.returncode == 0, wrong
