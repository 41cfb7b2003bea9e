"""Groups of keys that have a file of their own, in the order of --help."""

from configs import _adversary

GROUPS = (_adversary,)
