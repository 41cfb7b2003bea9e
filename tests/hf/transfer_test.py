"""Models in: an imported head says what it said, whatever its labels' order."""

import json
from pathlib import Path
import re
import shutil

import numpy as np
import pytest
from safetensors import numpy as st

from bam_jax.hf import classifiers, transfer
from bam_jax.inference import export as layouts
from bam_jax.stages import imported, session
from bam_jax.study.workdir import Workdir
from bam_jax.tasks.description import Head
from bam_jax.tasks.table import TASKS, get_tasks
from bam_jax.training import checkpoint
from tests import export_test, small

MNLI = TASKS["mnli"]
HERE = get_tasks(["mnli", "stsb", "cola"])


def read(path, *, named="", tasks=HERE, output="sigmoid"):
  return transfer.read(path, named, tasks, regression_output=output)


def reword(path, labels, *, ours=False):
  """Names the labels anew, and perhaps leaves in what bam_jax says."""
  raw = json.loads((path / "config.json").read_text())
  raw["id2label"] = {str(i): name for i, name in enumerate(labels)}
  if not ours:
    raw.pop("bam_jax", None)
  (path / "config.json").write_text(json.dumps(raw))


def reorder(path, order):
  """Moves the columns of a head: new column i is what order[i] was."""
  file = path / "model.safetensors"
  tensors = st.load_file(file)
  for name in ("classifier.weight", "classifier.bias"):
    tensors[name] = np.ascontiguousarray(tensors[name][order])
  st.save_file(tensors, file)


@pytest.fixture
def exported(tmp_path):
  """A classifier of MNLI and the model that it was exported from."""
  found = export_test.random_model("bert", tmp_path / "run")
  out = tmp_path / "out"
  layouts.write_classifier(out, found, "mnli", overwrite=False)
  return out, found


@pytest.mark.parametrize("ours", [True, False])
def test_columns_move_to_where_the_names_say(exported, ours):
  out, found = exported
  reorder(out, [2, 0, 1])
  names = ("neutral", "contradiction", "entailment")
  reword(out, [name.upper() for name in names], ours=ours)
  params = read(out)
  assert list(params["heads"]) == ["mnli"]
  for part, want in found.params["heads"]["mnli"].items():
    np.testing.assert_array_equal(params["heads"]["mnli"][part], want)
  want = found.params["bert"]["layer_0"]["query"]["kernel"]
  got = params["bert"]["layer_0"]["query"]["kernel"]
  np.testing.assert_array_equal(got, want)


def test_names_are_compared_without_case_and_joints():
  head = Head.of(TASKS["rte"])
  assert classifiers.order(("Not Entailment", "ENTAILMENT"), head) == [1, 0]
  assert classifiers.order(("not-entailment", "entailment"), head) == [1, 0]
  assert classifiers.order(("entailed", "not_entailment"), head) is None
  assert classifiers.order(("entailment", "entailment"), head) is None


@pytest.mark.parametrize(
  ("labels", "tasks", "said"),
  [
    (["yes", "no", "maybe"], "mnli,stsb", "no task here .mnli: contradiction"),
    (["LABEL_0", "LABEL_1", "LABEL_2"], "mnli", "write those names in id2lab"),
    (MNLI.labels, "cola,rte", "which are the labels of no task here"),
    (MNLI.labels, "mnli,entailment", "fits mnli and entailment; say which"),
  ],
)
def test_labels_that_tell_no_task_are_refused(exported, labels, tasks, said):
  out, _ = exported
  reword(out, labels)
  with pytest.raises(
    ValueError, match=f"init_from {re.escape(str(out))}.*{said}"
  ):
    read(out, tasks=get_tasks(tasks.split(",")))


def test_the_user_may_say_which_task_is_meant(exported):
  out, _ = exported
  reword(out, MNLI.labels)
  tasks = get_tasks(["mnli", "entailment"])
  assert list(read(out, named="entailment", tasks=tasks)["heads"]) == [
    "entailment"
  ]
  with pytest.raises(ValueError, match="but cola has unacceptable, acceptable"):
    read(out, named="cola")


@pytest.mark.parametrize(
  ("output", "ours", "fits"),
  [("sigmoid", True, True), ("linear", True, False), ("sigmoid", False, False)],
)
def test_a_number_is_taken_only_where_it_means_the_same(
  tmp_path, output, ours, fits
):
  found = export_test.random_model("bert", tmp_path / "run")
  layouts.write_classifier(tmp_path / "a", found, "stsb", overwrite=False)
  if not ours:
    reword(tmp_path / "a", ["score"])
  if fits:
    got = read(tmp_path / "a", output=output)["heads"]["stsb"]["kernel"]
    want = found.params["heads"]["stsb"]["kernel"]
    np.testing.assert_array_equal(got, want)
    return
  with pytest.raises(ValueError, match=r"stsb.*set --config\.init_part=encod"):
    read(tmp_path / "a", named="stsb", output=output)


def test_heads_of_other_tasks_stay_behind(tmp_path):
  found = export_test.random_model("bert", tmp_path / "run")
  layouts.write_heads(tmp_path / "a", found, overwrite=False)
  tasks = get_tasks(["cola", "mnli"])
  assert list(read(tmp_path / "a", tasks=tasks)["heads"]) == ["mnli"]
  with pytest.raises(ValueError, match=r"heads for mnli, stsb, none .*\(cola"):
    read(tmp_path / "a", tasks=tasks[:1])
  assert set(transfer.read_encoder(tmp_path / "a")) == {"bert", "pooler"}


def test_an_encoder_alone_is_read_whatever_its_own_head_reads(tmp_path):
  found = export_test.random_model("modernbert", tmp_path / "run")
  out = tmp_path / "a"
  layouts.write_classifier(out, found, "mnli", overwrite=False)
  raw = json.loads((out / "config.json").read_text())
  raw |= {"classifier_pooling": "max", "id2label": {"0": "a", "7": "b"}}
  (out / "config.json").write_text(json.dumps(raw))
  got = transfer.read_encoder(out)
  assert set(got) == {"bert", "pooler"}
  want = found.params["bert"]["layer_0"]["query"]["kernel"]
  np.testing.assert_array_equal(got["bert"]["layer_0"]["query"]["kernel"], want)
  with pytest.raises(
    ValueError,
    match=r"'max'; only 'cls' or 'mean'.*lone: --con",
  ):
    read(out)


def test_an_old_roberta_with_two_poolers_gives_its_heads(tmp_path):
  found = export_test.random_model("roberta", tmp_path / "run")
  layouts.write_classifier(tmp_path / "a", found, "mnli", overwrite=False)
  file = tmp_path / "a" / "model.safetensors"
  tensors = st.load_file(file)
  for kind in ("weight", "bias"):
    # RobertaModel's own, which the classifier never uses.
    unused = np.zeros_like(tensors[f"classifier.dense.{kind}"])
    tensors[f"roberta.pooler.dense.{kind}"] = unused
  st.save_file(tensors, file)
  want = found.params["pooler"]["kernel"]
  np.testing.assert_array_equal(read(tmp_path / "a")["pooler"]["kernel"], want)


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    ({"id2label": {"0": "a", "2": "b"}}, "has to name classes 0, 1, 2"),
    ({"id2label": {"0": "a", "1": "b"}}, "names 2 labels for a width of 24"),
    ({"bam_jax": {"schema": 7}}, "does not say what the heads mean .*schema 7"),
    ({"bam_jax": [1]}, "does not say what the heads mean"),
  ],
)
def test_a_directory_that_contradicts_itself_is_refused(
  exported, changes, said
):
  out, _ = exported
  raw = json.loads((out / "config.json").read_text()) | changes
  (out / "config.json").write_text(json.dumps(raw))
  with pytest.raises(ValueError, match=said):
    read(out)


# --- a run that starts from a directory


@pytest.fixture(scope="module")
def cola(small_run, tmp_path_factory):
  """CoLA's classifier, exported from the small run."""
  out = tmp_path_factory.mktemp("cola") / "out"
  run = small_run.workdir / "runs" / "multi.cola+stsb"
  export_test.command(f"run={run}", "task=cola", f"out={out}")
  return out


def starting(small_run, directory, **changes):
  return small.settings(
    small_run.glue,
    directory,
    tasks="cola",
    methods="single",
    init_from=str(directory),
    init_part="all",
    single__rate=1e-30,
    **changes,
  )


def test_a_run_starts_from_what_was_exported(small_run, cola, tmp_path, capsys):
  small.execute(starting(small_run, cola), tmp_path / "W")
  said = " ".join(capsys.readouterr().out.split())
  scores = Workdir(small_run.workdir).scores("multi.cola+stsb")["0"]["scores"]
  accuracy = scores["cola"]["accuracy"]
  assert f"imported cola: validation accuracy {accuracy:.1f} before" in said
  end, _ = checkpoint.load_params(
    Workdir(tmp_path / "W").params("single.cola", 0)
  )
  start, _ = checkpoint.load_params(
    Workdir(small_run.workdir).params("multi.cola+stsb", 0)
  )
  for part in ("kernel", "bias"):
    got, want = (tree["heads"]["cola"][part] for tree in (end, start))
    np.testing.assert_array_equal(got, want)
  assert Workdir(tmp_path / "W").scores("single.cola")["0"]["scores"][
    "cola"
  ] == pytest.approx(scores["cola"])


def test_swapped_names_are_warned_of(small_run, cola, tmp_path, capsys):
  said, names = [], ("unacceptable", "acceptable")
  out = Path(shutil.copytree(cola, tmp_path / "out"))
  for labels in (names, names[::-1]):
    reword(out, labels)
    config = starting(small_run, out)
    it = session.opened(config, Workdir(tmp_path / "W"))
    imported.look(it, it.experiment.runs[0], [0])
    said.append("below chance (50.0)" in capsys.readouterr().out)
  # Of an odd number of rows one of the two has less than half.
  assert sorted(said) == [False, True]
