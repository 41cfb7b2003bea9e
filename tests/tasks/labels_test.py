"""A label has one name, however it is typed."""

import datetime
from decimal import Decimal

import pytest

from bam_jax.tasks import labels


@pytest.mark.parametrize(
  ("values", "name"),
  [
    ([1, 1.0, Decimal(1), Decimal("1.00"), "1", "1.0", "1.", "+1"], "1"),
    ([0, 0.0, -0.0, "0", "-0", "-0.0", Decimal("-0")], "0"),
    ([-1, -1.0, "-1", "-1.0"], "-1"),
    ([10, 1e1, Decimal("1E+1"), "10"], "10"),
    ([0.5, "0.5", Decimal("0.50")], "0.5"),
    ([True, "true", "True", "TRUE"], "true"),
    ([False, "false", "False"], "false"),
    ([None, float("nan"), Decimal("nan"), "", " ", "\t"], ""),
    (["9" * 9999], "9" * 9999),
    ([float("inf")], "inf"),
  ],
)
def test_all_that_means_the_same_has_one_name(values, name):
  assert {labels.name(value) for value in values} == {name}


@pytest.mark.parametrize(
  "text", ["01", "1e0", "1,0", "1.5", "1.50", "1_0", "٣", "yes", "NaN", " 1"]
)
def test_any_other_text_is_its_own_name(text):
  assert labels.name(text) == text


@pytest.mark.parametrize("value", [[], {}, b"1", datetime.date(1979, 5, 27)])
def test_what_can_be_no_label_is_refused(value):
  with pytest.raises(ValueError, match="is no label"):
    labels.name(value)


@pytest.mark.parametrize(
  ("value", "label"),
  [
    (["pos"], "pos"),
    ('["pos"]', "pos"),
    ({"choices": ["pos"]}, "pos"),
    ('{"choices": ["pos"]}', "pos"),
    ([], None),
    ('{"choices": []}', None),
    ("[pos]", "[pos]"),
    ("pos", "pos"),
    (7, 7),
    ({"other": ["pos"]}, {"other": ["pos"]}),
  ],
)
def test_a_list_of_one_label_is_that_label(value, label):
  assert labels.only(value) == label


def test_a_list_of_several_labels_is_refused():
  with pytest.raises(ValueError, match="has 2 labels"):
    labels.only({"choices": ["pos", "neg"]})
