"""Files as the world writes them: read, or called by what they are."""

import bz2
import gzip
import io
import json
import lzma

import pyarrow as pa
from pyarrow import feather, parquet
import pytest

from bam_jax.data.sources import lines, rows

ROWS = [("Good, really.", "yes"), ('a "b"\nc', "no"), ("naïve ", "yes")]
CSV = 'text,label\n"Good, really.",yes\n"a ""b""\nc",no\nnaïve ,yes\n'
LINES = r"df.to_json\('rows.jsonl', orient='records', lines=True\)"
OBJECTS = [dict(zip(("text", "label"), row, strict=True)) for row in ROWS]
JSONL = "\n".join(map(json.dumps, OBJECTS))
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 99\n"


def read(folder, name, data):
  path = folder / name
  path.write_bytes(data.encode() if isinstance(data, str) else data)
  found = rows.read(path, ["text", "label"])
  return [(row["text"], row["label"]) for _, row in found]


def columns(write, **changes) -> bytes:
  texts, labels = (list(each) for each in zip(*ROWS, strict=True))
  file = io.BytesIO()
  write(pa.table({"text": texts, "label": labels, "id": [1, 2, 3]}), file)
  return file.getvalue()


@pytest.mark.parametrize(
  ("name", "data"),
  [
    ("a.csv", CSV),
    ("A.CSV", CSV),
    ("a.Csv.GZ", gzip.compress(CSV.encode())),
    ("a.csv", "sep=,\r\n" + CSV.replace("yes\n", "yes\r\n")),
    ("a.csv", '\ufeff"sep=,"\n' + CSV),
    ("a.csv", '"text","label"\n' + CSV.partition("\n")[2]),
    ("a.csv", CSV + "\n\n"),
    ("a.JSONL", JSONL + "\n\n"),
    ("a.jsonl", "\ufeff" + JSONL),
    ("a.jsonl", JSONL.replace("\n", "\r")),
    ("a.json", JSONL),
    ("a.json", json.dumps(OBJECTS)),
    ("a.json", "\ufeff \n" + json.dumps(OBJECTS, indent=1) + "\n\n"),
    ("a.json.gz", gzip.compress(json.dumps(OBJECTS, indent=1).encode())),
    ("a.parquet", columns(parquet.write_table)),
    ("a.PARQUET", columns(parquet.write_table)),
  ],
)
def test_whatever_wrote_it_the_rows_are_the_same(tmp_path, name, data):
  assert read(tmp_path, name, data) == ROWS


@pytest.mark.parametrize(
  ("name", "mark"), [("a.csv", ","), ("a.tsv", "\t"), ("a.TSV.gz", "\t")]
)
def test_lines_of_old_macs_end_in_a_carriage_return(tmp_path, name, mark):
  text = f"text{mark}label\ra b{mark}yes\r\rc{mark}no"
  data = gzip.compress(text.encode()) if name.endswith("gz") else text
  assert read(tmp_path, name, data) == [("a b", "yes"), ("c", "no")]


def test_a_carriage_return_inside_a_line_belongs_to_its_text(tmp_path):
  data = "text\tlabel\r\na\rb\tyes\r\n"
  assert read(tmp_path, "a.tsv", data) == [("a\rb", "yes")]
  data = 'text,label\r\n"a\r\nb",yes\r\n'
  assert read(tmp_path, "a.csv", data) == [("a\r\nb", "yes")]


def test_a_cell_may_be_of_any_length(tmp_path):
  long = "word " * 200_000
  for name, data in {
    "a.csv": f"text,label\n{long},yes\n",
    "a.tsv": f"text\tlabel\n{long}\tyes\n",
    "a.jsonl": json.dumps({"text": long, "label": "yes"}),
    # More than a block, so that an object is cut where one ends.
    "a.json": json.dumps([{"text": long, "label": "yes"}] * 3),
  }.items():
    assert set(read(tmp_path, name, data)) == {(long, "yes")}


def test_a_row_without_an_end_does_not_fill_the_memory(tmp_path, monkeypatch):
  monkeypatch.setattr(lines, "LONGEST", 50)
  monkeypatch.setattr(rows.formats, "LONGEST", 50)
  for name, data, said in (
    (
      "a.csv",
      "text,label\na,b\n" + '"open\n' + "a\n" * 50,
      "line 3: the row that beg",
    ),
    ("a.tsv", "text\tlabel\n" + "a" * 99, "line 2 is longer than 50 bytes"),
    ("a.tsv", "text\tlabel\r" + "b" * 99, "line 2 is longer than 50 bytes"),
  ):
    with pytest.raises(ValueError, match=said):
      read(tmp_path, name, data)


@pytest.mark.parametrize(
  ("name", "data", "said"),
  [
    # What it is, by its first bytes
    ("a.csv", LFS, "a.csv is a Git LFS pointer, not the file that it stands"),
    ("a.csv.gz", LFS, "a.csv.gz is a Git LFS pointer"),
    ("a.json", LFS, "a.json is a Git LFS pointer"),
    ("a.parquet", LFS, "a.parquet is a Git LFS pointer"),
    ("a.csv", gzip.compress(b"a"), "compressed by gzip; add .gz to its name"),
    ("a.csv.gz", CSV, "is not compressed, though its name ends in .gz; take"),
    ("a.csv.gz", b"\xff\0abc", "does not begin with b'.xff.x00abc'"),
    ("a.csv.gz", b"", "a.csv.gz is empty, as no file of gzip is"),
    ("a.csv", bz2.compress(b"a"), "is compressed by bzip2; unpack it: bunzip2"),
    ("a.csv", lzma.compress(b"a"), "is compressed by xz; unpack it: unxz"),
    ("a.csv", b"PK\3\4" + bytes(99), "is a ZIP archive, as Excel's .xlsx is"),
    ("a.csv", b"\xd0\xcf\x11\xe0\xa1", "is an old Excel file; save it as CSV"),
    (
      "a.csv",
      columns(parquet.write_table),
      "is a Parquet file; give it as a file nam",
    ),
    ("a.parquet", columns(feather.write_feather), "is a Feather .Arrow. file"),
    ("a.parquet", CSV, "begins with b'text,labe', not with PAR1"),
    ("a.parquet", b"", "is not a whole Parquet file .empty.$"),
    ("a.parquet", columns(parquet.write_table)[:-9], "magic bytes .*file.$"),
    # What it is written in
    ("a.csv", CSV.encode("utf-16"), "is UTF-16 text; save it again as UTF-8"),
    ("a.tsv", CSV.encode("utf-32"), "is UTF-32 text; save it again as UTF-8"),
    ("a.jsonl", JSONL.encode("utf-16"), "is UTF-16 text"),
    (
      "a.csv",
      CSV.encode("utf-16-le"),
      "line 1 has NUL in every other byte, as",
    ),
    (
      "a.json",
      b'[{"a": "\0"}]',
      "line 1 has a NUL byte, which no text has; ta",
    ),
    (
      "a.csv",
      CSV.encode("cp1252"),
      r"line 5 is not UTF-8 \(byte 2, the .*xef'",
    ),
    ("a.json", b'[{"a":\n "\xe9\xe9"}]', r"line 2 is not UTF-8 .*b' .\\xe9'"),
    ("a.csv", b"text,label\na,b\n\0\0\0\0", "line 3 has a NUL byte, which no"),
    # What separates its columns
    (
      "a.csv",
      "sep=;\ntext;label\n",
      "line 1: the columns are separated by ';'",
    ),
    (
      "a.csv",
      "text;label\na;b\n",
      "by ';'; a .csv has commas, a .tsv has tabs:",
    ),
    (
      "a.csv",
      "text;label;a,b\n",
      "separated by ';'.*: save it again with comm",
    ),
    ("a.csv", "text\tlabel\n", "separated by '.t'.*: name it .tsv, or save it"),
    ("a.tsv", 'text,label\n"a, b",c\n', "separated by ','.*tabs: name it .csv"),
    # Its rows
    ("a.csv", CSV + CSV, "line 6 names the columns again, as where two files"),
    (
      "a.csv",
      "\ufeff" + CSV + "\ufeff" + CSV,
      "line 6 names the columns again",
    ),
    (
      "a.csv",
      "text,label,,\na,b,,\n",
      "line 1: column 3 of 4 has no name; give",
    ),
    ("a.csv", ",text,label\n0,a,b\n", "column 1 of 3 has no name.*index=False"),
    ("a.csv", "text,text,label\n", "line 1: the column 'text' is there twice"),
    ("a.csv", "text,label\na,b,\n", "line 2: 3 columns instead of 2"),
    (
      "a.csv",
      'text,label\n"a\nb" c,d\n',
      r"line 2 is .*; a quote .*\(seen in l",
    ),
    (
      "a.csv",
      'text,label\n"a\nb,c\n',
      "line 2 is .* a quote is opened and never",
    ),
    ("a.csv", "text,label\na\rb,c\n", "line 2 is .* a line end inside a text"),
    (
      "a.tsv",
      'text\tlabel\n"a\nb"\tc\n',
      "line 2: 1 columns .*quotes belong to",
    ),
    # JSON
    (
      "a.jsonl",
      '{"text": "a"},\n',
      "Extra data at ',' after .*nothing stands a",
    ),
    ("a.jsonl", "{'text': 'a'}\n", 'texts stand in double quotes: "a"$'),
    ("a.jsonl", '{"text": "a",}\n', "has no comma after it|double quotes"),
    ("a.jsonl", '{"text": "a\tb"}\n', r"a line end is \\n and a tab \\t$"),
    ("a.jsonl", '{"text": "C:\\d"}\n', r"a backslash is \\\\$"),
    ("a.jsonl", '{"text": "a"\n', "line 1 is not JSON: it ends in the middle$"),
    ("a.jsonl", f"[{'1' * 5000}]", "not JSON: a number has too many digits$"),
    ("a.jsonl", "[" * 99_999, "line 1 is not JSON: it is nested too deeply$"),
    ("a.jsonl", '{"text": "\\ud800"}', "line 1 holds half a character"),
    ("a.jsonl", json.dumps(OBJECTS), "a file that is one list is named .json"),
    ("a.jsonl", json.dumps(OBJECTS, indent=1), "one list is named .json"),
    ("a.jsonl", json.dumps(OBJECTS[0], indent=1), "does not end in this line"),
    ("a.json", json.dumps(OBJECTS[0], indent=1), "does not end in this line"),
    ("a.json", json.dumps(OBJECTS)[:-1], "line 1 is not JSON: after an object"),
    (
      "a.json",
      '[\n{"text": 1, "label": 2}\n{}]',
      "line 3 is not JSON: after an object .*here '{}]'",
    ),
    (
      "a.json",
      '[\n{"a":\n x}]',
      "line 3 is not JSON: Expecting value at 'x}]'",
    ),
    (
      "a.json",
      "[\n[1]]",
      "line 2 is not JSON: rows of a JSON list are objects",
    ),
    ("a.json", "[] []", "nothing stands after the list, here"),
    (
      "a.json",
      '[{"a": 1, "a": 2}]',
      "line 1 is not JSON: the name 'a' comes tw",
    ),
    (
      "a.json",
      '[{"data": {"text": "a"}}]',
      "'text' is inside 'data'.*JSON-MIN",
    ),
    ("a.json", '{"rows": [{"text": 1}]}', "'text' is inside 'rows'"),
    (
      "a.json",
      '{"rows": [{"text": 1}, {"text": 2}]}',
      "'text' is inside the list 'rows', whose objects are the rows: save that",
    ),
    # What pandas and datasets write of a whole table
    *(
      ("a.json", json.dumps(table), f"line 1.* is a whole table{how}.*{LINES}")
      for how, table in (
        (
          r" by its columns, as df.to_json\(\) ",
          {"text": {"0": "a", "1": "b"}, "label": {"0": "x", "1": "y"}},
        ),
        (" by its columns;", {"text": ["a", "b"], "label": ["x", "y"]}),
        (" by the names of its", {str(i): OBJECTS[i] for i in range(2)}),
        (
          ", as df.to_json.orient='split'",
          {"columns": ["text", "label"], "index": [0], "data": [["a", "x"]]},
        ),
      )
    ),
    ("a.csv", "", "a.csv is empty; its first line names the columns"),
    ("a.csv", "\n\n", "a.csv is empty; its first line names the columns"),
  ],
)
def test_what_is_wrong_is_said_with_the_cure(tmp_path, name, data, said):
  with pytest.raises(ValueError, match=said) as caught:
    read(tmp_path, name, data)
  words = str(caught.value)
  assert words.startswith(str(tmp_path / name)), words
  assert "\n" not in words and "delete" not in words and len(words) < 600


@pytest.mark.parametrize(
  ("cells", "loud"),
  [
    (['"Yes, since noon."', '"a ""b"""'], True),
    (['"Yes, since noon."', 'a "b"'], False),
    (['"Yes," he said, "no"'], False),
    (['"'], False),
    (["plain"], False),
  ],
)
def test_quotes_that_a_program_put_in_a_tsv_are_said(
  tmp_path, caplog, cells, loud
):
  data = "text\tlabel\n" + "".join(f"{cell}\tno\n" for cell in cells)
  assert [text for text, _ in read(tmp_path, "a.tsv", data)] == cells
  said = f"a.tsv has {len(cells)} texts in quotes, the first in line 2"
  assert (said in caplog.text) is loud
