"""Random damage to streams and source files, decoded in processes of their own."""

import sys
from collections import Counter

import numpy as np
import pytest
from click.testing import CliRunner

from experiments.checks import corruption
from experiments.checks.sources import SOURCES

LABELS = np.repeat(np.arange(24, dtype=np.uint16).reshape(2, 3, 4) // 5, 3, axis=2)


@pytest.fixture
def folder(tmp_path):
    """A folder with the volumes that workers read."""
    for name in ("labels.npy", "narrow.npy"):
        np.save(tmp_path / name, LABELS)
    return tmp_path


@pytest.mark.parametrize("name", ["frame compresso zstd", "bare compresso none", "bare x264 none"])
def test_damaged_streams_crash_no_decoder(folder, name):
    tally = corruption.count(sys.executable, name, folder, 240, seed=1)
    assert tally["crash"] == tally["hang"] == 0
    assert name.startswith("bare") or tally["wrong"] == 0


@pytest.mark.parametrize("name", ["h5-gzip", "nii-gz", "tif-ome-zlib", "nrrd-text"])
def test_damaged_source_files_are_refused_or_right(folder, name):
    tally = corruption.count(sys.executable, f"file {name}", folder, 120, seed=2)
    assert tally["wrong"] == tally["crash"] == tally["hang"] == 0
    assert tally["refused"] > 50


@pytest.mark.slow
def test_thousands_of_damaged_source_files(folder):
    tally = Counter()
    for name in SOURCES:
        tally += corruption.count(sys.executable, f"file {name}", folder, 240, seed=3)
    assert tally.total() > 4000
    assert tally["wrong"] == tally["crash"] == tally["hang"] == 0


def test_where_damage_is(tmp_path):
    assert corruption.changes(b"abcdef", b"aXcdXf") == [(1, 2), (4, 5)]
    assert corruption.changes(b"abcdef", b"abc") == [(3, 6)]
    assert corruption.changes(b"abcdef", b"abef") == [(2, 4)]
    assert corruption.changes(b"abcdef", b"abccdef") == [(3, 4)]
    SOURCES["nrrd-gzip"].write(tmp_path / "x.nrrd", LABELS)
    stream = (tmp_path / "x.nrrd").read_bytes()
    ((start, stop),) = corruption.protected("file nrrd-gzip", stream, tmp_path)
    assert stream[start : start + 2] == b"\x1f\x8b"
    assert stop == len(stream)
    assert corruption.protected("file npy", b"", tmp_path) == []
    assert corruption.protected("frame compresso zstd", b"1234", tmp_path) == [(0, 4)]


def test_crashes_and_hangs_are_counted(folder, monkeypatch):
    worker = corruption.Worker(sys.executable, "bare none none", folder / "labels.npy")
    worker._process.kill()
    assert [worker.decode(worker.stream) for _ in range(2)] == ["crash", "same"]
    monkeypatch.setattr(corruption, "TIMEOUT", 0.0)
    assert worker.decode(worker.stream) == "hang"
    worker.stop()


def test_the_table_has_a_line_per_codec():
    words = ["--count", "6", "--only", "frame png none"]
    done = CliRunner().invoke(corruption.main, words)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1].startswith("| frame png none | 6 | ")


def test_an_interpreter_without_the_codec_is_named(folder, tmp_path):
    """Python without NumPy, say."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(corruption.HarnessError, match=f"^{python}: cannot run 'peer crackle'"):
        corruption.count(str(python), "peer crackle", folder, 6, seed=0)
