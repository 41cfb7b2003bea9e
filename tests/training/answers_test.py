"""Beam's workers say of a part of rows what this process says of it."""

import dataclasses
import importlib.util

import jax
import numpy as np
import pytest

from bam_jax.data import pipeline
from bam_jax.models.multitask import init_params
from bam_jax.tasks.table import get_tasks
from bam_jax.training import answers
from tests import tiny

NET = tiny.model()
(MNLI,) = get_tasks(["mnli"])
PROCESSES = (
  "DirectRunner --direct_num_workers=2 --direct_running_mode=multi_processing"
)
pytestmark = [
  pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None,
    reason="pip install 'bam_jax[beam]'",
  ),
  # What of Beam itself warns, not of ours.
  pytest.mark.filterwarnings("ignore"),
]


def _asked():
  params = jax.tree.map(
    lambda x: np.asarray(x)[None], init_params(NET, jax.random.key(0))
  )
  layout = pipeline.Layout(tiny.WIDTH, 8, packing=True)
  axes = {"data": -1, "fsdp": 1, "tensor": 1}
  return answers.Asked(NET, params, MNLI, layout, axes)


def _say(asked, parts, runner, folder):
  return [
    *answers.by_workers(
      asked,
      parts,
      runner=runner,
      beside=folder / "logits",
      progress=lambda n: None,
    )
  ]


def test_workers_say_the_bits_that_this_process_says(tmp_path):
  asked = _asked()
  parts = [(k, tiny.features(5 + k, 3, seed=k)) for k in range(3)]
  found = dict(_say(asked, parts, PROCESSES, tmp_path))
  assert list(found) == [0, 1, 2]
  for number, rows in parts:
    here = answers.answer(asked, rows)
    assert here.shape == (5 + number, 3)
    np.testing.assert_array_equal(found[number], here)
  assert [*tmp_path.iterdir()] == []


def test_what_a_worker_cannot_answer_is_said_and_nothing_is_left(tmp_path):
  # Of a head that the model does not have.
  (other,) = get_tasks(["qqp"])
  asked = dataclasses.replace(_asked(), task=other)
  threads = PROCESSES.replace("multi_processing", "multi_threading")
  parts = [(0, tiny.features(5, 2))]
  with pytest.raises(ValueError, match="qqp"):
    _say(asked, parts, threads, tmp_path)
  assert [*tmp_path.iterdir()] == []
