"""How many trials fit: chosen by made-up numbers, and by a real compile."""

import functools
import types

import jax
import pytest

from bam_jax.stages import session, train
from bam_jax.study.workdir import Workdir
from bam_jax.training import memory
from tests import small


@pytest.mark.parametrize(
  ("limit", "most", "fits"),
  [
    (100, 20, 20),  # all of them
    (52, 20, 12),
    (51, 20, 11),
    (11, 20, 1),
    (9, 20, 1),  # not even one
    (52, 7, 7),
    (52, 1, 1),
    (12, 20, 2),
  ],
)
def test_the_largest_number_that_fits_is_found_in_few_questions(
  limit, most, fits
):
  asked = []

  def need(trials):
    asked.append(trials)
    # One alone is another program.
    return 10 if trials == 1 else 4 + 4 * trials

  assert memory.most_that_fit(need, limit=limit, most=most) == fits
  assert len(asked) == len(set(asked)) <= 4
  assert fits in asked


@pytest.mark.parametrize("limit", range(20, 400, 7))
def test_no_answer_is_over_the_limit_though_bytes_grow_unevenly(limit):
  def need(trials):
    return 10 * trials + 13 * (trials > 3) + 9 * (trials > 11) + trials**2 // 9

  found = memory.most_that_fit(need, limit=limit, most=16)
  assert need(found) <= limit or found == 1
  # No more than the bends of the line are left unused.
  assert found == 16 or need(found + 2) > limit - 30


@pytest.fixture
def opened(small_run, tmp_path):
  config = small.settings(
    small_run.glue, small_run.encoder, trials=5, trials_at_once=0
  )
  return session.opened(config, Workdir(small_run.workdir))


def test_bytes_are_those_of_the_compiled_step(opened, monkeypatch):
  it, temporary = opened, []
  analysis = jax.stages.Compiled.memory_analysis

  def spied(compiled):
    found = analysis(compiled)
    temporary.append(found.temp_size_in_bytes)
    return found

  monkeypatch.setattr(jax.stages.Compiled, "memory_analysis", spied)
  run = it.experiment.runs[-1]
  assert run.name.startswith("single-to-multi")
  need = functools.cache(
    lambda trials: memory.held(train.lowered(it, run, trials).compile())
  )
  parameters = sum(
    x.nbytes for x in jax.tree.leaves(it.finished(run.name, [0]))
  )
  # Parameters and two moments, donated: they are not there twice.
  state = 2 * 3 * parameters
  assert state < need(2) - temporary[-1] < 1.5 * state
  assert need(2) < 2.4 * need(1)
  limit = need(2) + 1
  assert memory.most_that_fit(need, limit=limit, most=3) == 2
  assert memory.most_that_fit(need, limit=limit - 2, most=3) == 1


def test_on_a_cpu_one_is_trained_and_it_is_said(opened, capsys):
  run = opened.experiment.runs[0]
  groups = train.groups(opened, run)
  assert [list(group) for group in groups] == [[1], [2], [3], [4]]
  said = capsys.readouterr().out
  assert said == (
    f"{run.name}: 1 trial at once on cpu: more gain nothing there\n"
  )


def test_on_a_device_that_tells_its_memory_as_many_as_fit(
  opened, monkeypatch, capsys
):
  run = opened.experiment.runs[0]
  monkeypatch.setattr(memory, "free_bytes", lambda mesh: 100e9)
  monkeypatch.setattr(memory, "held", lambda trials: int(trials * 40e9))
  compiled = types.SimpleNamespace(compile=lambda: None)

  def lowered(session, run, trials):
    compiled.compile = lambda: trials
    return compiled

  monkeypatch.setattr(train, "lowered", lowered)
  groups = train.groups(opened, run)
  assert [list(group) for group in groups] == [[1, 2], [3, 4]]
  assert f"{run.name}: 2 trials at once: a step needs 80.00 GB" in (
    capsys.readouterr().out
  )


def test_the_fullest_device_counts():
  def device(stats):
    return types.SimpleNamespace(memory_stats=lambda: stats)

  first = device({"bytes_limit": 100, "bytes_in_use": 30})
  second = device({"bytes_limit": 90, "bytes_in_use": 10})
  mesh = types.SimpleNamespace(local_devices=[first, second])
  assert memory.free_bytes(mesh) == 70
  mesh.local_devices.append(device(None))
  assert memory.free_bytes(mesh) is None
