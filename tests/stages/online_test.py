"""A teacher that reads along in its student's steps, by the config."""

import numpy as np
import pytest

from bam_jax.stages import session
from bam_jax.study.workdir import Workdir
from bam_jax.training.checkpoint import load_params
from tests import small
from tests.refusals import Case, refused

STUDENT = "--config.methods=single->multi"
ONLINE = f"{STUDENT} --config.teacher.online={{root}}/encoder"
HIDDEN = f"{ONLINE} --config.teacher.hidden_weight=1.0"
RELATED = f"{ONLINE} --config.teacher.relations_weight=1.0"
SCRATCH = "--config.encoder=scratch"
WORDS = f"{SCRATCH} --config.scratch.tokenizer={{root}}/encoder"


def other(path):
  """Puts an encoder with another vocabulary there."""
  small.write_encoder(path)
  words = (path / "vocab.txt").read_text().split()
  (path / "vocab.txt").write_text("\n".join([*words[:-1], "other"]) + "\n")


CASES = (
  Case("nothing", "but nothing of it is matched; set --config.teach", ONLINE),
  *(
    Case(id, said, f"{STUDENT} --config.teacher.{flag}")
    for id, flag, said in (
      ("hidden-alone", "hidden_weight=1", "teacher.online is '', so nothing"),
      ("relations-alone", "relations_weight=1", "online is '', so nothing"),
      ("hidden-less", "hidden_weight=-1", "hidden_weight is -1.0; it is 0 or"),
      ("heads-less", "relation_heads=-1", "relation_heads is -1; it is 0 or"),
    )
  ),
  *(
    Case(id, said, f"{flags} --config.teacher.{flag}")
    for id, flags, flag, said in (
      ("map-unread", RELATED, "layer_map=1=1", "hidden_weight is 0.0, so noth"),
      ("heads-unread", HIDDEN, "relation_heads=2", "relations_weight is 0.0, "),
      ("map", HIDDEN, "layer_map=1=2", "has 1=2, but the teacher has 1 layers"),
      ("map-word", HIDDEN, "layer_map=last", "has 'last'; it is STUDENT=TEACH"),
      ("heads", RELATED, "relation_heads=3", "is 3, which does not divide the"),
      ("nowhere", HIDDEN, "online={root}/no", "no' is not a directory; give"),
      ("empty", HIDDEN, "online={root}/glue", "glue has no config.json"),
    )
  ),
  Case(
    "untaught",
    "methods single have no stage that is taught; take one, as single->multi",
    f"{HIDDEN} --config.methods=single",
  ),
  Case(
    "tokenizer",
    "has another tokenizer than the student ({root}/encoder), so their tokens",
    HIDDEN.replace("/encoder", "/other"),
    files={"other": other},
  ),
  Case(
    "unfinished",
    "teacher.online is {root}/W1/runs/multi, which holds no finished run",
    HIDDEN.replace("/encoder", "/W1/runs/multi"),
    files={"W1/runs/multi/checkpoints/none": ""},
  ),
  Case(
    "long",
    "has 9 positions; try --config.max_length=9",
    HIDDEN.replace("/encoder", "/short"),
    files={"short": lambda path: small.write_encoder(path, positions=9)},
  ),
  Case("words", "encoder=scratch makes a tokenizer", f"{HIDDEN} {SCRATCH}"),
  Case(
    "layers",
    "the teacher's 1 layers are no multiple of the student's 2; say which",
    f"{HIDDEN} {WORDS} --config.scratch.layers=2",
  ),
  Case(
    "bilstm",
    "of the student, a bilstm, are not known; match its hidden states",
    f"{RELATED} {WORDS} --config.scratch.kind=bilstm",
  ),
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
  root = tmp_path_factory.mktemp("inputs")
  return small.write_glue(root / "glue"), small.write_encoder(root / "encoder")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_cannot_be_matched_is_one_sentence_and_code_2(
  case, inputs, tmp_path, monkeypatch, compiled
):
  refused(case, inputs, tmp_path, monkeypatch)


def config(small_run, **changes):
  """The config of a narrower student of the finished small runs."""
  tasks = ("cola", "stsb")
  given = {
    "scratch__tokenizer": str(small_run.encoder),
    "scratch__width": 12,
    "scratch__layers": 1,
    "teacher__files": ",".join(
      f"{task}={small_run.workdir}/runs/single.{task}" for task in tasks
    ),
  }
  return small.settings(
    small_run.glue,
    "scratch",
    methods="single->multi",
    **given | changes,
  )


def test_a_narrower_student_of_a_finished_run(small_run, tmp_path):
  online = small_run.workdir / "runs" / "multi.cola+stsb"
  asked = config(
    small_run,
    teacher__online=str(online),
    teacher__hidden_weight=1.0,
    teacher__relations_weight=1.0,
  )
  small.execute(asked, tmp_path / "W")
  workdir = Workdir(tmp_path / "W")
  (run,) = (tmp_path / "W" / "runs").iterdir()
  assert workdir.scores(run.name).keys() == {"0"}
  params, meta = load_params(workdir.params(run.name, 0))
  # What widened its vectors is gone.
  assert params.keys() == {"bert", "pooler", "heads"}
  there, _ = load_params(online / "checkpoints" / "seed-0")
  here = session.opened(asked, workdir)
  shape, frozen, _ = here.materials.online
  assert shape.width == small.SHAPE["width"]
  np.testing.assert_array_equal(
    frozen["layer_0"]["up"]["kernel"], there["bert"]["layer_0"]["up"]["kernel"]
  )
  # Its teacher is a part of what made it; how it is matched too.
  assert meta["made_of"]["online"] == here.lineage.facts.online()
  assert meta["made_of"]["settings.teacher.hidden_weight"] == 1.0
  mine = here.experiment.run(run.name)
  assert here.lineage.content(mine, 0) == meta["content"]
  plain = session.opened(config(small_run), Workdir(tmp_path / "V"))
  assert "online" not in plain.lineage.made_of(mine, 0)
