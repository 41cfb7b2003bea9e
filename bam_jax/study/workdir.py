"""The working directory: what was asked, what is finished, what came out.

Nothing is written half: files are written beside and renamed. A directory made
with other settings is refused, with the difference shown.
"""

from collections.abc import Mapping, Sequence
import importlib.metadata
import json
import os
from pathlib import Path
import re
import shutil
import subprocess
from typing import Any

from ml_collections import ConfigDict

from bam_jax.runtime.files import flatten, read_json, write_json
from bam_jax.tasks import learn
from bam_jax.training import settings

# Groups whose keys are names that a study gives, to which more may come.
NAMED = ("variants", "sets")
# Keys that may differ between two commands in one directory: they change how
# much is done, or how fast, but no number by more than rounding.
FREE = (
  "checkpoint_every",
  # What is asked of the numbers; see `Workdir.claims`.
  "claims",
  "claims_margin",
  "data.beam",
  "eval_batch_size",
  "log_every",
  "mesh",
  "methods",
  # What is drawn for an example does not ask in which micro-batch it lies.
  "micro_rows",
  *("profile", "remat", "reuse", "share", "stage", "submit"),
  "tasks_file",  # own_tasks has what it says, wherever it is
  "trackers",
  "trials",
  "trials_at_once",
  # Of runs of their own; see `Workdir.check`.
  *NAMED,
  "wnli",
)
# Keys that came after directories had been made, and the value that means off:
# with it a study is the one that it was without the key, so neither a
# difference between directories nor a part of a trial's content hash.
NEUTRAL: dict[str, Any] = {
  "adapter.kind": "none",
  "adapter.rank": 0,
  "adapter.alpha": 0.0,
  "adapter.shared": False,
  "adversary.kind": "none",
  "adversary.weight": 1.0,
  "adversary.steps": -1,
  **dict.fromkeys(("adversary.step_size", "adversary.epsilon"), -1.0),
  "adversary.noise": -1.0,
  "adversary.norm": "paper",
  "adversary.shared_dropout": True,
  "adversary.proximal": 0.0,
  "adversary.momentum": -1.0,
  "calibration.share": 0.0,
  "calibration.threshold": "",
  **{f"contrast.{k}": value for k, value in settings.CONTRAST.items()},
  "data.cs224n_dir": "",
  "data.fold": 0,
  "encoder_frozen": False,
  **dict.fromkeys(("first.epochs", "first.rate", "first.layer_decay"), 0.0),
  "first.batch_size": 0,
  "frozen.epochs": 3.0,
  "frozen.batch_size": 32,
  "frozen.rate": 3e-4,
  "frozen.layer_decay": 1.0,
  "data.text": "",
  "data.limit": "",
  "data.dev_limit": "",
  "init_seed": -1,
  "reinit_layers": 0,
  "optim.kind": "adam",
  "optim.schedule": "linear",
  "optim.average": "none",
  "optim.average_start": 0.5,
  "optim.average_decay": 0.999,
  "masking.share": 0.15,
  "masking.whole_words": True,
  "plateau.factor": 0.5,
  "plateau.patience": 4,
  "plateau.least": 1e-6,
  "sampling.anneal": 0.8,
  "sampling.max_epochs": "",
  "sampling.steps_per_epoch": 0,
  "select.per_task": False,
  "scratch.directions": "together",
  "scratch.filters": 0,
  "scratch.kind": "bert",
  "scratch.lowercase": True,
  "scratch.skip": False,
  "scratch.tokenizer": "",
  "scratch.words_width": 0,
  "variants_share": 1.0,
  "span.stride": 128,
  "span.longest": 30,
  "span.threshold": 0.0,
  "teacher.agreement": 0.0,
  "teacher.confidence": 0.0,
  "teacher.mix": "targets",
  "teacher.temperature": 1.0,
  "teacher.online": "",
  "teacher.hidden_weight": 0.0,
  "teacher.layer_map": "",
  "teacher.relations_weight": 0.0,
  "teacher.relation_heads": 0,
  **{f"learn.{key}": "" for key in learn.KEYS},
  **{f"{kind}.min_steps": 0 for kind in settings.KINDS},
}
# Keys that name directories and files, which have more than one spelling.
PLACES = (
  *("encoder", "scratch.tokenizer", "data.glue_dir", "data.text"),
  "data.cs224n_dir",
  *("init_from", "teacher.files", "teacher.online"),
)
PACKAGES = ("jax", "jaxlib", "flax", "optax", "tokenizers", "numpy")


def commit() -> str:
  """Returns the git commit of this code, "+" if changed, or "unknown"."""
  here = Path(__file__).parent

  def git(*args: str) -> str:
    return subprocess.run(
      ("git", "-C", str(here), *args),
      capture_output=True,
      text=True,
      check=True,
    ).stdout.strip()

  try:
    changed = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
  except (OSError, subprocess.CalledProcessError):
    return "unknown"


def shaping(config: Mapping) -> dict[str, Any]:
  """Returns the keys that shape numbers, flat, as JSON has them."""
  flat = flatten(json.loads(json.dumps(config)))
  # Where all trials teach together, one more makes other students.
  ensemble = flat.get("teacher.trials") == "ensemble"
  free = set(FREE) - ({"trials"} if ensemble else set())
  flat = {k: v for k, v in flat.items() if not {k, k.split(".")[0]} & free}
  return without_neutral(flat)


def places(config: Mapping) -> dict[str, str]:
  """Returns where the paths of a config lead to, whatever their spelling.

  What leads nowhere here, such as a name of the hub, stays as it is.
  """

  def place(text: str) -> str:
    path = Path(os.path.expanduser(text))
    return str(path.resolve()) if text.strip() and path.exists() else text

  flat = flatten(config)
  return {
    # Several may stand in one, as in TASK=FILE,TASK=FILE.
    key: "".join(map(place, re.split(r"([,=])", flat[key])))
    for key in PLACES
    if isinstance(flat.get(key), str)
  }


def without_neutral(flat: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the flat keys of a config but for those that are off.

  Args:
    flat: of a config; a lineage has the settings of its run as "kind.NAME".
  """
  off = NEUTRAL | {
    key.replace("single.", "kind.", 1): value for key, value in NEUTRAL.items()
  }
  return {k: v for k, v in flat.items() if k not in off or v != off[k]}


def unwritable(path: Path, error: OSError) -> ValueError:
  """Returns what to say of a directory that cannot be written."""
  return ValueError(
    f"workdir {path} cannot be written ({error.strerror}); give a directory "
    "of your own, with room: --workdir=DIR"
  )


class Workdir:
  """W, what its config.json says, and the places in it."""

  def __init__(self, path: Path):
    """Names the directory; `open` makes it."""
    self.path = path
    self.data = path / "data"

  def open(self, config: ConfigDict) -> None:
    """Makes the directory for this config; clears what was half deleted.

    Raises:
      ValueError: it was made with other settings, or cannot be written.
    """
    self.check(config)
    asked = config.to_dict()
    # Those of before stay, so that one left out and put in again is the same.
    for kind in NAMED:
      asked[kind] = self.named(kind) | asked[kind]
    claims = self._claimed(asked)
    if claims:
      # Not typed again they stay, so that none is dropped in silence.
      asked["claims"] = claims[-1]["claims"]
      asked["claims_margin"] = claims[-1]["margin"]
    made = {
      "config": asked,
      "places": places(asked),
      "claims": claims,
      "versions": {p: importlib.metadata.version(p) for p in PACKAGES},
      "commit": commit(),
    }
    try:
      write_json(self.file, made)
    except OSError as error:
      raise unwritable(self.path, error) from error
    # A command that was killed while it deleted states or parts, or took trials
    # over, does not come by again.
    for made in self.data.glob("teachers/*/*/seed-*"):
      parts = made.with_name(made.name.replace("seed", "parts"))
      shutil.rmtree(parts, ignore_errors=True)
    for left in ("discarded*", "taking-*"):
      for gone in self.path.glob(f"runs/*/checkpoints/{left}"):
        shutil.rmtree(gone, ignore_errors=True)

  @property
  def file(self) -> Path:
    """W/config.json."""
    return self.path / "config.json"

  def made(self) -> Any:
    """Returns what W/config.json says; {} = there is none.

    Raises:
      ValueError: it is not JSON.
    """
    # Where another program's folder was named, the file is that one's.
    cure = "nobody knows what was made there, so take another --workdir"
    return read_json(self.file, cure=cure)

  def config(self) -> ConfigDict:
    """Returns the config that the directory was made with, all keys present.

    Keys that are younger than the directory are off.

    Raises:
      ValueError: there is none.
    """
    made = self.made().get("config")
    if not isinstance(made, dict):
      raise ValueError(
        f"{self.path} is no working directory of bam_jax: there is no "
        f"{self.file.name} with a config in it"
      )
    found = ConfigDict({kind: {} for kind in NAMED} | made)
    for key, off in NEUTRAL.items():
      group, _, last = key.rpartition(".")
      holder = found
      for part in group.split(".") if group else ():
        if part not in holder:
          holder[part] = ConfigDict()
        holder = holder[part]
      if last not in holder:
        holder[last] = off
    return found

  def named(self, kind: str) -> dict[str, Any]:
    """Returns all that were ever named here of a kind of `NAMED`."""
    found = self.made().get("config", {}).get(kind, {})
    return found if isinstance(found, dict) else {}

  def claims(self) -> list[dict[str, Any]]:
    """Returns what was ever claimed here, the last of which counts.

    Each has the "claims" as they were typed, their "margin", the number of
    "trials" that was asked for, and how many trials were "scored" by then, here
    and in directories to reuse.
    """
    found = self.made().get("claims", [])
    return found if isinstance(found, list) else []

  def _claimed(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the claims with those of a config behind, if they differ."""
    there = self.claims()
    text = " ".join(asked["claims"].split())
    margin = asked["claims_margin"]
    if there and not text:
      text, margin = there[-1]["claims"], there[-1]["margin"]
    now = {"claims": text, "margin": margin, "trials": asked["trials"]}
    if not text or (there and there[-1] == there[-1] | now):
      return there
    others = [part.strip() for part in asked["reuse"].split(",")]
    folders = [self.path, *(Path(other) for other in others if other)]
    scored = sum(
      len(Workdir(folder).scores(file.parent.name))
      for folder in folders
      for file in folder.glob("runs/*/scores.json")
    )
    return [*there, now | {"scored": scored}]

  def check(self, config: ConfigDict) -> None:
    """Looks whether the directory, if it is there, was made for this config.

    Raises:
      ValueError: it was made with other settings.
    """
    if not self.file.exists():
      return
    was = self.made()
    known = isinstance(was, Mapping) and isinstance(was.get("config"), Mapping)
    if not known:
      raise ValueError(
        f"{self.file} is not a config of bam_jax; take another --workdir"
      )
    before = NEUTRAL | shaping(was["config"])
    now = NEUTRAL | shaping(config.to_dict())
    # More of them may come, but those that are there may have runs.
    for kind in NAMED:
      there, asked = self.named(kind), config.to_dict()[kind]
      for name in there.keys() & asked.keys():
        for found, given in ((before, there), (now, asked)):
          found |= flatten({kind: {name: given[name]}})
      if "ensemble" in flatten(there).values():
        # As it is in `shaping` where the config itself has them teach so.
        before["trials"] = was["config"].get("trials")
        now["trials"] = config.trials
    # Of a relative path only the directory where it was typed knew the rest.
    led = dict(was.get("places") or places(was["config"]))
    same = {k for k, v in places(config.to_dict()).items() if v == led.get(k)}
    # A key that this version added or dropped counts too, unless it is off.
    differ = [
      f"{key}: {before.get(key)!r} there, {now.get(key)!r} asked"
      for key in sorted(before.keys() | now.keys())
      if before.get(key) != now.get(key) and key not in same
    ]
    if differ:
      raise ValueError(
        f"{self.path} was made with other settings ({'; '.join(differ)}); "
        "take another --workdir, or the settings there"
      )

  def run(self, name: str) -> Path:
    """Returns W/runs/NAME."""
    return self.path / "runs" / name

  def params(self, run: str, seed: int) -> Path:
    """Returns where a finished trial's parameters are."""
    return self.run(run) / "checkpoints" / f"seed-{seed}"

  def model(self, run: str) -> Path:
    """Returns where the shape, the tokenizer and the labels of a run are."""
    return self.run(run) / "model"

  def training(self, run: str, seeds: Sequence[int]) -> Path:
    """Returns where neighbouring trials in training keep their state."""
    return self.run(run) / "checkpoints" / f"training-{seeds[0]}-{seeds[-1]}"

  def begun(self, run: str) -> list[tuple[int, int]]:
    """Returns the first and the last seed of each group still in training."""
    names = [p.name for p in (self.run(run) / "checkpoints").glob("training-*")]
    found = [re.fullmatch(r"training-(\d+)-(\d+)", name) for name in names]
    return sorted((int(m[1]), int(m[2])) for m in found if m)

  def teacher(self, run: str, task: str, seed: int) -> Path:
    """Returns where a trial's logits of a task's training rows are."""
    return self.data / "teachers" / run / task / f"seed-{seed}"

  def teacher_parts(self, run: str, task: str, seed: int) -> Path:
    """Returns where they are until they are whole, part by part."""
    return self.teacher(run, task, seed).with_name(f"parts-{seed}")

  def scores(self, run: str) -> dict[str, Any]:
    """Returns {seed: {"scores": {task: {metric: x100}}, "seconds": ...}}."""
    path = self.run(run) / "scores.json"
    cure = f"delete {path} and run the same command again: it scores anew"
    return read_json(path, cure=cure)

  def finished(self, run: str, seed: int) -> bool:
    """Tells whether this trial is trained; its parameters appear whole."""
    return self.params(run, seed).is_dir()

  def record(self, run: str, seed: int, value: Any) -> None:
    """Adds one trial's entry to a run's scores.json."""
    entries = self.scores(run) | {str(seed): value}
    ordered = dict(sorted(entries.items(), key=lambda entry: int(entry[0])))
    write_json(self.run(run) / "scores.json", ordered)
