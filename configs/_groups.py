"""Groups of keys that have a file of their own, in the order of --help."""

from configs import _adapter, _adversary, _plateau, _stages

GROUPS = (_stages, _adapter, _adversary, _plateau)
