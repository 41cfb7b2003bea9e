r"""Compiles the training step of a config for a TPU slice that is not here.

  python launch/aot_compile.py --topology=v5e:4x4 \
      --config=configs/glue_bam.py --config.dtype=bfloat16 \
      --config.multi.batch_size=1024 --config.mesh.fsdp=4

It tells the bytes that each device holds against its memory, FLOPs,
collectives, and the time that the compiler expects, before anybody pays for a
slice: docs/tpu.md. It needs libtpu (pip install -e '.[tpu]') and no TPU. Any
key of configs/common.py can be set by --config.KEY=VALUE; of several runs, the
last is compiled. The encoder is a directory with config.json, or the name of
one whose shape is known; no weights and no data are read.
"""

import argparse
from collections.abc import Sequence
import dataclasses
import json
import os
import sys

# The compiler needs no TPU, and must not take one that is here.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from absl import flags
from ml_collections import ConfigDict, config_flags

from bam_jax import main as cli
from bam_jax.runtime import command
from bam_jax.stages import tpu_slice
from bam_jax.training import tpu


def parser(doc: str) -> argparse.ArgumentParser:
  """Returns a parser of what commands that compile have in common."""
  made = argparse.ArgumentParser(
    description=doc,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  made.add_argument(
    "--examples", type=int, default=16, help="that a row has room for"
  )
  made.add_argument(
    "--whole",
    action="store_true",
    help="make no loops of products, so that all of them is counted",
  )
  made.add_argument("--json", action="store_true", help="print one object")
  return made


def read_config(args: Sequence[str]) -> ConfigDict:
  """Returns the config that --config and --config.KEY flags make.

  Raises:
    ValueError: one of them is wrong.
  """
  args = ["", *cli.automatic(cli.located(list(args)))]
  values = flags.FlagValues()
  holder = config_flags.DEFINE_config_file(
    "config", flag_values=values, sys_argv=args
  )
  try:
    rest = values(args)
    if not holder.value:
      raise ValueError("--config is missing: --config=configs/glue_bam.py")
    # A file that could not be loaded complains only when it is looked at.
    holder.value.to_dict()
  except flags.UnrecognizedFlagError as error:
    raise ValueError(f"no flag --{error.flagname}; see --help") from error
  except ValueError as error:
    if "--config is missing" in str(error):
      raise
    raise ValueError(cli.explain(error, args)) from error
  except Exception as error:
    raise ValueError(cli.explain(error, args)) from error
  if len(rest) > 1:
    raise ValueError(f"{rest[1]!r} is not a flag; see --help")
  return holder.value


def compile_for(config: ConfigDict, topology: str, **batch) -> tpu.Cost:
  """Compiles, and says so meanwhile; see `tpu_slice.cost`."""
  said = f"compiling for {topology}, for minutes where the encoder is large"
  print(said, file=sys.stderr)
  return tpu_slice.cost(config, topology, **batch)


def table(found: tpu.Cost) -> str:
  """Returns what a step costs, one line for each figure."""
  mesh = " x ".join(f"{axis} {n}" for axis, n in found.mesh.items())
  held = f"{found.bytes / 1e9:.2f} GB"
  if found.hbm:
    held += f" of {found.hbm / 1e9:.0f} GB ({found.bytes / found.hbm:.0%})"

  def time(seconds: float | None) -> str:
    return "not known" if seconds is None else f"{seconds * 1e3:.2f} ms"

  lines = [
    ("slice", f"{found.topology}, {found.devices} x {found.kind}, {mesh}"),
    ("batch", f"{found.rows} rows of {found.width} tokens, {found.dtype}"),
    ("memory", f"{held}, {found.temporary / 1e9:.2f} GB within the step"),
    *(
      [
        (
          "loops",
          f"{found.loops}; of each, one turn counts at most: see --whole",
        )
      ]
      if found.loops
      else []
    ),
    ("FLOPs", f"{found.flops / 1e12:.3f} TFLOP"),
    *(
      (kind, f"{each['count']} of {each['bytes'] / 1e6:.1f} MB together")
      for kind, each in found.collectives.items()
    ),
    ("time", f"{time(found.seconds)} in {found.cycles} estimated cycles"),
    ("wire", f"{time(found.wire_seconds)} at the least for the collectives"),
    ("XLA says", time(found.optimal_seconds)),
    ("compiled in", f"{found.compile_seconds:.0f} s"),
  ]
  return "\n".join(f"{name:19} {text}" for name, text in lines)


def main(argv: Sequence[str] | None = None) -> None:
  """Compiles for one slice and prints what the step costs there."""
  made = parser(__doc__)
  made.add_argument(
    "--topology", required=True, help=f"the slice: {tpu.EXAMPLE}"
  )
  made.add_argument(
    "--rows", type=int, help="of the batch; else its examples, one in a row"
  )
  given, rest = made.parse_known_args(argv)

  def work():
    found = compile_for(
      read_config(rest),
      given.topology,
      rows=given.rows,
      examples=given.examples,
      whole=given.whole,
    )
    if given.json:
      print(json.dumps(dataclasses.asdict(found)))
    else:
      print(f"Of one device:\n{table(found)}")

  command.run(work)


if __name__ == "__main__":
  main()
