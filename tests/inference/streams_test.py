"""What is answered is what training reads, and a guess is never silent."""

import csv
import gzip
import io
import json

from hypothesis import given
from hypothesis import strategies as st
import pyarrow as pa
from pyarrow import parquet
import pytest

from bam_jax.data.sources import rows
from bam_jax.inference import streams
from tests.spoilt import examples

PAIR = ("sentence1", "sentence2")
ONE = ("review",)


def piped(text, *, layouts=(PAIR,), **settings):
  data = text if isinstance(text, bytes) else text.encode()
  pipe = io.BufferedReader(io.BytesIO(data))
  return streams.Reader(pipe, layouts=layouts, **settings)


def written(folder, name, data, *, layouts=(PAIR,), **settings):
  path = folder / name
  path.write_bytes(data if isinstance(data, bytes) else data.encode())
  return streams.Reader(path, layouts=layouts, **settings)


@pytest.mark.parametrize(
  "text",
  [
    "a, b\tc, x\nd\te, x\n",
    "a, b\tc, x\r\nd\te, x",
    "\ufeffsentence2\tlabel\tsentence1\nc, x\t1\ta, b\ne, x\t0\td\n",
    '"a, b","c, x"\nd,"e, x"\n',
    'sep=,\n"a, b","c, x"\nd,"e, x"\n',
    'label,sentence1,sentence2\n0,"a, b","c, x"\n1,d,"e, x"\n',
    '["a, b", "c, x"]\n["d", "e, x"]\n',
    '["sentence2", "sentence1"]\n["c, x", "a, b"]\n["e, x", "d"]\n',
    '[{"sentence1": "a, b", "sentence2": "c, x"},\n'
    '{"sentence1": "d", "sentence2": "e, x"}]',
    '{"sentence1": "a, b", "x": 3, "sentence2": "c, x"}\n\n'
    '{"sentence2": "e, x", "sentence1": "d"}\n\n',
    gzip.compress(b"a, b\tc, x\nd\te, x\n"),
  ],
)
def test_columns_are_found_by_name_or_by_position(text):
  found = piped(text)
  assert list(found) == [("a, b", "c, x"), ("d", "e, x")]
  assert found.columns == 2


@pytest.mark.parametrize(
  ("text", "texts"),
  [
    ("Dogs bark, cats do not.\nNo\n", ["Dogs bark, cats do not.", "No"]),
    ('"Yes", she said\n', ['"Yes", she said']),
    ('plain\na, b\n"Yes."\n', ["plain", "a, b", '"Yes."']),
    ("[Music] plays\n", ["[Music] plays"]),
    ("{no json}\n", ["{no json}"]),
    ("[1]\n", ["[1]"]),
    ("review\nNo\n\n", ["No"]),
    ("review,label\nNo,0\n", ["No"]),
    ("a; b\n", ["a; b"]),
    ("", []),
    ("\n\n", []),
  ],
)
def test_a_lone_text_is_not_taken_for_something_else(text, texts):
  found = list(piped(text, layouts=[ONE]))
  assert found == [(each,) for each in texts]


CASE = 'review\n"Good, really good."\n"Two\nlines"\nplain\n'


def test_the_suffix_of_a_file_decides(tmp_path):
  found = list(written(tmp_path, "one.csv", CASE, layouts=[ONE]))
  assert found == [("Good, really good.",), ("Two\nlines",), ("plain",)]
  found = list(written(tmp_path, "ONE.TSV", CASE, layouts=[ONE]))
  assert found[1:] == [('"Two',), ('lines"',), ("plain",)]
  found = written(tmp_path, "a.txt", CASE, layouts=[ONE], format="csv")
  assert len(list(found)) == 3
  table = pa.table({"x": [1, 2], "review": ["a", "b"]})
  parquet.write_table(table, tmp_path / "a.parquet")
  found = streams.Reader(tmp_path / "a.parquet", layouts=[ONE, PAIR])
  assert list(found) == [("a",), ("b",)]


def test_rows_without_a_text_are_answered_and_said(tmp_path):
  said = []
  (tmp_path / "a.csv").write_text("review,id\na,1\n ,2\n,3\nb,4\n")
  found = streams.Reader(tmp_path / "a.csv", layouts=[ONE], say=said.append)
  assert list(found) == [("a",), (" ",), ("",), ("b",)]
  (only,) = said
  assert "a.csv line 3 has no text in one of its columns, as 1 rows" in only


@pytest.mark.parametrize(
  ("text", "layout", "said"),
  [
    (CASE, ONE, "line 2 is .'\"Good, really good.\"'. in TSV and is .'Good, r"),
    (
      '"a\nb"\n',
      ONE,
      "line 1 is .'\"a'. in TSV and goes on after it in",
    ),
    ('plain\n"a\nb"\n', ONE, "line 2 is .* --input-format=tsv or --input-f"),
    (
      "a, b\tc\n",
      PAIR,
      r"line 1 is \['a, b', 'c'\] in TSV and is \['a', ' b",
    ),
  ],
)
def test_what_can_be_read_in_two_ways_is_refused(text, layout, said):
  with pytest.raises(ValueError, match=said):
    list(piped(text, layouts=[layout]))
  assert list(piped(text, layouts=[layout], format="tsv"))


@pytest.mark.parametrize(
  ("name", "text", "layout", "said"),
  [
    (
      "a.csv",
      "text,stars\nGood,good\n",
      ONE,
      "column 'review', only .'text",
    ),
    ("a.csv", "Question,Passage\na,b\n", PAIR, "type --no-header$"),
    ("a.tsv", "Sentence1\tB\na\tb\n", PAIR, "did you mean 'Sentence1'.$"),
    ("a.csv", "review;id\nGood;1\n", ONE, "separated by ';'; a .csv has comm"),
    ("a.csv", "review,,\nGood,,\n", ONE, "line 1: column 2 of 3 has no name"),
    ("a.csv", "review,review\na,b\n", ONE, "column 'review' is there twice"),
    ("a.json", '[{"text": "a"}]', ONE, "no column 'review', only .'text'.$"),
    ("a.json", '[{"x": {"review": 1}}]', ONE, "'review' is inside 'x'"),
    ("a.csv", "Survey,\nreview,id\n", ONE, "column 2 of 2 has no name"),
    (None, '{"text": "a"}\n', ONE, "no column 'review', only .'text'.$"),
    ("a.json", '{"review": {"0": "a"}}', ONE, "is a whole table by its colum"),
    ("a.json", '{"columns": ["review"], "data": []}', ONE, "orient='split'"),
    (None, "{\n", ONE, "line 1 is not JSON: the object does not end in this"),
    (None, "Review\na\n", ONE, "column 'review', only .'Review'.; did you me"),
    (None, "review;id\nGood;1\n", ONE, "columns are separated by ';'"),
    (None, "id;Review\nGood;1\n", ONE, "the columns are separated by ';'"),
    (None, "SENTENCE1\tx\na\tb\n", PAIR, "there is no columns 'sentence1' and"),
    (None, "a\n", PAIR, "line 1 has 1 column: .'a'.; expected are columns"),
    (None, b"PAR1", ONE, "is a Parquet file; give it as a file named .parquet"),
  ],
)
def test_a_header_that_names_no_text_is_refused(
  tmp_path, name, text, layout, said
):
  data = text if isinstance(text, bytes) else text.encode()
  if name:
    found = written(tmp_path, name, data, layouts=[layout])
  else:
    found = piped(data, layouts=[layout])
  with pytest.raises(ValueError, match=said) as caught:
    list(found)
  assert (name or "standard input") in str(caught.value)


def test_a_first_line_that_is_an_example_is_said(tmp_path):
  said = []
  assert len(list(piped("a\tb\nc\td\n", say=said.append))) == 2
  assert "line 1 names no columns 'sentence1' and 'sentence2', so" in said[0]
  assert "['a', 'b']" in said[0] and len(said) == 1
  said.clear()
  settings = {"say": said.append, "headed": False}
  found = list(written(tmp_path, "a.csv", "a,b\nc,d\n", **settings))
  assert found == [("a", "b"), ("c", "d")] and not said
  # Their names may be examples too.
  assert list(piped("sentence1\tsentence2\n", **settings)) == [PAIR]


@pytest.mark.parametrize("text", ["", "\n\n", "review,id\n"])
def test_that_there_is_nothing_to_answer_is_said(text):
  said = []
  assert not list(piped(text, layouts=[ONE], say=said.append))
  assert said == ["standard input holds no rows, so there is no answer"]


def test_empty_lines_have_no_answer_and_are_said_where_others_follow():
  said = []
  found = piped("\na\tb\n\n\nc\td\n\n", headed=False, say=said.append)
  assert list(found) == [("a", "b"), ("c", "d")]
  assert said == [
    "standard input has 3 empty lines, the first is 1; no answer stands for an"
    " empty line"
  ]


@pytest.mark.parametrize(
  ("format", "line", "said"),
  [
    (
      "tsv",
      b"one",
      "line 3: 1 columns instead of 2, which are .'sent",
    ),
    ("tsv", b"a\tb\tc", "line 3: 3 columns instead of 2"),
    ("tsv", b"a\t\xff\xfe", "line 3 is not UTF-8 .byte 2"),
    ("csv", b'a,"b" c', "line 3 is not CSV"),
    (
      "csv",
      b"a,b,c",
      "line 3: 3 columns .*; put a text with a comma in",
    ),
    ("jsonl", b"{", "line 3 is not JSON"),
    ("jsonl", b"3", "line 3 is not a JSON object"),
    ("jsonl", b'["a"]', "line 3: 1 columns"),
    ("jsonl", b'["a", null]', "line 3, column 'sentence2': None is not text"),
    ("jsonl", b'["a", 3]', "line 3, column 'sentence2': 3 is not text"),
    ("jsonl", rb'["a", "\ud800"]', "line 3 holds half a character"),
    ("jsonl", b'{"sentence1": "a"}', "line 3 is an object, not a list as"),
  ],
)
def test_a_bad_line_is_named_and_those_before_it_are_read(format, line, said):
  good = {"tsv": b"a\tb\n", "csv": b"a,b\n", "jsonl": b'["a", "b"]\n'}[format]
  found = iter(piped(2 * good + line + b"\n" + good, format=format))
  assert [next(found), next(found)] == [("a", "b")] * 2
  with pytest.raises(ValueError, match=f"^standard input {said}"):
    next(found)


# --- the same as training

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
ROW = st.tuples(TEXT, st.sampled_from(["a", 'b "c"', ""]), TEXT)
NAMES = ("label", "review", "other")


def table(name, cells, end, quoting) -> str:
  """Writes rows as programs do; a TSV cannot hold its own marks."""
  file = io.StringIO(newline="")
  if name.startswith("a.csv"):
    # Python's writer leaves a lone \r without quotes, which no CSV may.
    if any("\r" in cell for row in cells for cell in row):
      quoting = csv.QUOTE_ALL
    writer = csv.writer(file, lineterminator=end, quoting=quoting)
    writer.writerows([NAMES, *cells])
  elif name == "a.tsv":
    for row in [NAMES, *cells]:
      file.write("\t".join(row) + end)
  else:
    records = [dict(zip(NAMES, row, strict=True)) for row in cells]
    dumped = [json.dumps(each, ensure_ascii=len(end) > 1) for each in records]
    whole = f"[{end}{f',{end}'.join(dumped)}]" if name == "a.json" else ""
    file.write(whole or end.join(dumped) + end)
  return file.getvalue()


@given(
  st.sampled_from(["a.csv", "a.csv.gz", "a.tsv", "a.jsonl", "a.json"]),
  st.lists(ROW, min_size=1, max_size=5),
  st.sampled_from(["\n", "\r\n"]),
  st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
  st.booleans(),
  st.integers(0, 2),
)
@examples(200)
def test_training_and_answering_read_the_same(
  tmp_path_factory, name, cells, end, quoting, mark, blank
):
  if name == "a.tsv":
    cells = [
      tuple(each.translate({9: "t", 10: "n", 13: "r"}) for each in row)
      for row in cells
    ]
  data = "\ufeff" * mark + table(name, cells, end, quoting) + end * blank
  path = tmp_path_factory.getbasetemp() / name
  raw = data.encode()
  path.write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
  trained = [(row["review"], row["other"]) for _, row in rows.read(path, NAMES)]
  assert trained == [row[1:] for row in cells]
  layouts = [NAMES[1:]]
  assert list(streams.Reader(path, layouts=layouts)) == trained
  format = rows.format_of(path)
  assert (
    list(piped(path.read_bytes(), layouts=layouts, format=format)) == trained
  )
