"""Random damage to streams and source files, decoded in processes of their own."""

import os
import signal

import numpy as np
import pytest

from experiments.checks import corruption
from experiments.checks.corruption import SOURCES
from tests.helpers.program import invoke

LABELS = np.repeat(np.arange(24, dtype=np.uint16).reshape(2, 3, 4) // 5, 3, axis=2)


@pytest.mark.parametrize("name", ["container compresso zstd", "stream compresso", "stream x264"])
def test_damaged_streams_crash_no_decoder(name):
    tally = corruption.count(name, LABELS, 240, seed=1)
    assert tally["crash"] == tally["hang"] == 0
    assert name.startswith("stream") or tally["wrong"] == 0


QUICK = ("h5-gzip", "nii-gz", "tif-ome-zlib", "nrrd-text")
SLOW = [pytest.param(n, marks=pytest.mark.slow) for n in SOURCES if n not in QUICK]


@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_damaged_source_files_are_refused_or_right(name):
    tally = corruption.count(f"file {name}", LABELS, 120, seed=2)
    assert tally["wrong"] == tally["crash"] == tally["hang"] == 0
    assert tally["refused"] > 50 or name not in QUICK


def test_the_table_has_a_line_per_codec():
    words = ["--count", "6", "--only", "container png none"]
    done = invoke(*words, command=corruption.main)
    assert done.output.splitlines()[-1].startswith("| container png none | 6 | ")


def test_crashes_and_hangs_are_counted(tmp_path, monkeypatch):
    worker = corruption.Worker("stream none", LABELS, tmp_path)
    worker.process.kill()
    assert [worker.decode(worker.stream) for _ in range(2)] == ["crash", "same"]
    monkeypatch.setattr(corruption, "TIMEOUT", 0.1)
    os.kill(worker.process.pid, signal.SIGSTOP)
    assert worker.decode(worker.stream) == "hang"
    worker.stop()
