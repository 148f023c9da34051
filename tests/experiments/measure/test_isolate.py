"""Methods in processes of their own: timeouts, crashes, and what is not tried again."""

import os
import signal
import time
from collections import Counter

import numpy as np
import pytest

from compresso import Compressor, Encoding, compressors, encodings
from experiments.datasets import EM, LoadedVolume
from experiments.measure import Grid, Method, isolate
from experiments.measure.isolate import measure_apart

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

RAW, NONE, ZLIB = encodings.parse("none"), compressors.parse("none"), compressors.parse("zlib")
VOLUME = LoadedVolume("here", "/a/file", EM, np.arange(512, dtype=np.uint32).reshape(2, 16, 16))


class Volumes:
    """A dataset that is in memory."""

    name, title, group = "v", "v", "em"

    def __init__(self, labels=None):
        small = np.arange(512, dtype=np.uint32).reshape(2, 16, 16)
        self.labels = small if labels is None else labels

    def load(self, slices=None):
        return LoadedVolume("v", "v", "em", self.labels)


def rows_of(path, cells, **conditions):
    plan = Grid(cells, [Volumes()], path, **conditions)
    return [row for row, _ in plan.run(lambda _: None)]


class Crashing(Compressor):
    """A compressor that takes its process down."""

    name = "crashing"

    def compress(self, data):
        os.kill(os.getpid(), signal.SIGKILL)

    def decompress_pieces(self, data, piece_bytes):
        yield data


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no process is forked here")
def test_ctrl_c_that_comes_during_fork_is_not_swallowed():
    """What a handler raises in a hook of ``fork`` is only printed; hooks stay for ever."""
    armed = [True]
    os.register_at_fork(before=lambda: armed and armed.pop() and signal.raise_signal(signal.SIGINT))
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        measure_apart(VOLUME, Method(RAW, NONE), 1, 30)
    assert not armed
    assert signal.getsignal(signal.SIGINT) is handler


def test_isolated_cell_that_crashes_is_a_row():
    row = measure_apart(VOLUME, Method(RAW, Crashing()), 2, 30)
    assert row["run"] == 2
    assert row["status"].startswith("crash: its process ended (SIGKILL")


def test_a_timeout_is_waited_for_once(tmp_path):
    labels = np.zeros((4, 128, 128), np.uint32)

    class Slow(Encoding):
        name = "slow"

        def encode_volume(self, volume, threads=1, watch=None):
            time.sleep(30 if volume.shape == labels.shape else 0)  # not on the corner

        shape_of = decode_volume = encode_volume

    start = time.monotonic()
    plan = Grid(
        [Method(Slow(), NONE), Method(RAW, ZLIB)],
        [Volumes(labels)],
        tmp_path / "r.csv",
        runs=4,
        timeout=3,
    )
    rows = [row for row, _ in plan.run(lambda _: None)]
    assert time.monotonic() - start < 11  # of the 12 that four timeouts take
    found = Counter((row["encoding"], row["status"]) for row in rows)
    assert found == {("slow", "timeout: more than 3 s"): 4, ("none", "ok"): 4}


def test_a_crash_is_met_once(tmp_path, monkeypatch):
    asked = []
    real = isolate.measure_apart
    monkeypatch.setattr(isolate, "measure_apart", lambda *a: asked.append(a) or real(*a))
    rows = rows_of(tmp_path / "r.csv", [Method(RAW, Crashing())], runs=3, isolated=True)
    assert len(asked) == 1
    assert [row["run"] for row in rows] == [1, 2, 3]
    assert {row["status"][:26] for row in rows} == {"crash: its process ended ("}


def test_a_crash_that_is_kept_is_not_met_again(tmp_path, monkeypatch):
    """One round, then three with --resume --keep-failed: the first tells of the others."""
    cells, path = [Method(RAW, Crashing())], tmp_path / "r.csv"
    rows_of(path, cells, isolated=True)
    monkeypatch.setattr(isolate, "measure_apart", lambda *_: pytest.fail("measured again"))
    plan = Grid(cells, [Volumes()], path, runs=3, isolated=True, resume=True, keep_failed=True)
    rows = list(plan.run(lambda _: None))
    assert [new for _, new in rows] == [False, True, True]
    assert len({row["status"] for row, _ in rows}) == 1


def test_the_shortest_timeout_is_one(tmp_path):
    """A cell of a tenth of a millisecond was done before anybody looked at the clock."""
    (row,) = rows_of(tmp_path / "r.csv", [Method(RAW, NONE)], timeout=1e-9)
    assert row["status"] == "timeout: more than 1e-09 s"


class Compiling(Encoding):
    """An encoding that takes two seconds before its first volume."""

    name = "compiling"
    ready = []

    def encode_volume(self, volume, threads=1, watch=None):
        if not self.ready:
            time.sleep(2)
            self.ready.append(True)
        return volume.tobytes()

    def shape_of(self, stream):
        return None

    def decode_volume(self, stream, out, threads=1, watch=None):
        out[...] = np.frombuffer(stream, out.dtype).reshape(out.shape)


def test_timeout_does_not_count_compilation():
    row = measure_apart(VOLUME, Method(Compiling(), compressors.parse("none")), 1, 1.0)
    assert row["status"] == "ok"


def test_watcher_ends_the_child_of_a_dead_parent(monkeypatch):
    """Where the system cannot tell a child of its parent's end, the child looks for itself."""
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(isolate, "sleep", lambda _: pytest.fail("the parent is dead"))
    isolate._end_with(parent=os.getppid() + 1)
    assert ended == [1]
