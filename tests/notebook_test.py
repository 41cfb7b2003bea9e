"""The notebook runs whole, in a small form, as it would in Colab."""

import os
from pathlib import Path
import sys

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "launch" / "colab" / "bam_quickstart.ipynb"
# What running it needs.
nbformat = pytest.importorskip("nbformat", reason="pip install -e '.[test]'")
nbclient = pytest.importorskip("nbclient", reason="pip install -e '.[test]'")
pytest.importorskip("ipykernel", reason="pip install -e '.[test]'")


def printed(cell) -> str:
  """Returns what a cell printed and showed as text."""
  return "".join(
    each.get("text", "") or each.get("data", {}).get("text/plain", "")
    for each in cell.outputs
  )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_cell_runs_and_the_model_answers(tmp_path, monkeypatch):
  notebook = nbformat.read(FILE, as_version=4)
  assert not any(cell.get("outputs") for cell in notebook.cells), "strip it"
  monkeypatch.setenv("BAM_MAX_STEPS", "4")
  monkeypatch.setenv("PYTHONPATH", str(ROOT))
  # Its commands are those of this Python.
  scripts = Path(sys.executable).parent
  # It trains for longer than it compiles.
  monkeypatch.setenv("XLA_FLAGS", "")
  monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")
  monkeypatch.setenv("JAX_PLATFORMS", "cpu")
  monkeypatch.setenv("MPLBACKEND", "agg")
  nbclient.NotebookClient(
    notebook,
    timeout=600,
    kernel_name="python3",
    resources={"metadata": {"path": str(tmp_path)}},
  ).execute()
  said = {
    cell.source: printed(cell)
    for cell in notebook.cells[1::1]
    if cell.cell_type == "code"
  }
  text = "".join(said.values())
  assert "error" not in text.lower(), text
  assert "paraphrase" in text and "model.safetensors" in text
  assert os.path.isdir(tmp_path / "quickstart" / "exported")
