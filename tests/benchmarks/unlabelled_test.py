"""A tenth of the labels, the rest without: the files that the study is of."""

import csv
from types import SimpleNamespace

from bam_jax.data.sources import own as own_files
from bam_jax.tasks import own as own_tasks
from benchmarks import unlabelled


def rows(path):
  with path.open() as file:
    return list(csv.DictReader(file))


def sst(folder):
  """Writes a GLUE folder with a few rows of SST-2."""
  (folder / "SST-2").mkdir(parents=True)
  for split, count in (("train", 90), ("dev", 20)):
    lines = [f"{split} number {n} is one\t{n % 2}" for n in range(count)]
    lines += [lines[0], "too short\t1"]
    text = "\n".join(["sentence\tlabel", *lines]) + "\n"
    (folder / "SST-2" / f"{split}.tsv").write_text(text)


def test_a_tenth_of_the_texts_has_its_label(tmp_path):
  sst(tmp_path)
  out = tmp_path / "out"
  args = SimpleNamespace(glue_dir=tmp_path, out=out, rows=50, judge_rows=30)
  unlabelled.prepare(args)
  full, few, rest = (rows(out / f"{n}.csv") for n in ("full", "few", "rest"))
  assert [len(each) for each in (full, few, rest)] == [50, 5, 45]
  assert few == full[:5] and "label" not in rest[0]
  judge = {row["sentence"] for row in rows(out / "judge.csv")}
  assert len(judge) == 30 and not judge & {row["sentence"] for row in full}
  path = out / "few.toml"
  task = own_tasks.table(own_tasks.read(path), path)["slice"]
  assert len(own_files.read(task, "validation")) == 20


def test_rows_are_compared_with_labels_alone():
  args = SimpleNamespace(rows=50)
  scores = {
    "few": {"single": [50.0, 52, 51], "single->single": [55.0, 58, 56]},
    "judged": {"single->single": [60.0, 61, 62]},
    "full": {"single": [70.0, 70, 71]},
    "judge": {"single": [80.0]},
  }
  lines = unlabelled.lines(args, scores)
  assert lines[2] == "| 5 labels | 51.0 [50.0, 52.0] |  |  |"
  assert "| 56.0 [55.0, 58.0] | +5.3 ± 0.6 | 0.004 |" in lines[3]
  assert "80.0 itself" in lines[-1]
