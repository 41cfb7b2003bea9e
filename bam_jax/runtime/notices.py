"""What is said once, however often it is found."""

import functools

from absl import logging


@functools.cache
def once(text: str) -> None:
  """Warns of something about a file or a definition that is read many times."""
  logging.warning(text)
