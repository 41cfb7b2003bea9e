r"""Runs an experiment: python -m bam_jax.main --config=FILE --workdir=W.

Trains single-task teachers, caches their logits, trains multi-task students
with teacher annealing, evaluates them and prints the comparison.

  python -m bam_jax.main --config=configs/quickstart.py --workdir=W
  python -m bam_jax.main --config=configs/glue_bam.py:rte,mrpc --workdir=W \
      --config.data.glue_dir=GLUE --config.encoder=DIR_OR_HUB_NAME \
      --config.methods='single,multi,single->multi' --config.trials=5

Any key of configs/common.py can be set by --config.KEY=VALUE. Running the same
command again goes on where the last one stopped.

Add --dry_run to see first what would be done: the runs in order, what of them
is finished here or would be taken from the studies of --config.reuse, their
FLOPs and an estimate of the time. Nothing is trained and nothing is written.

Several processes, each with its own devices, run one job when all are started
with the same command and all see the same workdir: under SLURM, on a TPU pod or
in a Kubernetes JobSet they find each other, elsewhere by
  --coordinator=HOST:PORT --processes=N --process=0 (to N - 1)

Exit codes: 0 done, 2 something in the command or its input is wrong (one
sentence says what), 3 stopped by a signal (what is done is saved), 4 another
process of the job is gone, 1 anything else. After 3 and 4 the same command goes
on.
"""

import ast
from collections.abc import Sequence
import difflib
import os
from pathlib import Path
import runpy
import sys
from typing import Any

from absl import app, flags
from ml_collections import config_flags

from bam_jax.runtime import allocator
from bam_jax.runtime.command import WRONG, fail, hush
from bam_jax.runtime.errors import sentence
from bam_jax.runtime.preemption import STOPPED, Preemption

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "The experiment: a file of configs/, with :task,task,..."
)
_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Where everything is written; made if it is not there."
)
_DRY_RUN = flags.DEFINE_bool(
  "dry_run", False, "Only tell what would be run, and what it would cost."
)
_COORDINATOR = flags.DEFINE_string(
  "coordinator", None, "Of several processes: HOST:PORT of process 0."
)
_PROCESSES = flags.DEFINE_integer("processes", None, "How many there are.")
_PROCESS = flags.DEFINE_integer("process", None, "The number of this one.")

# Of the checkout, or the copy that a wheel carries.
CONFIGS = Path(__file__).parents[1] / "configs"
if not (CONFIGS / "common.py").is_file():
  CONFIGS = Path(__file__).parent / "shipped" / "configs"
EXAMPLES = {
  "config": "--config=configs/quickstart.py",
  "workdir": "--workdir=W, any directory",
}
KINDS = {
  int: "whole number",
  float: "number",
  bool: "True or False",
  str: "text",
}


# An exit code besides WRONG; 1 is what the interpreter gives for all else.
PEER_LOST = 4


class UsageError(ValueError):
  """What was typed cannot be done."""


def parse_flags(argv: Sequence[str]) -> list[str]:
  """Parses the command line; a wrong one is one sentence and exit code 2."""
  if any(arg in ("--help", "-h", "-help", "--helpfull") for arg in argv[1:]):
    parts = __doc__.strip(), config_files(), config_keys()
    print("\n\n".join(filter(None, parts)))
    sys.exit(0)
  argv = automatic(located(argv))
  try:
    rest = flags.FLAGS(argv)
    if len(rest) > 1:
      raise UsageError(f"{rest[1]!r} is not a flag; see --help")
    for flag, example in EXAMPLES.items():
      if not flags.FLAGS[flag].value:
        raise UsageError(f"--{flag} is missing: {example}; see --help")
    # A file that could not be loaded complains only when it is looked at.
    _CONFIG.value.to_dict()
    return rest
  except UsageError as error:
    fail(str(error))
  except Exception as error:
    fail(explain(error, argv))


def located(argv: Sequence[str]) -> list[str]:
  """Returns the arguments with configs/FILE found wherever one is run from.

  The file of that name in the current directory comes first.
  """
  # Config files import configs.common; a directory of one's own comes first.
  sys.path.append(str(CONFIGS.parent))
  found = list(argv)
  for i, arg in enumerate(argv):
    start, file = "", arg
    if arg.startswith(("--config=", "-config=")):
      start, _, file = arg.partition("=")
      start += "="
    elif i == 0 or argv[i - 1] not in ("--config", "-config"):
      continue
    name, colon, rest = file.partition(":")
    if not Path(name).is_file() and (CONFIGS.parent / name).is_file():
      found[i] = f"{start}{CONFIGS.parent / name}{colon}{rest}"
  return found


def explain(error: Exception, argv: Sequence[str]) -> str:
  """Returns one sentence on a command line that could not be parsed."""
  if isinstance(error, flags.UnrecognizedFlagError):
    return (
      f"no flag --{error.flagname}; there are --config, --workdir, "
      "--dry_run, --coordinator, --processes and --process"
    )
  given = flags_of(argv[1:])
  file, _, arg = given.get("config", "").partition(":")
  if not Path(file).is_file():
    there = [path.stem for path in CONFIGS.glob("[!_]*.py")]
    # Their names alone: all end alike.
    close = difflib.get_close_matches(Path(file).stem, there, n=1)
    meant = f"did you mean configs/{close[0]}.py?" if close else ""
    return f"no config file {file!r}; {meant or '--help lists them all'}"
  try:
    # Once more without the overrides, to know what there is to override.
    config = runpy.run_path(file)["get_config"](arg).to_dict()
  except Exception as cause:
    return f"{file}: {last_line(cause)}"
  known = keys(config)
  for name, value in given.items():
    key = name.removeprefix("config.")
    if not name.startswith("config."):
      continue
    if isinstance(known.get(key), dict):
      members = ", ".join(f"{key}.{each}" for each in known[key] or ["NAME"])
      return f"config key {key} is a group; set one of it: {members}"
    if key not in known:
      return f"no config key {key!r}{nearest(key, known, '--config.')}"
    if f"config.{key}" in str(error):
      return (
        f"config key {key} is {value!r}, which is no "
        f"{KINDS.get(type(known[key]), 'value')} as in "
        f"--config.{key}={known[key]}"
      )
  return last_line(error)


def automatic(argv: Sequence[str]) -> list[str]:
  """Returns the arguments with the word for --config.trials_at_once=0 read.

  The key is a number, and a config takes no word for one.
  """
  key, found = "config.trials_at_once", list(argv)
  for i, arg in enumerate(found):
    name, _, value = arg.partition("=")
    if name.lstrip("-") == key and value == "auto":
      found[i] = f"{name}=0"
    elif arg == "auto" and found[i - 1].lstrip("-") == key:
      found[i] = "0"
  return found


def flags_of(args: Sequence[str]) -> dict[str, str]:
  """Returns flag -> value of --flag=value and --flag value."""
  found, name = {}, ""
  for arg in args:
    if arg.startswith("-"):
      name, equals, value = arg.lstrip("-").partition("=")
      found[name] = value
      name = "" if equals else name
    elif name:
      found[name], name = arg, ""
  return found


def last_line(error: Exception) -> str:
  """Returns the part of a library's message that says what is wrong."""
  lines = [line.strip() for line in str(error).splitlines() if line.strip()]
  return lines[-1].removeprefix("ValueError: ") if lines else repr(error)


def keys(tree: dict, prefix: str = "") -> dict[str, Any]:
  """Returns {"optim.clip": 1.0, ...}, groups too."""
  found = {}
  for key, value in tree.items():
    found[prefix + key] = value
    if isinstance(value, dict):
      found |= keys(value, f"{prefix}{key}.")
  return found


def nearest(got: str, known: Sequence[str], prefix: str) -> str:
  """Returns "; did you mean ...?" or a pointer to the list."""
  # The last part counts most: optim.warmpu, but also warmup for optim.warmup.
  tails = {key.rpartition(".")[2]: key for key in known}
  close = difflib.get_close_matches(got, known, n=1, cutoff=0.75)
  close = close or [
    tails[t]
    for t in difflib.get_close_matches(got.rpartition(".")[2], tails, n=1)
  ]
  if close:
    return f"; did you mean {prefix}{close[0]}?"
  return "; --help lists them all"


def config_files() -> str:
  """Returns the config files with the first lines of their docstrings."""
  lines = []
  for path in sorted(CONFIGS.glob("[!_]*.py")):
    if path.name != "common.py":
      text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
      first = text.partition("\n")[0]
      lines.append(f"  configs/{path.name}\n      {first}")
  return "\n".join(["Experiments:", *lines]) if lines else ""


def config_keys() -> str:
  """Returns every key with its comment, from where configs/ has them."""
  if not (CONFIGS / "common.py").exists():
    return ""
  shown = []
  # Groups of keys may have files of their own, see configs/_groups.py.
  for file in [CONFIGS / "common.py", *sorted(CONFIGS.glob("_*.py"))]:
    _, group, rest = file.read_text("utf-8").partition("  # --- ")
    body = (group + rest).partition("\n  for group in")[0]
    lines = ["", *map(str.strip, body.rstrip().split("\n"))] if group else []
    lines = [line for line in lines if "= ConfigDict()" not in line]
    shown += [
      f"  {line}".rstrip().replace("  c.", "  --config.", 1) for line in lines
    ]
  title = "Keys and their defaults (configs/common.py):"
  return "\n".join([title, *shown]).rstrip()


def main(argv: Sequence[str]) -> None:
  """Runs the stages that the config asks for, and says how it ended."""
  del argv
  # Before Preemption has a thread, which would bring an arena of its own.
  allocator.keep()
  stop = Preemption()
  # Slow imports only now, so that --help and a misspelt key answer at once.
  from bam_jax.runtime import console, distributed
  from bam_jax.training import loop

  try:
    run(stop)
    code = 0
  except loop.Stopped as stopped:
    console.say(f"{stopped}; the same command goes on from there")
    code = STOPPED
  except Exception as error:
    if "BAM_JAX_TRACEBACK" in os.environ:
      raise
    if distributed.lost(error):
      code = PEER_LOST
      said = f"another process of this job is gone ({last_line(error)}); start "
      said += "all of them again with the same command"
    elif isinstance(error, (ValueError, OSError, loop.NotFinite)):
      code, said = WRONG, sentence(error)
    else:
      raise
    print(f"error: {said}", file=sys.stderr)
  stop.over()
  distributed.leave(code)


def typed_tasks() -> bool:
  """Tells whether the command line names tasks: by a flag or after a colon."""
  holder = flags.FLAGS["config"]
  _, _, arg = config_flags.get_config_filename(holder).partition(":")
  # A part of a config stands there too, as in configs/paper.py:tune.
  named = set(arg.split(",")) & set(_CONFIG.value.tasks.split(","))
  return bool(named) or "tasks" in config_flags.get_override_values(holder)


def run(stop: Preemption) -> None:
  """Starts jax, alone or with its peers, and runs the stages."""
  from bam_jax.runtime import distributed

  distributed.start(_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
  import jax

  from bam_jax.runtime import console
  from bam_jax.stages import forecast
  from bam_jax.stages.recipe import execute
  from bam_jax.study.workdir import Workdir
  from bam_jax.tasks import own as own_tasks

  hush()
  config = _CONFIG.value
  typed = config_flags.get_override_values(flags.FLAGS["config"])
  # A config that names its tasks file itself says what is done with it.
  if "tasks_file" in typed and config.tasks_file and not typed_tasks():
    config.tasks = ",".join(own_tasks.read(Path(config.tasks_file)))
  # A run, its repetition and its next trials compile the same programs.
  if not (_DRY_RUN.value or jax.config.jax_compilation_cache_dir):
    cache = Path(_WORKDIR.value).absolute() / "cache"
    jax.config.update("jax_compilation_cache_dir", str(cache))
    # What compiles in less than a second, too.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
  devices, processes = jax.devices(), ""
  if not distributed.alone():
    stop.share(distributed.reached_stop)
    console.CONSOLE.quiet = not distributed.leader()
    processes = f" of {jax.process_count()} processes"
  console.say(
    f"{len(devices)} x {devices[0].device_kind}{processes}, jax "
    f"{jax.__version__}, {_WORKDIR.value}"
  )
  workdir = Workdir(Path(_WORKDIR.value))
  if _DRY_RUN.value:
    forecast.show(config, workdir)
  else:
    execute(config, workdir, stop)


if __name__ == "__main__":
  app.run(main, flags_parser=parse_flags)
