"""Groups of keys that have a file of their own, in the order of --help."""

from configs import (
  _adapter,
  _adversary,
  _contrast,
  _plateau,
  _recurrent,
  _selection,
  _stages,
)

GROUPS = (
  *(_stages, _contrast, _recurrent, _adapter),
  *(_adversary, _selection, _plateau),
)
