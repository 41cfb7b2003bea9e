"""A GLUE folder, an encoder and settings so small that a run takes seconds.

The text is made of a few words; nothing can be learned from it but to be fed,
counted and scored.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np

from bam_jax.hf import directory as hf
from bam_jax.models import bert
from bam_jax.stages import recipe
from bam_jax.study.workdir import Workdir
from configs import glue_bam

WORDS = ["the", "a", "dog", "cat", "bird", "sees", "old", "red", "no", "here"]
SHAPE = dict(
  width=16,
  layers=1,
  heads=2,
  mlp=24,
  positions=40,
  types=2,
  layer_norm_eps=1e-12,
  hidden_dropout=0.1,
  attention_dropout=0.1,
  init_std=0.02,
  pad_id=0,
)
# Rows of the train, dev and test splits.
ROWS = {"train": 50, "dev": 21, "test": 7}


def write_glue(folder: Path) -> Path:
  """Writes CoLA, RTE and STS-B as the GLUE script does, a few rows each."""
  rng = np.random.default_rng(3)

  def text() -> str:
    return " ".join(rng.choice(WORDS, size=rng.integers(3, 9)))

  for split, rows in ROWS.items():
    labelled = split != "test"
    files = {
      "CoLA": [] if labelled else ["index\tsentence"],
      "RTE": ["index\tsentence1\tsentence2" + "\tlabel" * labelled],
      "STS-B": ["index\tsentence1\tsentence2" + "\tscore" * labelled],
    }
    for row in range(rows):
      label = int(rng.integers(2))
      files["CoLA"].append(
        f"src\t{label}\t\t{text()}" if labelled else f"{row}\t{text()}"
      )
      answers = {
        "RTE": ("entailment", "not_entailment")[label],
        "STS-B": f"{rng.uniform(0, 5):.2f}",
      }
      for name, answer in answers.items():
        cells = [str(row), text(), text(), *([answer] * labelled)]
        files[name].append("\t".join(cells))
    for name, lines in files.items():
      path = folder / name / f"{split}.tsv"
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_text("\n".join(lines) + "\n", "utf-8")
  return folder


def write_encoder(folder: Path, *, seed: int = 0, **changes) -> Path:
  """Writes a Hugging Face directory of a BERT with random weights."""
  vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
  source = folder.parent / f"{folder.name}-vocabulary"
  source.mkdir(parents=True)
  (source / "vocab.txt").write_text("\n".join(vocabulary) + "\n", "utf-8")
  shape = bert.BertConfig(vocab_size=len(vocabulary), **(SHAPE | changes))
  ids = jnp.zeros((1, 1), jnp.int32)
  variables = bert.Bert(shape, jnp.float32, False).init(
    jax.random.key(seed), *[ids] * 4, train=False
  )
  width = shape.width
  pooler = {"kernel": np.eye(width) * 0.5, "bias": np.zeros(width)}
  params = {"bert": jax.device_get(variables["params"]), "pooler": pooler}
  hf.save_encoder(folder, shape, params, tokenizer=source)
  return folder


# Kinds of runs whose settings are not those of the configs; a command that is
# to do what `settings` says is told them too.
STAGES = ("single", "multi", "finetune", "frozen")


def settings(glue: Path, encoder: Path, /, **changes) -> ConfigDict:
  """Returns a config of CoLA and STS-B.

  Args:
    glue: from `write_glue`.
    encoder: from `write_encoder`.
    **changes: keys of the config, a dot written as two underscores.
  """
  c = glue_bam.get_config("cola,stsb")
  c.data.glue_dir, c.encoder = str(glue), str(encoder)
  c.max_length, c.max_steps, c.log_every = 32, 6, 2
  for kind in STAGES:
    c[kind].batch_size = 8
  c.eval_batch_size = 64
  # One shape for all: its program is compiled once a session.
  c.data.packing = False
  # Steps large enough that runs differ, and so small that none does.
  c.single.rate = c.multi.rate = c.frozen.rate = 1e-2
  c.finetune.rate = 1e-30
  c.update_from_flattened_dict(
    {key.replace("__", "."): value for key, value in changes.items()}
  )
  return c


def execute(config, workdir: Path, stop=lambda: False) -> None:
  """Runs the stages of a config."""
  recipe.execute(config, Workdir(workdir), stop)
