"""Refuses plain text whose words cannot be masked, before anything is made."""

from bam_jax.data import documents, vocabulary
from bam_jax.hf import masked
from bam_jax.models import encoders
from bam_jax.models.encoders import EncoderConfig
from bam_jax.stages.materials import (
  Materials,
  masking_words,
  reading_documents,
  trains_words,
)
from bam_jax.study.text_tasks import TEXT
from bam_jax.tasks.kinds import KINDS


def check(found: Materials, shape: EncoderConfig) -> None:
  """Checks that words can be masked as it is asked for.

  Args:
    found: the materials.
    shape: of the encoder.
  """
  reading = masking_words(found.experiment.trained_tasks)
  check_sides(found, shape)
  config = found.experiment.config
  if reading and not encoders.of(shape).masked:
    able = [name for name, kind in encoders.ENCODERS.items() if kind.masked]
    raise ValueError(
      f"the encoder is a {shape.kind}, which has no head for masked words, and"
      f" {reading[0].name} has them said; take a {' or '.join(able)}, or leave"
      " the task out"
    )
  if config.data.text and TEXT in {task.name for task in reading}:
    # What is kept at the end has to be written.
    masked.layout_of(shape)
  if not reading or trains_words(config):
    return
  tokenizer = found.encoder.tokenizer
  if tokenizer.mask is None:
    raise ValueError(
      f"the tokenizer of {config.encoder} has no [MASK], which stands for the"
      f" words that {reading[0].name} masks; give an encoder that was"
      " pre-trained on masked words, or leave the task out"
    )
  if config.masking.whole_words and not documents.knows_words(tokenizer):
    raise ValueError(
      f"the tokenizer of {config.encoder} does not divide text into words"
      " before it cuts pieces, so none can be masked whole; set"
      " --config.masking.whole_words=False"
    )


def check_sides(found: Materials, shape: EncoderConfig) -> None:
  """Refuses to have tokens said by an encoder that has read them.

  Args:
    found: the materials.
    shape: of the encoder.
  """
  config = found.experiment.config
  for task in found.experiment.trained_tasks:
    sides = KINDS[task.kind].sides
    if sides > 1 and not encoders.side(shape):
      able = "--config.encoder=scratch --config.scratch.kind=bilstm"
      other = f'; or take mlm in place of {task.name} (kind = "mlm")'
      raise ValueError(
        f"{task.name} has the next token said by what has read up to it, and"
        f" the layers of the encoder, a {shape.kind}, read both sides of every"
        f" token; take a bilstm whose directions are apart: {able}"
        " --config.scratch.directions=apart"
        f"{other if encoders.of(shape).masked else ''}"
      )
    made = trains_words(config)
    if sides and not made and not all(found.encoder.tokenizer.single):
      raise ValueError(
        f"{task.name} has the ends of texts said, and the tokenizer of"
        f" {config.encoder} marks none; take another:"
        " --config.scratch.tokenizer=DIR"
      )


def check_letters(found: Materials) -> None:
  """Checks that a vocabulary that is made of the text has room for its letters.

  Args:
    found: the materials, whose text has been looked at.
  """
  c = found.experiment.config
  if reading_documents(found.experiment.trained_tasks) and trains_words(c):
    letters = vocabulary.letters_of(
      found.written(), lowercase=c.scratch.lowercase
    )
    vocabulary.check_size(letters, c.scratch.vocab_size)
