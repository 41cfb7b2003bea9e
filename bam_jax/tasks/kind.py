"""What is said of a kind of tasks; the kinds themselves are in kinds.py."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

from bam_jax.tasks.answers import Answer, Meaning, Read

# What is drawn: an example, or several that stay together.
EXAMPLE, WHOLE = "example", "whole"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskKind:
  """One kind of task.

  Where not rows are labelled but their words, or the candidates of a question,
  outputs and labels are of those of all rows, M in place of N, and `words`
  i64[N] is how many each row has; else `words` is None.

  Attributes:
    name: of the kind.
    outputs: (task) -> columns C of its head, or of what is kept of it where it
      says words of the vocabulary.
    output: what the columns of the head are: "logits", or "value", which goes
      through `loss.regression_output`.
    loss: its objective, a name of `objectives.OBJECTIVES`.
    head: how it is built, a name of `heads.HEADS`.
    reads: what a row of it is: "text", one or two of them, "words", or
      "question context", "question candidates", "document", a text of any
      length that no label belongs to, "sentences", two of such a one, or
      "source target", of which the second is said.
    unit: what is drawn, and counted by batch_size: an "example", or a "whole"
      row of several, which stays in one step and on one side of a hold-out.
    texts: how many texts a row has at most.
    defined: the key of a tasks file that says what its outputs mean; "" = there
      is nothing to say.
    found: the data says it where the tasks file does not.
    takes: keys of a tasks file that not every kind takes.
    formats: of files, beside those that a suffix says.
    metrics: those that it can be scored by, the usual one first -> which of
      `metrics.METRICS` each is. Methods are compared by what is better if it is
      more; see `lower`.
    predicted: (task, outputs f[..., N, C]) -> what metrics take, [..., N].
    gold: (task, labels f32[N]) -> what metrics compare with that, [N].
    chance: (task) -> a metric, and what guessing has by it, x100.
    answer: (task, outputs f64[N, C], what was read) -> what they say of each
      example; None = it is not asked.
    columns: (task) -> what stands over the columns of its answers in a table.
    cells: (task, answer) -> what stands in them.
    mean: (outputs f32[K, N, C] of K teachers, words) -> of all together, f32[N,
      C]; of rows also with weights f64[K, N] behind; None = nobody teaches it.
    sure: (outputs f[N, C]) -> how sure they are of each row, from 0 to 1; None
      = they do not say.
    agreed: (outputs f[K, N, C]) -> the share of votes of the larger side, f[N];
      None = there are no votes.
    written: (label name -> as a file writes it, answer) -> the GLUE server's
      word for it; None where it takes no such task.
    model: which of transformers' model classes for a task it leaves as.
    problem_type: transformers' name; "" = it has none.
    columns_of: (task) -> names of its head's columns, as a directory of
      transformers has them; () = it gives one number.
    named: the text columns of files in a format of its own; () = its files are
      plain text and have none.
    beside: metrics that are reported whatever is asked for.
    lower: those of which less is better, by which no methods are compared.
    grouped: whether rows are grouped by what they are about, for a hold-out.
    many: a row may have several of the labels at once, and what the data say of
      it is f32[C] in place of one number.
    kept: what is kept of dev for scores and tests: "outputs", or "outcomes", by
      `KEPT` of stages/outcomes.py.
    sides: of each token the one behind it is said, 1, or both beside it, 2,
      from either side by what has read that side alone; 0 = masked ones are, if
      any.
    typed: whether a tasks file may name it.
    calibrates: what has the probabilities that are calibrated, a "row" or a
      "word"; "" = nothing.
  """

  name: str
  outputs: Callable[[Meaning], int]
  output: str
  loss: str
  head: str
  reads: str
  unit: str
  texts: int
  defined: str
  found: bool
  takes: tuple[str, ...]
  formats: tuple[str, ...]
  metrics: Mapping[str, str]
  predicted: Callable[[Meaning, np.ndarray, np.ndarray | None], np.ndarray]
  gold: Callable[[Meaning, np.ndarray, np.ndarray | None], np.ndarray]
  chance: Callable[[Meaning], tuple[str, float]]
  answer: (
    Callable[[Meaning, np.ndarray, Sequence[Read] | None], list[Answer]] | None
  )
  columns: Callable[[Meaning], list[str]]
  cells: Callable[[Meaning, Answer], list[Any]]
  mean: Callable[..., np.ndarray] | None
  written: Callable[[Mapping[str, str], Answer], str] | None
  model: str
  problem_type: str
  columns_of: Callable[[Meaning], tuple[str, ...]] = lambda task: task.labels
  sure: Callable[[np.ndarray], np.ndarray] | None = None
  agreed: Callable[[np.ndarray], np.ndarray] | None = None
  named: tuple[str, ...] = ("text",)
  beside: tuple[str, ...] = ()
  lower: tuple[str, ...] = ()
  grouped: bool = False
  many: bool = False
  kept: str = "outputs"
  sides: int = 0
  typed: bool = True
  calibrates: str = ""
