"""The energy that GPUs say they have used; other devices do not tell."""

from collections.abc import Callable, Mapping, Sequence
import os

import jax


def meter(
  devices: Sequence[jax.Device], environment: Mapping[str, str] = os.environ
) -> Callable[[], float] | None:
  """Returns what reads the joules that these devices have used up to now.

  The counter is the whole device's: what other programs do there counts too,
  and the rest of the machine does not.

  Args:
    devices: of this process.
    environment: tells which GPUs of the machine jax sees.

  Returns:
    A function, or None where there is nothing to read: no NVIDIA GPU, one
    older than Volta, or no package nvidia-ml-py.
  """
  if {device.platform for device in devices} != {"gpu"}:
    return None
  try:
    import pynvml
  except ImportError:
    return None
  try:
    pynvml.nvmlInit()
    handles = [
      _handle(pynvml, device.local_hardware_id, environment)
      for device in devices
    ]

    def read() -> float:
      counters = map(pynvml.nvmlDeviceGetTotalEnergyConsumption, handles)
      return sum(counters) / 1e3  # mJ

    read()
  except pynvml.NVMLError:
    return None
  return read


def _handle(nvml, number: int, environment: Mapping[str, str]):
  """Returns NVML's device for a number of jax's, which counts visible ones."""
  visible = environment.get("CUDA_VISIBLE_DEVICES", "")
  names = [name.strip() for name in visible.split(",") if name.strip()]
  name = names[number] if number < len(names) else str(number)
  if name.isdigit():
    return nvml.nvmlDeviceGetHandleByIndex(int(name))
  return nvml.nvmlDeviceGetHandleByUUID(name)
