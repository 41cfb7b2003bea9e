"""Files that were right before some of their bytes changed, for Hypothesis."""

from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from bam_jax.tasks.table import TASKS

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
RTE = TASKS["rte"]


def examples(number: int) -> settings:
  """The same examples every time, and no folder of them left behind."""
  return settings(
    max_examples=number,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=SLOW,
  )


ODD = [
  *(b"\0", b"\t", b"\n", b"\r\n", b"\x85", b"\xff", b"\xed\xa0\x80", b"-1"),
  *(b"nan", b"Infinity", b"1e999", b"9" * 5000, b"[" * 3000, b'{"a":' * 3000),
  *("\u2028".encode(), "\ufeff".encode(), b'"', b"null", b"true", b"\\ud800"),
  *(n.to_bytes(8, "little") for n in (1 << 31, 1 << 60, (1 << 64) - 1)),
]
EDITS = st.lists(
  st.tuples(
    st.sampled_from(["change", "lose", "add", "twice", "end"]),
    st.floats(0, 1),
    st.binary(max_size=12) | st.sampled_from(ODD),
  ),
  min_size=1,
  max_size=4,
)


def spoil(whole: bytes, edits: list) -> bytes:
  """Changes, loses, adds or repeats some bytes, or cuts the end off."""
  data = bytearray(whole)
  for kind, where, new in edits:
    at, size = int(where * len(data)), len(new)
    match kind:
      case "change":
        data[at : at + size] = new
      case "lose":
        del data[at : at + size]
      case "add":
        data[at:at] = new
      case "twice":
        data[at:at] = data[at : at + 4 * size]
      case "end":
        del data[at:]
  return bytes(data)


def spoilt(whole: bytes) -> st.SearchStrategy[bytes]:
  """A file that was right."""
  return EDITS.map(lambda edits: spoil(whole, edits))


NESTED = st.recursive(
  st.none()
  | st.booleans()
  | st.integers()
  | st.floats()
  | st.text(max_size=3)
  | st.sampled_from([0.5, 1, 0, 10**400, 1e308, -1, "0.5", *RTE.labels]),
  lambda inner: (
    st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*RTE.labels, "a"]), inner, max_size=3)
  ),
  max_leaves=6,
)


def read(reader, path: Path, *named: Path):
  """Returns what a reader makes of a file, None for one good sentence."""
  try:
    return reader()
  except (ValueError, OSError) as error:
    said = str(error)
    assert any(str(each) in said for each in (path, *named)), said
    assert "\n" not in said and len(said) < 1000, said
    return None
