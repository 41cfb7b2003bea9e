"""The pages build, and their links and modules are there."""

import os
from pathlib import Path
import re
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
# Outside of ROOT/docs, mkdocs does not look.
LINK = re.compile(r"\]\(([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
  for link in LINK.findall(page.read_text("utf-8")):
    if not re.match(r"https?://|mailto:", link):
      assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_readme_stays_short():
  assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


def test_the_pages_name_modules_that_there_are():
  named = re.findall(
    r"^::: bam_jax\.(\S+)$", (ROOT / "docs/api.md").read_text(), re.M
  )
  assert len(named) > 20
  for name in named:
    assert (ROOT / "bam_jax" / f"{name.replace('.', '/')}.py").is_file(), name


def test_the_pages_build_without_a_warning(tmp_path):
  pytest.importorskip("mkdocs", reason="pip install -e '.[docs]' has it")
  built = subprocess.run(
    [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)],
    cwd=ROOT,
    env=os.environ | {"PYTHONPATH": str(ROOT)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert built.returncode == 0, built.stderr[-3000:]
  text = (tmp_path / "api" / "index.html").read_text("utf-8")
  assert "bam_jax.models.bert.Bert" in text
