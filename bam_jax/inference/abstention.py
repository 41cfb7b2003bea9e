"""Answers that are not given because they would not be sure enough."""

from collections.abc import Iterator, Sequence
import dataclasses

from bam_jax.tasks.answers import Answer
from bam_jax.tasks.description import Head
from bam_jax.tasks.kinds import KINDS


@dataclasses.dataclass
class Abstention:
  """Says nothing where a confidence is too low, and counts how often.

  Attributes:
    least: the confidence that an answer has to have.
    asked: answers that have a confidence, so far.
    kept: how many of them are said.
  """

  least: float
  asked: int = 0
  kept: int = 0

  def __call__(self, answer: Answer) -> Answer:
    """Returns the answer, or one that abstains; see `Answer.unless`."""
    said = answer.unless(self.least)
    self.asked += answer.confidence is not None
    self.kept += answer.confidence is not None and not said.abstained
    return said

  @property
  def sentence(self) -> str:
    """How many answers are not said."""
    return (
      f"{self.asked - self.kept} of {self.asked} answers abstain: what they "
      f"would say is less likely than {self.least:g}"
    )


def check(least: float, heads: Sequence[Head]) -> Iterator[str]:
  """Yields what has to be known of the heads that may abstain.

  Args:
    least: the confidence that an answer has to have.
    heads: that are asked.

  Raises:
    ValueError: `least` is no such number, or no head has a confidence.
  """
  if not 0 < least <= 1:
    raise ValueError(
      f"--abstain is {least:g}; it is a probability, above 0 and at most 1, as "
      "in --abstain=0.8"
    )
  sure = [head for head in heads if KINDS[head.kind].calibrates == "row"]
  others = [head for head in heads if head not in sure]
  kinds = ", ".join(f"{head.name} is of kind {head.kind}" for head in others)
  if not sure:
    raise ValueError(
      f"--abstain is {least:g}, but {kinds}, of which a whole answer has no "
      "probability; leave it out"
    )
  if others:
    yield f"{kinds}: as a whole answer has no probability there, all are said"
  plain = [head.name for head in sure if head.calibration is None]
  if plain:
    yield (
      f"{', '.join(plain)} was not calibrated: the probabilities are as the "
      "model says them, often too sure; train with "
      "--config.calibration.share=0.1 for better ones"
    )
