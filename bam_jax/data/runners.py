"""The runner of Apache Beam that a config names, with its options."""

from collections.abc import Iterator, Sequence
import contextlib
import importlib.util
import logging
import shlex

from bam_jax.runtime.errors import one_line
from bam_jax.runtime.spelling import hint

# Beam's own DirectRunner first fetches a program of another language from the
# network and runs that; what people mean by it is this one.
_DIRECT = {"DirectRunner": "BundleBasedDirectRunner"}
# Those whose options Beam's Python knows all of; others ask their server.
_LOCAL = ("DirectRunner", "BundleBasedDirectRunner", "FnApiRunner")
# What their workers have to say is told once, by us.
_SILENT = "--default_sdk_harness_log_level=CRITICAL"
_EXAMPLE = "'DirectRunner --direct_num_workers=2'"


def flags(text: str) -> list[str]:
  """Returns Beam's options for "RUNNER --option=value ...", the runner first.

  Raises:
    ValueError: apache_beam is not installed, or knows no such runner or option.
  """
  said = f"data.beam is {text!r}"
  try:
    runner, *options = shlex.split(text)
    if not all(each.startswith("--") for each in options):
      raise ValueError("options are --name=value or --name")
  except ValueError as error:
    raise ValueError(
      f"{said} ({error}); it is the name of a runner and its options, as in "
      f"{_EXAMPLE}"
    ) from error
  if importlib.util.find_spec("apache_beam") is None:
    raise ValueError(
      f"{said}, and apache_beam is not installed; type: pip install"
      " 'bam_jax[beam]'"
    )
  with hushed():  # it warns of Google's clients, which nobody has asked for
    from apache_beam.options.pipeline_options import StandardOptions
    from apache_beam.runners.runner import create_runner

  known = StandardOptions.KNOWN_RUNNER_NAMES
  if runner not in known:
    raise ValueError(
      f"{said}; its runner is any of {', '.join(sorted(known))}"
      f"{hint(runner, known)}"
    )
  try:
    create_runner(runner)
  except ImportError as error:
    raise ValueError(f"{said}: {one_line(error)}") from error
  if runner in _LOCAL:
    _check(said, options)
    options = [_SILENT, *options]
  return [f"--runner={_DIRECT.get(runner, runner)}", *options]


def _check(said: str, options: Sequence[str]) -> None:
  """Refuses what Beam would drop with a line in its log.

  Args:
    said: how the message begins.
    options: as typed.
  """
  from apache_beam.options.pipeline_options import PipelineOptions

  with hushed():
    known = PipelineOptions([]).get_all_options()
    try:
      got = PipelineOptions([*options]).get_all_options(
        retain_unknown_options=True
      )
    except SystemExit as error:  # argparse's own, of a value
      raise ValueError(f"{said}; its runner cannot read that") from error
  for name in got.keys() - known.keys():
    raise ValueError(
      f"{said}; its runner has no option --{name}{hint(name, known)}"
    )


@contextlib.contextmanager
def hushed() -> Iterator[None]:
  """Keeps logs off the screen; what matters of Beam's is raised, and said."""
  before = logging.root.manager.disable
  logging.disable(logging.CRITICAL)
  try:
    yield
  finally:
    logging.disable(before)
