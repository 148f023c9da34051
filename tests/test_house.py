"""The rooms of the house: who may use whom, and how large anything may be."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: The harness from the ground up: a room uses those before it, and itself.
FLOORS = ("errors", "disk", "names", "numbers", "program", "records", "datasets", "measure")
FLOORS += ("paper", "figures", "page", "bench", "recommend", "trust", "commands")
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
    assert rooms - {"__init__", "corruption"} == set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_use_those_below(path):
    own = room(path.relative_to(ROOT / "experiments").parts)
    if own in ("__init__", "corruption"):  # the latter is a name only
        return
    for name in imported(path):
        if name.startswith("experiments."):
            assert FLOORS.index(name.split(".")[1]) <= FLOORS.index(own), name


@pytest.mark.parametrize("path", [ROOT / "run.py", *MODULES], ids=lambda path: path.name)
def test_nothing_is_too_large_to_hold_in_the_head(path):
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name
            assert len(node.args.args) + len(node.args.kwonlyargs) <= 6, node.name


def test_the_library_knows_nothing_of_the_harness():
    for path in (ROOT / "compresso").rglob("*.py"):
        assert not [name for name in imported(path) if name.startswith("experiments")], path


LIBRARY = sorted(path for path in (ROOT / "compresso").rglob("*.py") if "kernels" not in path.parts)


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_library_fits_the_head_too(path):
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name


def test_kernels_know_only_arrays():
    for path in (ROOT / "compresso" / "kernels").rglob("*.py"):
        ours = [name for name in imported(path) if name.startswith("compresso")]
        assert all(name.startswith("compresso.kernels") for name in ours), (path, ours)


def test_the_top_level_is_the_users():
    fixed = {"compresso", "experiments", "data", "figures", "run.py", "requirements.txt"}
    also = {"tests", "docs", "Makefile", "pyproject.toml", "requirements-dev.txt"}
    papers = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "LICENSE"}
    made = {"build", "dist", "peers"}
    here = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert fixed <= here
    assert {name for name in here if not name.endswith(".egg-info")} <= fixed | also | papers | made
