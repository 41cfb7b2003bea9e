"""Energy: what is read of which GPU, and what happens where there is none."""

import sys
import types

import jax
import pytest

from bam_jax.runtime import energy
from bam_jax.training.writer import Writer


class NVMLError(Exception):
  pass


@pytest.fixture
def nvml(monkeypatch):
  """NVML of a machine with four GPUs, which have used 1, 2, 4 and 8 kJ."""
  used = {0: 1_000_000, 1: 2_000_000, 2: 4_000_000, 3: 8_000_000}
  fake = types.SimpleNamespace(
    NVMLError=NVMLError,
    used=used,
    nvmlInit=lambda: None,
    nvmlDeviceGetHandleByIndex=lambda number: number,
    nvmlDeviceGetHandleByUUID={"GPU-c": 2, "GPU-d": 3}.__getitem__,
    nvmlDeviceGetTotalEnergyConsumption=used.__getitem__,
  )
  monkeypatch.setitem(sys.modules, "pynvml", fake)
  return fake


def gpus(*numbers):
  return [
    types.SimpleNamespace(platform="gpu", local_hardware_id=number)
    for number in numbers
  ]


@pytest.mark.parametrize(
  ("visible", "numbers", "joules"),
  [
    ({}, (0, 3), 9000),
    ({"CUDA_VISIBLE_DEVICES": ""}, (1,), 2000),
    # jax counts those that it sees.
    ({"CUDA_VISIBLE_DEVICES": "2, 3"}, (0,), 4000),
    ({"CUDA_VISIBLE_DEVICES": "GPU-d,GPU-c"}, (0, 1), 12000),
  ],
)
def test_the_gpus_that_train_are_read_in_joules(nvml, visible, numbers, joules):
  assert energy.meter(gpus(*numbers), visible)() == joules


def test_a_device_that_does_not_tell_has_no_meter(nvml, monkeypatch):
  assert energy.meter(jax.devices("cpu"), {}) is None

  def old(handle):
    raise NVMLError("Not Supported")

  nvml.nvmlDeviceGetTotalEnergyConsumption = old
  assert energy.meter(gpus(0), {}) is None
  monkeypatch.setitem(sys.modules, "pynvml", None)
  assert energy.meter(gpus(0), {}) is None


def test_a_run_counts_its_own_energy_and_that_of_its_earlier_part(tmp_path):
  used = [500.0]

  def writer(meter):
    return Writer(tmp_path / "m.jsonl", "a", ["rte"], [0], meter=meter)

  assert writer(None).joules is None
  first = writer(lambda: used[0])
  with first.progress(0, 7, {}):
    used[0] += 30
    window = first.window()
  used[0] += 1000  # of others, between the two
  second = writer(lambda: used[0])
  with second.progress(3, 7, window):
    used[0] += 4
  assert second.joules == 34
  # From a machine that tells to one that does not, and back.
  third = writer(None)
  with third.progress(3, 7, window):
    assert third.window()["joules"] is None
