"""Gives the command every bad input of the tests and lists what it answers.

  python -m benchmarks.refusals --out=docs/bad-inputs.md

Every row ran with exit code 2, one sentence and no file changed or left behind.
The cases are those of tests/bad_input_test.py, tests/bad_text_test.py,
tests/stages/online_test.py, tests/hf/bad_encoder_test.py and
tests/hf/foreign_test.py.
Exit code 1: a case was answered otherwise.
"""

import argparse
import collections
from collections.abc import Sequence
import logging
from pathlib import Path
import re
import sys
import tempfile

import pytest

from bam_jax.runtime.console import bar, say
from tests import bad_input_test, bad_text_test, refusals, small
from tests.hf import bad_encoder_test, foreign_test
from tests.stages import online_test

CASES = (
  *bad_input_test.CASES,
  *bad_text_test.CASES,
  *online_test.CASES,
  *bad_encoder_test.CASES,
  *foreign_test.CASES,
)
# The folder that a case changes -> what it is; flags alone are settings.
KINDS = {
  "glue": "data",
  "encoder": "encoder",
  "model": "encoder from the hub",
  "hub": "data from the hub",
  "W": "working directory, checkpoints",
}
HEAD = """# Bad inputs

{count} of {cases} bad inputs ended with exit code 2, one sentence and nothing
written, changed or deleted; `…` is the case's own folder. Made by

```sh
python -m benchmarks.refusals --out=docs/bad-inputs.md
```

and each of them a test, which also holds the sentence's words:
`tests/bad_input_test.py`, `tests/bad_text_test.py`,
`tests/stages/online_test.py`, `tests/hf/bad_encoder_test.py`,
`tests/hf/foreign_test.py`. Random bytes, JSON, TSV, Parquet and safetensors in
place of good ones: `tests/data/sources/readers_test.py`,
`tests/spoilt_test.py`.

"""


def kind(case: refusals.Case) -> str:
  """Returns what is bad: data, an encoder, soft labels, a setting."""
  if "teacher.files" in case.flags:
    return "soft labels"
  if "teacher.online" in case.flags:
    return "a teacher that reads along"
  if "data.text" in case.flags or case.config.endswith("pretrain.py"):
    return "plain text"
  folders = [name.partition("/")[0] for name in case.files]
  return next((KINDS[f] for f in folders if f in KINDS), "settings")


def plain(text: str, root: Path) -> str:
  """Returns a text for a Markdown cell, without the case's own folder."""
  text = " ".join(text.replace(str(root), "…").split())
  # What nobody reads to its end: digits without number, Orbax's own story.
  text = re.sub(r"(\w{40})\w{40,}", r"\1…", text)
  text = text if len(text) < 400 else f"{text[:400]}…"
  return re.sub(r"([|<*_`\\])", r"\\\1", text)


def answer(case: refusals.Case, inputs: tuple[Path, Path]) -> tuple[str, bool]:
  """Returns what a case was answered, and whether that is as it should be."""
  with (
    tempfile.TemporaryDirectory() as folder,
    pytest.MonkeyPatch.context() as patch,
  ):
    root = Path(folder).resolve()
    try:
      said, right = refusals.refused(case, inputs, root, patch), True
    except AssertionError as error:
      said, right = f"WRONG: {error}", False
    return plain(said.removeprefix("error: "), root), right


def main(argv: Sequence[str] | None = None) -> int:
  """Writes the table; returns the exit code."""
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.refusals",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("--out", type=Path, required=True, help="a Markdown file")
  out = parser.parse_args(argv).out
  # Of each case: that its data are small.
  logging.disable(logging.WARNING)
  rows, count = collections.defaultdict(list), 0
  with (
    tempfile.TemporaryDirectory() as folder,
    bar("bad inputs", len(CASES), text="tries") as advance,
  ):
    inputs = (
      small.write_glue(Path(folder) / "glue"),
      small.write_encoder(Path(folder) / "encoder"),
    )
    for case in CASES:
      said, right = answer(case, inputs)
      count += right
      rows[kind(case)].append(f"| {case.id} | {said} |")
      advance(1)
  text = HEAD.format(count=count, cases=len(CASES))
  for name, lines in rows.items():
    text += f"## {name.capitalize()}: {len(lines)}\n\n"
    text += "\n".join(["| case | what is said |", "|---|---|", *lines]) + "\n\n"
  out.write_text(text.rstrip() + "\n", "utf-8")
  say(f"{count} of {len(CASES)} are refused as they should be; wrote {out}")
  return int(count < len(CASES))


if __name__ == "__main__":
  sys.exit(main())
