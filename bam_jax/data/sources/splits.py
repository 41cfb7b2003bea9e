"""Which files a split of an own task is: names, patterns, shards of the hub."""

from collections.abc import Iterable, Mapping, Sequence
import fnmatch
import glob
import os.path
from pathlib import Path
import re

from absl import logging

from bam_jax.data.sources import readme, rows
from bam_jax.runtime import hub, notices
from bam_jax.runtime.spelling import shown
from bam_jax.tasks.table import Task

# Older data sets have a hash behind the numbers.
_SHARD = re.compile(r"(.*)-([0-9]+)-of-([0-9]+)((?:-[0-9a-f]+)?\.[\w.]+)")


def files(task: Task, split: str) -> list[Path]:
  """Returns the files of a split in order, downloaded if they are a hub's.

  Args:
    task: with `own`.
    split: one of its splits.

  Raises:
    FileNotFoundError: a pattern matches nothing.
    ValueError: a directory, or a split that the data set has not whole.
    ConnectionError: the hub cannot be reached or has no such file.
  """
  own, key = task.own, key_of(task, split)
  if not own.hub:
    found = [
      path
      for name in own.files[split]
      for path in _here(Path(own.folder) / os.path.expanduser(name), task, key)
    ]
    _warn(map(str, found), task, key)
    return list(dict.fromkeys(found))
  names = [
    each for name in own.files[split] for each in _there(name, task, key)
  ]
  _warn(names, task, key)
  return [
    hub.download(
      own.hub,
      name,
      own.revision,
      cure=f"it is {key} of {task.name} in {own.file}",
    )
    for name in dict.fromkeys(names)
  ]


def key_of(task: Task, split: str) -> str:
  """Returns which key of the tasks file names a split's files."""
  if split == task.train or (task.own.dev_share and split == task.dev[0]):
    return "train"
  return "dev" if split == task.dev[0] else split


def _here(path: Path, task: Task, key: str) -> list[Path]:
  """The files on this machine that a name or a pattern stands for."""
  where = f"{key} of {task.name} in {task.own.file}"
  if path.is_dir():
    raise ValueError(
      f"{path} is a directory; name its files, such as {path.name}/*.csv, as"
      f" {where}"
    )
  if path.exists() or not glob.has_magic(str(path)):
    return [path]
  found = sorted(glob.glob(str(path), recursive=True))
  if not any(map(os.path.isfile, found)):
    raise FileNotFoundError(f"no file matches {path}, which is {where}")
  return [Path(each) for each in found if os.path.isfile(each)]


def _there(name: str, task: Task, key: str) -> Sequence[str]:
  """The files of the data set that a name, a pattern or a split stands for."""
  own = task.own
  pattern = glob.has_magic(name)
  if Path(name).suffix and not pattern:
    return [name]
  try:
    listed = hub.listed(own.hub, own.revision)
  except ConnectionError as error:
    if pattern:
      raise
    # A mirror may serve files only; a split of one file needs no list.
    logging.warning("%s; %s is taken for one file", error, name)
    return [f"{own.config}/{name}-00000-of-00001.parquet"]
  if pattern:
    found, configs = _matching(name, listed), {}
  else:
    configs = _configs(task, listed)
    found = _named(name, task, configs, listed)
  if not found:
    what = "file like" if pattern else f"split in {own.config!r} called"
    says = {each.name: [*each.files] for each in configs.values()}
    by = f", and by its {readme.NAME} the configs {shown(says)}" if says else ""
    raise ValueError(
      f"{own.file}: {own.hub} has no {what} {name!r}, which is {key} of"
      f" {task.name}; it has {shown(list(listed))}{by}"
    )
  if not pattern and (lacking := _lacking(found)):
    raise ValueError(
      f"{own.file}: {own.hub} lacks files of {key} of {task.name}:"
      f" {', '.join(lacking)}"
    )
  return found


def _configs(task: Task, listed: Sequence[str]) -> dict[str, readme.Config]:
  """What the README of the data set says of its configs."""
  own = task.own
  if readme.NAME not in listed:
    return {}
  path = hub.download(own.hub, readme.NAME, own.revision, cure="")
  try:
    return readme.configs(path)
  except ValueError as error:
    notices.once(f"the {readme.NAME} of {own.hub} is not followed: {error}")
    return {}


def _named(
  split: str,
  task: Task,
  configs: Mapping[str, readme.Config],
  listed: Sequence[str],
) -> list[str]:
  """The files of a split by the README, or by where they lie."""
  config, lying = task.own.config, _split(split, task.own.config, listed)
  if (mine := configs.get(config)) and (mine.files or mine.wrong):
    return _by_readme(split, task, mine, listed)
  if mine and mine.folder:
    return _split(split, mine.folder, listed)
  others = {
    each.name: _once(_parts(each, split, listed).values())
    for each in configs.values()
  }
  name = next((name for name, found in others.items() if found), "")
  if lying and name and lying not in others.values():
    notices.once(
      f"{split} in the folder {config!r} of {task.own.hub} is {shown(lying)};"
      f" its {readme.NAME} says {shown(others[name])} of {split} in the config"
      f" {name!r}: config = {name!r} reads that"
    )
  return lying


def _by_readme(
  split: str, task: Task, config: readme.Config, listed: Sequence[str]
) -> list[str]:
  """The files of a split as the hub's own loader takes them."""
  says = f"the {readme.NAME} of {task.own.hub} says of {config.name!r}"
  parts = _parts(config, split, listed)
  none = next((name for name, found in parts.items() if not found), "")
  if wrong := config.wrong or (none and f"{split} is {none}, which is no file"):
    raise ValueError(
      f"{task.own.file}: {says}: {wrong}; give files in place of the split"
      f" {split!r}, such as {next(filter(_able, listed), 'FILE')!r}"
    )
  if config.other:
    notices.once(
      f"{says} {shown(dict(config.other))}, which is not followed: a file is"
      " read as its suffix says, see docs/own-task.md"
    )
  return _once(parts.values())


def _parts(
  config: readme.Config, split: str, listed: Sequence[str]
) -> dict[str, list[str]]:
  """What each name or pattern that a README has of a split stands for."""
  before = f"{config.folder}/" if config.folder else ""
  names = [before + name for name in config.files.get(split, ())]
  return {
    name: [name] if name in listed else _matching(name, listed)
    for name in names
  }


def _once(parts: Iterable[Sequence[str]]) -> list[str]:
  return list(dict.fromkeys(name for part in parts for name in part))


def _able(name: str) -> bool:
  return bool(rows.format_of(Path(name)))


def _matching(pattern: str, listed: Iterable[str]) -> list[str]:
  return [
    name
    for name in listed
    if fnmatch.fnmatchcase(name, pattern)
    # As in a folder, a star stands for no slash.
    and (name.count("/") == pattern.count("/") or "**" in pattern)
  ]


def _split(split: str, config: str, listed: Sequence[str]) -> list[str]:
  """The files of a split, in the first of the hub's layouts that has any."""
  folder, split = re.escape(config), re.escape(split)
  able = [*filter(_able, listed)]
  for layout in (
    rf"{folder}/{split}-[0-9]+-of-[0-9]+(-[0-9a-f]+)?\.[\w.]+",
    rf"{folder}/{split}\.[\w.]+",
    rf"{folder}/{split}/[^/]+",
  ):
    if found := [name for name in able if re.fullmatch(layout, name)]:
      return found
  return []


def _lacking(names: Iterable[str]) -> list[str]:
  """The shards that the names of the others tell of."""
  groups: dict[tuple[str, str, str], set[int]] = {}
  for name in names:
    if shard := _SHARD.fullmatch(name):
      before, number, count, after = shard.groups()
      group = before, count, after[after.index(".") :]
      groups.setdefault(group, set()).add(int(number))
  return [
    f"{before}-{number:0{len(count)}}-of-{count}{suffix}"
    for (before, count, suffix), there in groups.items()
    # More than a directory has are not counted one by one.
    for number in range(min(int(count), 100_000))
    if number not in there
  ]


def _warn(names: Iterable[str], task: Task, key: str) -> None:
  """Says where a split is not all of the files that its names tell of."""
  names = list(names)
  if lacking := _lacking(names):
    logging.warning(
      "%s of %s in %s is %s, without %s%s; %s = %r reads all of them",
      key,
      task.name,
      task.own.file,
      shown(names),
      lacking[0],
      f" and {len(lacking) - 1} more" if len(lacking) > 1 else "",
      key,
      _SHARD.fullmatch(lacking[0]).expand(r"\1-*-of-\3*\4"),
    )
