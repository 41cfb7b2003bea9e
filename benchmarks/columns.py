"""A table of texts with ten label columns, made of the suite's grammar."""

import csv
import json
from pathlib import Path

from bam_jax.data.sources import grammar
from bam_jax.data.sources.grammar import DETERMINERS, POOLS, Clause, Dice

# What a column of many labels says of no label at all; empty, none holds.
MISSING = "?"
# Share of the labels of each column that are missing.
GAPS = 0.1
WHO, WHAT, WHERE = (
  sorted({each.kind for each in POOLS[slot]})
  for slot in ("agent", "object", "place")
)
QUALITY = ["good", "bad", "plus", "minus", "none"]
PARTS = ["quality", "place", "never"]
# Column -> what [table.labels.NAME] says of it.
COLUMNS = {
  "who": {"labels": WHO},
  "what": {"labels": WHAT},
  "where": {"labels": [*WHERE, "nowhere"]},
  "mood": {"labels": ["bad", "neutral", "good"]},
  "negated": {"labels": ["no", "yes"]},
  "number": {"labels": ["one", "many"]},
  "quality": {"labels": QUALITY},
  "parts": {"many": True, "labels": PARTS, "ignore": [MISSING]},
  "words": {"range": [0, 30]},
  "other": {"labels": WHO},
}


def _labels(one: Clause, two: Clause, words: int) -> dict[str, object]:
  """Returns what each column says of a text of two clauses."""
  valence = one.verb.valence * (-1 if one.negated else 1)
  return {
    "who": one.agent.kind,
    "what": one.object.kind,
    "where": one.place.kind if one.place else "nowhere",
    "mood": ["neutral", "good", "bad"][valence],
    "negated": ["no", "yes"][one.negated],
    "number": ["one", "many"][DETERMINERS[one.determiner]],
    "quality": one.quality.kind if one.quality else "none",
    "parts": [
      name
      for name, there in zip(
        PARTS, (one.quality, one.place, one.negated), strict=True
      )
      if there
    ],
    "words": words,
    "other": two.agent.kind,
  }


def rows(count: int, seed: int, gaps: float) -> list[dict[str, object]]:
  """Returns texts with their labels, "" where one is missing."""
  dice, found = Dice(seed), []
  for _ in range(count):
    pair = [grammar.clause(dice, modifiers=0.5, plain=False) for _ in range(2)]
    said = [grammar.say(each, grammar.words_for(each, dice)) for each in pair]
    words = [*said[0], "and", *said[1]]
    labels = _labels(*pair, len(words))
    row = {k: "" if dice.chance(gaps) else v for k, v in labels.items()}
    found.append({"text": " ".join(words), **row})
  return found


def target(said: dict, value: str) -> list[float] | float | int:
  """Returns what a cell means to a peer."""
  if "range" in said:
    low, high = said["range"]
    return (float(value) - low) / (high - low)
  if said.get("many"):
    return [float(name in json.loads(value)) for name in said["labels"]]
  return said["labels"].index(value)


def write(folder: Path, *, train: int, dev: int, gaps: float = GAPS) -> Path:
  """Writes train.csv, dev.csv and the tasks file; returns that."""
  folder.mkdir(parents=True, exist_ok=True)
  for seed, (split, count) in enumerate({"train": train, "dev": dev}.items()):
    with (folder / f"{split}.csv").open("w", newline="") as file:
      table = csv.DictWriter(file, ["text", *COLUMNS])
      table.writeheader()
      for row in rows(count, seed, gaps):
        parts = row["parts"]
        several = {"parts": MISSING if parts == "" else json.dumps(parts)}
        table.writerow(row | several)
  lines = ["[[table]]", 'train = "train.csv"', 'dev = "dev.csv"']
  lines.append('text = "text"')
  for name, said in COLUMNS.items():
    lines.append(f"[table.labels.{name}]")
    lines += [f"{key} = {json.dumps(value)}" for key, value in said.items()]
  path = folder / "wide.toml"
  path.write_text("\n".join(lines) + "\n")
  return path
