"""The packages that bam_jax was tested with, and those that are here."""

from collections.abc import Iterator
import importlib.metadata
from pathlib import Path
import platform

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from bam_jax.runtime.findings import Finding, Level

# What .ci/run installed and passed all tests with. What may be installed stands
# in requirements.txt.
PYTHON, OLDEST_PYTHON = "3.11.7", "3.11"
TESTED = {
  "absl-py": "2.5.1",
  "array-record": "0.8.6",
  "flatbuffers": "25.12.19",
  "flax": "0.12.8",
  "huggingface-hub": "2.4.0",
  "importlib-resources": "7.1.0",
  "jax": "0.10.2",
  "jaxlib": "0.10.2",
  "matplotlib": "3.11.2",
  "ml-collections": "1.1.0",
  "numpy": "2.4.6",
  "optax": "0.2.8",
  "orbax-checkpoint": "0.12.8",
  "packaging": "26.3",
  "psutil": "7.2.2",
  "pyarrow": "26.0.1",
  "pyyaml": "6.0.3",
  "rich": "15.0.0",
  "safetensors": "0.8.0",
  "scikit-learn": "1.9.1",
  "seqeval": "1.2.2",
  "scipy": "1.17.1",
  "statsmodels": "0.15.0",
  "tensorboardx": "2.6.5",
  "tensorflow-datasets": "4.9.10",
  "tokenizers": "0.23.3",
}
REQUIREMENTS = Path(__file__).parents[2] / "requirements.txt"


def requirements() -> dict[str, SpecifierSet]:
  """Returns the versions that may be installed, by package."""
  if REQUIREMENTS.is_file():
    lines = REQUIREMENTS.read_text("utf-8").splitlines()
    texts = [line.partition("#")[0].strip() for line in lines]
  else:  # installed, not a checkout
    texts = importlib.metadata.requires("bam_jax") or []
  parsed = [Requirement(text) for text in texts if text]
  return {
    canonicalize_name(each.name): each.specifier
    for each in parsed
    if not each.marker or each.marker.evaluate({"extra": ""})
  }


def look() -> Iterator[Finding]:
  """Yields what Python and the packages are; a problem = one cannot do."""
  yield _python()
  allowed = dict.fromkeys(TESTED, SpecifierSet()) | requirements()
  as_tested, newer = 0, {}
  for name, range_ in sorted(allowed.items()):
    wanted = f"pip install '{name}{range_}'"
    try:
      here = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      yield Finding(Level.PROBLEM, name, f"it is not installed; type: {wanted}")
      continue
    if not range_.contains(here, prereleases=True):
      text = f"version {here} is here, {range_} is needed; type: {wanted}"
      yield Finding(Level.PROBLEM, name, text)
    elif name in TESTED and Version(here) > Version(TESTED[name]):
      newer[name] = here
    as_tested += here == TESTED.get(name)
  yield Finding(
    Level.OK,
    "packages",
    f"{as_tested} of {len(allowed)} have the very version that was tested",
  )
  if newer:
    shown = [f"{n} {v} (tested: {TESTED[n]})" for n, v in newer.items()]
    back = " ".join(f"{name}=={TESTED[name]}" for name in newer)
    yield Finding(
      Level.WARNING,
      "packages",
      f"newer than tested: {', '.join(shown)}; should something fail, type: "
      f"pip install {back}",
    )


def _python() -> Finding:
  here = platform.python_version()
  if Version(here) < Version(OLDEST_PYTHON):
    text = f"{here} is here, {OLDEST_PYTHON} or newer is needed; install one"
    return Finding(Level.PROBLEM, "python", text)
  minor = Version(here).release[:2]
  if minor > Version(PYTHON).release[:2]:
    text = f"{here} is newer than tested ({PYTHON})"
    return Finding(Level.WARNING, "python", text)
  return Finding(Level.OK, "python", f"{here}; {PYTHON} was tested")
