"""Reads what a study claims beforehand (`config.claims`)."""

from collections.abc import Collection, Iterable
import re

from bam_jax.runtime.spelling import hint
from bam_jax.stats.claims import BETTER, NOT_WORSE, Claim
from bam_jax.tasks.table import Task

_CLAIM = re.compile(r"(\S+)\s+(\S+)\s+(\S+)(?:\s+on\s+(\S+))?")
_FORM = (
  "a claim is 'METHOD > METHOD' or 'METHOD >= METHOD', with 'on TASK' after it"
  " if you like and ; between claims, as in"
  " --config.claims='single->multi > multi; multi >= single'"
)


def parse(text: str) -> tuple[Claim, ...]:
  """Returns the claims in their order.

  Args:
    text: such as "single->multi > multi; multi >= single on rte".

  Raises:
    ValueError: it is no such list, or names a claim twice.
  """
  claims = []
  for part in filter(None, map(str.strip, text.split(";"))):
    found = _CLAIM.fullmatch(part)
    if not found or found[2] not in (BETTER, NOT_WORSE):
      raise ValueError(f"claims has {part!r}; {_FORM}")
    a, relation, b, column = found.groups(default="")
    if a == b:
      raise ValueError(f"claims has {part!r}, a method against itself; {_FORM}")
    claims.append(Claim(a, relation, b, column))
  for claim in claims:
    if claims.count(claim) > 1:
      raise ValueError(f"claims has {str(claim)!r} twice; name it once")
  return tuple(claims)


def check(text: str, methods: Collection[str], tasks: Iterable[Task]) -> None:
  """Looks whether the study has what its claims name.

  Args:
    text: see `parse`.
    methods: of the study.
    tasks: that it trains on.

  Raises:
    ValueError: a claim cannot be read, or names what is not there.
  """
  for claim in parse(text):
    for method in (claim.a, claim.b):
      if method not in methods:
        raise ValueError(
          f"claims has {str(claim)!r}, and {method!r} is none of the methods"
          f" {', '.join(methods)}{hint(method, methods)}"
        )
    columns = ["average", *(task.name for task in tasks)]
    if claim.column and claim.column not in columns:
      raise ValueError(
        f"claims has {str(claim)!r}, and {claim.column!r} is none of"
        f" {', '.join(columns)}{hint(claim.column, columns)}"
      )
