"""Texts for people to label or to look at, as annotation tools import them.

A record has the "row", its "texts", an "answer" to be corrected, and whatever
else is known of it, such as the margin.
"""

from collections.abc import Callable, Mapping, Sequence
import csv
import json
from typing import Any, TextIO

Record = Mapping[str, Any]


def _answer(record: Record) -> list[str]:
  """Returns the labels of an answer, or its number."""
  said = record["answer"]
  if "value" in said:
    return [str(said["value"])]
  return said.get("labels") or ([said["label"]] if "label" in said else [])


def _more(record: Record) -> dict[str, Any]:
  """Returns what is known of a text beside its answer."""
  return {k: v for k, v in record.items() if k not in ("texts", "answer")}


def write_jsonl(out: TextIO, records: Sequence[Record], run: str) -> None:
  """Writes a JSON object a line."""
  del run
  for record in records:
    out.write(json.dumps(record, ensure_ascii=False) + "\n")


def write_csv(out: TextIO, records: Sequence[Record], run: str) -> None:
  """Writes a table: the texts, then what is said of them."""
  del run
  if not records:
    return
  rest = [*(name for name in _more(records[0]) if name != "row"), "row"]
  table = csv.writer(out, lineterminator="\n")
  table.writerow([*records[0]["texts"], "answer", *rest])
  for record in records:
    said = ["; ".join(_answer(record))]
    values = [record[name] for name in rest]
    table.writerow([*record["texts"].values(), *said, *values])


def write_label_studio(
  out: TextIO, records: Sequence[Record], run: str
) -> None:
  """Writes a list of tasks with predictions, as Label Studio imports them.

  Its labelling config names the choices `label`, and the first text `text`.
  """
  tasks = []
  for record in records:
    (first, *_), said = record["texts"], record["answer"]
    kind = "number" if "value" in said else "choices"
    value = said["value"] if kind == "number" else _answer(record)
    result = {
      "from_name": "label",
      "to_name": "text",
      "type": kind,
      "value": {kind: value},
    }
    tasks.append(
      {
        "data": {"text": record["texts"][first], **record["texts"]},
        "meta": _more(record),
        "predictions": [{"model_version": run, "result": [result]}],
      }
    )
  json.dump(tasks, out, ensure_ascii=False, indent=1)
  out.write("\n")


def write_doccano(out: TextIO, records: Sequence[Record], run: str) -> None:
  """Writes JSON lines with `text` and `label`, as doccano imports them.

  What else is known of a text goes beside them, where doccano keeps it.
  """
  del run
  for record in records:
    texts = list(record["texts"].values())
    line = {"text": "\n".join(texts), "label": _answer(record)}
    out.write(json.dumps(line | _more(record), ensure_ascii=False) + "\n")


WRITERS: Mapping[str, Callable[[TextIO, Sequence[Record], str], None]] = {
  "jsonl": write_jsonl,
  "csv": write_csv,
  "label-studio": write_label_studio,
  "doccano": write_doccano,
}
