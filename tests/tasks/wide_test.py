"""A table of texts is read as one task a label column, or refused by line."""

import pytest

from bam_jax.tasks import own as own_tasks

WIDE = """\
[[table]]
train = "texts.csv"
dev_share = 0.25
text = "review"
[table.labels.topic]
labels = ["price", "service", "other"]
[table.labels.flags]
column = "marks"
many = true
separator = "|"
labels = ["rude", "urgent"]
[table.labels.score]
range = [1, 5]
metric = "pearson"
"""
MORE = """\
[[table]]
train = "more.csv"
dev = "dev.csv"
text = ["one", "two"]
[table.labels.same]
labels = ["no", "yes"]
[alone]
train = "alone.csv"
dev_share = 0.5
text = "a"
label = "b"
range = [0, 1]
metric = "spearman"
"""


def rows(tmp_path, text, name="wide.toml"):
  path = tmp_path / name
  path.write_text(text, "utf-8")
  return own_tasks.table(own_tasks.read(path), path)


def test_each_label_column_is_a_task(tmp_path):
  found = rows(tmp_path, WIDE)
  assert [*found] == ["topic", "flags", "score"]
  assert [task.kind for task in found.values()] == [
    *("classification", "multilabel", "regression")
  ]
  # The column is the name, unless another one is said.
  assert [task.label for task in found.values()] == ["topic", "marks", "score"]
  # The metric is the kind's first, unless another one is said.
  headlines = [task.headline for task in found.values()]
  assert headlines == ["accuracy", "micro_f1", "pearson"]
  for task in found.values():
    assert task.text == ("review",) and task.own.dev_share == 0.25
    assert task.table == "table.1"


def test_tables_and_tasks_stand_in_one_file(tmp_path):
  found = rows(tmp_path, WIDE + MORE)
  assert [*found] == ["alone", "topic", "flags", "score", "same"]
  assert found["same"].table == "table.2" and found["alone"].table == ""


def test_what_was_read_is_read_again_from_a_config(tmp_path):
  path = tmp_path / "wide.toml"
  path.write_text(WIDE, "utf-8")
  found = own_tasks.read(path)
  path.unlink()
  assert own_tasks.table(found, path)["flags"].table == "table.1"


def test_yaml_says_the_same(tmp_path):
  text = """\
table:
- train: texts.csv
  dev_share: 0.25
  text: review
  labels:
    topic: {labels: [price, service, other]}
"""
  (task,) = rows(tmp_path, text, "wide.yaml").values()
  assert (task.name, task.classes, task.table) == ("topic", 3, "table.1")


@pytest.mark.parametrize(
  ("old", "new", "said"),
  [
    ("[[table]]", "[table]", "line 1: table is a list of tables"),
    ("text =", "tetx =", "line 4: table.tetx .* did you mean 'text'"),
    ("text =", 'metric = "f1"\ntext =', "said of each of its label columns"),
    ("many =", "mnay =", "line 9: flags.mnay .* did you mean 'many'"),
    ("many = true", 'many = "yes"', "flags.many .* is true or false"),
    ("many = true", 'train = "x.csv"', "line 9: flags.train .* once for all"),
    ("range =", "rnage =", "line 13: score.rnage .* did you mean 'range'"),
    ("labels.score", "labels.Score", "Score cannot be a task's name"),
    ("labels.score", "labels.rte", "rte is a task that is there already"),
    ('"rude", "urgent"', '"rude", "rude"', "line 11: flags.labels .* 'rude'"),
    ("range = [1, 5]", 'kind = "tagging"', "score.kind .* no key of a label"),
    ('text = "review"', "", "topic.text is missing"),
  ],
)
def test_a_wrong_table_is_refused(tmp_path, old, new, said):
  assert old in WIDE
  with pytest.raises(ValueError, match=said):
    rows(tmp_path, WIDE.replace(old, new))


@pytest.mark.parametrize(
  ("text", "said"),
  [
    ('[[table]]\ntrain = "a.csv"\n', r"needs a \[table.labels.NAME\]"),
    ('[[table]]\ntrain = "a.csv"\nlabels = ["a"]\n', "line 3: table.labels"),
    (WIDE + WIDE.replace("flags", "more"), "topic is there twice"),
    (MORE.replace("label =", 'table = "1"\nlabel ='), "line 11: alone.table"),
    ("table = 3\n", "table is a list of tables"),
  ],
)
def test_a_wrong_file_is_refused(tmp_path, text, said):
  with pytest.raises(ValueError, match=said):
    rows(tmp_path, text)


def test_a_task_may_be_called_table(tmp_path):
  text = MORE[MORE.index("[alone]") :].replace("[alone]", "[table]")
  assert rows(tmp_path, text)["table"].table == ""
