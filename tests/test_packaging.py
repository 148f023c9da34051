"""What an installer and a package index are given: description, licence, files."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from peers import interpreter

ROOT = Path(__file__).resolve().parents[1]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())
#: Targets of links and images in Markdown, in its references, and in HTML.
LINK = re.compile(
    r"""\]\(\s*<?([^)\s>]+)|^\s*\[[^\]]+\]:\s*(\S+)|\b(?:src|href)=["']([^"']+)""", re.M
)


def relative_links(text):
    """The links of a text that lead nowhere on another site."""
    found = ["".join(groups) for groups in LINK.findall(text)]
    return [link for link in found if not re.match(r"https?://|mailto:|#", link)]


def test_a_relative_link_is_found():
    text = '[a](b.md) ![c](https://d) [e](#f)\n[g]: h.md\n<img src="i.png">'
    assert relative_links(text) == ["b.md", "h.md", "i.png"]


def test_the_long_description_has_no_relative_links():
    assert not relative_links((ROOT / CONFIG["project"]["readme"]).read_text())


def test_the_licence_is_an_spdx_expression():
    assert CONFIG["project"]["license"] == "MIT"
    files = CONFIG["project"]["license-files"]
    assert files
    assert all((ROOT / name).is_file() for name in files)


def test_requirements_have_the_dependencies_of_the_library():
    assert set(CONFIG["project"]["dependencies"]) <= set(
        (ROOT / "requirements.txt").read_text().splitlines()
    )


@pytest.fixture(scope="module")
def built(pytestconfig, tmp_path_factory):
    """The folder with the source distribution and the wheel that is made of it."""
    python = interpreter(pytestconfig.cache.mkdir("peers"), "build")
    folder = tmp_path_factory.mktemp("built")
    command = [python, "-m", "build", "--outdir", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_the_wheel(built):
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        found = message_from_bytes(wheel.read(metadata))
    assert found["License-Expression"] == "MIT"
    assert not relative_links(found.get_payload())
    assert {"compresso/py.typed", "compresso/encodings/ristretto-start-1.xz"} <= set(names)
    assert {name.split("/")[0] for name in names} == {"compresso", metadata.split("/")[0]}


@pytest.mark.slow
def test_the_source_distribution_passes_its_tests(built, tmp_path):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    tests = ["test_house.py", "test_golden.py", "test_frame_array.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", *(f"tests/{name}" for name in tests)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.slow
def test_the_source_distribution_has_all_files(built):
    git = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if git.returncode:
        pytest.skip("needs a clone")
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert set(git.stdout.splitlines()) - {".gitignore"} <= held
