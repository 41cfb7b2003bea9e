"""Tasks whose rows are made of plain text: what joins, follows or answers.

All are for an encoder to learn from before it is asked for anything else (Wang
et al. 2019, section 4). Where the paper writes the next sentence or the answer,
here it is told from others: a row of kind choice.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bam_jax.data.sources import connectives, neighbours, plain, rows
from bam_jax.runtime.console import bar

Rows = Iterator[dict[str, Any]]
_SEED = 0
# Of candidates that are to be told apart.
_TRIES = 100


@dataclass(frozen=True)
class Maker:
  """A way to make rows.

  Attributes:
    make: (files, candidates of a row) -> its rows.
    entry: what a tasks file says of them, beside their file.
    text: what its files are, for a message.
  """

  make: Callable[[Sequence[Path], int], Rows]
  entry: Mapping[str, Any]
  text: str


def joined(files: Sequence[Path], candidates: int) -> Rows:
  """Yields pairs of clauses with the word between them; see `connectives`."""
  del candidates
  for number, document in enumerate(_documents(files)):
    for pair in connectives.pairs(document):
      yield {
        "first": pair.first,
        "second": pair.second,
        "connective": pair.connective,
        "document": number,
      }


def following(files: Sequence[Path], candidates: int) -> Rows:
  """Yields sentences with what may follow each, from other documents but one.

  Raises:
    ValueError: there are too few sentences to choose from.
  """
  said, owner = [], []
  for number, document in enumerate(_documents(files)):
    found = neighbours.sentences(document)
    # Each sentence once, as in the pairs of `neighbours`.
    mine = list(zip(found[::2], found[1::2], strict=False))
    said += mine
    owner += [number] * len(mine)
  for (first, _), number, chosen in _chosen(said, owner, candidates):
    yield {"sentence": first, **chosen, "document": number}


def answering(files: Sequence[Path], candidates: int) -> Rows:
  """Yields comments with what may answer each, of which one does.

  Raises:
    ValueError: a line has no comment, tab and response, or there are too few.
  """
  said = []
  for path in files:
    if not path.is_file():
      raise FileNotFoundError(f"there is no file {path}")
    for number, line in rows.lines(path):
      cells = [cell.strip() for cell in line.split("\t")]
      if len(cells) != 2 or not all(cells):
        raise ValueError(
          f"{path} line {number}: it is a comment, a tab and a response, and"
          f" has {len(cells)} columns"
        )
      said.append(tuple(cells))
  # What answers the same comment is no wrong answer to it.
  names = {comment: n for n, comment in enumerate(dict(said))}
  owner = [names[comment] for comment, _ in said]
  for (comment, _), _, chosen in _chosen(said, owner, candidates):
    yield {"comment": comment, **chosen}


def _documents(files: Sequence[Path]) -> Iterator[str]:
  for path in files:
    found = plain.documents(path)
    with bar(path.name, len(found), text="reads") as advance:
      for document in found:
        yield document
        advance(1)


def _chosen(
  said: Sequence[tuple[str, str]], owner: Sequence[int], candidates: int
) -> Iterator[tuple[tuple[str, str], int, dict[str, Any]]]:
  """Yields pairs, their owners, and candidates with the place of the right one.

  Args:
    said: what is asked, and what is right.
    owner: of each; what is wrong is of another.
    candidates: of each row.
  """
  draw = np.random.default_rng(_SEED)
  for pair, mine in zip(said, owner, strict=True):
    wrong: list[str] = []
    for _ in range(_TRIES):
      if len(wrong) + 1 == candidates:
        break
      other = int(draw.integers(len(said)))
      text = said[other][1]
      if owner[other] != mine and text not in (pair[1], *wrong):
        wrong.append(text)
    else:
      raise ValueError(
        f"of {len(said)} rows too few differ to make {candidates} candidates;"
        " give more text, of several documents with empty lines between them,"
        " or fewer --candidates"
      )
    place = int(draw.integers(candidates))
    wrong.insert(place, pair[1])
    yield pair, mine, {"candidates": wrong, "right": place}


MAKERS: Mapping[str, Maker] = {
  "connective": Maker(
    joined,
    {
      "text": ["first", "second"],
      "label": "connective",
      "metric": ["accuracy", "macro_f1"],
      "group": "document",
    },
    "plain text, .txt or .txt.gz, with empty lines between documents",
  ),
  "next": Maker(
    following,
    {
      "kind": "choice",
      "text": ["sentence", "candidates"],
      "label": "right",
      "metric": "accuracy",
      "group": "document",
    },
    "plain text, .txt or .txt.gz, with empty lines between documents",
  ),
  "response": Maker(
    answering,
    {
      "kind": "choice",
      "text": ["comment", "candidates"],
      "label": "right",
      "metric": "accuracy",
    },
    "lines of a comment, a tab and a response",
  ),
}
