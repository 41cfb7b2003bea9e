"""The model card of an exported model: README.md with what is known of it."""

from collections.abc import Iterator, Mapping, Sequence
import json
from pathlib import Path
import re
from typing import Any

from bam_jax.tasks.description import Description, Head
from bam_jax.tasks.kinds import ENCODER, KINDS

# transformers' class for a task -> the hub's name of what it is for.
PIPELINES = {
  "SequenceClassification": "text-classification",
  "TokenClassification": "token-classification",
  "QuestionAnswering": "question-answering",
  "MultipleChoice": "multiple-choice",
  "MaskedLM": "fill-mask",
  ENCODER: "feature-extraction",
}
# What was set, but for what says where things lay on somebody's machine.
_PLACES = ("glue_dir", "cs224n_dir", "text", "files", "init_from", "tasks_file")


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
  """Returns a run's config without paths of the machine it ran on."""
  return {
    key: settings(value) if isinstance(value, Mapping) else value
    for key, value in config.items()
    if key not in _PLACES
  }


def encoder(config: Mapping[str, Any]) -> str:
  """Returns the encoder's hub name, or the last part of its directory."""
  name = str(config.get("encoder", "unknown")).rstrip("/")
  # A hub name has one slash at most, and no dot in front.
  return name if published(name) else name.rpartition("/")[2]


def published(name: str) -> bool:
  """Tells whether an encoder's name is one of the hub, OWNER/NAME."""
  known = re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", name)
  return bool(known) and not Path(name).exists()


def write(
  description: Description,
  about: Mapping[str, Any],
  *,
  usage: str,
) -> str:
  """Returns the text of README.md.

  Args:
    description: of the heads that are in the directory.
    about: `run`, `trial` or `soup`, `scores`, `examples`, `data`, `commit`,
      `versions`, `settings`.
    usage: how the directory is loaded.
  """
  config = about.get("settings", {})
  base = encoder(config)
  names = [head.name for head in description.heads]
  versions = about.get("versions", {})
  made = ", ".join(f"{k} {v}" for k, v in versions.items()) or "unknown"
  front = {
    "library_name": "transformers",
    "pipeline_tag": PIPELINES[KINDS[description.heads[0].kind].model],
    **({"base_model": base} if published(base) else {}),
    "tags": ["bam_jax", *names],
  }
  # JSON is YAML, and quotes what needs it.
  lines = [f"{key}: {json.dumps(value)}" for key, value in front.items()]
  parts = [
    "\n".join(["---", *lines, "---"]),
    f"# {about.get('run', 'model')}: {', '.join(names)}",
    f"{_origin(about)} of the run `{about.get('run')}`, "
    f"trained by bam_jax at commit `{about.get('commit')}` with {made}.",
    f"Encoder: `{base}`. An example has at most "
    f"{description.max_length} tokens in training; of a longer pair, the last "
    "tokens of the longer text were cut.",
    "## Answers",
    *(_head(head, description.regression_output) for head in description.heads),
    "## Data",
    _data(about),
    "## Scores",
    _scores(description.heads, about),
    *_calibrated(description.heads, about),
    "## How to use it",
    usage,
    "## Settings",
    "```json\n" + json.dumps(settings(config), indent=1) + "\n```",
  ]
  return "\n\n".join(parts) + "\n"


def _origin(about: Mapping[str, Any]) -> str:
  """Returns which trial it is, or of which trials the mean."""
  if "soup" not in about:
    return f"Trial (seed) {about.get('trial')}"
  trials = ", ".join(map(str, about["soup"]["trials"]))
  return (
    f"The mean of the weights (a {about['soup']['kind']} soup) of the trials "
    f"(seeds) {trials}"
  )


def _head(head: Head, output: str) -> str:
  """Returns what a head reads and says."""
  if KINDS[head.kind].model == ENCODER:
    return f"It has no head: it is trained on pairs of `{head.name}` alone."
  if KINDS[head.kind].answer is None:
    return f"`{head.name}` says which words stood where a text has [MASK]."
  reads = f"`{head.name}` reads {' and '.join(head.text)}"
  columns = KINDS[head.kind].columns_of(head)
  if columns != head.labels:
    return (
      f"{reads} and says of each token how likely the answer is to be there, by"
      f" {' and '.join(columns)}."
    )
  if head.labels and KINDS[head.kind].many:
    order = ", ".join(f"{i} = {name}" for i, name in enumerate(head.labels))
    return (
      f"{reads}; each of its labels may hold, by a sigmoid of its own: {order}."
    )
  if head.labels:
    order = ", ".join(f"{i} = {name}" for i, name in enumerate(head.labels))
    return f"{reads}; its classes are {order}."
  if not head.range:
    return (
      f"{reads}, a list of texts, and gives each of them a score; the higher"
      " the better, and a softmax over the scores of one question makes"
      " probabilities of them."
    )
  low, high = head.range
  return (
    f"{reads} and gives one number x, from which the value in [{low:g}, "
    f"{high:g}] is `{head.formula(output)}`. transformers gives x itself."
  )


def _data(about: Mapping[str, Any]) -> str:
  """Returns a table of the rows that the run was trained on."""
  rows = [
    f"| {task} | {found['from']} | {found['rows']} | `{found['sha256']}` |"
    for task, found in about.get("data", {}).items()
  ]
  if not rows:
    tasks = about.get("settings", {}).get("tasks", "unknown")
    return f"Trained on: {tasks}. Where the rows came from was not noted."
  config = about.get("settings", {})
  holdout = config.get("data", {}).get("holdout", 0)
  holdout = holdout or config.get("calibration", {}).get("share", 0)
  less = f", less the share of {holdout:g} that was held out" if holdout else ""
  return "\n".join(
    [
      f"Trained on{less}; the digest is of all texts and labels, in order:",
      "",
      "| task | from | rows | SHA-256 |",
      "|---|---|--:|---|",
      *rows,
    ]
  )


def _calibrated(
  heads: Sequence[Head], about: Mapping[str, Any]
) -> Iterator[str]:
  """Yields a table of what was fitted on held-out rows, if anything was."""
  rows = []
  for head in heads:
    if head.calibration is None:
      continue
    said = head.calibration.thresholds.items()
    least = ", ".join(
      f"{name} {'never' if value is None else f'{value:.3g}'}"
      for name, value in said
    )
    count = about.get("calibration", {}).get(head.name, {}).get("rows", "")
    temperature = head.calibration.temperature
    rows.append(f"| {head.name} | {count} | {temperature:.3f} | {least} |")
  if rows:
    yield "## Calibration"
    yield "\n".join(
      [
        "Divide the logits of a task by its temperature before the softmax or "
        "the sigmoid. A label with a threshold is said from that probability "
        "on. `bam_jax.load` does both. Fitted on rows held out of training.",
        "",
        "| task | rows | temperature | thresholds |",
        "|---|--:|--:|---|",
        *rows,
      ]
    )


def _scores(heads: Sequence[Head], about: Mapping[str, Any]) -> str:
  """Returns a table of this trial's scores on dev."""
  config = about.get("settings", {})
  data = config.get("data", {})
  holdout = data.get("holdout", 0)
  split = f"{holdout:g} of the training rows, held out" if holdout else "dev"
  rows = about.get("examples", {})
  found = [
    f"| {head.name} | {rows.get(head.name, '')} | {metric} | {value:.2f} |"
    for head in heads
    for metric, value in about.get("scores", {}).get(head.name, {}).items()
  ]
  if not found:
    return "It was not scored."
  return "\n".join(
    [
      f"This model alone, x100, on {split}.",
      "",
      "| task | rows | metric | score |",
      "|---|--:|---|--:|",
      *found,
    ]
  )
