"""Who may judge and what has no label: what a tasks file may say of it."""

import re

import pytest

from bam_jax.tasks import own
from bam_jax.tasks.panel import Judge

GOOD = """\
[pets]
train = "a.csv"
dev = "b.csv"
text = "t"
label = "l"
labels = ["cat", "dog", "owl"]
metric = "accuracy"
"""
GPT = '[pets.judges.gpt]\ncolumns = ["a", "b", "c"]\n'


def read(folder, text):
  path = folder / "my.toml"
  path.write_text(text)
  return own.table(own.read(path), path)["pets"].own


def test_judges_are_read_by_name_whatever_their_order(tmp_path):
  other = '[pets.judges.claude]\nfile = "c.jsonl"\nweight = 2\n'
  wanted = (
    Judge(name="claude", file="c.jsonl", weight=2.0, partial=True),
    Judge(name="gpt", columns=("a", "b", "c"), partial=True),
  )
  assert read(tmp_path, GOOD + GPT + other).judges == wanted
  assert read(tmp_path, GOOD + other + GPT).judges == wanted


def test_one_judge_may_leave_out_no_row(tmp_path):
  one = read(tmp_path, GOOD + 'soft_columns = "p"\n')
  assert one.judges == (Judge(columns=("p",)),)
  one = read(tmp_path, GOOD + 'soft_labels = "s.jsonl"\n')
  assert one.judges == (Judge(file="s.jsonl"),)


def test_texts_without_labels_are_files_or_rows_of_train(tmp_path):
  files = read(tmp_path, GOOD + 'unlabelled = ["u.csv", "v/*.jsonl"]\n')
  assert files.files["unlabelled"] == ("u.csv", "v/*.jsonl")
  assert files.unlabelled and not files.unlabelled_rows
  mine = read(tmp_path, GOOD + "unlabelled = true\n")
  assert mine.unlabelled_rows and not mine.unlabelled
  none = read(tmp_path, GOOD)
  assert not none.unlabelled and not none.unlabelled_rows and not none.judges


@pytest.mark.parametrize(
  ("more", "said"),
  [
    ("[pets.judges]\n", "judges = {} is a table for each judge"),
    ("judges = 3\n", "line 8: pets.judges = 3 is a table for each judge"),
    ("[pets.judges]\ngpt = 3\n", "has 'gpt', which is no judge"),
    ('[pets.judges."a b"]\nfile = "x"\n', "has 'a b', which is no judge"),
    ("[pets.judges.gpt]\n", "line 8: pets.judges.gpt says by one of columns"),
    (GPT + 'file = "x.jsonl"\n', "says by one of columns"),
    (GPT + "weight = 0\n", "line 10: pets.judges.gpt.weight = 0 is a number"),
    (GPT + "weight = nan\n", "gpt.weight = nan is a number above 0"),
    (GPT + "weight = inf\n", "gpt.weight = inf is a number above 0"),
    (GPT + "weight = true\n", "gpt.weight = True is a number above 0"),
    (GPT + "wieght = 2\n", "is no key of a judge: columns, file, weight; did"),
    (
      '[pets.judges.gpt]\ncolumns = ["a", "b"]\n',
      "judges.gpt.columns = ['a', 'b'] has 2 columns; one column for each",
    ),
    ("[pets.judges.gpt]\ncolumns = []\n", "columns = [] is a column, or a"),
    ("[pets.judges.gpt]\nfile = 3\n", "gpt.file = 3 is a text in quotes"),
    ('soft_columns = "p"\n' + GPT, "judges = {'gpt': "),
    ('soft_labels = "p"\n' + GPT, "and soft_labels cannot both teach"),
    ("unlabelled = false\n", "unlabelled = False is a file in quotes"),
    ("unlabelled = 3\n", "unlabelled = 3 is a file in quotes"),
    ("unlabelled = []\n", "unlabelled = [] is a file in quotes"),
    ("unlabelled_weight = 2\n", "there are none: add unlabelled = FILE"),
    (
      'unlabelled = "u.csv"\nunlabelled_weight = 0\n',
      "unlabelled_weight = 0 is a number above 0",
    ),
    (
      'unlabelled = "u.csv"\nsoft_labels = "s.jsonl"\n',
      "has rows that nobody teaches: a file of soft labels counts the rows",
    ),
    ('unlabeled = "u.csv"\n', "did you mean 'unlabelled'?"),
  ],
)
def test_what_cannot_be_is_refused_where_it_stands(tmp_path, more, said):
  with pytest.raises(ValueError, match=re.escape(said)) as error:
    read(tmp_path, GOOD + more)
  assert str(error.value).startswith(f"{tmp_path / 'my.toml'} line ")


def test_words_and_questions_have_neither(tmp_path):
  tags = '[pets]\nkind = "tagging"\ntrain = "a.conll"\ndev = "b.conll"\n'
  tags += 'format = "conll"\nlabels = ["O", "B-X"]\nmetric = "f1"\n'
  for more in ('unlabelled = "u.csv"\n', GPT):
    with pytest.raises(ValueError, match="is for tasks of other kinds"):
      read(tmp_path, tags + more)
