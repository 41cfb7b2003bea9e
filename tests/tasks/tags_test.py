"""Tags: every scheme says the same entities, and what none says is refused."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from seqeval.metrics.sequence_labeling import get_entities

from bam_jax.tasks import tags
from bam_jax.tasks.answers import Read
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.metrics import METRICS

# The same two sentences: a place of two words beside a place of one, a person.
IOB2 = [["B-LOC", "I-LOC", "B-LOC", "O"], ["O", "B-PER", "I-PER"]]
SAME = {
  "IOB2": IOB2,
  "IOB1": [["I-LOC", "I-LOC", "B-LOC", "O"], ["O", "I-PER", "I-PER"]],
  "IOBES": [["B-LOC", "E-LOC", "S-LOC", "O"], ["O", "B-PER", "E-PER"]],
  "BILOU": [["B-LOC", "L-LOC", "U-LOC", "O"], ["O", "B-PER", "L-PER"]],
}


@pytest.mark.parametrize("scheme", SAME)
def test_every_scheme_is_read_as_the_same(scheme):
  found = tags.scheme_of(SAME[scheme])
  assert found == {"BILOU": "IOBES"}.get(scheme, scheme)
  assert [tags.iob2(each, found) for each in SAME[scheme]] == IOB2


def test_plain_tags_stay_as_they_are():
  words = [["DT", "NN"], ["O", "PRP$"]]
  assert tags.scheme_of(words) == "plain"
  assert [tags.iob2(each, "plain") for each in words] == words
  assert tags.vocabulary(["NN", "DT", "NN"]) == ("DT", "NN")
  assert tags.entities(["DT", "NN", "NN"]) == [
    ("DT", 0, 1),
    ("NN", 1, 2),
    ("NN", 2, 3),
  ]


@pytest.mark.parametrize(
  ("row", "scheme", "place", "why"),
  [
    (["O", "I-LOC"], "IOB2", 1, "does not go on with an entity LOC"),
    (["B-PER", "I-LOC"], "IOB2", 1, "does not go on with an entity LOC"),
    (["B-PER", "X"], "IOB2", 1, "is neither O nor has it a mark"),
    (["B-PER", "O"], "IOBES", 1, "an entity PER that has not ended"),
    (["B-PER", "B-PER"], "IOBES", 1, "an entity PER that has not ended"),
    (["O", "B-PER"], "IOBES", 1, "leaves an entity PER without an end"),
    (["O", "E-PER"], "IOBES", 1, "does not go on with an entity PER"),
  ],
)
def test_what_a_scheme_does_not_allow_is_named(row, scheme, place, why):
  with pytest.raises(tags.BrokenTags, match=why) as caught:
    tags.iob2(row, scheme)
  assert caught.value.place == place


def test_one_broken_tag_does_not_make_a_file_of_iob1():
  # Entities begin with B- elsewhere, so the loose I- is a mistake.
  assert tags.scheme_of([["O", "I-LOC"], ["O", "B-LOC", "O"]]) == "IOB2"


def test_labels_are_numbered_by_what_they_do():
  labels = tags.vocabulary(["B-PER", "O", "I-LOC", "B-LOC"])
  assert labels == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
  assert tags.codes(labels).tolist() == [0, 1, 2, 3, 4]
  assert tags.codes(("I-B", "O", "B-B", "B-A")).tolist() == [4, 0, 3, 1]
  rows = tags.by_row(np.array([[1, 2, 0], [0, 0, 3]]), np.array([2, 0, 1]))
  assert rows.tolist() == [
    [[1, 2], [-1, -1], [0, -1]],
    [[0, 0], [-1, -1], [3, -1]],
  ]


def test_a_word_that_is_not_read_is_outside_whatever_the_tags_are():
  labels = ("DT", "NN")
  logits = np.array([[0.5, 0.1], [0.0, 0.0], [-2.0, 1.0]])
  assert tags.said(labels, logits).tolist() == [1, 0, 3]
  task = SimpleNamespace(labels=labels)
  kind, words = KINDS["tagging"], np.array([1, 2])
  rows = kind.predicted(task, logits, words)
  gold = kind.gold(task, np.zeros(3), words)
  assert METRICS["word_accuracy"](rows, gold) == pytest.approx(1 / 3)
  spans = np.array([[0, 1], [2, 3]], np.int32)
  read = [Read("a", spans[:1]), Read("b c", spans)]
  first, last = kind.answer(task, logits, read)
  assert [span.label for span in first.spans] == ["DT"]
  assert [(span.label, span.text) for span in last.spans] == [("NN", "c")]


@given(st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"])))
def test_entities_are_those_of_seqeval(row):
  theirs = [(kind, first, last + 1) for kind, first, last in get_entities(row)]
  assert tags.entities(row) == theirs
