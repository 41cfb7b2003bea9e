r"""When the device computes and when the next batch is made, from a trace.

  python -m bam_jax.main ... --config.profile=3:6
  python -m benchmarks.timeline --trace=W/runs/RUN/profile --out=timeline.png

It tells the share of the traced steps in which the device does nothing, and
draws them. A batch is ready before it is asked for, so what is made in a gap is
that of the step after next; a device that waits shows gaps as long as making
one takes.
"""

import argparse
from collections.abc import Sequence
import dataclasses
import gzip
import json
from pathlib import Path

from bam_jax.report.plots import DPI
from bam_jax.runtime import command

BATCH = "next batch"  # as bam_jax/training/sharding.py names it
# XLA's name for the whole of a program on a CPU, and the name of a device's own
# part of a trace elsewhere.
PROGRAM, DEVICE = "ThunkExecutor::Execute (wait for completion)", "/device:"
# Programs that are shorter are no steps: reading a number, say.
LEAST = 0.1

Span = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Timeline:
  """What a trace holds, in seconds from the first thing in it.

  Attributes:
    device: when it computed, in order; spans that touch are one.
    batches: when a batch was made, in order.
  """

  device: tuple[Span, ...]
  batches: tuple[Span, ...]

  @property
  def idle(self) -> float:
    """Share of the time from first to last in which the device did nothing."""
    whole = self.device[-1][1] - self.device[0][0]
    return 1 - sum(end - begin for begin, end in self.device) / whole


def read(path: Path) -> Timeline:
  """Reads the newest trace of a folder.

  Raises:
    ValueError: there is none, or no device computes in it.
  """
  files = sorted(path.rglob("perfetto_trace.json.gz"))
  if not files:
    raise ValueError(
      f"{path} holds no perfetto_trace.json.gz; train with "
      "--config.profile=3:6, and give W/runs/RUN/profile"
    )
  with gzip.open(files[-1]) as file:
    events = json.load(file)["traceEvents"]
  places = {
    each["pid"]: each["args"]["name"]
    for each in events
    if each.get("name") == "process_name"
  }
  done = [each for each in events if each.get("ph") == "X"]
  device = [
    each
    for each in done
    if each["name"] == PROGRAM or DEVICE in places.get(each["pid"], "")
  ]
  if not device:
    raise ValueError(f"no device computes in {files[-1]}; trace more steps")
  longest = max(each["dur"] for each in device)
  # On a CPU programs stand whole in a trace, the small ones too.
  device = [
    each
    for each in device
    if each["name"] != PROGRAM or each["dur"] > LEAST * longest
  ]
  made = [each for each in done if each["name"].startswith(BATCH)]
  start = min(each["ts"] for each in device + made)

  def spans(found: Sequence[dict]) -> list[Span]:
    return sorted(
      ((each["ts"] - start) / 1e6, (each["ts"] + each["dur"] - start) / 1e6)
      for each in found
    )

  return Timeline(joined(spans(device)), tuple(spans(made)))


def joined(spans: Sequence[Span]) -> tuple[Span, ...]:
  """Returns spans, in order, of which those that touch are one."""
  found: list[Span] = []
  for begin, end in spans:
    if found and begin <= found[-1][1]:
      found[-1] = found[-1][0], max(end, found[-1][1])
    else:
      found.append((begin, end))
  return tuple(found)


def draw(timeline: Timeline, out: Path) -> None:
  """Draws the device above and the batches below; the suffix says the type."""
  from matplotlib.figure import Figure

  figure = Figure((7, 1.8), dpi=DPI, layout="constrained")
  axes = figure.subplots()
  lanes = {"step computes": timeline.device, "batch is made": timeline.batches}
  for height, (name, spans) in enumerate(lanes.items()):
    # A batch takes so little that a bar alone would not be seen.
    axes.broken_barh(
      [(begin, end - begin) for begin, end in spans],
      (-height - 0.3, 0.6),
      facecolor="0.75" if name == "step computes" else "#d55e00",
      edgecolor="#08306b" if name == "step computes" else "#d55e00",
      linewidth=1,
    )
  axes.set_yticks([0, -1], list(lanes))
  axes.set_xlabel(
    f"seconds; the device does nothing for {timeline.idle:.1%} of them"
  )
  axes.spines[["top", "right", "left"]].set_visible(False)
  figure.savefig(out)


def main(argv: Sequence[str] | None = None) -> None:
  """Reads, draws and tells."""
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.timeline",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("--trace", type=Path, required=True, help="its folder")
  parser.add_argument("--out", type=Path, help="picture to be written")
  args = parser.parse_args(argv)
  found = read(args.trace)
  gaps = [
    1e3 * (after[0] - before[1])
    for before, after in zip(found.device, found.device[1:], strict=False)
  ]
  made = [1e3 * (end - begin) for begin, end in found.batches]
  print(f"computing: {len(found.device)} spans, idle {found.idle:.2%}")
  print(f"gaps: {', '.join(f'{gap:.1f}' for gap in gaps)} ms")
  print(f"batches made in: {', '.join(f'{each:.1f}' for each in made)} ms")
  if args.out:
    draw(found, args.out)


if __name__ == "__main__":
  command.run(main)
