"""What the top level of the repository holds, and which names the harness may use.

Who may import whom is checked by import-linter; the contracts are in pyproject.toml.
"""

import ast

import pytest

from tests.helpers.paths import ROOT

#: Training the start of ristretto drives the encoder's own parts.
TRAINING = ROOT / "experiments" / "checks" / "train_ristretto.py"
HARNESS = sorted({*(ROOT / "experiments").rglob("*.py")} - {TRAINING})


@pytest.mark.parametrize("path", HARNESS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_harness_uses_public_names_of_the_library(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("compresso"):
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            assert not [part for part in parts if part.startswith("_") and part != "__version__"]


def test_the_top_level_is_the_users():
    fixed = {"compresso", "experiments", "data", "figures", "run.py", "requirements.txt"}
    also = {"tests", "docs", "Makefile", "pyproject.toml", "requirements-dev.txt", "MANIFEST.in"}
    papers = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "LICENSE"}
    made = {"build", "dist", "peers", "PKG-INFO", "setup.cfg"}
    here = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert fixed <= here
    assert {name for name in here if not name.endswith(".egg-info")} <= fixed | also | papers | made
