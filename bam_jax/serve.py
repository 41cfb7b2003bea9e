r"""Answers over HTTP: python -m bam_jax.serve --run=W/runs/NAME --port=8080.

  curl -s localhost:8080/v1/predict \
      -d '{"task": "all", "texts": [["one text"], ["another"]]}'

Each row of texts is a list of as many as the task reads. What comes back is
{"answers": [...]}, one for each row, as bam_jax.predict writes them; what is
wrong with a request is {"error": "..."} with a status of 4xx, and 503 where too
much waits. Requests that come at the same time share passes of the encoder, in
which their texts are packed. With --abstain=0.8 nothing is said where what
would be said is less likely than that (docs/calibration.md).
GET /healthz says which tasks there are, GET /metrics what Prometheus reads.
SIGTERM ends it when all that was asked is answered.

Exit codes: 0 done, 2 something in the command or the run is wrong (one sentence
says what), 1 anything else.
"""

import argparse
from collections.abc import Sequence
import importlib.util
from pathlib import Path
import signal
import socket
from typing import Any

from bam_jax.runtime import command

PACKAGES = ("starlette", "uvicorn", "prometheus_client")


def parser() -> argparse.ArgumentParser:
  """Returns the flags."""
  found = argparse.ArgumentParser(
    prog="python -m bam_jax.serve",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )

  def add(name: str, kind: type, default: Any, text: str) -> None:
    found.add_argument(
      name, type=kind, default=default, help=f"{text}; default: {default}"
    )

  found.add_argument(
    "--run", required=True, help="W/runs/NAME, or an exported directory"
  )
  found.add_argument("--port", type=int, required=True, help="0: any free one")
  found.add_argument("--trial", type=int, help="the best on dev if absent")
  add("--host", str, "127.0.0.1", "whose calls are taken; 0.0.0.0: everybody's")
  add("--max-bytes", int, 1_000_000, "of a request")
  add("--max-rows", int, 256, "of a request")
  add("--max-waiting", int, 4096, "rows that wait at most")
  add("--batch", int, 64, "rows of one pass")
  add("--wait-ms", float, 2.0, "that a pass waits for more rows")
  found.add_argument(
    "--abstain",
    type=float,
    metavar="P",
    help="say nothing where an answer's probability is below P",
  )
  found.add_argument(
    "--no-warm-up",
    action="store_true",
    help="compile each shape of batches when it first comes",
  )
  return found


def warm_up(model: Any, batch: int) -> None:
  """Compiles every shape that a pass may have, with a bar."""
  from bam_jax.inference import service
  from bam_jax.runtime.console import bar

  shapes = service.shapes(model, batch)
  with bar("warm-up", len(shapes), text="compiles") as advance:
    for shape in shapes:
      model.compile(shape)
      advance(1)


def serve(flags: argparse.Namespace) -> None:
  """Serves until it is told to end."""
  missing = [x for x in PACKAGES if importlib.util.find_spec(x) is None]
  if missing:
    raise ValueError(
      f"{', '.join(missing)} is not installed; type "
      "pip install 'bam_jax[serve]'"
    )
  for name in ("max_bytes", "max_rows", "max_waiting", "batch"):
    if getattr(flags, name) < 1:
      given = f"--{name.replace('_', '-')}"
      raise ValueError(f"{given} is {getattr(flags, name)}; it is 1 or more")
  if not 0 <= flags.port < 2**16:
    raise ValueError(f"--port is {flags.port}; it is from 0 to 65535")
  if not flags.wait_ms >= 0:
    raise ValueError(f"--wait-ms is {flags.wait_ms}; it is 0 or more")
  import uvicorn

  from bam_jax.inference import abstention, service
  from bam_jax.inference import model as inference
  from bam_jax.runtime.console import say

  # Before anything is loaded: who has the port is known at once.
  try:
    taken = socket.create_server((flags.host, flags.port), backlog=2048)
  except OSError as error:
    raise ValueError(
      f"{flags.host}:{flags.port} cannot be listened to ({error.strerror}); "
      "give another --port or --host"
    ) from error
  with taken:
    model = inference.load(Path(flags.run), trial=flags.trial)
    unless = abstention.Abstention(flags.abstain or 0.0)
    if flags.abstain is not None:
      heads = tuple(model.heads.values())
      for sentence in abstention.check(flags.abstain, heads):
        say(sentence)
    if not flags.no_warm_up:
      warm_up(model, flags.batch)
    limits = service.Limits(
      bytes=flags.max_bytes,
      rows=flags.max_rows,
      queue=flags.max_waiting,
      batch=flags.batch,
      wait=flags.wait_ms / 1000,
    )
    config = uvicorn.Config(
      service.app(model, limits, unless),
      log_level="warning",
      access_log=False,
    )
    # uvicorn ends by them when all is answered, and raises them once more.
    for each in (signal.SIGTERM, signal.SIGINT):
      signal.signal(each, lambda *_: None)
    host, port = taken.getsockname()[:2]
    say(f"serves {', '.join(model.heads)} on http://{host}:{port}")
    uvicorn.Server(config).run(sockets=[taken])
    say("ended; all that was asked is answered")


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command."""
  flags = parser().parse_args(argv)
  command.run(lambda: serve(flags))


if __name__ == "__main__":
  main()
