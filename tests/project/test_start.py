"""Commands import numba and optional packages only when they need them."""

import json
import subprocess
import sys

import numpy as np
import pytest

import compresso as C
from tests.helpers.paths import ROOT

HEAVY = {"numba", "llvmlite", "h5py", "tifffile", "tensorstore", "zarr", "numcodecs", "dask"}
HEAVY |= {"pandas", "matplotlib", "scipy", "imagecodecs", "crackle"}
LIST_MODULES = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
"""
RUN = "import runpy; runpy.run_module('compresso', run_name='__main__', alter_sys=True)"


def imported(code, *arguments):
    """The exit code of a program, and the modules of HEAVY that it imported."""
    command = [sys.executable, "-c", LIST_MODULES + code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, HEAVY & set(json.loads(done.stderr.splitlines()[-1]))


@pytest.fixture(scope="module")
def compressed(tmp_path_factory):
    """Compressed files with and without codecs that have kernels."""
    folder = tmp_path_factory.mktemp("compressed")
    labels = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    for pair in ("none", "zlib"), ("compresso", "zstd"):
        (folder / f"{pair[0]}.cps").write_bytes(C.dumps(labels, *pair))
    return folder


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["info", "compresso.cps"], 0),
        (["verify", "none.cps", "--threads", "2"], 0),
        (["info", "missing.cps"], 1),
        (["compress", "--help"], 0),
    ],
)
def test_commands_without_kernels_import_no_compiler(compressed, arguments, code):
    places = [compressed / word if word.endswith(".cps") else word for word in arguments]
    assert imported(RUN, *places) == (code, set())


def test_the_package_and_the_help_of_the_harness_import_no_compiler(compressed):
    code = "import compresso; compresso.COMPRESSO, compresso.LZMA, compresso.dumps"
    assert imported(code) == (0, set())
    code = "import runpy; runpy.run_path('run.py', run_name='__main__')"
    assert imported(code, "grid", "--help") == (0, set())
    code, found = imported(RUN, "verify", compressed / "compresso.cps")
    assert code == 0
    assert "numba" in found


def test_names_that_are_imported_on_demand_are_listed():
    names = {"dumps", "encodings", "Encoding", "COMPRESSO", "LZMA", "NONE", "remap", "SpecError"}
    assert names <= set(dir(C))
    assert all(hasattr(C, name) for name in dir(C) if not name.startswith("_"))
