"""Kept machine code: where none can be kept, where it is damaged, and when a source changes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from compresso.kernels import _cache
from tests.helpers.paths import ROOT

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


def test_what_is_kept_is_used_and_compilations_are_logged(package, kept, tmp_path):
    before = "import logging, sys; logging.basicConfig(level='INFO', stream=sys.stdout)\n"
    assert run(package, before, NUMBA_CACHE_DIR=str(kept)) == (EXPECTED, "")
    for folder in (tmp_path, "/dev/null/cache"):  # where nothing can be written
        stdout, stderr = run(package, before, NUMBA_CACHE_DIR=str(folder))
        assert stdout.startswith("INFO:compresso.kernels:compiling")
        assert stdout.endswith(f"\n{EXPECTED}")
        assert not stderr


DAMAGES = {
    "cut": lambda data: data[:100],
    "emptied": lambda data: b"",
    "flipped": lambda data: data[:-50] + bytes([data[-50] ^ 1]) + data[-49:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
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


def test_the_cache_is_swept_when_code_is_added_and_its_use_is_recorded(package, kept, tmp_path):
    shutil.copytree(kept, tmp_path / "kept")
    used = sorted((tmp_path / "kept").iterdir())
    stale = tmp_path / "kept" / "other.function.nbc"
    mine = stale.with_name("not_ours")
    for path in (stale, mine):
        path.write_bytes(bytes(1000))
    for path in (*used, stale):
        os.utime(path, (1, 1))
    folder = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    assert run(package, **folder) == (EXPECTED, "")
    assert any(path.stat().st_mtime > 1 for path in used)  # not that of a function inside another
    limit = 3 * sum(path.stat().st_size for path in used) // 2
    full = f"from compresso.kernels import _cache; _cache.LIMIT = {limit}\n"
    assert run(package, UPGRADES["numba"] + full, **folder) == (EXPECTED, "")
    assert not stale.exists()
    mine.unlink()
    assert 0 < sum(path.stat().st_size for path in (tmp_path / "kept").iterdir()) <= limit


@pytest.fixture
def obedient():
    """What a command begins with so that root, too, obeys the modes of files."""
    if not hasattr(os, "geteuid") or os.geteuid():
        return []
    command = ["setpriv", "--bounding-set=-dac_override"]
    if shutil.which("setpriv") and not subprocess.run([*command, "true"], check=False).returncode:
        return command
    pytest.skip("needs setpriv, or another user than root")


def all_of(folder):
    return sorted(map(str, folder.rglob("*")))


def test_nothing_is_written_where_the_package_is_installed(package, kept, tmp_path):
    """What pip has not written it does not remove, and the package would be there, empty."""
    before = all_of(package)
    home = {"HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}
    places = {**home, "XDG_CACHE_HOME": "", "NUMBA_CACHE_DIR": ""}
    assert run(package, **places) == (EXPECTED, "")
    assert all_of(package) == before
    assert set(files_of(tmp_path)) == set(files_of(kept))


def test_a_cache_that_can_only_be_read(package, kept, tmp_path, obedient):
    """Kept code is used, code of another kind is compiled; nothing is printed."""
    folder = tmp_path / "compresso" / "kernels"
    places = {"XDG_CACHE_HOME": str(tmp_path), "NUMBA_CACHE_DIR": ""}
    shutil.copytree(kept, folder)
    for path in (*folder.iterdir(), folder):
        os.utime(path, (1, 1))
        path.chmod(0o555)
    before = all_of(tmp_path)
    try:
        for upgrade in ("", UPGRADES["numba"]):
            assert run(package, upgrade, obedient, **places) == (EXPECTED, "")
            assert all_of(tmp_path) == before
    finally:
        folder.chmod(0o755)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")
def test_the_users_folder(tmp_path, monkeypatch):
    """If there is one."""
    monkeypatch.setattr(_cache.numba.config, "CACHE_DIR", "given")
    assert _cache.folder() == Path("given")
    monkeypatch.setattr(_cache.numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    for given, found in (("", ".cache"), (str(tmp_path / "x"), "x")):
        monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert _cache.folder() == tmp_path / found / "compresso" / "kernels"
    for found in (Mock(return_value=Path("relative")), Mock(side_effect=RuntimeError("no home"))):
        monkeypatch.setattr(_cache.platformdirs, "user_cache_path", found)
        assert _cache.folder() is None


def test_many_processes_on_an_empty_folder(package, tmp_path):
    """Of one kernel for three types at once, one twice: all right, and each kind is kept."""
    types, environment = ["u1", "u4", "u8"], {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    hits = "print(sum(boundary.count_indeterminate.stats.cache_hits.values()))"

    def start(dtype):
        words = [sys.executable, "-c", PROGRAM.replace("np.uint64", f"'{dtype}'") + hits]
        return subprocess.Popen(
            words, cwd=package, env=environment, stdout=subprocess.PIPE, text=True
        )

    for process in list(map(start, [*types, types[0]])):
        assert process.communicate()[0].startswith(EXPECTED)
    assert [start(dtype).communicate()[0] for dtype in types] == [f"{EXPECTED}1\n"] * 3
    assert len(list(tmp_path.glob("*count_indeterminate*.nbc"))) == 3
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("encoding", ["compresso", "neuroglancer", "ristretto"])
def test_the_second_process_compiles_nothing(encoding):
    """Whatever the kernels are made of: those of ristretto are made by functions."""
    program = f"""if True:
        import logging, sys
        import numpy as np
        from compresso import encodings
        logging.basicConfig(level="INFO", stream=sys.stdout)
        labels = np.arange(4096, dtype="uint32").reshape(4, 32, 32) // 9
        encoding = encodings.parse("{encoding}")
        encoding.decode(encoding.encode(labels), labels.shape, "uint32")
    """
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    assert not done.stdout


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
