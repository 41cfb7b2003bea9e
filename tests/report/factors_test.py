"""What the report says of a factorial study."""

import numpy as np

from bam_jax.report import factors, plots, sections
from bam_jax.stats import factorial
from configs import _factorial
from tests.stats import factorial_test as simulated


def results(free="ABCD", made=(("E", "ABCD"),), seeds=4):
  cells = _factorial.fraction(free, dict(made))
  found = simulated.study(cells, seeds=seeds, rng=np.random.default_rng(3))
  found |= {"encoder": "E", "commit": "c", "schema": 1}
  for records in found["methods"].values():
    for record in records.values():
      record |= {"metric": "accuracy", "all": {}, "examples": 40}
  # The first cell has the second value of E: the product of four others.
  own = found | {"settings": {"layers": 0}}
  return found | {"factors": factorial.effects(own)}


def test_every_factor_has_a_line_with_its_two_values_and_effects():
  found = results()
  header, *lines = factors.rows(found)
  assert header == ["Factor", "", "First", "Second", "Avg", "RTE", "CoLA"]
  assert [line[0] for line in lines] == list("ABCDE")
  assert lines[0][1:4] == ["Single→Multi", "optim.average none", "swa"]
  value, low, high = found["factors"][0]["factors"][0]["columns"]["average"]
  assert lines[0][4] == f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"
  note = factors.note(found)
  assert "16 cells of 32 combinations of 5 factors" in note
  assert "I = ABCDE, resolution 5" in note
  assert "share their teachers" in note
  assert len(factors.interactions(found)) == 1 + 10


def test_all_combinations_have_no_relation_and_one_seed_no_interval():
  found = results("AB", (), seeds=1)
  _, line, _ = factors.rows(found)
  assert "[" not in line[4]
  assert float(line[4])
  assert "4 cells of 4 combinations of 2 factors." in factors.note(found)
  (picture,) = factors.pictures(found)
  assert picture.draw().startswith(b"\x89PNG")


def test_designs_of_two_methods_are_told_apart_in_the_picture(monkeypatch):
  found = results("AB", ())
  (design,) = found["factors"]
  found["factors"] = [design, design | {"method": "multi"}]
  drawn = []
  monkeypatch.setattr(
    plots, "effects", lambda panels, labels: drawn.extend(labels)
  )
  (picture,) = factors.pictures(found)
  picture.draw()
  assert len({*drawn}) == 4 and drawn[2].endswith("(Multi)")


def test_two_designs_of_a_method_are_told_apart(monkeypatch):
  found = results("AB", ())
  (design,) = found["factors"]
  other = design | {"same": {"encoder_frozen": True}}
  found["factors"] = [design, other]
  lines = factors.rows(found)[1:]
  names = ["Single→Multi"] * 2 + ["Single→Multi, encoder_frozen True"] * 2
  assert [line[1] for line in lines] == names
  assert "encoder_frozen True: 4 cells of 4" in factors.note(found)
  drawn = []
  monkeypatch.setattr(
    plots, "effects", lambda panels, labels: drawn.extend(labels)
  )
  (picture,) = factors.pictures(found)
  picture.draw()
  assert len({*drawn}) == 4


def test_the_section_stands_with_its_picture_where_there_is_a_design():
  def titles(found):
    return {part.title: part for part in sections.sections(found)}

  title = "What each factor gives"
  found = results()
  names = [getattr(b, "name", "") for b in titles(found)[title].blocks]
  assert [n for n in names if n] == ["factors", "factors.png", "interactions"]
  assert title not in titles(found | {"factors": []})
  # A directory that is older than the design has none.
  del found["factors"]
  assert title not in titles(found)
