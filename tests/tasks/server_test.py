"""A submission that breaks any rule of the GLUE server is refused, with why."""

import zipfile

import numpy as np
import pytest

from bam_jax import glue_server as command
from bam_jax.tasks import server as glue_server
from bam_jax.tasks import submission
from bam_jax.tasks.manifest import manifest

MADE = {"method": "x"}
# As the server's test sets have them.
ROWS = {
  "CoLA.tsv": 1063,
  "SST-2.tsv": 1821,
  "MRPC.tsv": 1725,
  "STS-B.tsv": 1379,
  "QQP.tsv": 390965,
  "MNLI-m.tsv": 9796,
  "MNLI-mm.tsv": 9847,
  "QNLI.tsv": 5463,
  "RTE.tsv": 3000,
  "WNLI.tsv": 146,
  "AX.tsv": 1104,
}


@pytest.fixture
def small(monkeypatch):
  """Test sets of 5 to 15 rows, so that a submission is written at once."""
  rows = {
    (task.name, split): 5 + i
    for i, (task, split) in enumerate(submission.FILES.values())
  }
  listed = {"datasets": {name: {"rows": {}} for name, _ in rows}}
  for (name, split), count in rows.items():
    listed["datasets"][name]["rows"][split] = count
  monkeypatch.setattr(glue_server, "manifest", lambda: listed)
  return rows


@pytest.fixture
def folder(small, tmp_path):
  rng = np.random.default_rng(0)
  predictions = {
    (task.name, split): rng.normal(size=(small[task.name, split], 3))
    for task, split in submission.FILES.values()
  }
  submission.write_submission(
    tmp_path / "submission",
    predictions,
    rows=small,
    made_of=dict.fromkeys(small, MADE),
  )
  return tmp_path / "submission"


def test_sizes_are_the_servers():
  assert {n: glue_server.official_rows(n) for n in submission.FILES} == ROWS
  assert manifest()["datasets"]["ax"]["rows"] == {"test": 1104}


def test_what_predict_writes_is_accepted(folder, capsys):
  assert glue_server.check(folder) == []
  assert glue_server.check(folder / "submission.zip") == []
  assert command.main([f"--check={folder}"]) == 0
  assert "all 11 files are as the server wants them" in capsys.readouterr().out


def edited(old: bytes, new: bytes):
  def change(path):
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))

  return change


FAULTS = [
  ("RTE.tsv", lambda p: p.unlink(), "lacks RTE.tsv; predict with rte in"),
  ("AX.tsv", lambda p: p.unlink(), "with ax in --config.tasks beside mnli"),
  ("WNLI.tsv", lambda p: p.unlink(), "predict with --config.wnli=majority"),
  ("RTE.tsv", lambda p: p.rename(p.with_name("rte.tsv")), "has 'rte.tsv'"),
  ("notes.txt", lambda p: p.write_text("x"), "has 'notes.txt', which the"),
  ("more", lambda p: p.mkdir(), "more is a folder"),
  ("RTE.tsv", edited(b"index\t", b"id\t"), r"the header is 'id\tprediction'"),
  ("RTE.tsv", edited(b"index\tprediction\n", b""), "line 1: the header is"),
  ("RTE.tsv", edited(b"\n3\t", b"\n4\t"), "line 5: the index is '4', not 3"),
  ("RTE.tsv", edited(b"\n3\t", b"\n03\t"), "line 5: the index is '03'"),
  ("RTE.tsv", edited(b"\n3\t", b"\n3"), "line 5: 1 columns instead of 2"),
  ("RTE.tsv", edited(b"\n3\t", b"\n3\tx\t"), "line 5: 3 columns instead of"),
  ("RTE.tsv", edited(b"entailment\n", b"1\n"), "prediction is"),
  ("CoLA.tsv", edited(b"\n0\t", b"\n0\tun"), "cola has 0, 1"),
  ("MNLI-m.tsv", edited(b"\n0\t", b"\n0\tX"), "mnli has contradiction, ent"),
  ("STS-B.tsv", edited(b"\n0\t", b"\n0\t-"), "plain numbers from 0 to 5"),
  ("STS-B.tsv", edited(b"\n0\t", b"\n0\t9"), "plain numbers from 0 to 5"),
  ("STS-B.tsv", edited(b".", b","), "plain numbers from 0 to 5"),
  ("STS-B.tsv", edited(b".", b"e"), "plain numbers from 0 to 5"),
  ("RTE.tsv", edited(b"\n3\t", b"\r\n3\t"), "line ends of Windows"),
  ("RTE.tsv", edited(b"\n3\t", b"\n\xff\t"), "is not UTF-8"),
  ("RTE.tsv", lambda p: p.write_bytes(p.read_bytes()[:-1]), "a newline"),
  ("RTE.tsv", lambda p: p.write_text("index\tprediction\n"), "has 0 rows"),
  ("QNLI.tsv", lambda p: p.write_bytes(b""), "the header is ''"),
  ("submission.zip", lambda p: p.unlink(), "submission.zip is missing"),
  ("submission.zip", edited(b"PK", b"KP"), "not a whole zip"),
  ("submission.zip", edited(b"RTE.tsv", b"RTF.tsv"), "not a whole zip"),
]


@pytest.mark.parametrize(
  ("name", "fault", "said"), FAULTS, ids=[fault[2] for fault in FAULTS]
)
def test_every_deviation_is_told(folder, capsys, name, fault, said):
  fault(folder / name)
  assert command.main([f"--check={folder}"]) == 2
  lines = capsys.readouterr().err.splitlines()
  assert all(line.startswith("error: ") for line in lines)
  assert any(said in line for line in lines), lines
  if name.endswith(".tsv"):
    assert any(
      "zip does not hold what the folder holds" in line for line in lines
    )


def test_one_row_too_few_is_told(folder):
  path = folder / "RTE.tsv"
  path.write_text("\n".join(path.read_text().split("\n")[:-2]) + "\n")
  there = glue_server.official_rows("RTE.tsv")
  (said, zipped) = glue_server.check(folder)
  assert f"has {there - 1} rows; the server's test set has {there}" in said
  assert "RTE.tsv" in zipped


def test_thousands_of_wrong_labels_are_one_sentence(folder):
  path = folder / "QNLI.tsv"
  path.write_text(path.read_text().replace("entailment", "0"))
  said = [s for s in glue_server.check(folder) if "QNLI.tsv line" in s]
  rows = glue_server.official_rows("QNLI.tsv")
  assert len(said) == 1 and said[0].endswith(f"(and {rows - 1} rows more)")


@pytest.mark.parametrize(
  ("names", "said"),
  [
    (lambda n: [f"submission/{n}"], "the files lie in it without a folder"),
    (lambda n: [n, n], "twice"),
    (lambda n: [n, f"__MACOSX/{n}"], "without a folder"),
    (lambda n: [n, "x.tsv"], "'x.tsv'"),
  ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_made_by_hand_is_looked_into(folder, tmp_path, names, said):
  made = tmp_path / "made.zip"
  with zipfile.ZipFile(made, "w") as archive:
    for file in submission.FILES:
      for name in names(file):
        archive.writestr(name, (folder / file).read_bytes())
  assert any(said in sentence for sentence in glue_server.check(made))


def test_nothing_there_is_code_2(tmp_path, capsys):
  assert command.main([f"--check={tmp_path / 'no'}"]) == 2
  assert "write one: --config.stage=predict" in capsys.readouterr().err


def test_majority_of_wnli_is_what_its_files_say(glue_dir, tmp_path):
  (name, split), logits = glue_server.majority()
  assert (name, split, len(logits)) == ("wnli", "test", 146)
  submission.write_submission(
    tmp_path,
    {(name, split): logits},
    rows={(name, split): 146},
    made_of={(name, split): {"method": "majority"}},
  )
  answers = (tmp_path / "WNLI.tsv").read_text().split("\n")[1:-1]
  said = {line.split("\t")[1] for line in answers}
  for file in ("train", "dev"):
    rows = (glue_dir / "WNLI" / f"{file}.tsv").read_text().splitlines()[1:]
    gold = [row.split("\t")[3] for row in rows]
    assert said == {max("01", key=gold.count)}
