"""Requests share passes, and one's mistake stays one's own."""

import asyncio
import time

import pytest

from bam_jax.inference.batching import Full, Queue


class Upper:
  """Answers with capitals, and notes what it was asked in one pass."""

  def __init__(self, seconds=0.0):
    self.seconds, self.passes = seconds, []

  def __call__(self, tasks, columns):
    self.passes.append((tasks, len(columns[0])))
    time.sleep(self.seconds)
    if "bad" in columns[0]:
      raise ValueError("bad is no text")
    return {task: [text.upper() for text in columns[0]] for task in tasks}


def run(work, answers, *, batch=6, wait=0.01, most=99):
  async def whole():
    queue = Queue(answers, batch=batch, wait=wait, most=most)
    worker = asyncio.create_task(queue.work())
    try:
      return await work(queue)
    finally:
      queue.close()
      await worker

  return asyncio.run(whole())


def together(*asked):
  """Asks all at once; returns answers, or errors, in their order."""

  async def work(queue):
    return await asyncio.gather(
      *(queue.ask(tasks, rows) for tasks, rows in asked), return_exceptions=True
    )

  return work


def test_what_comes_together_is_answered_in_one_pass_each_its_own():
  upper = Upper()
  asked = [(("t",), [[word]]) for word in ("a", "b", "c")]
  asked.append((("t",), [["d"], ["e"]]))
  found = run(together(*asked), upper)
  assert found == [{"t": ["A"]}, {"t": ["B"]}, {"t": ["C"]}, {"t": ["D", "E"]}]
  assert upper.passes == [(("t",), 5)]


def test_a_pass_has_no_more_rows_than_a_batch_unless_one_asks_for_more():
  upper = Upper()
  asked = [(("t",), [[f"{n}"]] * size) for n, size in enumerate((4, 4, 2, 9))]
  found = run(together(*asked), upper)
  assert [len(each["t"]) for each in found] == [4, 4, 2, 9]
  assert sorted(size for _, size in upper.passes) == [4, 6, 9]


def test_other_heads_and_other_columns_take_passes_of_their_own():
  upper = Upper()
  asked = [(("t",), [["a"]]), (("u",), [["b"]]), (("t",), [["c", "d"]])]
  found = run(together(*asked), upper)
  assert found == [{"t": ["A"]}, {"u": ["B"]}, {"t": ["C"]}]
  assert len(upper.passes) == 3


def test_one_bad_row_spoils_its_own_request_alone():
  asked = [(("t",), [["a"]]), (("t",), [["bad"]]), (("t",), [["c"]])]
  first, bad, last = run(together(*asked), Upper())
  assert (first, last) == ({"t": ["A"]}, {"t": ["C"]})
  assert isinstance(bad, ValueError) and str(bad) == "bad is no text"


def test_a_full_queue_takes_no_more_and_empties():
  upper = Upper(seconds=0.05)
  asked = [(("t",), [["a"]] * 3) for _ in range(4)]
  found = run(together(*asked), upper, batch=3, most=7)
  assert sum(isinstance(each, Full) for each in found) == 2
  assert sum(each == {"t": ["A"] * 3} for each in found) == 2


def test_what_waits_when_it_closes_is_answered_and_nothing_more_is_taken():
  upper = Upper(seconds=0.02)

  async def work(queue):
    asked = [
      asyncio.create_task(queue.ask(("t",), [[str(n)]])) for n in range(5)
    ]
    await asyncio.sleep(0)
    queue.close()
    with pytest.raises(Full):
      await queue.ask(("t",), [["late"]])
    return await asyncio.gather(*asked)

  assert run(work, upper, batch=2) == [{"t": [str(n)]} for n in range(5)]


def test_who_goes_before_the_answer_hinders_nobody():
  upper = Upper(seconds=0.05)

  async def work(queue):
    gone = asyncio.create_task(queue.ask(("t",), [["a"]]))
    stays = asyncio.create_task(queue.ask(("t",), [["b"]]))
    await asyncio.sleep(0.02)
    gone.cancel()
    return await stays

  assert run(work, upper) == {"t": ["B"]}
