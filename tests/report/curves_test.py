"""Pictures of what changes: right bands, told apart without colour."""

import itertools

from matplotlib.figure import Figure
import numpy as np
import pytest

from bam_jax.report import curves, plots


def test_bands_are_quartiles_over_the_trials_that_are_there():
  values = np.random.default_rng(0).normal(size=(5, 4))
  want = np.percentile(values, (25, 50, 75), axis=0)
  np.testing.assert_allclose(curves.quartiles(values), want)
  values[2, 1], values[:, 3] = np.nan, np.nan
  found = curves.quartiles(values)
  some = np.delete(values[:, 1], 2)
  np.testing.assert_allclose(found[:, 1], np.percentile(some, (25, 50, 75)))
  np.testing.assert_allclose(found[:, 2], want[:, 2])
  assert np.isnan(found[:, 3]).all()


@pytest.fixture
def drawn(monkeypatch):
  """Keeps the figures that are drawn, to be looked into."""
  figures, real = [], Figure.savefig

  def savefig(self, *args, **kwargs):
    figures.append(self)
    return real(self, *args, **kwargs)

  monkeypatch.setattr(Figure, "savefig", savefig)
  return figures


def test_band_and_line_are_drawn_where_they_belong(drawn):
  values = [[1.0, 5.0, 3.0], [2.0, 7.0, 9.0]]
  png = curves.bands({"RTE": {"Multi": ([10, 50, 100], values)}}, x="x", y="y")
  assert png.startswith(b"\x89PNG")
  (ax,) = drawn[0].axes
  (line,) = ax.lines
  np.testing.assert_allclose(line.get_xydata(), [[10, 1.5], [50, 6], [100, 6]])
  (band,) = ax.collections
  corners = band.get_paths()[0].vertices
  for point in ([50, 5.5], [50, 6.5], [100, 4.5], [100, 7.5]):
    assert (np.abs(corners - point).sum(1) < 1e-9).any(), point


def test_lines_differ_without_their_colours():
  looks = [plots.style(k) for k in range(12)]
  for a, b in itertools.combinations(looks, 2):
    assert (a["linestyle"], a["marker"]) != (b["linestyle"], b["marker"])


def test_a_schedule_is_a_line_in_a_panel_of_its_own(drawn):
  panels = {
    "learning rate, multi": {"multi": ([0, 1, 2], [[0.0, 2e-4, 1e-4]])},
    "lambda, multi": {"multi": ([0, 1, 2], [[0.0, 0.4, 0.8]])},
  }
  png = curves.schedules(panels)
  assert curves.schedules(panels) == png
  rate, lam = drawn[0].axes
  assert rate.get_title() == "learning rate, multi"
  np.testing.assert_allclose(rate.lines[0].get_ydata(), [0, 2e-4, 1e-4])
  np.testing.assert_allclose(lam.lines[0].get_ydata(), [0, 0.4, 0.8])


def test_matrix_has_its_number_in_every_cell(drawn):
  values = [[1.5, -12.0, np.nan]]
  texts = [["+1.5", "-12.0", "–"]]
  plots.matrix(["$Multi$"], ["RTE", "CoLA", "STS-B"], values, texts)
  ax, bar = drawn[0].axes
  assert [text.get_text() for text in ax.texts] == texts[0]
  # The same scale on both sides of nothing.
  assert bar.get_ylim() == (-12.0, 12.0)
  labels = [label.get_text() for label in ax.get_xticklabels()]
  assert labels == ["RTE", "CoLA", "STS-B"]


def test_long_names_leave_room_for_the_picture():
  name = "a long name, " * 20
  plots.matrix([name], [name, "RTE"], [[1.0, 2.0]], [["+1.0", "+2.0"]])
  line = ([1, 2], [[1.0, 2.0]])
  curves.bands({name: {name: line, "b": line}}, x="x", y="y")
  plots.strips({name: {name: [1.0, 2.0]}})
