"""Checkpoints come back equal, and what cannot be read says so."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bam_jax.training.checkpoint import (
  Checkpoints,
  Damaged,
  load_params,
  save_params,
  verify,
)
from bam_jax.training.state import TrainState

# When one read fails, Orbax leaves the others' futures without their loop.
pytestmark = pytest.mark.filterwarnings(
  "ignore::pytest.PytestUnraisableExceptionWarning"
)


def state(value):
  return {
    "step": jnp.full((2,), value, jnp.int32),
    "params": {"w": jnp.full((2, 3, 5), value, jnp.float32)},
    "key": jax.random.split(jax.random.key(value), 2),
  }


def places(tree):
  device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  return jax.tree.map(lambda x: device, tree)


def restored(path, like, *, before=None):
  """Returns what comes back, and what was reported on the way."""
  shapes, said = jax.eval_shape(lambda: like), []
  checkpoints = Checkpoints(path)
  try:
    found = checkpoints.restore(
      shapes, places(shapes), said.append, before=before
    )
  finally:
    checkpoints.close()
  return *found, said


def saved(path, *steps):
  checkpoints = Checkpoints(path)
  for step in steps:
    checkpoints.save(step, state(step), {"loss": [step / 3]})
  checkpoints.close()


def flip(file, *, at=0.5):
  """Changes one bit of a file."""
  data = bytearray(file.read_bytes())
  data[int(at * len(data))] ^= 4
  file.write_bytes(data)


def files_of(path):
  return sorted(file for file in path.rglob("*") if file.is_file())


def largest(state):
  """Returns a file of arrays; not all that the others say is ever read."""
  return max(files_of(state / "d"), key=lambda file: file.stat().st_size)


def test_the_latest_of_the_last_two_states_comes_back_whole(tmp_path):
  path = tmp_path / "training-0-1"
  saved(path, 3, 6, 9)
  found, meta, said = restored(path, state(0))
  assert found["step"].tolist() == [9, 9]
  assert meta["loss"] == [3.0]
  assert said == []
  np.testing.assert_array_equal(found["params"]["w"], np.full((2, 3, 5), 9))
  data = jax.random.key_data
  assert data(found["key"]).tolist() == data(state(9)["key"]).tolist()
  kept = {p.name for p in path.iterdir() if p.name.isdigit()}
  assert kept == {"6", "9"}
  assert restored(path, state(0), before=8)[0]["step"].tolist() == [6, 6]


def test_no_checkpoint_is_none(tmp_path):
  assert restored(tmp_path / "new", state(0)) == (None, {}, [])


def test_a_damaged_state_is_reported_and_the_one_before_it_used(tmp_path):
  path = tmp_path / "training-0-1"
  saved(path, 6, 9)
  before = files_of(path / "6")
  flip(largest(path / "9" / "state"))
  found, _, said = restored(path, state(0))
  assert found["step"].tolist() == [6, 6]
  assert len(said) == 1
  assert re.search(r"training-0-1/9 .*; it is set aside as damaged-9$", said[0])
  assert files_of(path / "6") == before
  # The step is trained again and must find room.
  saved(path, 9)
  assert restored(path, state(0))[0]["step"].tolist() == [9, 9]


def test_a_state_is_verified_by_itself_and_left_as_it_is(tmp_path):
  path = tmp_path / "training-0-1"
  # What holds the leaves is not written down: a tuple, a named one, a class.
  whole = state(3) | {
    "opt_state": optax.adam(0.1).init({"w": jnp.ones((3, 5), jnp.bfloat16)}),
    "train": TrainState(*range(5), best=None),
  }
  checkpoints = Checkpoints(path)
  checkpoints.save(3, jax.tree.map(jnp.asarray, whole), {})
  checkpoints.close()
  before = {file: file.read_bytes() for file in files_of(path)}
  verify(path / "3")
  assert {file: file.read_bytes() for file in files_of(path)} == before
  flip(largest(path / "3" / "state"))
  with pytest.raises(Damaged, match="training-0-1/3 "):
    verify(path / "3")
  with pytest.raises(Damaged, match=r"training-0-1/4 cannot be read"):
    verify(path / "4")


def test_when_all_are_damaged_the_run_begins_anew(tmp_path):
  path = tmp_path / "training-0-1"
  saved(path, 6, 9)
  for step in ("6", "9"):
    for file in files_of(path / step):
      file.write_bytes(b"")
  found, meta, said = restored(path, state(0))
  assert (found, meta) == (None, {})
  assert len(said) == 2


def test_no_flipped_bit_changes_what_comes_back(tmp_path):
  path = tmp_path / "seed-0"
  rng = np.random.default_rng(3)
  params = {
    "a": rng.normal(size=(4, 5)).astype(np.float32),
    "b": rng.integers(9, size=7).astype(np.int32),
  }
  save_params(path, params, {"step": 3})
  whole = {file: file.read_bytes() for file in files_of(path)}
  caught = 0
  for file in whole:
    for at in (0.1, 0.4, 0.7, 0.95):
      flip(file, at=at) if whole[file] else None
      try:
        found, meta = load_params(path)
      except Damaged:
        caught += 1
      else:
        jax.tree.map(np.testing.assert_array_equal, found, params)
        assert meta["step"] == 3
      file.write_bytes(whole[file])
  assert caught > 10


def test_a_finished_run_leaves_no_checkpoints(tmp_path):
  checkpoints = Checkpoints(tmp_path / "training-0-0")
  checkpoints.save(1, state(1), {})
  checkpoints.discard()
  assert list(tmp_path.iterdir()) == []


def test_parameters_come_back_as_numpy(tmp_path):
  params = {"bert": {"w": np.arange(6.0, dtype=np.float32).reshape(2, 3)}}
  save_params(tmp_path / "seed-0", params, {})
  # Once more, over what is there.
  save_params(tmp_path / "seed-0", params, {"step": 7})
  found, meta = load_params(tmp_path / "seed-0")
  assert meta["step"] == 7
  assert isinstance(found["bert"]["w"], np.ndarray)
  np.testing.assert_array_equal(found["bert"]["w"], params["bert"]["w"])
  assert [path.name for path in tmp_path.iterdir()] == ["seed-0"]


def test_parameters_that_are_not_there_say_which_stage_makes_them(tmp_path):
  with pytest.raises(ValueError, match=r"seed-3; train that run first"):
    load_params(tmp_path / "seed-3")


def test_broken_parameters_say_what_to_delete(tmp_path):
  path = tmp_path / "multi.rte" / "checkpoints" / "seed-0"
  save_params(path, {"w": np.ones(7, np.float32)}, {})
  for file in path.rglob("*"):
    if file.is_file():
      file.write_bytes(b"")
  with pytest.raises(
    ValueError, match=r"cannot be read .*delete .*/seed-0 and"
  ):
    load_params(path)
