"""Who may import whom, and what the top level holds."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: The harness from the ground up: a room uses those before it, and itself.
FLOORS = ("errors", "text", "records", "datasets", "measure")
FLOORS += ("paper", "figures", "page", "bench", "recommend", "checks", "commands")
MODULES = sorted((ROOT / "experiments").rglob("*.py"))


def imported(path):
    """The names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def room(parts):
    return parts[0].removesuffix(".py")


def test_every_room_has_its_floor():
    rooms = {room(path.relative_to(ROOT / "experiments").parts) for path in MODULES}
    assert rooms - {"__init__"} == set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_use_those_below(path):
    own = room(path.relative_to(ROOT / "experiments").parts)
    if own == "__init__":
        return
    for name in imported(path):
        if name.startswith("experiments."):
            assert FLOORS.index(name.split(".")[1]) <= FLOORS.index(own), name


def test_the_library_knows_nothing_of_the_harness():
    for path in (ROOT / "compresso").rglob("*.py"):
        assert not [name for name in imported(path) if name.startswith("experiments")], path


def test_kernels_know_only_arrays():
    for path in (ROOT / "compresso" / "kernels").rglob("*.py"):
        ours = [name for name in imported(path) if name.startswith("compresso")]
        assert all(name.startswith("compresso.kernels") for name in ours), (path, ours)


def test_the_top_level_is_the_users():
    fixed = {"compresso", "experiments", "data", "figures", "run.py", "requirements.txt"}
    also = {"tests", "docs", "Makefile", "pyproject.toml", "requirements-dev.txt"}
    papers = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "LICENSE"}
    made = {"build", "dist", "peers", "MANIFEST.in", "PKG-INFO", "setup.cfg"}
    here = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert fixed <= here
    assert {name for name in here if not name.endswith(".egg-info")} <= fixed | also | papers | made
