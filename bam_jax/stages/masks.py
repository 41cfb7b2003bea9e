"""Refuses plain text whose words cannot be masked, before anything is made."""

from bam_jax.data import documents, vocabulary
from bam_jax.hf import masked
from bam_jax.models import encoders
from bam_jax.models.encoders import EncoderConfig
from bam_jax.stages.materials import (
  Materials,
  reading_documents,
  trains_words,
)


def check(found: Materials, shape: EncoderConfig) -> None:
  """Checks that words can be masked as it is asked for.

  Args:
    found: the materials.
    shape: of the encoder.
  """
  reading = reading_documents(found.experiment.trained_tasks)
  config = found.experiment.config
  if reading and not encoders.of(shape).masked:
    able = [name for name, kind in encoders.ENCODERS.items() if kind.masked]
    raise ValueError(
      f"the encoder is a {shape.kind}, which has no head for masked words, and"
      f" {reading[0].name} has them said; take a {' or '.join(able)}, or leave"
      " the task out"
    )
  if config.data.text:
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
