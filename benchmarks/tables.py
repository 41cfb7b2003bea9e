"""The tables of a measurement of faults, in Markdown."""

import collections
from collections.abc import Mapping, Sequence
import importlib.metadata
import json
import os
from pathlib import Path
import platform
from typing import Any

PACKAGES = ("jax", "orbax-checkpoint", "tensorflow-datasets", "numpy")


def read(file: Path) -> list[dict[str, Any]]:
  """Returns the cases of faults.jsonl."""
  if not file.exists():
    return []
  return [json.loads(line) for line in file.read_text().splitlines()]


def processor() -> str:
  """Returns the name of the processor and how many there are."""
  info = Path("/proc/cpuinfo")
  lines = info.read_text().splitlines() if info.exists() else []
  names = [x.partition(": ")[2] for x in lines if x.startswith("model name")]
  return f"{os.cpu_count()} x {names[0] if names else platform.processor()}"


def counted(values) -> str:
  """Returns "3 × a, 1 × b", the most frequent first."""
  counts = collections.Counter(values).most_common()
  return ", ".join(f"{count} × {value}" for value, count in counts)


def kills(lines: Sequence[Mapping]) -> str:
  """Says where the kills fell."""
  marks = [mark for line in lines for mark in line["kills"]]
  parts = [mark["part"] for mark in marks if "part" in mark]
  half = [mark for mark in marks if mark["half"]]
  return (
    f"{len(marks)} kills: {len(marks) - len(parts)} at a random time, "
    f"{len(parts)} while writing ({counted(parts)}); {len(half)} left "
    f"something half written; {sum(x['states'] for x in lines)} states left "
    "behind, all compared"
  )


def terms(lines: Sequence[Mapping]) -> str:
  """Says how long the processes took."""
  words = {
    0: "done (0)",
    3: "saved (3)",
    -15: "ended by the signal itself (-15)",
  }
  ends = counted(words.get(x["code"], f"code {x['code']}") for x in lines)
  cold = [x["seconds"] for x in lines if x["cold"]]
  return (
    f"{ends}; longest {max(x['seconds'] for x in lines):.1f} s, while "
    f"compiling {max(cold, default=0):.1f} s"
  )


def processes(lines: Sequence[Mapping]) -> str:
  """Says how the others ended."""
  others = [other for line in lines for other in line["others"]]
  return (
    f"{counted(str(x['processes']) + ' processes' for x in lines)}; "
    f"{sum(not x['victim'] for x in lines)} times the first was killed; the "
    f"others ended: {counted('code ' + str(x['code']) for x in others)}, the "
    f"last after {max((x['seconds'] for x in others), default=0):.1f} s; "
    f"{sum(x['again'] != x['processes'] for x in lines)} went on with another "
    "number, largest difference of a loss "
    f"{max((x['gap'] for x in lines), default=0):.1e}"
  )


def damage(lines: Sequence[Mapping]) -> str:
  """Says what became of the damage."""
  command = [x for x in lines if x["by"] == "command"]
  return (
    f"{counted(x['outcome'] for x in lines)}; {len(command)} of them by the "
    "whole command"
  )


SEEN = {
  "kills": kills,
  "terms": terms,
  "processes": processes,
  "flips": damage,
}


def show(
  lines: Sequence[Mapping], *, command: str, limits: Mapping[str, str]
) -> tuple[str, bool]:
  """Returns the tables, and whether every case holds.

  Args:
    lines: the cases.
    command: that made them.
    limits: what a case of a row has to keep, in words.
  """
  versions = [f"{p} {importlib.metadata.version(p)}" for p in PACKAGES]
  text = [
    f"{processor()}, {platform.system()} {platform.release()}, Python "
    f"{platform.python_version()}, {', '.join(versions)}; commit "
    f"{', '.join(sorted({x['commit'] for x in lines}))}; seed "
    f"{', '.join(sorted({str(x['seed']) for x in lines}))}.",
    "",
    f"    {command}",
    "",
    "| what | has to hold | cases | hold | seen |",
    "|---|---|--:|--:|---|",
  ]
  for row, seen in SEEN.items():
    mine = [x for x in lines if x["row"] == row]
    if mine:
      hold = sum(not x["wrong"] for x in mine)
      text.append(
        f"| {row} | {limits[row]} | {len(mine)} | {hold} | {seen(mine)} |"
      )
  flips = [x for x in lines if x["row"] == "flips"]
  if flips:
    outcomes = sorted({x["outcome"] for x in flips})
    text += ["", f"| damaged file of | cases | {' | '.join(outcomes)} |"]
    text.append("|---|--:|" + "--:|" * len(outcomes))
    for part in sorted({x["part"] for x in flips}):
      mine = [x["outcome"] for x in flips if x["part"] == part]
      numbers = [str(mine.count(outcome)) for outcome in outcomes]
      text.append(f"| {part} | {len(mine)} | {' | '.join(numbers)} |")
  return "\n".join(text) + "\n", not any(x["wrong"] for x in lines)
