"""Which of its studies a config file is asked for."""

from collections.abc import Callable, Sequence
import difflib


def part_of(
  arg: str, parts: Sequence[Callable], what: str, example: str
) -> tuple[Callable, str]:
  """Returns the part that "part,task,task,..." names, and the tasks.

  Args:
    arg: of --config, after the colon.
    parts: what there is, by the names of the functions.
    what: a part is called in the error.
    example: of --config.

  Raises:
    ValueError: no such part.
  """
  name, _, tasks = arg.partition(",")
  known = {part.__name__: part for part in parts}
  if name not in known:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(
      f"{what} {name!r} is none of {', '.join(known)}{hint}; type "
      f"--config={example}"
    )
  return known[name], tasks
