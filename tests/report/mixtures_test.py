"""Samplers and weights of the loss: what is one cell, and what is none."""

import pytest

from bam_jax.report import mixtures
from bam_jax.report import write as report
from bam_jax.report.document import Bold
from bam_jax.stats.averages import AVERAGES
from tests.outcomes import record, results

SETTINGS = {
  "sampling": {
    "kind": "power",
    "exponent": 0.75,
    "loss_scale": "uniform",
    "loss_scale_exponent": 0.5,
  }
}
VARIANTS = {
  "even": {"sampling.kind": "uniform"},
  "half": {"sampling.exponent": 0.5},
  "even_few": {"sampling.kind": "uniform", "tasks": "rte"},
  "half_few": {"sampling.exponent": 0.5, "tasks": "rte"},
  "other": {"sampling.kind": "log", "multi.rate": 1e-3},
  "rates": {"multi.rate": 1e-3},
}


def study(**more):
  def both(x):
    return {"rte": record(x, x + 2), "stsb": record(x + 20, x + 26)}

  few = {"multi@even_few": {"rte": record(31.0, 33.0)}}
  few["multi@half_few"] = {"rte": record(41.0, 43.0)}
  return results(
    {
      "multi": both(1.0),
      "multi@even": both(50.0),
      "multi@half": both(60.0),
      "multi@other": both(70.0),
      "multi@rates": both(80.0),
      **few,
      **more,
    },
    variants=VARIANTS,
    settings=SETTINGS,
  )


def plain(cell):
  return (
    cell
    if isinstance(cell, str)
    else "".join(x.text if isinstance(x, Bold) else x for x in cell)
  )


def test_every_sampler_has_a_line_and_every_set_of_tasks_a_column():
  header, *lines = mixtures.table(study())
  assert header == ["Method", "Tasks drawn", "all 2 tasks", "RTE"]
  assert [[plain(x) for x in line[:2]] for line in lines] == [
    ["Multi", "uniform"],
    ["Multi", "power 0.5"],
  ]
  # 60 and 80 in one trial, 62 and 86 in the other.
  assert plain(lines[1][2]).startswith("72.0 [")
  assert [plain(line[3]).split()[0] for line in lines] == ["32.0", "42.0"]
  assert not isinstance(lines[1][2], str) and isinstance(lines[0][2], str)


def test_what_differs_by_another_number_has_a_line_of_its_own():
  cells = {
    f"t{n}": {"sampling.kind": "temperature", "sampling.temperature": n}
    for n in (2.0, 5.0)
  }
  found = results(
    {
      f"multi@{name}": {"rte": record(x, x + 1)}
      for name, x in zip(cells, (80.0, 70.0), strict=True)
    },
    variants=cells,
    settings=SETTINGS,
  )
  _, *lines = mixtures.table(found)
  assert [line[1] for line in lines] == [
    *("temperature, temperature 2.0", "temperature, temperature 5.0"),
  ]
  assert [plain(line[2]).split()[0] for line in lines] == ["80.5", "70.5"]


def test_weights_of_the_loss_are_columns_where_they_differ():
  cells = {
    f"{drawn}_{scale}": {"sampling.kind": drawn, "sampling.loss_scale": scale}
    for drawn in ("uniform", "log")
    for scale in ("uniform", "power")
  }
  found = results(
    {f"multi@{name}": {"rte": record(7.0)} for name in cells},
    variants=cells,
    settings=SETTINGS,
  )
  header, *lines = mixtures.table(found)
  assert header[2:] == ["loss uniform", "loss power 0.5"]
  assert [line[1] for line in lines] == ["uniform", "log"]


def test_of_gluess_nine_tasks_it_is_the_glue_score():
  glue = AVERAGES["glue"]

  def nine(x):
    return {
      task: record(x, all={metric: [x] for metric in metrics})
      for task, metrics in glue.metrics.items()
    }

  found = results(
    {"multi@even": nine(10.0), "multi@half": nine(20.0)},
    variants=VARIANTS,
    settings=SETTINGS,
  )
  (_, one, _) = mixtures.table(found)
  # WNLI counts 56.3 where it is below.
  assert plain(one[2]).split()[0] == f"{(8 * 10 + 56.3) / 9:.1f}"


def test_the_report_has_the_table_where_there_are_two(tmp_path):
  page = report.write(study(), tmp_path).read_text()
  assert "## Samplers" in page and "| Multi | power 0.5 |" in page
  one = results(
    {"multi@even": study()["methods"]["multi@even"]},
    variants=VARIANTS,
    settings=SETTINGS,
  )
  assert "## Samplers" not in report.write(one, tmp_path).read_text()
  assert not (tmp_path / "report/table_samplers.tex").exists()


@pytest.mark.parametrize("missing", ["settings", "variants"])
def test_results_that_do_not_say_how_are_left_alone(missing):
  found = study()
  del found[missing]
  assert len(mixtures.table(found)) == 1
