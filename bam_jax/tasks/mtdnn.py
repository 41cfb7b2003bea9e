"""Task definitions of the MT-DNN toolkit, read as they are.

Its YAML says what a task is; its canonical `.tsv` files, TASK_SPLIT.tsv without
a header, lie beside it. What it says is put into the words of a tasks file of
ours, and what has no words here is said or refused.
"""

from collections.abc import Callable, Mapping
import dataclasses
from pathlib import Path
import re
from typing import Any

from bam_jax.runtime import notices
from bam_jax.runtime.spelling import hint, shown
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import TASKS

# What every entry of a definition has, and no task of ours.
MARK = {"data_format", "task_type"}
KEYS = (
  "data_format",
  "task_type",
  "n_class",
  "labels",
  "split_names",
  "metric_meta",
  "loss",
  "kd_loss",
  "adv_loss",
  "dropout_p",
  "enable_san",
  # What its own code reads nowhere, or what only its own encoders need.
  "encoder_type",
  "actf",
)
_UNUSED = ("encoder_type", "actf")
_KINDS = {
  "Classification": "classification",
  "Regression": "regression",
  "SeqenceLabeling": "tagging",
  "SequenceLabeling": "tagging",
  "Ranking": "ranking",
  "Span": "span",
  "SpanClassification": "span",
  "SpanClassificationYN": "span",
}
_METRICS = {
  "ACC": "accuracy",
  "F1": "f1",
  "MCC": "matthews",
  "Pearson": "pearson",
  "Spearman": "spearman",
  "SeqEval": "f1",
  "SeqEvalList": "f1",
  "EmF1": "f1",
}
# Its criteria, and what they are called here; "" = the kind's own.
_LOSSES = {
  "CeCriterion": "ce",
  "MseCriterion": "mse",
  "SpanCeCriterion": "",
  "SpanYNCeCriterion": "",
  "SeqCeCriterion": "",
  "RankCeCriterion": "",
  "KlCriterion": "kl",
  "SymKlCriterion": "symkl",
  "NsKlCriterion": "nskl",
  "NsSymKlCriterion": "nssymkl",
  "JSCriterion": "js",
  "HLCriterion": "hellinger",
}
# Their losses, against a teacher and between passes too, are their own.
_CHOOSING = ("ranking", "span")
# The definition has no word for what the numbers of a regression may be.
_RANGES = {"stsb": (0.0, 5.0)}


@dataclasses.dataclass(frozen=True)
class _Form:
  """One of its formats of data.

  Attributes:
    suffix: of its files.
    said: what a task of ours says of such files.
  """

  suffix: str
  said: Mapping[str, Any]


_FORMS = {
  "PremiseOnly": _Form(
    ".tsv", {"columns": ["uid", "label", "premise"], "text": ["premise"]}
  ),
  "PremiseAndOneHypothesis": _Form(
    ".tsv",
    {
      "columns": ["uid", "label", "premise", "hypothesis"],
      "text": ["premise", "hypothesis"],
    },
  ),
  "Seqence": _Form(
    ".tsv", {"columns": ["uid", "label", "tokens"], "text": ["tokens"]}
  ),
  "PremiseAndMultiHypothesis": _Form(".tsv", {"format": "mtdnn"}),
  "MRC": _Form(".json", {"format": "squad"}),
}
_FORMS["Sequence"] = _FORMS["Seqence"]
_INSTEAD = {
  "MLM": "masked language models are trained by configs/pretrain.py",
}


def is_definition(found: Mapping[str, Any]) -> bool:
  """Tells whether a YAML file is a task definition of MT-DNN."""
  return bool(found) and all(
    isinstance(entry, Mapping) and {*entry} >= MARK for entry in found.values()
  )


def entries(found: Mapping[str, Any], path: Path) -> dict[str, dict[str, Any]]:
  """Returns what a tasks file of ours would say, by task.

  Args:
    found: what the YAML says.
    path: of it, whose folder has the files.

  Raises:
    ValueError: a task cannot be had here; names it and says what can.
  """
  made: dict[str, dict[str, Any]] = {}
  for name, entry in found.items():
    mine = _named(str(name))
    if mine in made:
      raise ValueError(f"{path}: two tasks would be called {mine}; rename one")
    made[mine] = _entry(str(name), entry, path)
    if mine != name:
      notices.once(f"{path}: {name} is called {mine} here")
  return made


def _named(name: str) -> str:
  """Returns the name of a task here, where GLUE's own have theirs."""
  found = re.sub("[^a-z0-9_-]", "-", name.lower())
  return f"mtdnn-{found}" if found in TASKS or not found[0].isalpha() else found


def _entry(name: str, given: Mapping[str, Any], path: Path) -> dict[str, Any]:
  def refuse(key: str, why: str) -> None:
    value = f" = {shown(given[key])}" if key in given else ""
    raise ValueError(f"{path}: {name}.{key}{value} {why}")

  for key in given:
    if key not in KEYS:
      refuse(
        key,
        f"is no key of a definition of MT-DNN that can be followed, which are"
        f" {', '.join(KEYS)}{hint(key, KEYS)}",
      )
  if unused := [key for key in _UNUSED if key in given]:
    notices.once(
      f"{path}: {' and '.join(unused)} of {name} is not followed: the encoder"
      " and its pooler are those of --config.encoder"
    )
  kind = _KINDS.get(str(given["task_type"]))
  if kind not in KINDS:
    refuse("task_type", f"cannot be had here; {', '.join(_KINDS)} can")
  form = str(given["data_format"])
  if form not in _FORMS:
    instead = _INSTEAD.get(form, f"{', '.join(_FORMS)} can")
    refuse("data_format", f"cannot be read here; {instead}")
  said = _FORMS[form].said
  own = said.get("format", "")
  if own not in ("", *KINDS[kind].formats) or (kind == "ranking" and not own):
    refuse("data_format", f"does not go with task_type {given['task_type']}")
  made = {"kind": kind, "label": "label", **said}
  if "format" in made:
    del made["label"]
  made |= _splits(name, given, _FORMS[form].suffix, path)
  made |= _meaning(name, given, kind, refuse)
  made["metric"] = _metrics(name, given, kind, path)
  if given.get("enable_san"):
    made["head"] = "san"
  if "dropout_p" in given:
    made["dropout"] = given["dropout_p"]
  for key in ("loss", "kd_loss", "adv_loss"):
    made |= _loss(name, key, given, kind, refuse)
  return made


def _splits(
  name: str, given: Mapping[str, Any], suffix: str, path: Path
) -> dict[str, Any]:
  """Returns the files: train, the first dev split, and the other dev splits."""
  splits = list(map(str, given.get("split_names", ("train", "dev", "test"))))
  dev = [split for split in splits if "dev" in split]
  if "train" not in splits or not dev:
    raise ValueError(
      f"{path}: {name}.split_names = {shown(splits)} has no train, or none with"
      " dev in its name"
    )
  if test := [split for split in splits if "test" in split]:
    notices.once(
      f"{path}: {', '.join(test)} of {name} is not read, as its labels are"
      " placeholders; answer it by python -m bam_jax.predict"
    )
  files = [f"{name}_{split}{suffix}" for split in ("train", *dev)]
  found = {"train": files[0], "dev": files[1]}
  return found | ({"test": files[2:]} if files[2:] else {})


def _meaning(
  name: str, given: Mapping[str, Any], kind: str, refuse: Callable
) -> dict[str, Any]:
  """Returns what the outputs mean: labels, or a range."""
  if KINDS[kind].defined == "range":
    if name not in _RANGES:
      refuse(
        "task_type",
        "has no word for what the numbers may be, which has to be known; write"
        " the task in a tasks file with range = [lowest, highest], see"
        " docs/own-task.md",
      )
    return {"range": list(_RANGES[name])}
  labels = given.get("labels") or []
  if kind in _CHOOSING:
    if labels:
      notices.once(f"labels of {name} are not looked at: its files say places")
    return {}
  count = given.get("n_class", len(labels))
  if labels and count != len(labels):
    refuse("n_class", f"is not the number of labels, which is {len(labels)}")
  # Without names its files have numbers.
  named = labels or [str(number) for number in range(count)]
  return {"labels": named} if kind != "tagging" or labels else {}


def _metrics(
  name: str, given: Mapping[str, Any], kind: str, path: Path
) -> list[str]:
  known, asked = KINDS[kind].metrics, list(given.get("metric_meta", ()))
  found = [_METRICS[each] for each in asked if each in _METRICS]
  binary = given.get("n_class") == 2
  found = [
    each
    for each in dict.fromkeys(found)
    if each in known and (known[each] != "f1" or binary)
  ]
  left = [each for each in asked if _METRICS.get(each) not in found]
  if left:
    notices.once(f"{path}: {name} is not scored by {', '.join(left)} here")
  return found or [next(iter(known))]


def _loss(
  name: str, key: str, given: Mapping[str, Any], kind: str, refuse: Callable
) -> dict[str, str]:
  if key not in given:
    return {}
  if (named := str(given[key])) not in _LOSSES:
    refuse(key, f"cannot be had here; {', '.join(_LOSSES)} can")
  found = _LOSSES[named]
  if kind in _CHOOSING:
    if found:
      notices.once(
        f"{key} {named} of {name} is not followed: a {kind} has its own"
      )
    return {}
  values = KINDS[kind].output == "value"
  # Between logits and a teacher's, or those of another pass, it is this one.
  if found == "mse" and key != "loss" and not values:
    found = "mse_logits"
  # There is one distance of two numbers.
  found = "" if values and key != "loss" else found
  return {key: found} if found and found != KINDS[kind].loss else {}
