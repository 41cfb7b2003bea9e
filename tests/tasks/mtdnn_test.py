"""Definitions of the MT-DNN toolkit load as they are, or say what does not."""

import dataclasses
import re

import numpy as np
import pytest
import yaml

from bam_jax.data.sources import readers
from bam_jax.runtime import notices
from bam_jax.stages import checks
from bam_jax.study import experiment
from bam_jax.tasks import own as own_tasks
from bam_jax.tasks.learn import Learn
from configs import common

# Written after the toolkit's own files for GLUE, SNLI and NER.
DEFINITION = {
  "snli": {
    "data_format": "PremiseAndOneHypothesis",
    "dropout_p": 0.05,
    "enable_san": True,
    "labels": ["contradiction", "neutral", "entailment"],
    "metric_meta": ["ACC"],
    "loss": "CeCriterion",
    "kd_loss": "MseCriterion",
    "adv_loss": "SymKlCriterion",
    "n_class": 3,
    "split_names": ["train", "matched_dev", "mismatched_dev", "test"],
    "task_type": "Classification",
  },
  "cola": {
    "data_format": "PremiseOnly",
    "metric_meta": ["ACC", "MCC"],
    "loss": "CeCriterion",
    "n_class": 2,
    "task_type": "Classification",
  },
  "stsb": {
    "data_format": "PremiseAndOneHypothesis",
    "metric_meta": ["Pearson", "Spearman"],
    "loss": "MseCriterion",
    "kd_loss": "MseCriterion",
    "adv_loss": "MseCriterion",
    "n_class": 1,
    "task_type": "Regression",
  },
  "ner": {
    "data_format": "Seqence",
    "labels": ["O", "B-LOC", "I-LOC"],
    "metric_meta": ["SeqEval"],
    "loss": "SeqCeCriterion",
    "n_class": 3,
    "split_names": ["train", "dev"],
    "task_type": "SeqenceLabeling",
  },
}
RANKING = {
  "qnnli": {
    "data_format": "PremiseAndMultiHypothesis",
    "dropout_p": 0.1,
    "enable_san": False,
    "labels": ["not_entailment", "entailment"],
    "metric_meta": ["ACC"],
    "loss": "RankCeCriterion",
    "kd_loss": "MseCriterion",
    "adv_loss": "SymKlCriterion",
    "n_class": 1,
    "split_names": ["train", "dev", "test"],
    "task_type": "Ranking",
  }
}


@pytest.fixture
def written(tmp_path):
  """Writes a definition; returns its path."""

  def write(found):
    path = tmp_path / "task_def.yml"
    path.write_text(yaml.safe_dump(found, sort_keys=False), "utf-8")
    return path

  return write


def changed(name, **changes):
  """Returns the definition of one task, with other values; None = without."""
  entry = DEFINITION[name] | changes
  return {name: {k: v for k, v in entry.items() if v is not None}}


def test_every_task_is_a_row_of_ours(written, caplog):
  notices.once.cache_clear()
  path = written(DEFINITION)
  found = own_tasks.read(path)
  # GLUE's own tasks keep their names.
  assert [*found] == ["snli", "mtdnn-cola", "mtdnn-stsb", "ner"]
  tasks = own_tasks.table(found, path)
  assert [t.kind for t in tasks.values()] == [
    "classification",
    "classification",
    "regression",
    "tagging",
  ]
  snli, cola, stsb, ner = tasks.values()
  assert snli.labels == ("contradiction", "neutral", "entailment")
  assert snli.own.files == {
    "train": ("snli_train.tsv",),
    "validation": ("snli_matched_dev.tsv",),
    "test": ("snli_mismatched_dev.tsv",),
  }
  assert cola.labels == ("0", "1")
  assert cola.metrics == ("accuracy", "matthews")
  assert (stsb.range, stsb.metrics) == ((0.0, 5.0), ("pearson", "spearman"))
  assert ner.metrics == ("f1",)
  assert "cola is called mtdnn-cola here" in caplog.text
  assert "test of snli is not read" in caplog.text


def test_what_a_task_learns_by_is_called_as_here(written):
  found = own_tasks.read(written(DEFINITION))
  keys = ("head", "dropout", "loss", "kd_loss", "adv_loss")
  learned = {
    name: {key: entry[key] for key in keys if key in entry}
    for name, entry in found.items()
  }
  assert learned == {
    "snli": {
      "head": "san",
      "dropout": 0.05,
      "kd_loss": "mse_logits",
      "adv_loss": "symkl",
    },
    # What its kind has anyway is not chosen.
    "mtdnn-cola": {},
    "mtdnn-stsb": {},
    "ner": {},
  }


def test_its_files_are_read_as_the_toolkit_writes_them(written, tmp_path):
  path = written({**changed("cola"), **changed("ner")})
  (tmp_path / "cola_train.tsv").write_text('7\t1\ta "b\n8\t0\tc\n', "utf-8")
  (tmp_path / "ner_train.tsv").write_text(
    "0\t['B-LOC', 'O']\t['Oslo', \"isn't\"]\n1\t[0, 1, 2]\t['a', 'b', 'c']\n",
    "utf-8",
  )
  tasks = own_tasks.table(own_tasks.read(path), path)
  cola, ner = (
    readers.load(tasks[name], "train", glue_dir="", seed=0)
    for name in ("mtdnn-cola", "ner")
  )
  assert cola.texts == (['a "b', "c"],)
  np.testing.assert_array_equal(cola.labels, [1, 0])
  assert ner.texts == (["Oslo isn't", "a b c"],)
  np.testing.assert_array_equal(ner.labels, [1, 0, 0, 1, 2])


@pytest.mark.parametrize(
  ("definition", "said"),
  [
    (
      changed("snli", task_type="ClozeChoice"),
      "snli.task_type = 'ClozeChoice' cannot be had here; Classification,",
    ),
    (
      changed("snli", data_format="PremiseAndMultiHypothesis"),
      "Hypothesis' does not go with task_type Classification",
    ),
    (
      changed("snli", task_type="Ranking"),
      "'PremiseAndOneHypothesis' does not go with task_type Ranking",
    ),
    (changed("snli", data_format="MLM"), "configs/pretrain.py"),
    (changed("snli", data_format="CLUE_GEN"), "PremiseOnly, "),
    (changed("snli", n_class=2), "is not the number of labels, which is 3"),
    (
      changed("snli", kd_loss="Kd"),
      "snli.kd_loss = 'Kd' cannot be had here; CeCriterion",
    ),
    (changed("snli", nclass=3), "did you mean 'n_class'"),
    (changed("snli", split_names=["train", "valid"]), "has no train, or none"),
    (
      {"price": DEFINITION["stsb"]},
      "price.task_type = 'Regression' has no word for what the numbers may be",
    ),
    (
      {"a b": DEFINITION["cola"], "a-b": DEFINITION["cola"]},
      "two tasks would be called a-b",
    ),
  ],
)
def test_what_cannot_be_had_is_one_sentence(written, definition, said):
  with pytest.raises(ValueError, match=r"task_def\.yml: .*" + re.escape(said)):
    own_tasks.read(written(definition))


def test_qnli_as_ranking_loads_as_it_is(written, tmp_path, caplog):
  notices.once.cache_clear()
  path = written(RANKING)
  (tmp_path / "qnnli_train.tsv").write_text(
    "0\t3,4\t1\tWho?\tIt rains.\tA dog.\n1\t5,6\t0\tWhy?\tSo.\tNo.\n",
    "utf-8",
  )
  (task,) = own_tasks.table(own_tasks.read(path), path).values()
  assert (task.kind, task.metrics) == ("ranking", ("accuracy",))
  assert dataclasses.asdict(task.learn) == dataclasses.asdict(
    Learn(dropout=0.1)
  )
  found = readers.load(task, "train", glue_dir="", seed=0)
  assert found.texts[0] == ["Who?", "Why?"]
  np.testing.assert_array_equal(found.labels, [0, 1, 1, 0])
  for said in (
    "labels of qnnli are not looked at",
    "kd_loss MseCriterion of qnnli is not followed: a ranking has its own",
    "adv_loss SymKlCriterion of qnnli is not followed",
    "test of qnnli is not read",
  ):
    assert said in caplog.text
  checks.choices(*_asked(path))


def _asked(path):
  c = common.base()
  c.tasks_file, c.tasks = str(path), "qnnli"
  return experiment.read(c), c


def test_metrics_that_are_not_here_are_said(written, caplog):
  notices.once.cache_clear()
  found = own_tasks.read(written(changed("snli", metric_meta=["CMAT", "ACC"])))
  assert found["snli"]["metric"] == ["accuracy"]
  assert "snli is not scored by CMAT here" in caplog.text
