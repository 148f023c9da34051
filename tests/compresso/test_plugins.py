"""A new encoding, compressor, file format or kind of store is one new file."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from compresso.kernels import _cache
from tests.helpers.paths import ROOT

ENCODING = '''
from dataclasses import dataclass
from compresso.codec import ignore
from compresso.encodings.cpso import Cpso


@dataclass(frozen=True)
class Masked(Cpso):
    """Labels exclusive-or a key."""

    name = "masked"
    key: int = 5

    def encode_volume(self, volume, threads, watch):
        return super().encode_volume(volume ^ volume.dtype.type(self.key), threads, watch)

    def decode_volume(self, stream, out, threads, watch):
        super().decode_volume(stream, out, threads, ignore)
        out ^= out.dtype.type(self.key)

    def decode_part(self, stream, z0, out, shape, threads):
        super().decode_part(stream, z0, out, shape, threads)
        out ^= out.dtype.type(self.key)
'''
COMPRESSOR = '''
from compresso.compressors.zlib import Zlib


class Squash(Zlib):
    """zlib by another name."""

    name = "squash"
'''
FORMAT = '''
"""Text files of numbers: the first line is the shape."""
from contextlib import contextmanager
import numpy as np
from compresso.volumes._format import Format
from compresso.volumes.volume import Volume


class Numbers(Format):
    """One label a line."""

    name = "numbers"
    suffixes = (".numbers",)

    @contextmanager
    def open(self, path, inner):
        first, *lines = path.read_text().splitlines()
        labels = np.array(lines, np.uint32).reshape([int(n) for n in first.split()])
        yield Volume(labels.shape, labels.dtype, lambda start, stop: labels[start:stop])

    def write(self, path, volume, parts):
        lines = [" ".join(map(str, volume.shape))]
        for part in parts:
            lines += map(str, part.reshape(-1).tolist())
        path.write_text("\\n".join(lines))
        return list(volume.metadata)
'''
STORE = '''
"""Folders with all labels in a JSON document."""
import numpy as np
import tensorstore
from compresso.volumes._stores import StoredArray, Kind


class Listed(Kind):
    """A folder with listed.json."""

    name = "listed"
    markers = ("listed.json",)
    schemes = ("listed",)
    suffixes = (".listed",)

    def find(self, node, selection, document):
        return StoredArray(tensorstore.array(np.array(document["labels"], np.uint32)), "zyx")
'''
DATASET = """
[stairs]
title = "Stairs"
group = "other"
url = "https://example.org/stairs.npy"
layouts = ["{0}.npy"]
"""
LABELS = "2 3 4\n" + "\n".join(str(n // 5) for n in range(24))


def call(folder, *arguments):
    """Run Python in the copy, with the compiled kernels of the original; its output."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(_cache.folder())}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of the project, with one new file for each kind of plug-in."""
    folder = tmp_path_factory.mktemp("copied")
    leave = shutil.ignore_patterns("__pycache__", ".git", ".*_cache", "results", "*.cps")
    for part in ("compresso", "experiments", "tests", "data", "figures"):
        shutil.copytree(ROOT / part, folder / part, ignore=leave)
    for part in ("run.py", "pyproject.toml"):
        shutil.copy(ROOT / part, folder)
    for name, text in {
        **{"encodings/masked": ENCODING, "compressors/squash": COMPRESSOR},
        **{"volumes/numbers": FORMAT, "volumes/listed": STORE},
    }.items():
        (folder / "compresso" / f"{name}.py").write_text(text.lstrip())
    with open(folder / "experiments" / "datasets" / "catalogue.toml", "a") as catalogue:
        catalogue.write(DATASET)
    np.save(folder / "data" / "stairs.npy", np.arange(96, dtype=np.uint64).reshape(3, 4, 8))
    (folder / "labels.numbers").write_text(LABELS)
    return folder


def test_the_harness_lists_and_measures_them(copied):
    table = call(copied, "run.py", "masked:key=9", "squash", "labels.numbers", "--no-plot")
    lines = [line.lstrip("* ").split() for line in table.splitlines()]
    assert ["masked:key=9", "squash"] in [words[:2] for words in lines]
    assert "Stairs (not in the paper)" in call(copied, "run.py", "datasets")
    table = call(copied, "run.py", "none", "zlib", "stairs", "-s", "2", "--no-plot")
    assert "stairs, 8 x 4 x 2 uint64, first 2 of 3 slices" in table


def test_the_contract_suite_tests_them(copied):
    suite = "tests/compresso/test_contract.py"
    output = call(copied, "-m", "pytest", "-n", "0", suite, "-k", "masked or squash")
    assert int(output.split(" passed")[0].split()[-1]) > 60


def test_the_file_commands_take_them(copied):
    file = ("-m", "compresso")
    options = ("--encoding", "masked", "--compression", "squash")
    call(copied, *file, "compress", "labels.numbers", "labels.cps", *options)
    call(copied, *file, "decompress", "labels.cps", "again.numbers")
    assert (copied / "again.numbers").read_text() == LABELS


def test_a_store_is_found_by_its_prefix_and_by_its_document(copied):
    pytest.importorskip("tensorstore")
    labels = np.arange(24).reshape(2, 3, 4) // 5
    (copied / "labels").mkdir()
    (copied / "labels" / "listed.json").write_text(json.dumps({"labels": labels.tolist()}))
    for name in ("labels", "listed://labels"):
        call(copied, "-m", "compresso", "compress", name, "store.cps", "--force", "-e", "none")
        call(copied, "-m", "compresso", "decompress", "store.cps", "store.numbers", "--force")
        assert (copied / "store.numbers").read_text().rstrip() == LABELS


def test_two_plugins_of_one_name_are_refused(tmp_path, monkeypatch):
    """Neither may hide the other."""
    from compresso.codec import Compressor, Registry
    from compresso.errors import SpecError

    folder = tmp_path / "twins"
    folder.mkdir()
    (folder / "__init__.py").touch()
    for name in ("first", "second"):
        (folder / f"{name}.py").write_text(COMPRESSOR)
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry("twins", Compressor, "compressor")
    with pytest.raises(SpecError, match=r"squash.*twins\.first.*twins\.second"):
        registry.names()
