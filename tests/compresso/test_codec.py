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
"""Labels exclusive-or a key."""
from dataclasses import dataclass
import numpy as np
from compresso.arrays import little
from compresso.codec import Encoding
from compresso.errors import DecodeError


@dataclass(frozen=True)
class Masked(Encoding):
    """Its only parameter is the key."""

    name = "masked"
    key: int = 5

    def encode_volume(self, volume, threads, watch):
        words = volume.astype("<u8") ^ np.uint64(self.key)
        return np.array(volume.shape, "<u8").tobytes() + bytes(little(words))

    def shape_of(self, stream):
        if len(stream) < 24:
            raise DecodeError("masked stream: no header")
        z, y, x = (int(n) for n in np.frombuffer(stream, "<u8", 3))
        return z, y, x

    def decode_volume(self, stream, out, threads, watch):
        if len(stream) != 24 + 8 * out.size:
            raise DecodeError("masked stream: its length does not fit its shape")
        words = np.frombuffer(stream, "<u8", offset=24) ^ np.uint64(self.key)
        if words.max(initial=0) > np.iinfo(out.dtype).max:
            raise DecodeError("masked stream: a label does not fit")
        out.reshape(-1)[:] = words
'''
COMPRESSOR = '''
"""Bytes doubled by their length, and cut again."""
import zlib
from dataclasses import dataclass
from compresso.codec import Compressor
from compresso.compressors._stream import restore


@dataclass(frozen=True)
class Squash(Compressor):
    """zlib by another name."""

    name = "squash"

    def compress(self, data):
        return zlib.compress(data)

    def decompress_pieces(self, data, piece_bytes):
        return restore(self.name, zlib.decompressobj(), (zlib.error,), data, piece_bytes)
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
from compresso.volumes._stores import Found, Kind


class Listed(Kind):
    """A folder with listed.json."""

    name = "listed"
    markers = ("listed.json",)
    schemes = ("listed",)
    suffixes = (".listed",)

    def find(self, node, selection, document):
        return Found(node.tensorstore.array(np.array(document["labels"], np.uint32)), "zyx")
'''
DATASET = """
[stairs]
title = "Stairs"
group = "other"
url = "https://example.org/stairs.npy"
layouts = ["{0}.npy"]
"""
LABELS = "2 3 4\n" + "\n".join(str(n // 5) for n in range(24))


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of the project, with one new file for each kind of plug-in."""
    folder = tmp_path_factory.mktemp("copied")
    leave = shutil.ignore_patterns("__pycache__", ".git", ".*_cache", "results", "*.cps")
    for part in ("compresso", "experiments", "tests", "data", "figures"):
        shutil.copytree(ROOT / part, folder / part, ignore=leave)
    for part in ("run.py", "pyproject.toml"):
        shutil.copy(ROOT / part, folder)
    (folder / "compresso" / "encodings" / "masked.py").write_text(ENCODING.lstrip())
    (folder / "compresso" / "compressors" / "squash.py").write_text(COMPRESSOR.lstrip())
    (folder / "compresso" / "volumes" / "numbers.py").write_text(FORMAT.lstrip())
    (folder / "compresso" / "volumes" / "listed.py").write_text(STORE.lstrip())
    with open(folder / "experiments" / "datasets" / "catalogue.toml", "a") as catalogue:
        catalogue.write(DATASET)
    np.save(folder / "data" / "stairs.npy", np.arange(96, dtype=np.uint64).reshape(3, 4, 8))
    (folder / "labels.numbers").write_text(LABELS)
    return folder


def call(folder, *arguments):
    """Run Python in the copy; its output, or the failure with it.

    The kernels are those of the original, so is what was compiled of them.
    """
    kept = _cache.folder()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "NUMBA_CACHE_DIR": str(kept)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_grid_measures_them(copied):
    table = call(
        copied, "run.py", "masked:key=9,compresso", "squash,none", "labels.numbers", "--no-plot"
    )
    for method in (["masked:key=9", "squash"], ["masked:key=9", "\u2013"], ["compresso", "squash"]):
        assert any(method == line.lstrip("* ").split()[:2] for line in table.splitlines())


def test_the_contract_suite_tests_them(copied):
    output = call(
        copied,
        "-m",
        "pytest",
        "-n",
        "0",
        "tests/compresso/test_contract.py",
        "-k",
        "masked or squash",
    )
    assert "failed" not in output
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


def test_the_harness_lists_and_measures_them(copied):
    assert "Stairs (not in the paper)" in call(copied, "run.py", "datasets")
    table = call(copied, "run.py", "compresso", "zlib", "stairs", "-s", "2", "--no-plot")
    assert "stairs, 8 x 4 x 2 uint64, first 2 of 3 slices" in table


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
