"""The page for contributors shows the tree as it is, and the harness uses public names."""

import ast
import re

import pytest

from tests.helpers.paths import ROOT

#: Training the start of ristretto drives the encoder's own parts.
TRAINING = ROOT / "experiments" / "checks" / "train_ristretto.py"


@pytest.mark.parametrize("folder", ["compresso", "experiments"])
def test_contributing_lists_the_parts(folder):
    page = (ROOT / "CONTRIBUTING.md").read_text()
    block = re.search(rf"^    {folder}/ .*\n((?:      .*\n)+)", page, re.M)[1]
    listed = {line.split()[0].rstrip("/") for line in block.splitlines()}
    names = {path.name for path in (ROOT / folder).iterdir()}
    hidden = {"__init__.py", "__pycache__", "py.typed", "results"}
    assert listed == names - hidden


def test_contributing_names_existing_code():
    page = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add something")[2]
    files = [path for part in ("compresso", "experiments") for path in (ROOT / part).rglob("*.py")]
    words = {word for path in files for word in re.findall(r"\w+", path.read_text())}
    assert not set(re.findall(r"`([A-Za-z_]+)`", page)) - words


def test_the_harness_uses_public_names_of_the_library():
    for path in {*(ROOT / "experiments").rglob("*.py")} - {TRAINING}:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("compresso"):
                parts = [*node.module.split("."), *(alias.name for alias in node.names)]
                private = [name for name in parts if re.match(r"_(?!_)", name)]
                assert not private, path
