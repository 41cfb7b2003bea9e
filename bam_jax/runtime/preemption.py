"""Stopping when the machine is wanted back: SIGTERM, SIGINT, maintenance.

The first signal asks the run to save and stop; the second ends it at once.
Ending at any moment is safe, since nothing on disk is ever half written, so a
run that does not come to a step in time, because it compiles, is ended too.
"""

from collections.abc import Callable
import os
import signal
import socket
import threading

# The exit code of a run that was asked to stop.
STOPPED = 3
# Seconds that a run has to come to a step and save; clusters give 30.
GRACE = 25.0


class Preemption:
  """Asked once a step whether to stop; all processes hear yes at the same step.

  Of several processes all must ask equally often. There jax hears the signals
  and a TPU's maintenance notices, and agrees on a step with its peers.
  """

  def __init__(self, *, grace: float = GRACE):
    """Takes the signals over, in the main thread.

    Args:
      grace: seconds from the first signal to the end.
    """
    self._received, self._asked, self._grace = False, 0, grace
    self._reached = None
    # A thread hears of signals even while the main one is in the compiler.
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    self._sockets = ours, theirs
    signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
      # The thread acts; without any handler the process would end.
      signal.signal(number, lambda *_: None)
    threading.Thread(target=self._listen, args=(ours,), daemon=True).start()

  def __call__(self) -> bool:
    """Tells whether to save and stop now."""
    if self._reached:
      self._asked += 1
      self._received |= self._reached(self._asked)
    return self._received

  def share(self, reached: Callable[[int], bool]) -> None:
    """Agrees with other processes from now on.

    Args:
      reached: the number of the question -> whether all stop at it.
    """
    self._reached = reached

  def over(self) -> None:
    """Lets SIGTERM no longer change how the process ends: all is saved.

    Python gives handlers back, not ignored signals, before it is gone.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

  def _listen(self, heard: socket.socket) -> None:
    """Acts on signals, which arrive as bytes."""
    first = heard.recv(1)[0]
    os.write(2, b"\nstopping after this step; once more stops at once\n")
    if self._reached:
      # Every process must learn of it; jax tells them of a SIGTERM only.
      os.kill(os.getpid(), signal.SIGTERM)
    else:
      self._received = True
    timer = threading.Timer(self._grace, self._give_up)
    timer.daemon = True
    timer.start()
    number = heard.recv(1)[0]
    # A bar hides the cursor.
    os.write(2, b"\x1b[?25h\n" if os.isatty(2) else b"")
    os._exit(128 + (number or first))

  def _give_up(self) -> None:
    os.write(
      2,
      b"no step ended in time; stopped without saving, the same command goes "
      b"on from the last checkpoint\n",
    )
    os._exit(STOPPED)
