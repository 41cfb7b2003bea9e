"""Pre-trains an encoder on the masked words of plain text.

  python -m bam_jax.main --config=configs/pretrain.py \
      --config.data.text=a.txt,b.txt.gz --workdir=W

From scratch, with a vocabulary of the text, or on from --config.encoder=DIR;
what comes out is W/encoder, for transformers and for --config.encoder of any
other study. The sizes are those of BERT-Mini; see docs/pretraining.md.
"""

from configs import common


def get_config(arg: str = ""):
  """Returns the config; `arg` is "task,task,...", mlm or lm among them.

  "mlm,next" predicts which sentences follow each other too; lm needs
  scratch.kind=bilstm.
  """
  c = common.with_tasks(common.base(), arg or "mlm")
  c.methods = "multi" if "," in c.tasks else "single"
  c.encoder = "scratch"
  c.scratch.layers, c.scratch.width, c.scratch.heads = 4, 256, 4
  c.scratch.mlp, c.scratch.vocab_size = 1024, 8000
  c.scratch.init_std = 0.02
  c.max_length = 128
  # The mean: examples of one length hardly differ.
  c.loss.reduction = "mean"
  c.optim.bias_correction = True
  for kind in (c.single, c.multi):
    kind.epochs, kind.batch_size = 10.0, 64
    kind.rate, kind.layer_decay = 5e-4, 1.0
  return c
