"""The rules of the GLUE server, held against a submission before it is sent."""

from collections.abc import Iterator, Mapping
from pathlib import Path
import re
import zipfile
import zlib

import numpy as np

from bam_jax.runtime.spelling import shown
from bam_jax.tasks.manifest import manifest
from bam_jax.tasks.submission import FILES, HEADER, MADE_OF, ZIP
from bam_jax.tasks.table import Task

# The file that may be answered without a model, see `majority`.
MAJORITY = "WNLI.tsv"
# No sign, no exponent: nothing a reader might take otherwise.
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
# A test file is 17 MB at most; a zip may claim to unpack to anything.
_LARGEST = 64 * 2**20


def official_rows(file: str) -> int:
  """Returns the number of test rows that the server has for a file."""
  task, split = FILES[file]
  return manifest()["datasets"][task.name]["rows"][split]


def majority() -> tuple[tuple[str, str], np.ndarray]:
  """Returns (task, split) of WNLI's test rows and constant logits f32[N, C].

  not_entailment is the larger class of its train and of its dev rows (323 of
  635, 40 of 71). The two contradict each other, so that few models beat it.
  """
  task, split = FILES[MAJORITY]
  logits = np.zeros((official_rows(MAJORITY), task.classes), np.float32)
  logits[:, task.labels.index("not_entailment")] = 1.0
  return (task.name, split), logits


def check(path: Path) -> list[str]:
  """Returns a sentence for every way in which the server's rules are broken.

  Args:
    path: W/submission, with its zip in it, or a zip.

  Raises:
    FileNotFoundError: it is not there.
  """
  if path.is_file():
    found, wrong = _unpacked(path)
    return [*wrong, *_check_files(found, path)]
  if not path.is_dir():
    raise FileNotFoundError(
      f"there is no submission {path}; write one: --config.stage=predict"
    )
  found = {
    p.name: p.read_bytes()
    for p in sorted(path.iterdir())
    if p.is_file() and p.name not in (ZIP, MADE_OF)
  }
  wrong = _check_files(found, path)
  wrong += [
    f"{each} is a folder; take it away"
    for each in sorted(path.iterdir())
    if each.is_dir()
  ]
  if not (path / ZIP).is_file():
    return [*wrong, f"{path / ZIP} is missing; {_AGAIN}"]
  zipped, broken = _unpacked(path / ZIP)
  wrong += broken
  if not broken:
    names = [n for n in FILES if zipped.get(n) != found.get(n)]
    names += [n for n in zipped if n not in FILES]
    if names:
      wrong.append(
        f"{path / ZIP} does not hold what the folder holds of"
        f" {', '.join(names)}; {_AGAIN}"
      )
  return wrong


_AGAIN = "write the files again: --config.stage=predict"


def _unpacked(path: Path) -> tuple[dict[str, bytes], list[str]]:
  """Returns a zip's files, and what is wrong with its layout."""
  found: dict[str, bytes] = {}
  wrong = []
  try:
    with zipfile.ZipFile(path) as archive:
      for entry in archive.infolist():
        name = entry.filename
        if "/" in name or "\\" in name:
          wrong.append(
            f"{path} has {shown(name)}; the files lie in it without a folder"
          )
        elif name in found:
          wrong.append(f"{path} has {shown(name)} twice")
        elif entry.file_size > _LARGEST:
          wrong.append(f"{path} has {shown(name)}, which is far too large")
        else:
          found[name] = archive.read(entry)
  # An unknown compression or encryption are among them.
  except (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    zlib.error,
  ) as error:
    return {}, [f"{path} is not a whole zip ({error}); {_AGAIN}"]
  return found, wrong


def _check_files(found: Mapping[str, bytes], path: Path) -> list[str]:
  wrong = []
  missing = [name for name in FILES if name not in found]
  for name in missing:
    wrong.append(f"{path} lacks {name}; {_cure(name)}")
  for name, data in found.items():
    if name not in FILES:
      wrong.append(
        f"{path} has {shown(name)}, which the server does not ask for; take it"
        " away"
      )
    else:
      wrong += [f"{path / name}{said}" for said in _check_file(name, data)]
  return wrong


def _cure(name: str) -> str:
  """Says where a missing file comes from."""
  sample = f"or take {name} of the sample submission on gluebenchmark.com"
  if name == MAJORITY:
    return f"predict with --config.wnli=majority, {sample}"
  task, _ = FILES[name]
  head = "" if task.head == task.name else f" beside {task.head}"
  return f"predict with {task.name} in --config.tasks{head}, {sample}"


def _check_file(name: str, data: bytes) -> Iterator[str]:
  """Yields what is wrong with a file, each kind of it once."""
  task, _ = FILES[name]
  try:
    text = data.decode()
  except UnicodeDecodeError as error:
    yield f" is not UTF-8 ({error.reason} at byte {error.start})"
    return
  if "\r" in text:
    yield " has line ends of Windows; the server wants bare newlines"
  if not text.endswith("\n"):
    yield " does not end with a newline; it may be cut short"
  header, *lines = text.removesuffix("\n").split("\n")
  if header != HEADER:
    yield f" line 1: the header is {shown(header)}, not {shown(HEADER)}"
  bad: dict[str, list[str]] = {"columns": [], "index": [], "answer": []}
  for number, line in enumerate(lines):
    where = f" line {number + 2}"
    index, *answers = line.split("\t")
    if len(answers) != 1:
      bad["columns"].append(
        f"{where}: {1 + len(answers)} columns instead of 2, {shown(line)}"
      )
      continue
    if index != str(number):
      bad["index"].append(
        f"{where}: the index is {shown(index)}, not {number}; rows go in the"
        " order of the test file, from 0"
      )
    if sentence := _check_answer(task, answers[0]):
      bad["answer"].append(f"{where}: {sentence}")
  # One row tells what is wrong with the thousands after it.
  for first, *others in filter(None, bad.values()):
    yield first + (f" (and {len(others)} rows more)" if others else "")
  rows = official_rows(name)
  if len(lines) != rows:
    yield (
      f" has {len(lines)} rows; the server's test set has {rows}, so predict"
      " the official test file whole"
    )


def _check_answer(task: Task, answer: str) -> str:
  """Says what is wrong with an answer; "" if nothing is."""
  if task.labels:
    if answer in task.glue.labels:
      return ""
    return (
      f"the prediction is {shown(answer)}; {task.name} has"
      f" {', '.join(task.glue.labels)}"
    )
  low, high = task.range
  if _NUMBER.fullmatch(answer) and low <= float(answer) <= high:
    return ""
  return (
    f"the prediction is {shown(answer)}; {task.name} has plain numbers from"
    f" {low:g} to {high:g}, such as 2.500"
  )
