"""What the figures of the benchmarks are meant to reach on a CPU."""

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any

Results = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Goal:
  """A figure and its bound.

  Attributes:
    measure: in words.
    bound: what it has to reach.
    figure: from {benchmark: what it printed}.
    most: the bound is the most that it may be, not the least.
  """

  measure: str
  bound: float
  figure: Callable[[Results], float]
  most: bool = False

  def row(self, results: Results) -> str:
    """Returns the line of the table."""
    sign = "at most" if self.most else "at least"
    start = f"| {self.measure} | {sign} {self.bound:g} |"
    try:
      figure = self.figure(results)
    except KeyError:
      return f"{start} not measured | |"
    met = figure <= self.bound if self.most else figure >= self.bound
    shown = f"{figure:.2f}" if figure < 100 else f"{figure:.0f}"
    return f"{start} {shown} | {'yes' if met else 'no'} |"


def over(peer: str, dtype: str) -> Callable[[Results], float]:
  """Returns what divides our examples/s by the fastest of a peer's."""

  def ratio(results: Results) -> float:
    train = results["train_throughput"]
    modes = train[peer][dtype].values()
    fastest = max(figures["examples_per_s"] for figures in modes)
    return train["ours"]["examples_per_s"] / fastest

  return ratio


def over_best(results: Results) -> float:
  """Divides our examples/s by peer (b)'s in its best type."""
  types = results["train_throughput"]["peer_b"]
  return min(over("peer_b", dtype)(results) for dtype in types)


def memory(results: Results) -> float:
  """Divides our peak memory by that of peer (a), f32, eager."""
  train = results["train_throughput"]
  peer = train["peer_a"]["float32"]["eager"]
  return train["ours"]["peak_bytes"] / peer["peak_bytes"]


GOALS = (
  Goal("examples/s over peer (a), f32", 4.5, over("peer_a", "float32")),
  Goal("examples/s over peer (a), bf16", 2.2, over("peer_a", "bfloat16")),
  Goal("examples/s over peer (b), f32", 1.1, over("peer_b", "float32")),
  Goal("examples/s over peer (b), its best type", 0.6, over_best),
  Goal(
    "useful FLOP/s over the machine's f32 products",
    0.45,
    lambda results: results["train_throughput"]["useful_flops_share"],
  ),
  Goal("peak memory over peer (a), f32", 1.0, memory, most=True),
  Goal(
    "a teacher's rows/s over training's examples/s",
    3.0,
    lambda results: results["teach_throughput"]["ratio"],
  ),
  Goal(
    "pairs tokenised and written a second of one core",
    8000,
    lambda results: results["input_pipeline"]["pairs_per_s_per_core"],
  ),
  Goal(
    "examples planned, packed and read over those trained",
    20,
    lambda results: results["input_pipeline"]["over_train"],
  ),
  Goal(
    "seconds to import all that trains",
    3.0,
    lambda results: results["startup"]["import_seconds"]["ours"],
    most=True,
  ),
  Goal(
    "seconds to the end of the first step, warm cache",
    8.0,
    lambda results: results["startup"]["first_step_seconds"]["warm"],
    most=True,
  ),
)


def rows(results: Results) -> list[str]:
  """Returns the table of all goals."""
  head = ["| measure | goal | reached | met |", "|---|--:|--:|---|"]
  return head + [goal.row(results) for goal in GOALS]
