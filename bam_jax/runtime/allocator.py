"""How the C library hands out memory on the host."""

import ctypes
import glob
import sys

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
# What computes in place of the host, whose many threads had better not share.
_ACCELERATORS = ("/dev/nvidia[0-9]*", "/dev/accel[0-9]*", "/dev/kfd")


def keep() -> bool:
  """Lets a process that computes on a CPU keep what it frees, for its next use.

  A train step frees gigabytes and asks for as many in the next one. By default
  glibc gives large blocks back to the system, which then clears every page of
  them again. To be called before other threads are started. What it gains is
  in docs/performance.md.

  Returns:
    Whether it is so now; not with an accelerator, or another C library.
  """
  if not sys.platform.startswith("linux"):
    return False
  if any(glob.glob(pattern) for pattern in _ACCELERATORS):
    return False
  mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
  if mallopt is None:
    return False
  # One heap for all threads, which grows and is never cut; no maps beside it.
  settings = {_M_ARENA_MAX: 1, _M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1}
  return all(mallopt(key, value) for key, value in settings.items())
