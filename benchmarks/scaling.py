r"""Weak scaling over TPU slices, as the TPU compiler estimates it without one.

  python -m benchmarks.scaling --config=configs/glue_bam.py \
      --config.dtype=bfloat16 --config.encoder_layers=2 --rows_per_chip=64

Every slice gets the same rows for each of its chips. The cycles of a chip's own
work come from the compiler, the time of collectives from their bytes and the
published rate of the wires, as if nothing ran beside them: docs/tpu.md. Without
--config it is a tiny encoder.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import json
from typing import Any

from bam_jax.runtime import command
from launch import aot_compile

SLICES = "v5e:4x4,v5e:4x8,v5e:8x8,v5e:8x16,v5e:16x16"
TINY = (
  "--config=configs/quickstart.py:paraphrase,similarity",
  "--config.scratch.layers=1",
  "--config.scratch.width=32",
  "--config.scratch.heads=2",
  "--config.scratch.mlp=64",
  "--config.scratch.vocab_size=300",
)
HEADER = (
  "slice",
  "chips",
  "rows",
  "GB a chip",
  "TFLOP a chip",
  "own work ms",
  "wire ms",
  "collectives MB",
  "efficiency",
)


def measure(
  args: Sequence[str],
  slices: Sequence[str],
  *,
  rows: int,
  examples: int,
  whole: bool,
) -> list[dict]:
  """Returns the cost on each slice, with its `efficiency` against the first.

  Args:
    args: --config and --config.KEY flags.
    slices: topologies.
    rows: for each chip.
    examples: that a row has room for.
    whole: see `slice.cost`.

  Raises:
    ValueError: the compiler, a slice or the config does not do, or the time
      that the step takes there is not known.
  """
  config, found = aot_compile.read_config(args), []
  for topology in slices:
    chips = len(aot_compile.tpu.devices(topology))
    cost = aot_compile.compile_for(
      config, topology, rows=rows * chips, examples=examples, whole=whole
    )
    if cost.loops:
      raise ValueError(
        f"the step for {topology} has loops ({cost.loops}), of which the "
        "compiler counts one turn at most, so no time follows; try --whole"
      )
    if cost.seconds is None:
      raise ValueError(
        f"the clock of {cost.kind} is not published; give slices of v5e or v5p"
      )
    total = cost.seconds + cost.wire_seconds
    first = found[0]["total_seconds"] if found else total
    found.append(
      dataclasses.asdict(cost)
      | {"total_seconds": total, "efficiency": first / total}
    )
  return found


def cells(row: dict) -> tuple[str, ...]:
  """Returns the line of a table for one slice."""
  moved = sum(each["bytes"] for each in row["collectives"].values())
  return (
    row["topology"],
    str(row["devices"]),
    str(row["rows"]),
    f"{row['bytes'] / 1e9:.2f}",
    f"{row['flops'] / 1e12:.3f}",
    f"{row['seconds'] * 1e3:.2f}",
    f"{row['wire_seconds'] * 1e3:.2f}",
    f"{moved / 1e6:.1f}",
    f"{row['efficiency']:.3f}",
  )


def rows(result: Mapping[str, Any]) -> list[str]:
  """Returns a Markdown table of what --json prints."""
  lines = [HEADER, ["---"] * len(HEADER), *map(cells, result["slices"])]
  return [f"| {' | '.join(line)} |" for line in lines]


def main(argv: Sequence[str] | None = None) -> None:
  """Compiles for every slice and prints a table or JSON."""
  parser = aot_compile.parser(__doc__)
  parser.add_argument("--slices", default=SLICES, help="with commas between")
  parser.add_argument("--rows_per_chip", type=int, default=8)
  given, rest = parser.parse_known_args(argv)
  tiny = not any(arg.startswith("--config=") for arg in rest)

  def work():
    result = {
      "slices": measure(
        [*TINY, *rest] if tiny else rest,
        given.slices.split(","),
        rows=given.rows_per_chip,
        examples=given.examples,
        whole=given.whole,
      )
    }
    print(json.dumps(result) if given.json else "\n".join(rows(result)))

  command.run(work)


if __name__ == "__main__":
  main()
