"""The documentation's snippets run, its links lead somewhere, and its reference is current."""

import importlib.util
import re
import shlex

import h5py
import numpy as np
import pytest

import compresso
from experiments import records
from experiments.figures import documentation
from experiments.records import COLUMNS
from tests.helpers.paths import ROOT
from tests.helpers.program import invoke

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PYTHON = re.compile(r"```python\n(.*?)```", re.S)
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
#: Options of Dask, and of experiments/checks/corruption.py.
OTHERS = {"--nthreads", "--count"}
WITH_PYTHON = [
    p for p in PAGES if p.stem not in ("api", "CONTRIBUTING") and PYTHON.search(p.read_text())
]


@pytest.fixture
def sources(phantom, tmp_path, monkeypatch):
    """The files that snippets and commands read, in the current folder."""
    monkeypatch.chdir(tmp_path)
    np.save("brain.npy", phantom)
    for source in ("brain.h5", "seg.h5"):
        with h5py.File(source, "w") as file:
            file["labels"] = phantom
    (tmp_path / "damaged.cps").write_bytes(compresso.dumps(phantom, depth=4)[:-40])


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda path: path.stem)
def test_snippets_run(page, phantom, sources, request):
    for code in PYTHON.findall(page.read_text()):
        for package in re.findall(r"^(?:import|from) (\w+)", code, re.M):
            pytest.importorskip(package)
        for package in ("zarr", "numcodecs"):
            if f"import {package}" in code:  # an installed package has entry points
                request.getfixturevalue(package)
        names = {"labels": phantom.copy()}
        exec(compile(code, page.name, "exec"), names)
        assert np.array_equal(np.asarray(names.get("restored", names["labels"])), phantom)


@pytest.mark.parametrize("name", ["README", "docs/files", "docs/zarr", "docs/large-volumes"])
def test_commands_run(name, sources):
    if name != "docs/files":
        pytest.importorskip("tensorstore")
    blocks = "".join(re.findall(r"```sh\n(.*?)```", (ROOT / f"{name}.md").read_text(), re.S))
    local = re.findall(r"^compresso (?!.*(?:://| - )).*", blocks, re.M)
    assert local
    for line in local:
        invoke(*shlex.split(line)[1:], code="damaged" in line)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            heads = re.findall(r"^#+ (.*)", target.read_text(), re.M)
            anchors = [re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads]
            assert anchor in anchors, link


@pytest.mark.parametrize("page", GUIDES, ids=lambda path: path.stem)
def test_the_options_exist(page):
    known = set(OPTION.findall((ROOT / "docs" / "cli.md").read_text())) | OTHERS
    assert set(OPTION.findall(page.read_text())) <= known


def test_the_columns_of_the_csv_are_described():
    page = (ROOT / "docs" / "benchmarking.md").read_text().partition("## Columns of the CSV")[2]
    rows = re.findall(r"^\| (`.*?) \|", page, re.M)
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == list(COLUMNS)


def test_the_reference_is_current():
    path = ROOT / "docs" / "reference.py"
    spec = importlib.util.spec_from_file_location("reference", path)
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    for name in ("cli", "api"):
        page = (ROOT / "docs" / f"{name}.md").read_text()
        assert page == getattr(reference, name)(), "run: python docs/reference.py"


def test_tables_are_those_of_the_results():
    found = list(documentation.tables(records.read(documentation.RESULTS)))
    assert len(found) == 3
    for page, lines in found:
        assert "\n".join(lines) in page.read_text(), page
