"""The studies behind docs/results.md: who waits for whom, and what is told."""

import argparse
import json

import pytest

from benchmarks import evidence
from benchmarks.evidence import Job


@pytest.fixture
def args(tmp_path) -> argparse.Namespace:
  return argparse.Namespace(
    **dict.fromkeys(evidence.PLACES, tmp_path),
    at_once=1,
    seconds=60.0,
    extra=[],
  )


def test_jobs_wait_for_what_they_need_and_end_on_time(args):
  table = {
    "second": Job((), module="platform", after=("first",)),
    "first": Job((), module="this", copies=2),
    "endless": Job(("0",), module="http.server", after=("second",)),
    "never": Job((), module="this", after=("endless",)),
  }
  args.seconds = 6.0
  told = evidence.work(table, args)
  assert [*told] == ["first", "second", "endless", "never"]
  assert told["first"]["codes"] == [0, 0]
  assert told["endless"]["stopped"] and told["never"]["codes"] == []
  assert json.loads((args.out / "evidence.json").read_text()) == told
  assert "Beautiful" in (args.out / "first.1.log").read_text()


def test_settings_that_a_search_chose_come_before_a_jobs_own(args):
  said = "best settings of multi: --config.multi.rate=0.0002\nwrote it\n"
  # Of two that share a search the one that ends it says what it found.
  (args.out / "tuned.log").write_text("multi seed 0: rte 61.2\n")
  (args.out / "tuned.1.log").write_text(said)
  job = Job(("--config=a.py", "--config.b={out}"), trials=5, chosen=("tuned",))
  flags = evidence.line(
    "it",
    job,
    {place: str(args.out) for place in evidence.PLACES},
    ["--config.trials_at_once={trials}"],
  )
  kept = [flags.index(f) for f in ("--config=a.py", "--config.trials=5")]
  kept.append(flags.index("--config.multi.rate=0.0002"))
  kept.append(flags.index(f"--config.b={args.out}"))
  kept.append(flags.index("--config.trials_at_once=5"))
  assert kept == sorted(kept)


def test_a_search_that_found_nothing_stops_what_needs_it(args, capfd):
  (args.out / "tuned.log").write_text("error: no such file\n")
  told = evidence.work({"it": Job((), chosen=("tuned",))}, args)
  assert told["it"] == {"codes": [], "stopped": True}
  assert "tuned has not said its best settings" in capfd.readouterr().out


def test_every_job_needs_jobs_and_has_flags_that_are_filled_in(args):
  table = evidence.jobs(5, 3)
  places = {place: str(args.out) for place in evidence.PLACES}
  for name in ("tune_single", "tune_multi"):
    (args.out / f"{name}.log").write_text("best settings of single: --a=1\n")
  for name, job in table.items():
    assert {*job.after, *job.chosen} <= {*table}
    assert "{" not in " ".join(evidence.line(name, job, places, [])[3:])
