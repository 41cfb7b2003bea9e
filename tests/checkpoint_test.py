"""Checkpoints come back equal, and what cannot be read says so."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.checkpoint import Checkpoints, load_params, save_params


def state(value):
  return {
    "step": jnp.full((2,), value, jnp.int32),
    "params": {"w": jnp.full((2, 3, 5), value, jnp.float32)},
    "key": jax.random.split(jax.random.key(value), 2),
  }


def places(tree):
  device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  return jax.tree.map(lambda x: device, tree)


def restored(path, like):
  shapes = jax.eval_shape(lambda: like)
  checkpoints = Checkpoints(path)
  try:
    return checkpoints.restore(shapes, places(shapes))
  finally:
    checkpoints.close()


def test_the_latest_of_the_last_two_states_comes_back_whole(tmp_path):
  path = tmp_path / "training-0-1"
  checkpoints = Checkpoints(path)
  for step in (3, 6, 9):
    checkpoints.save(step, state(step))
  checkpoints.wait()
  checkpoints.close()
  found = restored(path, state(0))
  assert found["step"].tolist() == [9, 9]
  np.testing.assert_array_equal(found["params"]["w"], np.full((2, 3, 5), 9))
  data = jax.random.key_data
  assert data(found["key"]).tolist() == data(state(9)["key"]).tolist()
  kept = {p.name for p in path.iterdir() if p.name.isdigit()}
  assert kept == {"6", "9"}


def test_no_checkpoint_is_none(tmp_path):
  assert restored(tmp_path / "new", state(0)) is None


def test_a_finished_run_leaves_no_checkpoints(tmp_path):
  checkpoints = Checkpoints(tmp_path / "training-0-0")
  checkpoints.save(1, state(1))
  checkpoints.discard()
  assert list(tmp_path.iterdir()) == []


def test_a_broken_checkpoint_names_itself_and_the_cure(tmp_path):
  path = tmp_path / "training-0-1"
  checkpoints = Checkpoints(path)
  checkpoints.save(4, state(4))
  checkpoints.close()
  for file in path.rglob("*"):
    if file.is_file():
      file.write_bytes(b"")
  with pytest.raises(ValueError, match=r"training-0-1/4: .*delete that"):
    restored(path, state(0))


def test_parameters_come_back_as_numpy(tmp_path):
  params = {"bert": {"w": np.arange(6.0, dtype=np.float32).reshape(2, 3)}}
  save_params(tmp_path / "seed-0", params)
  save_params(tmp_path / "seed-0", params)  # once more, over what is there
  found = load_params(tmp_path / "seed-0")
  assert isinstance(found["bert"]["w"], np.ndarray)
  np.testing.assert_array_equal(found["bert"]["w"], params["bert"]["w"])
  assert [path.name for path in tmp_path.iterdir()] == ["seed-0"]


def test_parameters_that_are_not_there_say_which_stage_makes_them(tmp_path):
  with pytest.raises(ValueError, match=r"seed-3; train that run first"):
    load_params(tmp_path / "seed-3")


def test_broken_parameters_say_what_to_delete(tmp_path):
  path = tmp_path / "multi.rte" / "checkpoints" / "seed-0"
  save_params(path, {"w": np.ones(7, np.float32)})
  for file in path.rglob("*"):
    if file.is_file():
      file.write_bytes(b"")
  with pytest.raises(ValueError, match=r"cannot read .*delete .*multi\.rte "):
    load_params(path)
