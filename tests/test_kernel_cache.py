"""Kept machine code: where none can be kept, where it is damaged, and when a source changes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import numpy as np
from compresso.kernels import components
component, first, counts = components.label_runs(np.zeros((1, 2, 1), np.uint64), 9)
print(component.tolist(), first.tolist(), counts.tolist(), components.root.__name__)
"""
EXPECTED = "[0, 0] [0] [1] root\n"


def run(folder, **environment):
    """What the program prints with the package in ``folder``, and on standard error."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
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


def test_kernels_run_where_no_folder_can_be_written(package):
    nowhere = {
        "NUMBA_CACHE_DIR": "/dev/null/cache",
        "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator",
    }
    assert run(package, **nowhere) == (EXPECTED, "")


@pytest.mark.parametrize(("suffix", "keep"), [("nbc", 0), ("nbc", 100), ("nbi", 1)])
def test_cut_files_are_compiled_again(package, kept, suffix, keep):
    files = sorted(kept.rglob(f"*label_runs*.{suffix}"))
    assert files
    for path in files:
        path.write_bytes(path.read_bytes()[:keep])
    assert run(package, NUMBA_CACHE_DIR=str(kept)) == (EXPECTED, "")
    assert all(path.stat().st_size > 100 for path in files)  # kept anew


def test_a_change_in_a_called_kernel_drops_the_kept_code(package, kept):
    source = package / "compresso" / "kernels" / "components.py"
    text = source.read_text()
    # label_runs calls row_runs: one that finds no runs at all must be noticed.
    source.write_text(text.replace("    return count >> 1", "    return (count >> 1) * 0"))
    try:
        stdout, _ = run(package, NUMBA_CACHE_DIR=str(kept))
    finally:
        source.write_text(text)
    assert stdout.splitlines()[-1].endswith("[] [0] root")
