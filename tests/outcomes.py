"""Results to report: what results.json holds, with numbers easy to check."""

import copy
import functools
import itertools
import json

from markdown_it import MarkdownIt
import numpy as np

from bam_jax.stats import aggregates, calibration, classes, compare
from bam_jax.stats.claims import Claim, noninferiority, sequence

ODD = "a|b<img src=x>*c* _d_ `e` [f](g) $h$ ~~i~~ \\ &amp;\n# j"
GLUE = ["cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte"]


def record(*scores, **changes):
  found = {
    "metric": "accuracy",
    "scores": list(scores),
    "seeds": list(range(len(scores))),
    "all": {"accuracy": list(scores)},
    "examples": 277,
  }
  return found | changes


def results(methods, **changes):
  names = dict.fromkeys(t for tasks in methods.values() for t in tasks)
  found = {
    "schema": 1,
    "encoder": "some/encoder",
    "commit": "0123abc",
    "methods": methods,
    "average": {m: compare.average(r, list(names)) for m, r in methods.items()},
  }
  # Whoever gets them may change them.
  tested = copy.deepcopy(_tested(json.dumps(found)))
  return found | tested | changes


@functools.cache
def _tested(text):
  found = json.loads(text)
  return {
    "tests": compare.compare(found),
    "differences": compare.differences(found),
  }


def three(trials=3):
  """Three methods on two tasks; the numbers are easy to check by eye."""
  scores = {
    "single": {"rte": [60.0, 61.0, 63.0], "stsb": [85.0, 85.0, 85.0]},
    "multi": {"rte": [70.0, 70.0, 73.0], "stsb": [80.04, 83.0, 80.0]},
    "single->multi": {"rte": [71.0, 68.0, 74.0], "stsb": [84.96, 86.0, 84.0]},
  }
  return results(
    {
      method: {t: record(*x[:trials]) for t, x in tasks.items()}
      for method, tasks in scores.items()
    }
  )


def read(text):
  """Parses Markdown: its tables as lists of rows, and every token's type."""
  parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
  tokens = parser.parse(text)
  found, kinds = [], set()
  for before, token in itertools.pairwise([tokens[0], *tokens]):
    kinds.add(token.type)
    kinds |= {child.type for child in token.children or ()}
    if token.type == "table_open":
      found.append([])
    elif token.type == "tr_open":
      found[-1].append([])
    elif before.type in ("th_open", "td_open"):
      found[-1][-1].append("".join(c.content for c in token.children))
  return found, kinds


def fitted(kept):
  """What `calibrations.fitted` returns of three trials and two labels."""
  each = [[50.0, 60.0, 55.5, 55.0]] * 3
  sides = dict.fromkeys(("precision", "recall", "f1"), each)
  return {
    "temperature": [1.5, 2.0, 1.75],
    "rows": 1234,
    "after": {name: [0.1, 0.2, 0.3] for name in kept if name != "curve"},
    "area": [0.05, 0.06, 0.07],
    "coverage": [[1.0, 0.9, 0.8]] * 3,
    "thresholds": {
      "labels": ["yes", ODD],
      "values": [[0.25, None], [0.5, None], [None, None]],
      **dict.fromkeys(("half", "fitted"), sides),
    },
  }


def complete(found=None):
  """Results in which everything is that a report can show."""
  found = found or three()
  base = {"batch_size": 32, "layer_decay": 0.9}
  settings = {"select": {"by": "average", "patience": 3}, "eval_every": 20}
  settings["max_length"] = 128
  rng = np.random.default_rng(1)
  labels = rng.integers(2, size=30)
  curve = {"step": [20, 40], "seeds": [0, 1, 2]}
  curve["values"] = [[1.0, 2.0], [3.0, 8.0], [2.0, None]]
  scored, curves, calibrated, each = {}, {}, {}, {}
  for method, tasks in found["methods"].items():
    scored[method] = {task: f"{method}.{task}" for task in tasks}
    for task, run in scored[method].items():
      curves[run] = {"loss": {task: curve}, "score": {task: curve}}
      kept = calibration.summary(rng.normal(0, 2, (3, 30, 2)), labels)
      kept["fitted"] = fitted(kept)
      calibrated.setdefault(method, {})[task] = kept
      told = rng.normal(size=(3, 30, 3)), labels, ("no", ODD, "yes")
      each.setdefault(method, {})[task] = classes.summary(*told)
  times = {run: [1.5, 2.0, 2.5] for run in curves}
  points = {"step": [0, 1, 2], "rate": [0.0, 1e-4, 5e-5]}
  schedules = {
    "single": points | {"run": "single.rte"},
    "multi": points | {"run": "multi.x", "lambda": [0.0, 0.3, 0.7]},
  }
  named = {"claims": "multi > single", "margin": 1.0, "trials": 3, "scored": 0}
  claims = [Claim("multi", ">", "single"), Claim("multi", ">=", "single")]
  found |= {
    "claims_named": [named],
    "claims": sequence(found, claims, 1.0),
    "noninferiority": noninferiority(found, 1.0),
    "overall": aggregates.overall(found["methods"], ["rte", "stsb"]),
  }
  return found | {
    "settings": settings | {"single": base, "multi": base},
    "command": "python -m bam_jax.main --workdir='a b'",
    "device": {"kind": "cpu", "count": 1, "jax": "0.10.2"},
    "seconds": times,
    "steps": {run: [20, 40, 40] for run in times},
    "scored": scored,
    "curves": curves,
    "schedules": schedules,
    "calibration": calibrated,
    "classes": each,
    "coverage": {
      "rte": {
        "train": {"rows": 2490, "unknown": 0.0712, "cut": 0.123},
        "validation": {
          "rows": 277,
          "unknown": 0.001,
          "cut": None,
          "repeated": 3,
        },
      }
    },
  }
