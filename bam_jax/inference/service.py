"""The HTTP service: what is asked and answered as JSON."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
import contextlib
import dataclasses
import itertools
import json
import time
from typing import Any

import prometheus_client
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bam_jax.data.fields import EXAMPLE, Room
from bam_jax.inference.batching import Full, Queue
from bam_jax.inference.model import ALL, Model, choosing
from bam_jax.tasks import description
from bam_jax.tasks.answers import Answer
from bam_jax.tasks.kinds import KINDS, WHOLE


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
  """What a service takes.

  Attributes:
    bytes: of a request's body.
    rows: of a request.
    queue: rows that may wait.
    batch: rows of one pass.
    wait: seconds that a pass waits for more rows.
  """

  bytes: int
  rows: int
  queue: int
  batch: int
  wait: float


class Refused(Exception):
  """What is answered with another status than 200."""

  def __init__(self, status: int, text: str):
    """Takes the status and the sentence."""
    super().__init__(text)
    self.status = status


async def read(request: Request, most: int) -> Any:
  """Returns the JSON of a request, of which at most so many bytes are read.

  Raises:
    Refused: it is longer, or no JSON.
  """
  body = bytearray()
  async for part in request.stream():
    body += part
    if len(body) > most:
      raise Refused(
        413, f"the request has more than {most} bytes; ask in several"
      )
  try:
    return json.loads(body)
  except (ValueError, RecursionError) as error:
    raise Refused(400, f"the request is no JSON: {error}") from error


def asked(model: Model, given: Any, most: int) -> tuple[list[str], list[list]]:
  """Returns the heads and the rows that a request means.

  Raises:
    Refused: it is not {"task": ..., "texts": [[...], ...]}, or too much.
    ValueError: there is no such head, or it reads other texts.
  """
  form = '{"task": NAME or "all", "texts": [[TEXT, ...], ...]}'
  if not isinstance(given, dict) or not {"task", "texts"} <= given.keys():
    raise Refused(400, f"the request is not {form}")
  if more := given.keys() - {"task", "texts"}:
    raise Refused(400, f"the request has {sorted(more)} too; it is {form}")
  task, rows = given["task"], given["texts"]
  if not isinstance(task, str):
    raise Refused(400, f"task is {task!r}; it is a name, or all")
  if not isinstance(rows, list) or not all(
    isinstance(row, list) and row for row in rows
  ):
    raise Refused(400, "texts are no list of lists of texts, one list a row")
  if len(rows) > most:
    raise Refused(413, f"{len(rows)} rows are more than {most}; ask in several")
  if len(sizes := {len(row) for row in rows}) > 1:
    raise Refused(400, f"rows have {sorted(sizes)} texts; all have as many")
  if not rows:
    return [], []
  names = list(model.heads)
  if task != ALL:
    names = [description.find(tuple(model.heads.values()), task).name]
  for number, row in enumerate(rows):
    for text in row[:1] if choosing([model.heads[n] for n in names]) else row:
      # Words may come apart, as a list of them.
      if not isinstance(text, str | list):
        raise Refused(400, f"row {number} of texts has {text!r}, no text")
  listed = isinstance(rows[0][-1], list) and len(rows[0]) > 1
  return model.fitting(names, len(rows[0]), listed=listed), rows


def groups(model: Model) -> dict[str, tuple[str, ...]]:
  """Returns head -> all that are asked where it is asked.

  Heads that say one thing of as many texts, of one pass, cost together what one
  of them costs, and so requests for any of them share passes.
  """

  def alike(head: description.Head) -> tuple:
    space, unit = model.specs[head.name].space, KINDS[head.kind].unit
    apart = space != EXAMPLE or unit == WHOLE
    return len(head.text), head.name if apart else ""

  by_key: dict[tuple, list[str]] = {}
  for name, head in model.heads.items():
    by_key.setdefault(alike(head), []).append(name)
  together = (
    tuple(spec.name for spec in asked)
    for names in by_key.values()
    for asked in model.passes(names)
  )
  return {name: names for names in together for name in names}


def shapes(model: Model, batch: int) -> list[Room]:
  """Returns every shape that a pass may have, each once.

  Args:
    model: what answers.
    batch: rows of a pass at most.
  """
  asked = {*groups(model).values()}
  for head in model.heads.values():
    listed = bool(choosing([head]))
    every = model.fitting(list(model.heads), len(head.text), listed=listed)
    asked.add(tuple(every))
  found = (model.shapes(names, batch) for names in sorted(asked))
  return list(dict.fromkeys(itertools.chain.from_iterable(found)))


def app(
  model: Model,
  limits: Limits,
  abstain: Callable[[Answer], Answer] = lambda answer: answer,
) -> Starlette:
  """Returns the service.

  Args:
    model: what answers.
    limits: what it takes.
    abstain: (answer) -> what is said in its place.
  """
  beside = groups(model)
  registry = prometheus_client.CollectorRegistry()
  answered = prometheus_client.Counter(
    "bam_jax_requests", "Requests by status", ["status"], registry=registry
  )
  texts = prometheus_client.Counter(
    "bam_jax_rows", "Rows that were answered", registry=registry
  )
  unsaid = prometheus_client.Counter(
    "bam_jax_abstained", "Answers that were not said", registry=registry
  )
  passes = prometheus_client.Histogram(
    "bam_jax_pass_rows",
    "Rows of each pass",
    buckets=[2**k for k in range(11)],
    registry=registry,
  )
  took = prometheus_client.Histogram(
    "bam_jax_request_seconds", "From a request to its answer", registry=registry
  )

  def answers(
    tasks: Sequence[str], columns: Sequence[Sequence[Any]]
  ) -> Mapping[str, Sequence[Any]]:
    passes.observe(len(columns[0]))
    return model.answers(tasks, [list(column) for column in columns])

  queue = Queue(
    answers, batch=limits.batch, wait=limits.wait, most=limits.queue
  )
  waiting = prometheus_client.Gauge(
    "bam_jax_waiting_rows", "Rows that wait", registry=registry
  )
  waiting.set_function(lambda: queue.rows)

  async def found(request: Request) -> dict[str, Any]:
    given = await read(request, limits.bytes)
    tasks, rows = asked(model, given, limits.rows)
    if not rows:
      return {"answers": []}
    asks = {each: None for name in tasks for each in beside[name]}
    try:
      said = await queue.ask(list(asks), rows)
    except Full:
      raise Refused(
        503, f"{limits.queue} rows wait already; ask again"
      ) from None
    texts.inc(len(rows))
    told = {name: [*map(abstain, said[name])] for name in tasks}
    unsaid.inc(sum(each.abstained for one in told.values() for each in one))
    records = {
      name: [each.record() for each in one] for name, one in told.items()
    }
    if given["task"] != ALL:
      return {"answers": records[tasks[0]]}
    by_row = zip(*records.values(), strict=True)
    return {"answers": [dict(zip(records, row, strict=True)) for row in by_row]}

  async def predict(request: Request) -> Response:
    begin = time.perf_counter()
    status, head = 200, {}
    try:
      content = await found(request)
    except Refused as error:
      status, content = error.status, {"error": str(error)}
      head = {"Retry-After": "1"} if status == 503 else {}
    except ValueError as error:
      status, content = 400, {"error": str(error)}
    answered.labels(status=str(status)).inc()
    took.observe(time.perf_counter() - begin)
    return JSONResponse(content, status_code=status, headers=head)

  async def healthz(request: Request) -> Response:
    del request
    return JSONResponse({"status": "ok", "tasks": list(model.heads)})

  async def metrics(request: Request) -> Response:
    del request
    return Response(
      prometheus_client.generate_latest(registry),
      media_type=prometheus_client.CONTENT_TYPE_LATEST,
    )

  async def none(request: Request, error: Exception) -> Response:
    # Another path, or another method.
    assert isinstance(error, HTTPException)
    routes = "POST /v1/predict, GET /healthz and GET /metrics"
    text = f"{request.method} {request.url.path} is none of {routes}"
    return JSONResponse(
      {"error": text}, status_code=error.status_code, headers=error.headers
    )

  @contextlib.asynccontextmanager
  async def lifespan(app: Starlette):
    del app
    worker = asyncio.create_task(queue.work())
    yield
    queue.close()
    await worker

  return Starlette(
    routes=[
      Route("/v1/predict", predict, methods=["POST"]),
      Route("/healthz", healthz),
      Route("/metrics", metrics),
    ],
    exception_handlers={HTTPException: none},
    lifespan=lifespan,
  )
