r"""Models out: python -m bam_jax.export --run=W/runs/NAME --task=rte --out=DIR.

  python -m bam_jax.export --run=W/runs/NAME --task=rte --out=DIR
      for transformers: AutoModelForSequenceClassification.from_pretrained(DIR),
      or AutoModelForTokenClassification where words are tagged
  python -m bam_jax.export --run=W/runs/NAME --task=all --out=DIR
      the encoder for AutoModel, one file per head, and heads.json
  python -m bam_jax.export --run=W/runs/NAME --task=all --format=stablehlo ...
      the forward pass for jax.export, or anything that runs StableHLO

DIR is written whole or not at all. --trial=SEED takes one trial; without it,
the best on dev.

Exit codes: 0 done, 2 something in the command or the run is wrong (one sentence
says what), 1 anything else.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from bam_jax.runtime import command


def parser() -> argparse.ArgumentParser:
  """Returns the flags."""
  found = argparse.ArgumentParser(
    prog="python -m bam_jax.export",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  add = found.add_argument
  add("--run", required=True, help="W/runs/NAME")
  add("--task", required=True, help="one of its heads, or all")
  add("--out", required=True, help="the directory to write")
  add("--trial", type=int, help="seed of the trial; the best on dev if absent")
  add("--format", choices=("hf", "stablehlo"), default="hf")
  add("--overwrite", action="store_true", help="replace the model in --out")
  return found


def export(flags: argparse.Namespace) -> None:
  """Writes what the flags ask for."""
  from bam_jax.inference import export as directories
  from bam_jax.inference import model as inference
  from bam_jax.inference import trained

  everything = flags.task == inference.ALL
  out = Path(flags.out)
  found = trained.load(
    Path(flags.run),
    trial=flags.trial,
    tasks=() if everything else (flags.task,),
  )
  if flags.format == "stablehlo":
    directories.write_program(
      out, found, task=flags.task, overwrite=flags.overwrite
    )
  elif everything:
    directories.write_heads(out, found, overwrite=flags.overwrite)
  else:
    directories.write_classifier(
      out, found, flags.task, overwrite=flags.overwrite
    )
  trial = found.about.get("trial")
  print(
    f"wrote {out}: {flags.task} of {flags.run}"
    + (f", trial {trial}" if trial is not None else "")
  )


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command."""
  flags = parser().parse_args(argv)
  command.run(lambda: export(flags))


if __name__ == "__main__":
  main()
