"""Requests that come at the same time share passes of the encoder."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

# (names of heads, columns of texts) -> task -> an answer for each row.
Answers = Callable[
  [Sequence[str], Sequence[Sequence[Any]]], Mapping[str, Sequence[Any]]
]


class Full(Exception):
  """There are as many rows in the queue as may wait."""


@dataclasses.dataclass(eq=False)
class Request:
  """What somebody asks.

  Attributes:
    tasks: names of heads.
    rows: of texts, all of as many.
    found: task -> answers, when they are there.
  """

  tasks: tuple[str, ...]
  rows: Sequence[Sequence[Any]]
  found: asyncio.Future

  def shares(self, other: "Request") -> bool:
    """Whether both can be answered in one pass."""
    columns = {len(each.rows[0]) for each in (self, other)}
    return self.tasks == other.tasks and len(columns) == 1


class Queue:
  """Requests that wait, and what answers them, one batch after the other."""

  def __init__(self, answers: Answers, *, batch: int, wait: float, most: int):
    """Holds nothing yet.

    Args:
      answers: what answers; it runs in a thread, never twice at a time.
      batch: rows after which nothing more is waited for.
      wait: seconds that a batch waits for more.
      most: rows that may wait.
    """
    self._answers, self._batch, self._wait = answers, batch, wait
    self._most = most
    self._waiting: list[Request] = []
    self._more = asyncio.Event()
    self._open = True

  @property
  def rows(self) -> int:
    """How many rows wait."""
    return sum(len(request.rows) for request in self._waiting)

  async def ask(
    self, tasks: Sequence[str], rows: Sequence[Sequence[Any]]
  ) -> Mapping[str, Sequence[Any]]:
    """Returns task -> an answer for each row.

    Raises:
      Full: too many wait, or no more are taken.
      ValueError: the rows do not fit the heads.
    """
    if not self._open or self.rows + len(rows) > self._most:
      raise Full
    request = Request(
      tuple(tasks), rows, asyncio.get_running_loop().create_future()
    )
    self._waiting.append(request)
    self._more.set()
    return await request.found

  async def work(self) -> None:
    """Answers until the queue is closed and empty."""
    while self._open or self._waiting:
      if not self._waiting:
        self._more.clear()
        await self._more.wait()
        continue
      all_go = len(self._together()) == len(self._waiting)
      if self._open and all_go and self.rows < self._batch:
        # Whoever comes in this moment comes along.
        await asyncio.sleep(self._wait)
      batch = self._together()
      self._waiting = [each for each in self._waiting if each not in batch]
      await self._answer(batch)

  def close(self) -> None:
    """Takes no more; what waits is answered."""
    self._open = False
    self._more.set()

  def _together(self) -> list[Request]:
    """Returns the first request and all that go with it, up to a batch."""
    first, found, rows = self._waiting[0], [], 0
    for request in self._waiting:
      fits = not found or rows + len(request.rows) <= self._batch
      if fits and request.shares(first):
        found.append(request)
        rows += len(request.rows)
    return found

  async def _answer(self, batch: Sequence[Request]) -> None:
    columns = list(
      zip(*(row for each in batch for row in each.rows), strict=True)
    )
    try:
      answers = await asyncio.to_thread(self._answers, batch[0].tasks, columns)
    except Exception as error:
      if len(batch) == 1:
        self._tell(batch[0], error)
        return
      # Somebody's mistake is not everybody's.
      for each in batch:
        await self._answer([each])
      return
    begin = 0
    for each in batch:
      end = begin + len(each.rows)
      self._tell(each, {task: a[begin:end] for task, a in answers.items()})
      begin = end

  def _tell(self, request: Request, found: Any) -> None:
    # Who asked may have gone.
    if request.found.done():
      return
    if isinstance(found, Exception):
      request.found.set_exception(found)
    else:
      request.found.set_result(found)
