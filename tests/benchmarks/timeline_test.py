"""Timelines: what is read out of a trace, and what is refused."""

import gzip
import json
import re

import pytest

from benchmarks import timeline

NAMES = [
  {"ph": "M", "name": "process_name", "pid": 7, "args": {"name": "/host:CPU"}},
  {"ph": "M", "name": "process_name", "pid": 8, "args": {"name": "/device:G"}},
]


def span(name, begin, end, pid=7):
  """Returns an event from and to so many microseconds."""
  return {"ph": "X", "name": name, "pid": pid, "ts": begin, "dur": end - begin}


def write(folder, events):
  folder.mkdir()
  with gzip.open(folder / "perfetto_trace.json.gz", "wt") as file:
    json.dump({"traceEvents": NAMES + events}, file)
  return folder


def test_programs_of_a_cpu_are_steps_but_for_the_small(tmp_path):
  events = [
    span(timeline.PROGRAM, 5_000_000, 7_000_000),
    span(timeline.PROGRAM, 3_000_000, 4_000_000),
    span(timeline.PROGRAM, 4_200_000, 4_210_000),
    span("next batch", 2_000_000, 2_500_000),
    span("next batch#step=3#", 3_000_000, 3_500_000),
    span("another", 0, 9_000_000),
  ]
  found = timeline.read(write(tmp_path / "a", events))
  assert found.device == ((1, 2), (3, 5))
  assert found.batches == ((0, 0.5), (1, 1.5))
  assert found.idle == pytest.approx(1 / 4)


def test_what_touches_on_a_device_is_one(tmp_path):
  events = [
    span("fusion.1", 1_000_000, 2_000_000, pid=8),
    span("fusion.2", 2_000_000, 2_000_500, pid=8),
    span("copy", 1_500_000, 1_600_000, pid=8),
    span("fusion.3", 4_000_500, 5_000_000, pid=8),
  ]
  found = timeline.read(write(tmp_path / "a", events))
  assert found.device == ((0, 1.0005), (3.0005, 4))
  assert found.idle == pytest.approx(0.5)


def test_it_is_drawn_and_told(tmp_path, capsys):
  events = [
    span(timeline.PROGRAM, 3_000_000, 4_000_000),
    span(timeline.PROGRAM, 4_002_000, 5_000_000),
    span("next batch", 3_500_000, 3_501_500),
  ]
  out = tmp_path / "b.png"
  trace = write(tmp_path / "a", events)
  timeline.main([f"--trace={trace}", f"--out={out}"])
  said = capsys.readouterr().out
  assert "2 spans, idle 0.10%" in said and "gaps: 2.0 ms" in said
  assert "made in: 1.5 ms" in said
  assert out.read_bytes().startswith(b"\x89PNG")


def test_no_trace_is_one_sentence(tmp_path):
  with pytest.raises(ValueError, match=re.escape("--config.profile=3:6")):
    timeline.read(tmp_path)
  with pytest.raises(ValueError, match="no device computes in"):
    timeline.read(write(tmp_path / "a", [span("another", 0, 1)]))
