r"""Models out: python -m bam_jax.export --run=W/runs/NAME --task=rte --out=DIR.

  python -m bam_jax.export --run=W/runs/NAME --task=rte --out=DIR
      for transformers: AutoModelForSequenceClassification.from_pretrained(DIR),
      or AutoModelForTokenClassification where words are tagged
  python -m bam_jax.export --run=W/runs/NAME --task=all --out=DIR
      the encoder for AutoModel, one file per head, and heads.json
  python -m bam_jax.export --run=W/runs/NAME --task=all --format=stablehlo ...
      the forward pass for jax.export, or anything that runs StableHLO
  python -m bam_jax.export --run=W/runs/NAME --task=all --format=onnx --out=DIR
      all heads in one ONNX graph; it is run on dev before it is written, and
      its scores and the largest difference from ours are printed and kept

DIR is written whole or not at all. --trial=SEED takes one trial; without it,
the best on dev.

Exit codes: 0 done, 2 something in the command or the run is wrong (one sentence
says what), 1 anything else.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bam_jax.runtime import command

# What the weights of an ONNX graph are kept as -> how far its outputs, such as
# logits, may be from ours by default.
BOUNDS = {"float32": 1e-3, "int8": 1.0}


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
  add("--format", choices=("hf", "stablehlo", "onnx"), default="hf")
  add("--weights", choices=tuple(BOUNDS), help="of onnx; default: float32")
  add(
    "--bound",
    type=float,
    help="of onnx: the largest difference of an output that may be; default: "
    + ", ".join(f"{bound:g} with {kept}" for kept, bound in BOUNDS.items()),
  )
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
  if flags.format != "onnx" and (flags.weights or flags.bound is not None):
    raise ValueError("--weights and --bound are of --format=onnx; leave them")
  if flags.format == "onnx":
    graph(flags, found)
  elif flags.format == "stablehlo":
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


def graph(flags: argparse.Namespace, found: Any) -> None:
  """Writes an ONNX graph, if it says on dev what ours does.

  Raises:
    ValueError: it does not, or there is no run with data to try it on.
  """
  from bam_jax.hf import directory as hf
  from bam_jax.inference import export as directories
  from bam_jax.inference import model as inference
  from bam_jax.inference import onnx_graph
  from bam_jax.stages import gate

  onnx_graph.check()
  # Known before minutes are spent on it.
  hf.replaces(Path(flags.out), overwrite=flags.overwrite)
  run = Path(flags.run)
  if not (run / "checkpoints").is_dir():
    raise ValueError(
      f"{run} is no run, and what is written is tried on a run's dev set; give "
      "W/runs/NAME"
    )
  weights = flags.weights or "float32"
  bound = BOUNDS[weights] if flags.bound is None else flags.bound
  found = onnx_graph.in_float32(found)
  said = directories.answering(found, flags.task)
  tasks = [head.name for head in said.heads]
  model = inference.Model(found)
  width = directories.width_of(found)
  made = onnx_graph.build(model, tasks, width=width, weights=weights)
  written = onnx_graph.Graph(made, model, width=width)
  told = gate.gate(run, tasks, model.said, written.said)
  for task, each in told.items():
    scores = ", ".join(
      f"{name} {score:.2f} (ours {each['ours'][name]:.2f})"
      for name, score in each["scores"].items()
    )
    print(
      f"{task}: {scores} on {each['examples']} rows of {each['split']}; "
      f"largest difference {each['difference']:.2g}"
    )
  far = {k: v["difference"] for k, v in told.items()}
  worst = max(far, key=far.get)
  if not far[worst] <= bound:
    raise ValueError(
      f"an output of {worst} differs from ours by {far[worst]:.3g}, and "
      f"--bound is {bound:g}; nothing is written; if the scores above are good "
      f"enough, type --bound={2 * far[worst]:.2g}"
    )
  directories.write_graph(
    Path(flags.out),
    found,
    said,
    made,
    gate={"weights": weights, "bound": bound, "tasks": told},
    overwrite=flags.overwrite,
  )


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command."""
  flags = parser().parse_args(argv)
  command.run(lambda: export(flags))


if __name__ == "__main__":
  main()
