"""A tasks file is read as written, or refused by line, key and value."""

import pytest

from bam_jax.tasks import labels
from bam_jax.tasks import own as own_tasks
from bam_jax.tasks.table import TASKS, get_tasks

GOOD = """\
[pets]
train = "pets.csv"
dev_share = 0.25
text = ["question", "answer"]
label = "verdict"
labels = ["no", "yes", "maybe"]
metric = "accuracy"
"""
JUDGED = GOOD + 'soft_columns = ["a", "b", "c"]\n'
SCORES = """\
[pets]
train = "pets.tsv"
dev = "dev.tsv"
test = "test.tsv"
text = "question"
label = "score"
range = [1, 7]
metric = ["pearson", "spearman"]
symmetric = true
"""


def rows(tmp_path, text, name="my_tasks.toml"):
  path = tmp_path / name
  path.write_text(text, "utf-8")
  return own_tasks.table(own_tasks.read(path), path)


def test_classes_are_a_row_of_the_table(tmp_path):
  (task,) = rows(tmp_path, GOOD).values()
  assert (task.name, task.kind, task.classes) == ("pets", "classification", 3)
  assert task.labels == ("no", "yes", "maybe")
  assert task.splits == ("train", "validation")
  assert (
    task.own.files["train"] == task.own.files["validation"] == ("pets.csv",)
  )
  assert (task.headline, task.head, task.in_average) == (
    "accuracy",
    "pets",
    True,
  )
  assert task.own.folder == str(tmp_path) and task.own.dev_share == 0.25
  assert isinstance(hash(task), int)


def test_numbers_are_a_row_of_the_table(tmp_path):
  (task,) = rows(tmp_path, SCORES).values()
  assert (task.kind, task.range) == ("regression", (1.0, 7.0))
  assert task.metrics == ("pearson", "spearman") and task.symmetric
  # Scored beside dev, never chosen by.
  assert task.dev == ("validation", "test") and not task.test
  assert task.own.dev_share == 0


def test_yaml_says_the_same_as_toml(tmp_path):
  text = """\
pets:
  train: pets.csv
  dev_share: 0.25
  text: [question, answer]
  label: verdict
  labels: ["no", "yes", maybe]
  metric: accuracy
"""
  (yaml,) = rows(tmp_path, text, "my_tasks.yaml").values()
  (toml,) = rows(tmp_path, GOOD).values()
  assert yaml.labels == toml.labels and yaml.text == toml.text
  assert yaml.own.files == toml.own.files
  # Unquoted, they are words as in YAML 1.2.
  bare = text.replace('"no", "yes"', "no, yes")
  (yaml,) = rows(tmp_path, bare, "x.yaml").values()
  assert yaml.labels == toml.labels
  with pytest.raises(ValueError, match="line 8 has 'metric' a second time"):
    rows(tmp_path, text + "  metric: f1\n", "x.yaml")
  with pytest.raises(
    ValueError, match=r"x\.yaml line 1, column .* is not YAML: .* in '"
  ):
    rows(tmp_path, "pets: [", "x.yaml")


@pytest.mark.parametrize(
  ("typed", "shown", "called"),
  [
    ('"1.0", "2.0"', ("1.0", "2.0"), ("1", "2")),
    ("1.0, 2", ("1", "2"), ("1", "2")),
    ("0.5, 1.0", ("0.5", "1"), ("0.5", "1")),
    ("false, true", ("false", "true"), ("false", "true")),
    ('"False", "True"', ("False", "True"), ("false", "true")),
  ],
)
def test_labels_may_be_numbers_and_truth_values(tmp_path, typed, shown, called):
  text = GOOD.replace('"no", "yes", "maybe"', typed)
  (task,) = rows(tmp_path, text).values()
  assert task.labels == shown
  assert tuple(map(labels.name, task.labels)) == called


def test_what_is_ignored_is_kept_by_its_names(tmp_path):
  text = GOOD + 'ignore = [-1, "", "n/a", -1.0, "-1"]\n'
  (task,) = rows(tmp_path, text).values()
  assert task.own.ignore == ("-1", "", "n/a")
  (task,) = rows(tmp_path, GOOD + "ignore = -1\n").values()
  assert task.own.ignore == ("-1",)


def test_a_split_may_be_several_files(tmp_path):
  text = GOOD.replace('"pets.csv"', '["a.csv", "b*.csv"]')
  (task,) = rows(tmp_path, text).values()
  assert (
    task.own.files["train"]
    == task.own.files["validation"]
    == ("a.csv", "b*.csv")
  )


def test_a_tasks_file_that_is_not_utf_8_is_named_with_its_line(tmp_path):
  path = tmp_path / "x.toml"
  path.write_bytes(GOOD.encode() + b'dev = "\xff"\n')
  with pytest.raises(ValueError, match=r"x\.toml line 8 is not UTF-8; save"):
    own_tasks.read(path)


def test_tasks_do_not_outlive_the_table_they_are_in(tmp_path):
  found = rows(tmp_path, GOOD)
  assert get_tasks(["pets", "rte"], {**TASKS, **found})[0].name == "pets"
  assert "pets" not in TASKS
  with pytest.raises(ValueError, match="no task 'pets'"):
    get_tasks(["pets"])


WRONG = [
  # what is replaced, by what, what is said
  ("[pets]", "[rte]", "line 1: rte is a task that is there already"),
  ("[pets]", "[average]", "line 1: average cannot be a task's name"),
  # predict --task=all asks every head.
  ("[pets]", "[all]", "line 1: all cannot be a task's name"),
  ("[pets]", '["a.b"]', "line 1: a.b cannot be a task's name"),
  ("[pets]", '["../x"]', "line 1: ../x cannot be a task's name"),
  ("[pets]", "[Pets]", "line 1: Pets cannot be a task's name: that has small"),
  ("[pets]\n", "pets = 3\n[dogs]\n", "pets is no task; begin one with [pets]"),
  ("metric", "metrics", "line 7: pets.metrics = 'accuracy' is no key of a tas"),
  ("metric", "metrics", "did you mean 'metric'?"),
  ('"accuracy"', '"acuracy"', "did you mean 'accuracy'?"),
  ('"accuracy"', '"pearson"', "with labels it is one of accuracy, f1, matt"),
  ('"accuracy"', '"f1"', "has f1, which needs two labels"),
  ('metric = "accuracy"', "", "line 1: pets.metric is missing"),
  ('"accuracy"', "[]", "pets.metric = [] is a metric, or a list"),
  ('train = "pets.csv"', "", "line 1: pets.train is missing"),
  ('"pets.csv"', '["a", "a"]', "pets.train = ['a', 'a'] is a file in quotes"),
  ('"pets.csv"', '" "', "line 2: pets.train = ' ' is a file in quotes, or a"),
  ('"pets.csv"', "7", "line 2: pets.train = 7 is a file in quotes, or a list"),
  ("dev_share = 0.25\n", "", "pets.dev needs either dev = FILE or dev_share"),
  ("0.25", '0.25\ndev = "x.csv"', "line 4: pets.dev = 'x.csv' needs either"),
  ("0.25", "1.0", "line 3: pets.dev_share = 1.0 is a share of train"),
  ("0.25", "true", "pets.dev_share = True is a share"),
  ('["question", "answer"]', "[]", "pets.text = [] is the text column, or a"),
  ('"answer"]', '"question"]', "pets.text = ['question', 'question'] is the"),
  ('"answer"]', '"b", "c"]', "takes one or two text columns"),
  ('"answer"]', '"verdict"]', "takes one or two text columns, none of them"),
  ('"maybe"]', '"yes"]', "labels = ['no', 'yes', 'yes'] has 'yes' more"),
  ('["no", "yes", "maybe"]', '["no"]', "is a list of two or more different"),
  ('["no", "yes", "maybe"]', '"no"', "labels = 'no' is a list of two or more"),
  ('"yes", "maybe"]', '1, "1.0"]', "has '1' more than once; its names differ"),
  ('"yes", "maybe"]', 'true, "TRUE"]', "has 'true' more than once; its names"),
  ('"maybe"]', "1979-05-27]", "has what can be no label (date is no label)"),
  ('"maybe"]', '""]', "is a list of two or more different names"),
  ('"maybe"]', '"maybe"]\nignore = [-1, "yes"]', "'yes', which is one of lab"),
  ('"maybe"]', '"maybe"]\nignore = [[]]', "can be no label (list is no label"),
  (
    'label = "verdict"',
    'soft_columns = "p"',
    "label is missing; rows of train that have soft labels need no other",
  ),
  ('"maybe"]', '"maybe"]\nrange = [0, 1]', "and only one of them"),
  ('labels = ["no", "yes", "maybe"]\n', "", "needs labels = [...] for classes"),
  ("[pets]", '[pets]\nhub = "x"', "line 2: pets.hub = 'x' is OWNER/NAME of"),
  ("[pets]", '[pets]\nconfig = "x"', "is only for a data set of the hub"),
  ('"pets.csv"', '"train"\nhub = "a/b"', "config is missing: 'train' is a"),
  ("[pets]", "[pets]\ngroup = 3", "group = 3 is a text in quotes"),
  (
    "[pets]",
    '[pets]\ngroup = "verdict"',
    "group = 'verdict' is the label column, so that all rows of a label",
  ),
  ("[pets]", "[pets]\nsymmetric = 1", "symmetric = 1 is true or false"),
  ("[pets]", '[pets]\nsoft_columns = ["a", "b"]', "has 2 columns; one column"),
  (
    "[pets]",
    '[pets]\nsoft_columns = "p"\nsoft_labels = "s.jsonl"',
    "line 3: pets.soft_labels = 's.jsonl' and soft_columns cannot both",
  ),
  (
    'metric = "accuracy"',
    'metric = "accuracy',
    "is not TOML: Illegal character",
  ),
  (
    "[pets]",
    "[pets]\nlabel = 1",
    "is not TOML: Cannot overwrite a value, in 'label",
  ),
  (GOOD, "", "has no task; begin one with [its_name]"),
]


@pytest.mark.parametrize(
  ("old", "new", "said"), WRONG, ids=[case[2] for case in WRONG]
)
def test_what_cannot_be_is_named_by_line_key_and_value(
  tmp_path, old, new, said
):
  assert old in GOOD
  with pytest.raises(ValueError, match=r"^.*my_tasks\.toml") as caught:
    rows(tmp_path, GOOD.replace(old, new))
  assert said in str(caught.value)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
  ("old", "new", "said"),
  [
    ("[1, 7]", "[7, 1]", "range = [7, 1] is [lowest, highest]"),
    ("[1, 7]", "[1, inf]", "is [lowest, highest], two numbers"),
    ("[1, 7]", '["1", 7]', "is [lowest, highest], two numbers"),
    ('"pearson"', '"accuracy"', "with a range it is one of spearman, pearson"),
  ],
)
def test_a_range_that_is_none_is_refused(tmp_path, old, new, said):
  with pytest.raises(ValueError, match=r"line [78]: pets") as caught:
    rows(tmp_path, SCORES.replace(old, new))
  assert said in str(caught.value)


@pytest.mark.parametrize("secret", ["hf_abcde", "http://me:abcde@h"])
def test_a_token_in_the_wrong_place_is_not_repeated(tmp_path, secret):
  with pytest.raises(ValueError, match="is OWNER/NAME") as caught:
    rows(tmp_path, f'[pets]\nhub = "{secret}"\n' + GOOD.partition("\n")[2])
  assert "abcde" not in str(caught.value)


def test_a_file_of_another_kind_is_refused(tmp_path):
  with pytest.raises(ValueError, match=r"it is a \.toml or a \.yaml file"):
    rows(tmp_path, GOOD, "tasks.json")
  with pytest.raises(FileNotFoundError, match="there is no tasks file"):
    own_tasks.read(tmp_path / "none.toml")
