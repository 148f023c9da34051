"""What an installer and a package index are given: description, licence, files."""

import re
import subprocess
import tarfile
import tomllib
import venv
import zipfile
from email import message_from_bytes

import pytest

import compresso
from tests.helpers.paths import ROOT
from tests.helpers.peers import VERSIONS, install, interpreter

README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: Runs the README's CloudVolume snippet.
ROUND_TRIP = """
import sys, compresso, numpy as np
corners = np.arange(1, 9, dtype=np.uint64).reshape(2, 2, 2)
labels = before = np.kron(corners, np.ones((8, 99, 90), np.uint64))
exec(sys.stdin.read())
print(compresso.__version__, np.array_equal(labels, before))
"""


def relative_links(text):
    """The links of a text that lead nowhere on another site."""
    return re.findall(r"\]\(\s*<?(?!https?://|mailto:|#)[^)\s>]+", text)


def test_the_metadata():
    """Requirements are the dependencies and the extra ``bench``; the README lists all extras."""
    extras = PROJECT["optional-dependencies"]
    lines = re.findall(r"^[^#\s]+", (ROOT / "requirements.txt").read_text(), re.M)
    assert {*lines} == {*PROJECT["dependencies"], *extras["bench"]}
    assert set(re.findall(r"^\| `(\w+)` \|", README, re.M)) >= set(extras)
    assert not relative_links(PROJECT["readme"]["text"])


@pytest.fixture(scope="module")
def built(pytestconfig, tmp_path_factory):
    """The folder with the source distribution and the wheel that is made of it."""
    python = interpreter(pytestconfig.cache.mkdir("peers"), "build")
    folder = tmp_path_factory.mktemp("built")
    subprocess.run([python, "-m", "build", "--outdir", folder, ROOT], check=True)
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
def test_the_wheel_replaces_the_package_that_cloudvolume_asks_for(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    install(python, str(wheel), f"cloud-volume[compresso]=={VERSIONS['cloud-volume']}")
    subprocess.run([python, "-m", "pip", "check"], check=True)
    code = re.search(r"```python\n(from cloudvolume .*?)```", README, re.S)[1]
    options = {"cwd": tmp_path, "input": code, "text": True}
    printed = subprocess.check_output([python, "-c", ROUND_TRIP], **options)
    assert printed.split() == [compresso.__version__, "True"]
    printed = subprocess.check_output([python.with_name("compresso"), "--version"], text=True)
    assert compresso.__version__ in printed


@pytest.mark.slow
def test_the_source_distribution_has_all_files(built):
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert set(files.splitlines()) - {".gitignore"} <= held
