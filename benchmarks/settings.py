"""What the run of a benchmark is made of, as its command line says it."""

import argparse
from collections.abc import Sequence

from ml_collections import ConfigDict

from configs import glue_multi


def add_arguments(
  parser: argparse.ArgumentParser, *, tasks: str, batch_size: int
) -> None:
  """Adds what a run is made of to a command line.

  Args:
    parser: of the command.
    tasks: default of --tasks.
    batch_size: default of --batch_size.
  """
  parser.add_argument("--encoder", required=True, help="directory or hub name")
  parser.add_argument("--glue_dir", default="", help="default: from the hub")
  parser.add_argument("--tasks", default=tasks)
  parser.add_argument("--batch_size", type=int, default=batch_size)
  parser.add_argument("--max_length", type=int, default=128)
  parser.add_argument("--dtype", default="float32")
  parser.add_argument("--json", action="store_true", help="not the table")


def config(args: argparse.Namespace) -> ConfigDict:
  """Returns the config that a command line asks for."""
  c = glue_multi.get_config(args.tasks)
  c.encoder, c.data.glue_dir = args.encoder, args.glue_dir
  c.multi.batch_size, c.max_length = args.batch_size, args.max_length
  c.dtype = args.dtype
  return c


def told(args: argparse.Namespace, names: Sequence[str]) -> dict:
  """Returns the settings that a figure depends on."""
  return {name: getattr(args, name) for name in names}
