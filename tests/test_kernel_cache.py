"""Kept machine code: where none can be kept, where it is damaged, and when a source changes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from compresso.kernels import _cache

ROOT = Path(__file__).resolve().parents[1]
#: The kernel that calls another one and is soonest compiled: most tests here compile it anew.
PROGRAM = """
import numpy as np
from compresso.kernels import boundary
counts = boundary.count_indeterminate(np.ones((1, 2, 1), np.uint64))
print(counts.tolist(), boundary.count_indeterminate.__name__)
"""
#: Two boundary voxels, one above the other: neither has a neighbour that is none.
EXPECTED = "[2] count_indeterminate\n"


def run(folder, before="", begin=(), **environment):
    """What the program prints with the package in ``folder``, and on standard error."""
    done = subprocess.run(
        [*begin, sys.executable, "-c", before + PROGRAM],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(
        ROOT / "compresso", folder / "compresso", ignore=shutil.ignore_patterns("__pycache__")
    )
    return folder


@pytest.fixture(scope="module")
def kept(package, tmp_path_factory):
    """A folder with the machine code of one run."""
    folder = tmp_path_factory.mktemp("kept")
    assert run(package, NUMBA_CACHE_DIR=str(folder)) == (EXPECTED, "")
    return folder


def files_of(folder):
    """The kept code below a folder, by name and time."""
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.nbc")}


def test_kernels_run_where_no_folder_can_be_written(package):
    assert run(package, NUMBA_CACHE_DIR="/dev/null/cache") == (EXPECTED, "")


def test_what_is_kept_is_used(package, kept):
    before = files_of(kept)
    assert before
    assert run(package, NUMBA_CACHE_DIR=str(kept)) == (EXPECTED, "")
    assert files_of(kept) == before


def cut(data):
    return data[:100]


def emptied(data):
    return b""


def flipped(data):
    return data[:-50] + bytes([data[-50] ^ 1]) + data[-49:]


@pytest.mark.parametrize("damage", [cut, emptied, flipped])
def test_damaged_files_are_compiled_again(package, kept, damage):
    files = sorted(kept.rglob("*count_indeterminate*.nbc"))
    assert files
    for path in files:
        path.write_bytes(damage(path.read_bytes()))
    broken = {path: path.read_bytes() for path in files}
    assert run(package, NUMBA_CACHE_DIR=str(kept)) == (EXPECTED, "")
    assert all(path.stat().st_size > 1000 for path in files)  # kept anew
    assert all(path.read_bytes() != data for path, data in broken.items())


UPGRADES = {
    "numba": "import numba; numba.__version__ = '99'\n",
    "checks": "import os; os.environ['NUMBA_BOUNDSCHECK'] = '1'\n",
    "portable": "import os; os.environ['COMPRESSO_PORTABLE'] = '1'\n",
}


@pytest.mark.parametrize("what", UPGRADES)
def test_code_of_another_kind_is_not_used(package, kept, tmp_path, what):
    """Whatever the code depends on: it is compiled beside what is kept, and both stay."""
    shutil.copytree(kept, tmp_path / "kept")
    folder = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    assert run(package, UPGRADES[what], **folder) == (EXPECTED, "")
    both = files_of(tmp_path / "kept")
    assert set(files_of(kept)) < set(both)
    assert run(package, UPGRADES[what], **folder) == (EXPECTED, "")
    assert files_of(tmp_path / "kept") == both


@pytest.mark.parametrize("change", ["version", "line"])
def test_what_is_old_and_of_other_sources_is_removed(package, kept, tmp_path, change):
    shutil.copytree(kept, tmp_path / "kept")
    (unfinished,) = list((tmp_path / "kept").rglob("*count_indeterminate*.nbc"))
    unfinished.with_name(unfinished.name + ".1234.tmp").write_bytes(b"killed")
    for path in (tmp_path / "kept").iterdir():
        os.utime(path, (1, 1))
    upgrade = UPGRADES["numba"] if change == "version" else ""
    if change == "line":  # every function of the file is a line further down
        shutil.copytree(package / "compresso", tmp_path / "compresso")
        source = tmp_path / "compresso" / "kernels" / "boundary.py"
        source.write_text("\n" + source.read_text())
        package = tmp_path
    assert run(package, upgrade, NUMBA_CACHE_DIR=str(tmp_path / "kept")) == (EXPECTED, "")
    after = files_of(tmp_path / "kept")
    assert len(after) == len(files_of(kept))
    assert not set(after) & set(files_of(kept))
    assert not list((tmp_path / "kept").glob("*.tmp"))


@pytest.fixture
def obedient():
    """What a command begins with so that root, too, obeys the modes of files."""
    if not hasattr(os, "geteuid") or os.geteuid():
        return []
    command = ["setpriv", "--bounding-set=-dac_override"]
    if shutil.which("setpriv") and not subprocess.run([*command, "true"], check=False).returncode:
        return command
    pytest.skip("needs setpriv, or another user than root")


@pytest.mark.parametrize("filled", [False, True])
def test_an_installation_that_cannot_be_written(package, kept, tmp_path, obedient, filled):
    """What is kept with the sources is used, and what is not goes to the user's own folder."""
    shutil.copytree(package / "compresso", tmp_path / "compresso")
    beside = tmp_path / "compresso" / "kernels" / "__pycache__"
    beside.mkdir(exist_ok=True)
    if filled:
        shutil.copytree(kept, beside, dirs_exist_ok=True)
    home = tmp_path / "home"
    home.mkdir()
    before = files_of(tmp_path / "compresso")
    places = {"HOME": str(home), "XDG_CACHE_HOME": "", "NUMBA_CACHE_DIR": ""}
    beside.chmod(0o555)
    try:
        done = run(tmp_path, begin=obedient, **places)
    finally:
        beside.chmod(0o755)
    assert done == (EXPECTED, "")
    assert files_of(tmp_path / "compresso") == before
    own = files_of(home / ".cache" / "compresso" / "kernels")
    assert bool(own) != filled
    assert (set(own) or set(before)) == set(files_of(kept))


def test_the_users_folder(package, tmp_path, monkeypatch):
    monkeypatch.setattr(_cache.numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    beside = Path(_cache.__file__).parent / "__pycache__"
    for given, found in (("", ".cache"), ("not/absolute", ".cache"), (str(tmp_path / "x"), "x")):
        monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert list(_cache.folders()) == [beside, tmp_path / found / "compresso" / "kernels"]


MANY = """
import sys
import numpy as np
from compresso.kernels.ristretto import labels
dtype = np.dtype(sys.argv[1])
tally = np.zeros(6, np.int64)
labels.count_agreement(np.arange(3 * 4 * 5).astype(dtype), 4, 5, tally)
print(tally.tolist(), sum(labels.count_agreement.stats.cache_hits.values()))
"""


def test_many_processes_on_an_empty_folder(package, tmp_path):
    """Of one kernel for three types at once, one twice: all right, and each kind is kept."""
    types = ["u1", "u4", "u8"]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(package)}

    def start(dtype):
        command = [sys.executable, "-c", MANY, dtype]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    first = [process.communicate()[0] for process in map(start, [*types, types[0]])]
    assert len({line.rpartition(" ")[0] for line in first}) == 1
    assert [start(dtype).communicate()[0].split()[-1] for dtype in types] == ["1"] * 3
    assert len(list(tmp_path.glob("*count_agreement*.nbc"))) == 3
    assert not list(tmp_path.glob("*.tmp"))


def test_a_change_in_a_called_kernel_drops_the_kept_code(package, kept):
    source = package / "compresso" / "kernels" / "boundary.py"
    text = source.read_text()
    # count_indeterminate calls indeterminate_word: one that finds nothing must be noticed.
    text_without = text.replace("return word & (", "return (word ^ word) & (")
    assert text_without != text
    source.write_text(text_without)
    try:
        stdout, _ = run(package, NUMBA_CACHE_DIR=str(kept))
    finally:
        source.write_text(text)
    assert stdout == "[0] count_indeterminate\n"
