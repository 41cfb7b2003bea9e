"""Several processes as one: how they start, wait for each other and end.

Every process runs the same program on the same working directory, which all of
them must see. One of them, the leader, writes; the others wait until it has.
"""

from collections.abc import Iterator, Mapping
import contextlib
import os
import re
import sys

import jax
from jax.experimental import multihost_utils

# Seconds without a sign of life after which a process counts as dead, and its
# peers are ended.
HEARTBEAT = 60
# Seconds that processes wait for each other when they start.
GATHERING = 300


class PeerLost(RuntimeError):
  """Another process of the job is gone."""


def several(environment: Mapping[str, str]) -> bool:
  """Tells whether the environment is that of one process among several.

  Known: SLURM's srun, Open MPI's mpirun, a TPU pod slice's workers and
  Kubernetes' indexed jobs (a JobSet); jax finds the addresses in all of them.
  """

  def count(name: str) -> int:
    value = environment.get(name, "")
    return int(value) if value.isdigit() else 1

  return (
    (count("SLURM_NTASKS") > 1 and "SLURM_STEP_ID" in environment)
    or count("OMPI_COMM_WORLD_SIZE") > 1
    or "," in environment.get("TPU_WORKER_HOSTNAMES", "")
    or (
      "KUBERNETES_SERVICE_HOST" in environment
      and "JOB_COMPLETION_INDEX" in environment
    )
  )


def start(
  coordinator: str | None, processes: int | None, process: int | None
) -> None:
  """Joins this process to its peers; does nothing for one alone.

  Args:
    coordinator: HOST:PORT of process 0; None = ask the environment.
    processes: how many there are.
    process: the number of this one, from 0.

  Raises:
    ValueError: only a part of the three is given, or they cannot be.
  """
  given = [coordinator, processes, process]
  if given.count(None) not in (0, 3):
    raise ValueError(
      "--coordinator, --processes and --process belong together: "
      f"got {coordinator}, {processes}, {process}; give all three or none"
    )
  if coordinator is None and not several(os.environ):
    return
  if coordinator is not None:
    if not re.fullmatch(r".+:\d+", coordinator):
      raise ValueError(
        f"--coordinator is {coordinator!r}; it is HOST:PORT of process 0"
      )
    if processes < 1 or not 0 <= process < processes:
      raise ValueError(
        f"--process is {process} of {processes}; it is 0 to "
        f"{max(processes - 1, 0)}"
      )
  try:
    jax.distributed.initialize(
      coordinator,
      processes,
      process,
      heartbeat_timeout_seconds=HEARTBEAT,
      initialization_timeout=GATHERING,
    )
  except jax.errors.JaxRuntimeError as error:
    raise PeerLost(
      f"not all processes came within {GATHERING} s "
      f"({str(error).splitlines()[0]}); start all of them with the same "
      "command"
    ) from error


def leader() -> bool:
  """Tells whether this process is the one that writes."""
  return jax.process_index() == 0


def alone() -> bool:
  """Tells whether there are no other processes."""
  return jax.process_count() == 1


def reached_stop(question: int) -> bool:
  """Tells whether all processes stop at this question, asked in order by all.

  jax listens for SIGTERM and for a TPU's maintenance notices in each of them.
  """
  return multihost_utils.reached_preemption_sync_point(question)


def wait(name: str) -> None:
  """Returns when every process has come here.

  Args:
    name: of the place, the same in all processes.
  """
  if not alone():
    multihost_utils.sync_global_devices(name)


@contextlib.contextmanager
def leader_first(name: str) -> Iterator[None]:
  """Lets the leader do what is inside, then all the others.

  What the leader wrote, the others find there.
  """
  if not leader():
    wait(name)
  yield
  if leader():
    wait(name)


def lost(error: BaseException) -> bool:
  """Tells whether an error is what the runtime says when a peer is gone."""
  if isinstance(error, PeerLost):
    return True
  # Collectives raise whatever type their status code maps to.
  told = isinstance(error, (jax.errors.JaxRuntimeError, ValueError))
  return (
    told
    and not alone()
    and bool(
      re.search(
        r"gloo|coordination|UNAVAILABLE|DEADLINE|peer", str(error), re.I
      )
    )
  )


def leave(code: int) -> None:
  """Ends the process; one that failed does not wait for its peers."""
  sys.stdout.flush()
  sys.stderr.flush()
  # jax would wait at exit for peers that may never come.
  if code not in (0, 3) and not alone():
    os._exit(code)
  sys.exit(code)
