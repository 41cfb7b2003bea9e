r"""What a trained model costs where it answers: as it is, as ONNX, served.

  python -m benchmarks.serving --run=W/runs/NAME --task=sst2

Dev texts of the task in batches of 1 and 32: milliseconds of a batch, its
tokenising included, medians of sides that take turns in one process; bytes of
what is loaded; scores on dev by the gate of bam_jax.export. Then a server of
its own: requests of one text each, one after the other's answer, and from many
clients at once.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
import http.client
import json
from pathlib import Path
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

from bam_jax.data.features import featurise
from bam_jax.data.sources import readers
from bam_jax.inference import export as directories
from bam_jax.inference import model as inference
from bam_jax.inference import onnx_graph
from bam_jax.runtime import command
from bam_jax.runtime.console import bar
from bam_jax.study import experiment as experiments
from bam_jax.study.workdir import Workdir
from benchmarks import sides

SIZES = (1, 32)
WEIGHTS = onnx_graph.WEIGHTS


def texts_of(run: Path, name: str) -> list[tuple[str, ...]]:
  """Returns the rows of texts of the first dev split of a task."""
  config = Workdir(run.absolute().parents[1]).config()
  task = experiments.read(config).table[name]
  data = config.data
  read = readers.load(
    task, task.dev[0], glue_dir=data.glue_dir, seed=data.synthetic_seed
  )
  return list(zip(*read.texts, strict=True))


def exported(run: Path, task: str, weights: str, out: Path) -> dict[str, Any]:
  """Writes a graph; returns what its gate says."""
  # Whatever it differs by, it is told.
  flags = [f"--run={run}", f"--task={task}", f"--out={out}", "--bound=1e9"]
  line = [sys.executable, "-m", "bam_jax.export", "--format=onnx", *flags]
  subprocess.run([*line, f"--weights={weights}"], check=True, stdout=sys.stderr)
  return json.loads((out / directories.GATE).read_text())["tasks"][task]


def latencies(
  answer: Mapping[str, Callable[[Sequence], None]],
  rows: Sequence[Sequence[str]],
  *,
  size: int,
  repeats: int,
) -> dict[str, float]:
  """Returns milliseconds of a batch of each side, the median of its turns."""
  found: dict[str, list[float]] = {name: [] for name in answer}
  rng = np.random.default_rng(size)
  for turn in range(repeats + 3):
    drawn = [rows[i] for i in rng.choice(len(rows), size, replace=False)]
    for name, each in answer.items():
      begin = time.perf_counter()
      each(drawn)
      # Shapes compile in the first turns.
      if turn >= 3:
        found[name].append(1000 * (time.perf_counter() - begin))
  return {name: statistics.median(each) for name, each in found.items()}


def served(
  run: Path, task: str, rows: Sequence, *, requests: int, clients: int
) -> dict[str, dict[str, float]]:
  """Returns what a server's clients wait, alone and at once, and the losses."""
  process = subprocess.Popen(
    [sys.executable, "-m", "bam_jax.serve", f"--run={run}", "--port=0"],
    stdout=subprocess.PIPE,
    text=True,
  )
  try:
    for line in process.stdout:
      if found := re.search(r"http://(\S+)", line):
        break
    address = found[1]

    def ask(numbers: Sequence[int]) -> list[float | None]:
      link, waited = http.client.HTTPConnection(address), []
      for number in numbers:
        body = {"task": task, "texts": [rows[number % len(rows)]]}
        begin = time.perf_counter()
        link.request("POST", "/v1/predict", json.dumps(body))
        reply = link.getresponse()
        said = json.load(reply)
        good = reply.status == 200 and len(said["answers"]) == 1
        waited.append(1000 * (time.perf_counter() - begin) if good else None)
      return waited

    result = {}
    for name, count in (("one by one", 1), (f"{clients} at once", clients)):
      parts = [range(k, requests, count) for k in range(count)]
      begin = time.perf_counter()
      with ThreadPoolExecutor(count) as pool:
        waited = [x for part in pool.map(ask, parts) for x in part]
      seconds = time.perf_counter() - begin
      held = [x for x in waited if x is not None]
      result[name] = {
        "requests": requests,
        "lost": len(waited) - len(held),
        "p50_ms": float(np.percentile(held, 50)),
        "p99_ms": float(np.percentile(held, 99)),
        "requests_per_s": requests / seconds,
      }
    return result
  finally:
    process.send_signal(signal.SIGTERM)
    process.wait()
    process.stdout.close()


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
  """Returns all figures."""
  run, task = args.run, args.task
  rows = texts_of(run, task)
  gates = {
    weights: exported(run, task, weights, folder / weights)
    for weights in WEIGHTS
  }
  ours = inference.load(run)
  model = inference.Model(onnx_graph.in_float32(ours.trained))
  width = directories.width_of(ours.trained)
  graphs = {
    weights: onnx_graph.Graph(
      (folder / weights / directories.GRAPH).read_bytes(), model, width=width
    )
    for weights in WEIGHTS
  }

  def said(asked: Any) -> Callable[[Sequence], None]:
    most = model.trained.description.max_length

    def answer(drawn: Sequence) -> None:
      columns = [list(column) for column in zip(*drawn, strict=True)]
      asked.said(
        [task], featurise(model.tokenizer, columns, None, max_length=most)
      )

    return answer

  answer = {"bam_jax": said(model)} | {
    f"onnx, {weights}": said(graph) for weights, graph in graphs.items()
  }
  with bar("serving", len(SIZES) + 1, text="measures") as advance:
    waits = {}
    for size in SIZES:
      waits[size] = latencies(answer, rows, size=size, repeats=args.repeats)
      advance(1)
    server = served(
      run, task, rows, requests=args.requests, clients=args.clients
    )
    advance(1)
  flat = [x.nbytes for x in _leaves(model.trained.params)]
  sizes = {"bam_jax": sum(flat)} | {
    f"onnx, {weights}": (folder / weights / directories.GRAPH).stat().st_size
    for weights in WEIGHTS
  }
  return {
    "machine": sides.machine("jax", "onnxruntime"),
    "settings": {"task": task, "repeats": args.repeats},
    "sides": {
      name: {
        "bytes": sizes[name],
        **{f"ms_{size}": waits[size][name] for size in SIZES},
      }
      for name in answer
    },
    "gates": gates,
    "server": server,
  }


def _leaves(tree: Any) -> list[np.ndarray]:
  if isinstance(tree, Mapping):
    return [leaf for each in tree.values() for leaf in _leaves(each)]
  return [tree]


def rows(result: Mapping[str, Any]) -> list[str]:
  """Returns Markdown tables of what `measure` returns."""
  lines = [
    "| | MB | ms, batch of 1 | ms, batch of 32 | score | largest difference |",
    "|---|--:|--:|--:|--:|--:|",
  ]
  first = next(iter(result["gates"].values()))
  for name, each in result["sides"].items():
    gate = result["gates"].get(name.removeprefix("onnx, "))
    scores = gate["scores"] if gate else first["ours"]
    far = f"{gate['difference']:.2g}" if gate else ""
    shown = ", ".join(f"{k} {v:.2f}" for k, v in scores.items())
    lines.append(
      f"| {name} | {each['bytes'] / 1e6:.1f} | {each['ms_1']:.1f} | "
      f"{each['ms_32']:.1f} | {shown} | {far} |"
    )
  lines += [
    "",
    "| clients | requests | lost | p50, ms | p99, ms | requests/s |",
    "|---|--:|--:|--:|--:|--:|",
  ]
  for name, each in result["server"].items():
    lines.append(
      f"| {name} | {each['requests']} | {each['lost']} | {each['p50_ms']:.1f} "
      f"| {each['p99_ms']:.1f} | {each['requests_per_s']:.1f} |"
    )
  return lines


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
  """Measures and prints; returns what it prints with --json."""
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.serving",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add("--run", type=Path, required=True, help="W/runs/NAME")
  add("--task", required=True, help="one of its heads")
  add("--repeats", type=int, default=20, help="batches of each size")
  add("--requests", type=int, default=1000)
  add("--clients", type=int, default=16)
  add("--json", action="store_true", help="not the tables")
  args = parser.parse_args(argv)
  with tempfile.TemporaryDirectory() as folder:
    result = measure(args, Path(folder))
  print(json.dumps(result) if args.json else "\n".join(rows(result)))
  return result


if __name__ == "__main__":
  command.run(main)
