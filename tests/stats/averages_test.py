"""Averages that have a name, against the numbers that were published."""

import pytest

from bam_jax.report import averages as report
from bam_jax.stats.averages import AVERAGES
from bam_jax.tasks.table import TASKS
from tests.outcomes import record, results

# Of Wang et al. (2019), tables 2 and 3 (B is BERT): the average, CoLA, SST,
# MRPC, QQP, STS, MNLI, QNLI, RTE, WNLI.
PUBLISHED = """
random 68.2 16.9 84.3 77.7/85.6 83.0/80.6 81.7/82.6 73.9 79.6 57.0 31.0
single 69.1 21.3 89.0 77.2/84.7 84.7/81.9 81.4/82.2 74.8 78.8 56.0 11.3
cola 68.2 21.3 85.7 75.0/83.7 85.7/82.4 79.0/80.3 72.7 78.4 56.3 15.5
single_B 78.8 56.6 90.9 88.5/91.8 89.9/86.4 86.1/86.0 83.5 87.9 69.7 56.3
cola_B 78.3 61.3 91.1 87.7/91.4 89.7/86.3 85.0/85.0 83.3 85.9 64.3 43.7
"""
ORDER = ("cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte", "wnli")
GLUE = AVERAGES["glue"]


def records(text, seeds=(7,)):
  found = {}
  for task, each in zip(ORDER, text.split(), strict=True):
    names, said = GLUE.metrics[task], map(float, each.split("/"))
    every = {n: [x] * len(seeds) for n, x in zip(names, said, strict=True)}
    scores = every[names[0]]
    found[task] = record(*scores, seeds=list(seeds), all=every)
  return found


@pytest.mark.parametrize("line", PUBLISHED.strip().splitlines())
def test_the_glue_score_is_the_published_one(line):
  _, average, scores = line.split(maxsplit=2)
  (found,) = GLUE.trials(records(scores))
  # What was averaged had more digits than what was printed.
  assert found == pytest.approx(float(average), abs=0.06)
  raw = float(scores.split()[-1])
  without = found - (56.3 - raw) / 9
  assert raw == 56.3 or abs(without - float(average)) > 1


def test_its_tasks_have_its_metrics():
  for task, names in GLUE.metrics.items():
    assert set(names) <= set(TASKS[task].metrics)
    assert TASKS[task].glue


def test_a_seed_counts_that_all_tasks_have():
  scores = PUBLISHED.split(maxsplit=2)[2].splitlines()[0]
  found = records(scores, seeds=(7, 8, 9))
  found["rte"] = record(
    57.0, 67.0, seeds=[9, 7], all={"accuracy": [57.0, 67.0]}
  )
  one, other = GLUE.trials(found)
  assert one - other == pytest.approx(10 / 9)
  found["rte"]["all"] = {"f1": [57.0, 67.0]}
  assert GLUE.trials(found) == []
  del found["rte"]
  assert GLUE.trials(found) == []


def test_the_report_shows_wnli_as_it_is_with_a_star():
  lines = [line.split(maxsplit=2) for line in PUBLISHED.split("\n")[1:-1]]
  methods = {
    method: records(lines[number][2], seeds=(1, 2))
    for method, number in (("single", 3), ("multi", 4))
  }
  ((name, row, found),) = report.found(results(methods))
  assert (name, row) == ("glue", GLUE)
  assert found == [
    ["Method", "Trials", "GLUE score", "WNLI"],
    ["Single", "2", "78.8 ± 0.0", "56.3 ± 0.0"],
    ["Multi", "2", "78.3 ± 0.0", "43.7 ± 0.0∗"],
  ]
  del methods["single"]["wnli"], methods["multi"]["rte"]
  assert not list(report.found(results(methods)))
