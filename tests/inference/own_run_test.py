"""An own task among GLUE's: trained, taught by its soft labels, kept apart."""

import json
import shutil

from ml_collections import ConfigDict
import numpy as np
import pytest

from bam_jax.inference import export, trained
from bam_jax.report import tables
from bam_jax.runtime.sealed import IntegrityError
from bam_jax.stages import session
from bam_jax.study import experiment
from bam_jax.study.plan import OUTSIDE
from bam_jax.study.workdir import Workdir
from tests import small
from tests.refusals import CONFIG, Case, refused

TASK = """\
[pets]
train = "pets.csv"
dev = "pets.csv"
text = ["one", "two"]
label = "same"
labels = ["no", "yes", "maybe"]
metric = ["matthews", "accuracy"]
symmetric = true
soft_columns = ["p", "q", "r"]
"""
ROWS = 30
STUDENT = "single-to-multi.cola+pets"


def write(folder):
  """Writes a tasks file and its rows; returns the file."""
  rng = np.random.default_rng(5)
  lines = ["one,two,same,p,q,r"]
  for i in range(ROWS):
    words = [" ".join(rng.choice(small.WORDS, size=3)) for _ in range(2)]
    soft = [f"{p:.4f}" for p in rng.dirichlet(np.ones(3))]
    label = ("no", "yes", "maybe")[i % 3]
    lines.append(",".join([*words, label, *soft]))
  folder.mkdir(exist_ok=True)
  (folder / "pets.csv").write_text("\n".join(lines) + "\n")
  (folder / "my_tasks.toml").write_text(TASK)
  return folder / "my_tasks.toml"


def settings(run, file, **changes):
  given = {"tasks": "cola,pets", "tasks_file": str(file)}
  given |= {"methods": "single->multi", "max_steps": 4}
  return small.settings(run.glue, run.encoder, **(given | changes))


@pytest.fixture(scope="module")
def run(small_run, tmp_path_factory):
  root = tmp_path_factory.mktemp("own")
  config = settings(small_run, write(root / "data"))
  small.execute(config, root / "W")
  return root


def opened(root, config=None) -> session.Session:
  place = Workdir(root / "W")
  config = config or ConfigDict(json.loads(place.file.read_text())["config"])
  return session.opened(config, place)


def test_it_is_trained_with_glue_and_nothing_only_teaches_it(run):
  runs = sorted(path.name for path in (run / "W" / "runs").iterdir())
  assert runs == ["single-to-multi.cola+pets", "single.cola"]
  found = json.loads((run / "W" / "results.json").read_text())
  records = found["methods"]["single->multi"]
  assert list(records) == ["cola", "pets"]
  assert records["pets"]["metric"] == "matthews"
  assert set(records["pets"]["all"]) == {"matthews", "accuracy"}
  assert records["pets"]["examples"] == ROWS
  mean = (records["cola"]["scores"][0] + records["pets"]["scores"][0]) / 2
  assert found["average"]["single->multi"] == pytest.approx([mean])
  # The paper's numbers are of other tasks.
  assert tables.published(found) == {}


def test_a_model_card_names_the_rows_it_was_trained_on(run, tmp_path):
  found = trained.load(run / "W" / "runs" / STUDENT, trial=None, tasks=())
  export.write_heads(tmp_path / "out", found, overwrite=False)
  card = (tmp_path / "out" / "README.md").read_text("utf-8")
  it = opened(run)
  texts, table = it.materials.texts, it.experiment.table
  for name, file, rows in (
    ("pets", "pets.csv", ROWS),
    ("cola", "train.tsv", len(texts.look(table["cola"], "train"))),
  ):
    digest = texts.fingerprint(table[name], "train")
    assert f"| {name} | {file} | {rows} | `{digest}` |" in card
  assert "Hugging Face hub" not in card
  # Folders of this machine are nobody's business.
  assert str(run) not in card


def test_its_soft_labels_teach_their_rows_and_the_swapped_ones(run):
  it = opened(run)
  student = it.experiment.run(STUDENT)
  assert dict(student.teachers) == {"cola": "single.cola", "pets": OUTSIDE}
  task = it.experiment.table["pets"]
  logits = it.teachers.targets(student, task, (0,))
  lines = (run / "data" / "pets.csv").read_text().splitlines()[1:]
  soft = np.array([line.split(",")[3:] for line in lines], float)
  rows = it.materials.corpus.train(task)
  assert len(rows) == 2 * ROWS
  np.testing.assert_allclose(np.exp(logits), soft[rows.index % ROWS], atol=1e-4)


def test_a_held_out_part_has_the_soft_labels_of_what_is_left(run, small_run):
  config = settings(
    small_run, run / "data" / "my_tasks.toml", data__holdout=0.2
  )
  it = session.opened(config, Workdir(run / "held"))
  student = it.experiment.run(STUDENT)
  task = it.experiment.table["pets"]
  whole = it.materials.texts.look(task, "train").soft
  rows = it.materials.corpus.train(task)
  assert len(rows) == 2 * (ROWS - 6)
  np.testing.assert_array_equal(
    it.teachers.targets(student, task, (0,)), whole[rows.index % ROWS]
  )


def test_a_workdir_knows_its_tasks_without_the_file(run, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  made = json.loads(Workdir(run / "W").file.read_text())["config"]
  made["tasks_file"] = "gone/my_tasks.toml"
  found = experiment.read(ConfigDict(made))
  assert found.table["pets"].labels == ("no", "yes", "maybe")
  assert [task.name for task in found.tasks] == ["cola", "pets"]
  # Another experiment of this process knows nothing of them.
  made |= {"tasks": "cola", "tasks_file": "", "own_tasks": {}}
  assert "pets" not in experiment.read(ConfigDict(made)).table


def test_the_same_task_from_another_place_goes_on(run, small_run, tmp_path):
  config = settings(small_run, write(tmp_path / "moved"))
  before = (run / "W" / "results.json").read_text()
  small.execute(config, run / "W")
  after = json.loads((run / "W" / "results.json").read_text())
  assert after["methods"] == json.loads(before)["methods"]


def test_a_changed_task_is_refused(run, small_run, tmp_path):
  file = write(tmp_path / "other")
  file.write_text(TASK.replace('"no", "yes"', '"yes", "no"'))
  with pytest.raises(
    ValueError, match=r"own_tasks\.pets\.labels: \['no', 'yes"
  ):
    small.execute(settings(small_run, file), run / "W")


@pytest.mark.parametrize(
  ("old", "new"), [(",no,", ",yes,"), ("0.1", "0.2"), ("dog", "cat")]
)
def test_a_changed_row_is_refused(run, small_run, tmp_path, old, new):
  file = write(tmp_path / "other")
  rows = file.parent / "pets.csv"
  text = rows.read_text()
  if old == "0.1":  # a soft label, the row's others making up for it
    lines = text.splitlines()
    lines[1] = ",".join([*lines[1].split(",")[:3], "0.2", "0.3", "0.5"])
    rows.write_text("\n".join(lines) + "\n")
  else:
    assert old in text
    rows.write_text(text.replace(old, new, 1))
  it = opened(run, settings(small_run, file))
  with pytest.raises(IntegrityError, match=r"was not made from what .*pets"):
    it.materials.corpus.train(it.experiment.table["pets"])


def test_a_tasks_file_of_which_nothing_is_asked_is_refused(
  run, small_run, tmp_path
):
  file = run / "data" / "my_tasks.toml"
  config = settings(small_run, file, tasks="cola")
  with pytest.raises(ValueError, match=r"name one: --config\.tasks=pets"):
    small.execute(config, tmp_path / "W")
  assert not (tmp_path / "W").exists()


def test_teacher_files_come_before_soft_columns(run, small_run, tmp_path):
  soft = tmp_path / "soft.jsonl"
  rows = [{"index": i, "probs": [0.5, 0.25, 0.25]} for i in range(ROWS)]
  soft.write_text("".join(json.dumps(row) + "\n" for row in rows))
  config = settings(
    small_run, run / "data" / "my_tasks.toml", teacher__files=f"pets={soft}"
  )
  it = session.opened(config, Workdir(run / "files"))
  student = it.experiment.run(STUDENT)
  logits = it.teachers.targets(student, it.experiment.table["pets"], (0,))
  np.testing.assert_allclose(
    np.exp(logits), [[0.5, 0.25, 0.25]] * (2 * ROWS), rtol=1e-5
  )


def test_wnli_may_be_answered_by_its_majority(small_run, tmp_path, capsys):
  workdir = shutil.copytree(small_run.workdir, tmp_path / "W")
  config = small.settings(
    small_run.glue, small_run.encoder, stage="predict", wnli="majority"
  )
  small.execute(config, workdir)
  folder = workdir / "submission"
  lines = (folder / "WNLI.tsv").read_text().splitlines()
  assert len(lines) == 147 and {line[-1] for line in lines[1:]} == {"0"}
  out = capsys.readouterr().out
  said = " ".join(out.split())
  assert "WNLI.tsv: majority" in said
  said = said.partition("would refuse it")[2]
  assert "lacks RTE.tsv; predict with rte in --config.tasks" in said
  assert "CoLA.tsv has 7 rows; the server's test set has 1063" in said
  assert "WNLI.tsv" not in said.replace(str(folder), "")


ALONE = CONFIG.partition(":")[0]
FILE = "--config.tasks_file={root}/t.toml"
GOOD = {"t.toml": TASK, "pets.csv": "one,two,same,p,q,r\na,b,no,1,0,0\n"}
CASES = [
  Case("absent", "there is no tasks file {root}/t.toml", FILE),
  Case(
    "toml", "t.toml is not TOML: Expected ']'", FILE, {"t.toml": "[pets"}, ALONE
  ),
  Case(
    "key",
    "t.toml line 4: pets.txt = ['one', 'two'] is no key of a task",
    FILE,
    {"t.toml": TASK.replace("text", "txt")},
    ALONE,
  ),
  # Nothing but the own task is looked at where no tasks are typed.
  Case(
    "label",
    "pets.csv line 3, column 'same': pets has no label 'nein'",
    FILE,
    GOOD | {"pets.csv": GOOD["pets.csv"] + "a,b,nein,1,0,0\n"},
    ALONE,
  ),
  Case(
    "soft",
    "pets.csv line 3, columns 'p', 'q', 'r': probs is [1, 1, 0], which sum",
    f"{FILE} --config.tasks=cola,pets --config.methods=single->multi",
    GOOD | {"pets.csv": GOOD["pets.csv"] + "a,b,no,1,1,0\n"},
  ),
  Case("none-asked", "name one: --config.tasks=pets", FILE, GOOD),
  Case(
    "misspelt",
    "no task 'pet'; did you mean 'pets'?",
    f"{FILE} --config.tasks=pet",
    GOOD,
  ),
  Case("wnli", "wnli is 'major'; it is", "--config.wnli=major"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_bad_tasks_file_is_one_sentence_and_code_2(
  case, small_run, tmp_path, monkeypatch
):
  refused(case, (small_run.glue, small_run.encoder), tmp_path, monkeypatch)
