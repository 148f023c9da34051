"""The grid: rounds, rows that belong to labels, and failures that cost only their rows."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter

import click
import numpy as np
import psutil
import pytest

from compresso import cli, compressors, encodings
from compresso.container import description
from experiments import datasets, records
from experiments.datasets import Dataset, LoadedVolume
from experiments.measure import Grid, Method, combine, isolate
from experiments.measure.isolate import measure_isolated
from experiments.records.results import derive, newest
from tests.helpers.codecs import Buggy, Compiling, Crashing, Slow
from tests.helpers.commands import RUN, SMALL, run_here

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

LABELS = np.arange(4 * 8 * 8, dtype=np.uint64).reshape(4, 8, 8) // 5
RAW, NONE, ZLIB = encodings.parse("none"), compressors.parse("none"), compressors.parse("zlib")
VOLUME = LoadedVolume(
    Dataset("here", "/a/file"), np.arange(768, dtype=np.uint32).reshape(3, 16, 16)
)


class Memory:
    """A dataset in memory that counts how often it is loaded, and may fail to."""

    name, title, group, source = "v", "v", "em", "v"

    def __init__(self, error=None):
        self.count, self.error = 0, error

    def load(self, slices=None):
        self.count += 1
        if self.error:
            raise self.error
        return LoadedVolume(self, LABELS)


def measured(path, methods=None, given=None, **settings):
    """Rows of a grid, and whether each was measured now."""
    grid = Grid(methods or [Method(RAW, ZLIB)], given or [Memory()], path, **settings)
    return list(grid.run(lambda _: None))


def test_the_grid_measures_in_rounds(tmp_path):
    dataset = Memory()
    methods = combine([RAW], [compressors.parse(n) for n in ("none", "zlib", "zstd", "lz4")])
    rows = measured(tmp_path / "r.csv", methods, [dataset], runs=3)
    assert [row["run"] for row, _ in rows] == [1] * 4 + [2] * 4 + [3] * 4
    assert dataset.count == 1
    table = records.read(tmp_path / "r.csv")
    assert table["compression"].tolist() == [row["compression"] for row, _ in rows]
    assert measured(tmp_path / "r.csv", methods, [dataset], runs=3, resume=True)[0][1] is False
    assert dataset.count == 2  # each grid reads the labels again


@pytest.mark.parametrize(
    "changed", [LABELS[::-1], LABELS.astype(np.uint32), LABELS.astype(np.int64), LABELS[:2]]
)
def test_changed_labels_are_measured_again(tmp_path, changed):
    path = tmp_path / "x.npy"
    for labels, new in ((LABELS, True), (LABELS, False), (changed, True), (LABELS, False)):
        np.save(path, labels)
        given = datasets.choose(str(path), tmp_path)
        assert [n for _, n in measured(tmp_path / "r.csv", given=given, resume=True)] == [new]
    path.unlink()
    measured(tmp_path / "r.csv", given=given)  # a missing dataset hides no results
    assert len(derive(newest(records.read(tmp_path / "r.csv")))) == 1


def test_groups_are_other_runs_than_one_stream(tmp_path, monkeypatch):
    monkeypatch.setattr(description, "GROUP_VOXELS", 2 * 8 * 8)
    for new in (True, False):
        for threads, depth in ((1, ""), (2, "2"), (3, "2")):
            methods = [Method(RAW, ZLIB, threads)]
            ((row, added),) = measured(tmp_path / "r.csv", methods, resume=True)
            assert (row["depth"], added) == (depth, new)


def test_failures_cost_only_their_rows(tmp_path):
    broken = Memory(error=ZeroDivisionError("division by zero"))
    methods = [Method(Buggy(), NONE), Method(RAW, ZLIB)]
    rows = [row["status"] for row, _ in measured(tmp_path / "r.csv", methods, [broken, Memory()])]
    assert rows[0] == rows[1]
    assert rows[0].startswith("error: ZeroDivisionError: division by zero")
    assert broken.count == 1
    assert [status[:17] for status in rows[2:]] == ["error: IndexError", "ok"]
    rows = measured(tmp_path / "r.csv", methods, isolated=True)
    assert [row["status"][:17] for row, _ in rows] == ["error: IndexError", "ok"]


# ---- processes of their own


def test_ctrl_c_during_fork_is_not_swallowed(capsys):
    """A handler's exception in a hook of ``fork`` is only printed; hooks stay for ever."""
    armed = [True]
    os.register_at_fork(before=lambda: armed and armed.pop() and signal.raise_signal(signal.SIGINT))
    with pytest.raises(click.exceptions.Exit), cli.reporting(click.Context(click.Command("grid"))):
        measure_isolated(VOLUME, Method(Slow(), NONE), 1, 30)
    assert not armed
    assert "Interrupted; " in capsys.readouterr().err


def test_a_timeout_is_waited_for_once(tmp_path):
    start = time.monotonic()
    methods = [Method(Slow(), NONE), Method(RAW, ZLIB)]
    rows = measured(tmp_path / "r.csv", methods, runs=4, timeout=2)
    assert time.monotonic() - start < 7  # of the 8 that four timeouts take
    found = Counter((row["encoding"], row["status"]) for row, _ in rows)
    assert found == {("slow", "timeout: more than 2 s"): 4, ("none", "ok"): 4}
    rows = measured(tmp_path / "s.csv", [Method(RAW, NONE)], timeout=1e-9)
    assert rows[0][0]["status"] == "timeout: more than 1e-09 s"
    rows = measured(tmp_path / "s.csv", [Method(Compiling(), NONE)], timeout=1.0)
    assert rows[0][0]["status"] == "ok"  # compiling does not count


def test_a_crash_is_met_once(tmp_path, monkeypatch):
    asked = []
    real = isolate.measure_isolated
    monkeypatch.setattr(isolate, "measure_isolated", lambda *a: asked.append(a) or real(*a))
    settings = {"isolated": True, "resume": True, "keep_failed": True}
    methods = [Method(RAW, Crashing())]
    (first,) = measured(tmp_path / "r.csv", methods, **settings)
    rows = measured(tmp_path / "r.csv", methods, runs=3, **settings)
    assert [new for _, new in rows] == [False, True, True]
    assert {row["status"] for row, _ in rows} == {first[0]["status"]}
    assert first[0]["status"].startswith("crash: its process ended (SIGKILL")
    assert len(asked) == 1


# ---- interruptions


def started(*words):
    command = [sys.executable, str(RUN), *map(str, words)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def until(condition):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_grid_leaves_no_process(tmp_path, number):
    words = ["none", "zopfli", "phantom:size=256x256x64", "--isolate", "--no-plot"]
    process = started(*words, "--csv", tmp_path / "r.csv")
    (child,) = until(psutil.Process(process.pid).children)
    time.sleep(0.5)  # it has begun to compress
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode in (-number, 128 + number)
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_finished_runs_are_kept(tmp_path, number):
    path = tmp_path / "r.csv"
    words = ["compresso", "zlib", SMALL, "--no-plot", "--csv", path]
    process = started(*words, "-r", 100_000, "--restart")
    until(lambda: path.exists() and path.read_bytes().count(b"\n") > 5)
    process.send_signal(number)
    _, printed = process.communicate(timeout=60)
    runs = records.read(path)["run"].tolist()
    if number == signal.SIGKILL:
        assert process.returncode == -number
        assert sorted(runs) == list(range(1, len(runs) + 1))
        assert "1 row added" in run_here(*words, "-r", len(runs) + 1).stderr
    else:
        assert process.returncode == 130
        assert " of 100,000 runs. Run the same command again without --restart" in printed
        assert "Traceback" not in printed
