"""The kinds of tasks: everything that differs between them, one row each."""

from collections.abc import Mapping
import dataclasses
import json

import numpy as np

from bam_jax.stats import masked
from bam_jax.tasks import answers, choices, spans, tags, together
from bam_jax.tasks.answers import Meaning
from bam_jax.tasks.kind import EXAMPLE, WHOLE, TaskKind


def _with_labels(task: Meaning) -> list[str]:
  """Returns the columns of an answer with the chance of each label."""
  return [task.name, *(f"{task.name}:{label}" for label in task.labels)]


# Of rows that a teacher may teach without a label.
_TAUGHT = (
  *("soft_columns", "soft_labels", "judges"),
  *("unlabelled", "unlabelled_weight"),
)
_ANY = (*_TAUGHT, "symmetric", "ignore", "group", "split", "row_weight")
_ROWS = (
  TaskKind(
    name="classification",
    outputs=lambda task: len(task.labels),
    output="logits",
    loss="ce",
    head="linear",
    reads="text",
    unit=EXAMPLE,
    texts=2,
    defined="labels",
    found=False,
    takes=(*_ANY, "rename", "class_weight"),
    formats=(),
    metrics={
      "accuracy": "accuracy",
      "f1": "f1",
      "matthews": "matthews",
      "macro_f1": "class_f1",
      "balanced_accuracy": "balanced_accuracy",
      "kappa": "kappa",
      "auroc": "auroc",
      "average_precision": "class_precision",
    },
    predicted=lambda task, logits, words: logits.argmax(-1),
    gold=lambda task, labels, words: labels.astype(np.int64),
    chance=lambda task: ("accuracy", 100 / len(task.labels)),
    answer=answers.labelled,
    columns=_with_labels,
    cells=lambda task, answer: [
      answer.label,
      *(answer.probabilities[label] for label in task.labels),
    ],
    mean=together.mean_probability,
    sure=together.largest,
    agreed=together.agreed,
    written=lambda words, answer: words[answer.label],
    model="SequenceClassification",
    problem_type="single_label_classification",
    calibrates="row",
  ),
  TaskKind(
    name="multilabel",
    outputs=lambda task: len(task.labels),
    output="logits",
    loss="bce",
    head="linear",
    reads="text",
    unit=EXAMPLE,
    texts=2,
    defined="labels",
    found=False,
    takes=(
      *_TAUGHT,
      "symmetric",
      "ignore",
      "group",
      "split",
      "rename",
      "separator",
      "row_weight",
    ),
    formats=(),
    metrics={
      "micro_f1": "micro_f1",
      "macro_f1": "macro_f1",
      "average_precision": "label_precision",
      "subset_accuracy": "subset_accuracy",
    },
    predicted=lambda task, logits, words: logits,
    gold=lambda task, labels, words: labels.astype(np.int64),
    chance=lambda task: ("micro_f1", 0.0),
    answer=answers.several,
    columns=_with_labels,
    cells=lambda task, answer: [
      ""
      if answer.abstained
      else json.dumps(list(answer.labels), ensure_ascii=False),
      *(answer.probabilities[label] for label in task.labels),
    ],
    mean=together.mean_chance,
    sure=together.least_sure,
    agreed=together.agreed_by_label,
    written=None,
    model="SequenceClassification",
    problem_type="multi_label_classification",
    many=True,
    calibrates="row",
  ),
  TaskKind(
    name="regression",
    outputs=lambda task: 1,
    output="value",
    loss="mse",
    head="linear",
    reads="text",
    unit=EXAMPLE,
    texts=2,
    defined="range",
    found=False,
    takes=_ANY,
    formats=(),
    metrics={name: name for name in ("spearman", "pearson")},
    # SciPy would correlate float32 in float32.
    predicted=lambda task, values, words: values[..., 0].astype(np.float64),
    gold=lambda task, labels, words: np.float64(labels),
    chance=lambda task: ("spearman", 0.0),
    answer=answers.valued,
    columns=lambda task: [task.name],
    cells=lambda task, answer: [answer.value],
    mean=together.mean_value,
    written=lambda words, answer: f"{answer.value:.3f}",
    model="SequenceClassification",
    problem_type="regression",
  ),
  TaskKind(
    name="tagging",
    outputs=lambda task: len(task.labels),
    output="logits",
    loss="ce",
    head="tags",
    reads="words",
    unit=EXAMPLE,
    texts=1,
    defined="labels",
    found=True,
    takes=(),
    formats=("conll",),
    metrics={
      "f1": "span_f1",
      "precision": "span_precision",
      "recall": "span_recall",
      "accuracy": "word_accuracy",
    },
    predicted=lambda task, logits, words: tags.by_row(
      tags.said(task.labels, logits), words
    ),
    gold=lambda task, labels, words: tags.by_row(
      tags.codes(task.labels)[labels.astype(np.int64)], words
    ),
    chance=lambda task: ("f1", 0.0),
    answer=answers.tagged,
    columns=lambda task: [task.name],
    cells=lambda task, answer: [
      json.dumps(answer.record()["spans"], ensure_ascii=False)
    ],
    mean=together.mean_probability,
    written=None,
    model="TokenClassification",
    problem_type="",
    calibrates="word",
  ),
  TaskKind(
    name="span",
    outputs=lambda task: len(spans.COLUMNS),
    output="logits",
    loss="span",
    head="span",
    reads="question context",
    unit=EXAMPLE,
    texts=2,
    defined="labels",
    found=True,
    takes=(),
    formats=("squad",),
    metrics={
      "f1": "answer_f1",
      "exact_match": "answer_exact",
      "has_answer_f1": "has_answer_f1",
      "has_answer_exact": "has_answer_exact",
      "no_answer": "no_answer",
    },
    predicted=lambda task, kept, words: spans.said(task, kept),
    gold=lambda task, labels, words: np.repeat(labels[:, None], 3, axis=1),
    chance=lambda task: ("f1", 0.0),
    answer=spans.answered,
    columns=lambda task: [
      task.name,
      *(f"{task.name}:{x}" for x in ("start", "end", "probability")),
    ],
    cells=lambda task, answer: [
      answer.part.text,
      answer.part.start,
      answer.part.end,
      answer.part.probability,
    ],
    # Of each place; what a window's sum to is another for every teacher.
    mean=lambda logits, words: np.mean(logits, axis=0),
    written=None,
    model="QuestionAnswering",
    problem_type="",
    columns_of=lambda task: spans.COLUMNS,
    named=("question", "context"),
    beside=("f1", "exact_match"),
    grouped=True,
    kept="outcomes",
  ),
  TaskKind(
    name="mlm",
    outputs=lambda task: len(masked.COLUMNS),
    output="logits",
    loss="ce",
    head="mlm",
    reads="document",
    unit=EXAMPLE,
    texts=1,
    defined="",
    found=False,
    takes=(),
    formats=(),
    metrics={
      "accuracy": "masked_accuracy",
      "perplexity": "perplexity",
      "perplexity_share": "perplexity_share",
    },
    predicted=lambda task, kept, words: kept,
    gold=lambda task, labels, words: np.repeat(
      labels[:, None], len(masked.COLUMNS), axis=1
    ),
    chance=lambda task: ("accuracy", 0.0),
    answer=None,
    columns=lambda task: [],
    cells=lambda task, answer: [],
    mean=None,
    written=None,
    model="MaskedLM",
    problem_type="",
    columns_of=lambda task: (),
    named=(),
    beside=("accuracy", "perplexity"),
    lower=("perplexity",),
    kept="sums",
  ),
)


def _candidates(name: str, metrics: Mapping[str, str], **changes) -> TaskKind:
  """A kind whose rows are questions, each with candidates that get a score."""
  row = dict(
    name=name,
    outputs=lambda task: 1,
    output="logits",
    loss="rank_ce",
    head="linear",
    reads="question candidates",
    unit=WHOLE,
    texts=2,
    defined="",
    found=False,
    takes=("group", "split"),
    named=("question", "candidates"),
    formats=(),
    metrics=metrics,
    predicted=lambda task, scores, words: tags.by_row(
      np.float64(scores[..., 0]), words
    ),
    gold=lambda task, labels, words: tags.by_row(np.float64(labels), words),
    chance=lambda task: (next(iter(metrics)), 0.0),
    columns=lambda task: [task.name],
    mean=choices.mean,
    written=None,
    problem_type="",
  )
  return TaskKind(**(row | changes))


_CANDIDATES = (
  _candidates(
    "ranking",
    {
      "mrr": "mrr",
      "map": "map",
      "ndcg": "ndcg",
      "accuracy": "best_accuracy",
    },
    takes=("group", "split", "relevant"),
    formats=("mtdnn",),
    answer=choices.ranked,
    cells=lambda task, answer: [
      json.dumps(answer.record()["candidates"], ensure_ascii=False)
    ],
    model="SequenceClassification",
  ),
  _candidates(
    "choice",
    {"accuracy": "best_accuracy"},
    answer=choices.chosen,
    cells=lambda task, answer: [answer.label],
    model="MultipleChoice",
  ),
)

# Two sentences of plain text: pre-training, so that nobody asks it.
_NEXT = dataclasses.replace(
  _ROWS[0],
  name="next_sentence",
  reads="sentences",
  found=True,
  takes=(),
  metrics={"accuracy": "accuracy"},
  answer=None,
  columns=lambda task: [],
  cells=lambda task, answer: [],
  mean=None,
  written=None,
  named=(),
  calibrates="",
)

# A language model in each direction (Peters et al. 2018, section 3.1).
_LM = dataclasses.replace(
  next(row for row in _ROWS if row.name == "mlm"),
  name="lm",
  head="lm",
  metrics={
    "perplexity_share": "perplexity_share",
    "accuracy": "masked_accuracy",
    "perplexity": "perplexity",
  },
  chance=lambda task: ("accuracy", 0.0),
  beside=("perplexity_share", "perplexity"),
  model="",
  sides=2,
)
# The second text of a pair, by a decoder that has read the first (Wang et al.
# 2019, appendix B).
_SEQ2SEQ = dataclasses.replace(
  _LM, name="seq2seq", head="decoder", reads="source target", texts=2, sides=1
)
# What kinds read of which tokens are said.
SAID = ("document", "source target")

# transformers' class for what has no head.
ENCODER = "Model"
# Pairs of texts, as the stage that trains an encoder alone sees them
# (study/contrast.py); labels are 1 of what is alike, and nobody asks it.
_CONTRAST = dataclasses.replace(
  _ROWS[0],
  name="contrast",
  outputs=lambda task: 2,
  loss="margin=0.5",
  head="vectors",
  defined="",
  takes=(),
  metrics={
    "loss": "pair_loss",
    "average_precision": "pair_precision",
    "accuracy": "pair_accuracy",
    "spearman": "pair_spearman",
    "pearson": "pair_pearson",
  },
  predicted=lambda task, kept, words: kept,
  gold=lambda task, labels, words: np.float64(labels),
  chance=lambda task: ("spearman", 0.0),
  answer=None,
  columns=lambda task: [],
  cells=lambda task, answer: [],
  mean=None,
  sure=None,
  agreed=None,
  written=None,
  model=ENCODER,
  problem_type="",
  columns_of=lambda task: (),
  lower=("loss",),
  kept="pairs",
  typed=False,
  calibrates="",
)

KINDS: Mapping[str, TaskKind] = {
  kind.name: kind
  for kind in (*_ROWS, *_CANDIDATES, _NEXT, _LM, _SEQ2SEQ, _CONTRAST)
}
