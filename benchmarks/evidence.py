r"""Makes what docs/results.md rests on: every study of it, unattended.

  python -m benchmarks.evidence --encoder=DIR --glue_dir=GLUE \
      --squad_dir=SQUAD --out=OUT --at_once=8 --seconds=3600

Jobs begin when those they need have ended, a few at once; several commands work
in one directory where a study has many runs. The same command goes on where a
stopped one was. OUT/NAME.log is what a job printed, OUT/NAME its working
directory; what is left at the end of --seconds is stopped after it has saved.
"""

import argparse
from collections.abc import Mapping, Sequence
import dataclasses
from pathlib import Path
import re
import signal
import subprocess
import sys
import time
from typing import Any

from bam_jax.runtime.console import say
from bam_jax.runtime.files import write_json

# Seconds in which a job saves, before it is killed.
GRACE = 30.0
STRONG = "--config=configs/strong.py:"
FIVE = "rte,mrpc,sst2,qnli,mnli"
SQUAD = """
[squad]
kind = "span"
format = "squad"
train = "{squad_dir}/slice_train.json.gz"
dev = "{squad_dir}/slice_dev.json.gz"
metric = "f1"
"""
QNLI = """
[ranked]
kind = "ranking"
train = "{glue_dir}/QNLI/train.tsv.gz"
dev = "{glue_dir}/QNLI/dev.tsv.gz"
text = ["question", "sentence"]
label = "label"
relevant = "entailment"
metric = ["accuracy", "mrr"]

[classified]
kind = "classification"
train = "{glue_dir}/QNLI/train.tsv.gz"
dev = "{glue_dir}/QNLI/dev.tsv.gz"
text = ["question", "sentence"]
label = "label"
labels = ["entailment", "not_entailment"]
metric = "accuracy"
"""
FILES = {"squad.toml": SQUAD, "qnli.toml": QNLI}
# What the peer of SQuAD has by itself, for ours.
PLAIN = (
  "--config.single.layer_decay=1.0",
  "--config.optim.bias_correction=True",
  "--config.loss.reduction=mean",
  "--config.head_dropout=0.0",
)
TAUGHT = (
  "--config.claims=single->multi > multi",
  "--config.methods=multi,single->multi",
  "--config.teacher.files="
  + ",".join(f"{t}={{out}}/study/runs/single.{t}" for t in FIVE.split(",")),
)


TABLE2 = (
  f"--config=configs/mtdnn.py:table2,{FIVE}",
  "--config.single.epochs=3",
  "--config.single.min_steps=1000",
  "--config.multi.epochs=3",
  "--config.multi.batch_size=64",
  "--config.data.limit=mnli=20000,qnli=20000,sst2=20000",
)


@dataclasses.dataclass(frozen=True)
class Job:
  """A command that is run.

  Attributes:
    flags: of bam_jax.main, or of `module`; {encoder} and such are filled in.
    workdir: where it works; "" = the job's name.
    trials: seeds.
    after: jobs that have to end before it.
    chosen: of these, those whose best settings it takes.
    copies: commands that share the work.
    must: flags that come after those which all jobs have.
    module: what is run.
  """

  flags: Sequence[str]
  workdir: str = ""
  trials: int = 0
  after: Sequence[str] = ()
  chosen: Sequence[str] = ()
  copies: int = 1
  must: Sequence[str] = ()
  module: str = "bam_jax.main"


def jobs(trials: int, few: int) -> dict[str, Job]:
  """Returns all jobs by name, those that others wait for first.

  Args:
    trials: seeds of the study.
    few: seeds of all else.
  """
  tuned = ("tune_single", "tune_multi")
  study = f"{STRONG}study"
  return {
    "tune_multi": Job((f"{STRONG}rates_multi",), trials=few, copies=2),
    "tune_single": Job((f"{STRONG}rates_single",), trials=few, copies=3),
    "squad": Job(
      (
        "--config=configs/minilm.py",
        "--config.tasks_file={out}/squad.toml",
        "--config.methods=single",
        "--config.max_length=256",
        "--config.span.stride=64",
        "--config.single.rate=2e-4",
        *PLAIN,
      ),
      trials=few,
    ),
    "squad_peer": Job(
      (
        "--encoder={encoder}",
        "--train={squad_dir}/slice_train.json.gz",
        "--dev={squad_dir}/slice_dev.json.gz",
        "--rate=2e-4",
      ),
      module="benchmarks.span_peer",
    ),
    "qnli": Job(
      (
        "--config=configs/minilm.py",
        "--config.tasks_file={out}/qnli.toml",
        "--config.methods=single",
        "--config.single.rate=1e-4",
        "--config.loss.reduction=mean",
      ),
      trials=few,
    ),
    # Both work in one directory: what needs the single-task models alone does
    # not wait for the rest.
    "singles": Job(
      # The study's claims are about methods that come later.
      (study, "--config.methods=single", "--config.claims="),
      workdir="study",
      trials=trials,
      after=tuned,
      chosen=tuned,
      copies=2,
    ),
    "study": Job((study,), trials=trials, after=tuned, chosen=tuned, copies=3),
    # What is taken over is one command's work; the rest is shared. SMART
    # compares passes that differ by less than bfloat16 tells apart.
    "table2_singles": Job(
      (*TABLE2, "--config.methods=single", "--config.reuse={out}/study"),
      workdir="table2",
      trials=few,
      must=("--config.dtype=float32",),
      after=("singles",),
      chosen=tuned,
    ),
    "table2": Job(
      TABLE2,
      trials=few,
      must=("--config.dtype=float32",),
      after=("table2_singles",),
      chosen=tuned,
      copies=3,
    ),
    "short": Job(
      (f"{study},{FIVE}", *TAUGHT, "--config.encoder_layers=3"),
      trials=few,
      after=("study",),
      chosen=tuned,
    ),
    "bilstm": Job(
      (
        f"{study},{FIVE}",
        *TAUGHT,
        "--config.encoder=scratch",
        "--config.scratch.tokenizer={encoder}",
        "--config.scratch.kind=bilstm",
        "--config.scratch.width=256",
        "--config.scratch.layers=1",
        "--config.multi.rate=1e-3",
        "--config.multi.batch_size=128",
      ),
      trials=few,
      after=("study",),
    ),
    "ensemble": Job(
      (
        study,
        "--config.methods=multi,single->multi",
        "--config.claims=single->multi > multi",
        "--config.teacher.trials=ensemble",
        "--config.reuse={out}/study",
      ),
      trials=trials,
      after=("study",),
      chosen=tuned,
    ),
  }


def best(out: Path, name: str) -> list[str]:
  """Returns the flags that a search found best, as its logs say them.

  Raises:
    ValueError: it has found none.
  """
  text = "".join(log.read_text() for log in sorted(out.glob(f"{name}*.log")))
  found = re.findall(r"^best settings of \w+: (.+)$", text, re.MULTILINE)
  if not found:
    raise ValueError(f"{name} has not said its best settings; see {name}.log")
  return found[-1].split()


def line(
  name: str, job: Job, places: Mapping[str, str], extra: Sequence[str]
) -> list[str]:
  """Returns the command line of a job.

  Args:
    name: of the job.
    job: the job.
    places: what is filled in.
    extra: flags for each of ours, {trials} filled in.

  Raises:
    ValueError: it takes settings that were not found.
  """
  flags = [flag.format(**places) for flag in job.flags]
  if job.module == "bam_jax.main":
    out = Path(places["out"])
    flags = [
      *flags[:1],
      f"--workdir={out / (job.workdir or name)}",
      f"--config.encoder={places['encoder']}",
      f"--config.data.glue_dir={places['glue_dir']}",
      f"--config.trials={job.trials}",
      *(["--config.share=True"] if job.copies > 1 else []),
      *[flag for each in job.chosen for flag in best(out, each)],
      # What a job says comes after what all have.
      *flags[1:],
      *(flag.format(trials=job.trials) for flag in extra),
      *job.must,
    ]
  return [sys.executable, "-m", job.module, *flags]


@dataclasses.dataclass
class Running:
  """A job at work: its processes and when they began."""

  processes: Sequence[subprocess.Popen]
  begun: float

  def codes(self) -> list[int | None]:
    """Returns the exit codes, None of what still runs."""
    return [process.poll() for process in self.processes]


def start(name: str, command: Sequence[str], job: Job, out: Path) -> Running:
  """Starts the processes of a job; each has a log, the first one's is read."""
  logs = [out / f"{name}.log"]
  logs += [out / f"{name}.{k}.log" for k in range(1, job.copies)]
  processes = []
  for log in logs:
    with log.open("a") as file:
      processes.append(
        subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
      )
  return Running(processes, time.monotonic())


def work(table: Mapping[str, Job], args: argparse.Namespace) -> dict[str, Any]:
  """Runs jobs to their end or to the end of the time; returns how they went."""
  done_file = args.out / "evidence.json"
  places = {key: str(getattr(args, key)) for key in PLACES}
  deadline = time.monotonic() + args.seconds
  told: dict[str, Any] = {}
  running: dict[str, Running] = {}
  waiting = dict(table)
  while (waiting or running) and time.monotonic() < deadline:
    for name, found in list(running.items()):
      codes = found.codes()
      if None in codes:
        continue
      told[name] = {"codes": codes, "seconds": time.monotonic() - found.begun}
      say(f"{name}: codes {codes}, {told[name]['seconds']:.0f} s")
      write_json(done_file, told)
      del running[name]
    for name, job in list(waiting.items()):
      busy = sum(len(found.processes) for found in running.values())
      ready = all(each in told for each in job.after if each in table)
      if ready and busy < args.at_once:
        del waiting[name]
        try:
          command = line(name, job, places, args.extra)
        except ValueError as error:
          say(f"{name}: {error}")
          told[name] = {"codes": [], "stopped": True}
          continue
        running[name] = start(name, command, job, args.out)
        say(f"{name}: begins")
    time.sleep(0.5)
  for found in running.values():
    for process in found.processes:
      process.send_signal(signal.SIGTERM)
  for name, found in running.items():
    for process in found.processes:
      try:
        process.wait(GRACE)
      except subprocess.TimeoutExpired:
        process.kill()
    told[name] = {"codes": found.codes(), "stopped": True}
    say(f"{name}: stopped")
  told |= {name: {"codes": [], "stopped": True} for name in waiting}
  write_json(done_file, told)
  return told


PLACES = ("encoder", "glue_dir", "squad_dir", "out")


def main(argv: Sequence[str] | None = None) -> int:
  """Runs what is asked for; returns the exit code."""
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.evidence",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add("names", nargs="*", help=f"default: all of {', '.join(jobs(1, 1))}")
  for place in PLACES:
    add(f"--{place}", type=Path, required=True)
  add("--trials", type=int, default=10, help="of the study")
  add("--few", type=int, default=3, help="trials of all else")
  add("--at_once", type=int, default=1, help="processes")
  add("--seconds", type=float, default=86_400.0, help="at most")
  add(
    "--extra",
    action="append",
    default=[],
    help="a flag for each of our jobs, as --config.trials_at_once={trials}",
  )
  args = parser.parse_args(argv)
  table = jobs(args.trials, args.few)
  unknown = [name for name in args.names if name not in table]
  if unknown:
    parser.error(f"{', '.join(unknown)}: jobs are {', '.join(table)}")
  if args.names:
    table = {name: table[name] for name in args.names}
  args.out.mkdir(parents=True, exist_ok=True)
  for name, text in FILES.items():
    filled = text.format(glue_dir=args.glue_dir, squad_dir=args.squad_dir)
    (args.out / name).write_text(filled)
  told = work(table, args)
  return int(
    any(any(each["codes"]) or "stopped" in each for each in told.values())
  )


if __name__ == "__main__":
  sys.exit(main())
