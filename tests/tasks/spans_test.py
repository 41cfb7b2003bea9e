"""The best answer of all windows, against a search over every pair."""

import dataclasses

import numpy as np
import pytest

from bam_jax.tasks import kinds, metrics, spans
from bam_jax.tasks.description import Head

LIMITS = spans.Limits(stride=4, longest=3, threshold=0.0)
HEAD = Head(
  name="qa",
  kind="span",
  text=("question", "context"),
  labels=spans.LABELS,
  range=None,
  headline="f1",
)


def made(seed: int = 0, **limits):
  """Returns three questions in six windows, and random outputs."""
  rng = np.random.default_rng(seed)
  counts, source = np.array([5, 4, 6, 7, 3, 2]), np.array([0, 0, 0, 1, 1, 2])
  contexts = ["ab cd ef gh ij kl mn", "op qr st uv wx yz", "z"]
  chars = []
  for size, first in zip(counts, (0, 2, 2, 0, 3, 0), strict=True):
    at = 3 * (first + np.arange(size - 1))
    chars += [(0, 0), *zip(at.tolist(), (at + 2).tolist(), strict=True)]
  asked = spans.Asked(
    contexts,
    source,
    counts,
    np.array(chars),
    dataclasses.replace(LIMITS, **limits),
  )
  return asked, rng.normal(size=(counts.sum(), 2))


def searched(asked, outputs):
  """Returns (score, start, end, probability, least null) of each question."""
  ends = np.cumsum(asked.counts)
  best, null = {}, {}
  for window, (end, size) in enumerate(zip(ends, asked.counts, strict=True)):
    mine = outputs[end - size : end]
    sure = np.exp(mine) / np.exp(mine).sum(0)
    number = asked.source[window]
    null[number] = min(null.get(number, np.inf), mine[0].sum())
    for a in range(1, size):
      for b in range(a, min(a + asked.limits.longest, size)):
        spot = asked.chars[end - size + a, 0], asked.chars[end - size + b, 1]
        found = mine[a, 0] + mine[b, 1], *spot, sure[a, 0] * sure[b, 1]
        best[number] = max(best.get(number, (-np.inf,)), found)
  return [(*best[n], null[n]) for n in sorted(best)]


@pytest.mark.parametrize("seed", range(6))
def test_it_is_what_a_search_over_all_pairs_finds(seed):
  asked, outputs = made(seed)
  found = spans.best(outputs, asked)
  for number, want in enumerate(searched(asked, outputs)):
    score, start, end, probability, null = want
    assert (found.start[number], found.end[number]) == (start, end)
    assert found.probability[number] == pytest.approx(probability)
    assert found.margin[number] == pytest.approx(null - score)


def test_no_answer_is_said_where_it_is_likelier_by_the_threshold():
  asked, outputs = made(2)
  margin = spans.best(outputs, asked).margin
  for threshold in (*(margin - 1e-6), *(margin + 1e-6)):
    asked, _ = made(2, threshold=threshold)
    answers = kinds.KINDS["span"].answer(HEAD, outputs, asked)
    said = [each.part.start is None for each in answers]
    assert said == (margin > threshold).tolist()
    for each, context in zip(answers, asked.contexts, strict=True):
      part = each.part
      if part.start is not None:
        assert context[part.start : part.end] == part.text
      assert 0 < part.probability <= 1
  # Where each training question has an answer, there is one.
  asked, _ = made(2, threshold=-1e9)
  sure = dataclasses.replace(HEAD, labels=("answer",))
  answers = kinds.KINDS["span"].answer(sure, outputs, asked)
  assert all(each.part.text for each in answers)


def test_what_answers_earn_is_scored():
  asked, outputs = made(3)
  found = spans.best(outputs, asked)
  said = [
    context[a:b]
    for context, a, b in zip(
      asked.contexts, found.start, found.end, strict=True
    )
  ]
  outputs[[0, 5, 9]] -= 50  # question 0 has an answer for sure
  outputs[[15, 22]] += 50  # 1 has none
  golds = [[f"The {said[0].upper()}!", "no"], [], [said[2], "q"]]
  rows = spans.outcomes(HEAD, outputs, asked, golds)
  task = dataclasses.make_dataclass(
    "Task", ["name", "kind", "labels", "metrics"]
  )("qa", "span", spans.LABELS, ("f1", "exact_match", "no_answer"))
  labels = np.array([0, 1, 0], np.float32)
  got = metrics.scores(task, rows, labels)
  third = 100.0 if rows[2, 2] <= 0 else 0.0
  assert got == pytest.approx(
    {
      "f1": (200 + third) / 3,
      "exact_match": (200 + third) / 3,
      "no_answer": 100.0,
    }
  )


def test_a_context_without_a_token_has_no_answer_and_breaks_nothing():
  asked = spans.Asked(
    ["\u200b"], np.array([0]), np.array([1]), np.zeros((1, 2), int), LIMITS
  )
  (answer,) = spans.answered(HEAD, np.array([[0.5, 0.25]]), asked)
  assert answer.record() == {
    "start": None,
    "end": None,
    "text": "",
    "probability": 1.0,
  }
  sure = dataclasses.replace(HEAD, labels=("answer",))
  (answer,) = spans.answered(sure, np.array([[0.5, 0.25]]), asked)
  assert answer.part.text == "" and answer.part.probability == 0
