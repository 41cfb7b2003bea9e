"""The transfer atlas: every gain in its cell, of the seeds that it is of."""

import numpy as np
import pytest
import scipy

from bam_jax.report import atlas
from bam_jax.report import write as report
from bam_jax.stats import transfer
from tests.outcomes import record, results

TARGETS = {"rte": 60.0, "stsb": 80.0}
FIRST = {"mnli": (6.0, 0.5), "qqp": (1.0, 2.0), "mood": (-3.0, -1.0)}


def study(**more):
  def scores(gains=(0.0, 0.0), order=(0, 1, 2)):
    found = {}
    for (task, base), gain in zip(TARGETS.items(), gains, strict=True):
      # A seed's own luck, which pairs take out, and a little that they do not.
      by_seed = {s: base + gain + 7 * s + 0.3 * s * bool(gain) for s in order}
      found[task] = record(*by_seed.values(), seeds=list(by_seed))
    return found

  chains = {f"{first}+single": scores(gains) for first, gains in FIRST.items()}
  return results({"single": scores(order=(2, 0, 1)), **chains, **more})


def test_a_gain_is_of_the_same_seeds_whatever_their_order():
  found = transfer.gain(study(), "mnli+single", "rte")
  gains = np.array([6.0, 6.3, 6.6])
  assert found.value == pytest.approx(gains.mean())
  want = scipy.stats.t.interval(
    0.95, 2, gains.mean(), gains.std(ddof=1) / np.sqrt(3)
  )
  assert (found.low, found.high) == pytest.approx(want)
  both = transfer.gain(study(), "mnli+single", "average")
  assert both.value == pytest.approx((6.3 + 0.8) / 2)


def test_every_gain_is_in_its_cell():
  header, *rows = atlas.rows(study())
  assert header == ["Trained first", "Avg", "RTE", "STS-B"]
  assert [row[0] for row in rows] == ["MNLI", "QQP", "mood"]
  assert [row[2].partition(" ")[0] for row in rows] == ["+6.3", "+1.3", "-2.7"]
  assert [row[3].partition(" ")[0] for row in rows] == ["+0.8", "+2.3", "-0.7"]
  assert rows[0][2] == "+6.3 [+5.6, +7.0]"


def test_other_chains_are_no_part_of_it():
  one = {"rte": record(1.0, 2.0, 3.0), "stsb": record(1.0, 2.0, 3.0)}
  more = {
    "multi+finetune": one,
    "mnli+multi": one,
    "single->mnli+single": one,
  }
  assert list(transfer.methods(study(**more))) == list(FIRST)
  alone = results({"mnli+single": one})
  assert not transfer.methods(alone) and len(atlas.rows(alone)) == 1


def test_columns_that_rise_together_correlate():
  header, *rows = atlas.correlations(study())
  assert header == ["", "Avg", "RTE", "STS-B"]
  x, y = [0, 6.3, 1.3, -2.7], [0, 0.8, 2.3, -0.7]
  made = scipy.stats.pearsonr(x, y)
  low, high = made.confidence_interval()
  assert rows[1][3] == f"{made.statistic:+.2f} [{low:+.2f}, {high:+.2f}]"
  assert rows[1][2] == "–"
  few = study()
  del few["methods"]["mood+single"]
  assert atlas.correlations(few) == [[""]]


def test_the_report_has_its_table_and_its_picture(tmp_path):
  page = report.write(study(), tmp_path).read_text()
  assert "## Transfer atlas" in page and "![Gain of every target" in page
  assert (tmp_path / "report/atlas.png").read_bytes().startswith(b"\x89PNG")
  # The next report, which is of no such study, must not keep it.
  report.write(results({"single": study()["methods"]["single"]}), tmp_path)
  assert not (tmp_path / "report/atlas.png").exists()
  assert not (tmp_path / "report/table_correlations.tex").exists()


def test_a_gain_that_may_be_none_has_no_star(monkeypatch):
  seen = []
  monkeypatch.setattr(
    atlas.plots, "matrix", lambda *given: seen.append(given) or b""
  )
  (picture,) = atlas.pictures(study())
  picture.draw()
  ((rows, columns, values, texts),) = seen
  assert rows == ["MNLI", "QQP", "mood"] and columns[1:] == ["RTE", "STS-B"]
  assert texts[0][1] == "+6.3*" and values[0][1] == pytest.approx(6.3)
  # 0.5, 0.8 and 1.1 around 0.8: the interval reaches from 0.05.
  assert texts[2][2] == "-0.7"


def test_of_a_frozen_encoder_it_is_what_comes_before_that():
  found = study()
  frozen = {
    method.replace("single", "frozen"): record
    for method, record in found["methods"].items()
  }
  alone = {"single": frozen["frozen"]}
  found = results(alone | frozen)
  assert list(transfer.methods(found)) == list(FIRST)
  gain = transfer.gain(found, "mnli+frozen", "rte")
  assert gain == transfer.gain(study(), "mnli+single", "rte")
  # The tasks by themselves are a run of the table too.
  assert len(transfer.medians(found)["rte"]) == 2 + len(FIRST)


def test_with_trials_enough_the_interval_is_over_dev_examples_too():
  found = study()
  row = {"a": "mnli+single", "b": "single", "task": "rte"}
  wide = row | {"test": "multi-bootstrap", "difference": [6.0, -1.0, 13.0]}
  found["tests"] = [*found["tests"], wide]
  gain = transfer.gain(found, "mnli+single", "rte")
  assert (gain.value, gain.low, gain.high) == (6.0, -1.0, 13.0)
  assert transfer.gain(found, "qqp+single", "rte").low > -1.0
