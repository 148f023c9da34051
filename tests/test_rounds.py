"""How the grid measures: in rounds, with memory that is there, and what is told of the machine."""

import time
from collections import Counter

import numpy as np
import pytest
from test_results import Crashing

from compresso import Encoding, compressors, encodings
from experiments import records
from experiments.datasets import Volume
from experiments.datasets.phantom import Phantom
from experiments.measure import Cell, Conditions, Grid, Skip, clock, isolate, measure, rounds
from experiments.measure import surroundings as around
from experiments.measure.surroundings import Surroundings

RAW, NONE, ZLIB = encodings.parse("none"), compressors.parse("none"), compressors.parse("zlib")


class Volumes:
    """A dataset that is in memory."""

    name, title, group = "v", "v", "em"

    def __init__(self, labels=None):
        small = np.arange(512, dtype=np.uint32).reshape(2, 16, 16)
        self.labels = small if labels is None else labels

    def load(self, slices=None):
        return Volume("v", "v", "em", self.labels)


def rows_of(path, cells, **conditions):
    plan = Grid(cells, [Volumes()], path, Conditions(**conditions))
    return [row for row, _ in plan.run(lambda _: None)]


# ---- rounds


def test_every_round_has_every_item():
    order = list(rounds("ABCDEFGH", 6))
    assert [run for run, _ in order] == [run for run in range(1, 7) for _ in range(8)]
    drawn = ["".join(item for run, item in order if run == number) for number in range(1, 7)]
    assert all(Counter(part) == Counter("ABCDEFGH") for part in drawn)
    assert len(set(drawn)) == 6  # 8! orders: the seed that draws one twice is another seed
    assert order == list(rounds("ABCDEFGH", 6))
    assert order != list(rounds("ABCDEFGH", 6, seed=1))


def test_a_single_round_goes_in_the_order_given():
    assert [item for _, item in rounds("DCBA", 1, seed=5)] == list("DCBA")


def test_the_grid_measures_in_rounds(tmp_path):
    cells = [Cell(RAW, compressors.parse(name)) for name in ("none", "zlib", "zstd", "lz4")]
    rows = rows_of(tmp_path / "r.csv", cells, runs=3)
    assert [row["run"] for row in rows] == [1] * 4 + [2] * 4 + [3] * 4
    table = records.read(tmp_path / "r.csv")
    assert table["compression"].tolist() == [row["compression"] for row in rows]


# ---- what cannot end is not tried again


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_timeout_is_waited_for_once(tmp_path):
    labels = np.zeros((4, 128, 128), np.uint32)

    class Slow(Encoding):
        name = "slow"

        def encode_volume(self, volume, threads=1, watch=None):
            time.sleep(30 if volume.shape == labels.shape else 0)  # not on the corner

        shape_of = decode_volume = encode_volume

    start = time.monotonic()
    plan = Grid(
        [Cell(Slow(), NONE), Cell(RAW, ZLIB)],
        [Volumes(labels)],
        tmp_path / "r.csv",
        Conditions(runs=4, timeout=3),
    )
    rows = [row for row, _ in plan.run(lambda _: None)]
    assert time.monotonic() - start < 11  # of the 12 that four timeouts take
    found = Counter((row["encoding"], row["status"]) for row in rows)
    assert found == {("slow", "timeout: more than 3 s"): 4, ("none", "ok"): 4}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_crash_is_met_once(tmp_path, monkeypatch):
    asked = []
    real = isolate.measure_apart
    monkeypatch.setattr(isolate, "measure_apart", lambda *a: asked.append(a) or real(*a))
    rows = rows_of(tmp_path / "r.csv", [Cell(RAW, Crashing())], runs=3, isolated=True)
    assert len(asked) == 1
    assert [row["run"] for row in rows] == [1, 2, 3]
    assert {row["status"][:26] for row in rows} == {"crash: its process ended ("}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_crash_that_is_kept_is_not_met_again(tmp_path, monkeypatch):
    """One round, then three with --resume --keep-failed: the first tells of the others."""
    cells, path = [Cell(RAW, Crashing())], tmp_path / "r.csv"
    rows_of(path, cells, isolated=True)
    monkeypatch.setattr(isolate, "measure_apart", lambda *_: pytest.fail("measured again"))
    plan = Grid(cells, [Volumes()], path, Conditions(runs=3, isolated=True), Skip.ALL)
    rows = list(plan.run(lambda _: None))
    assert [new for _, new in rows] == [False, True, True]
    assert len({row["status"] for row, _ in rows}) == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_the_shortest_timeout_is_one(tmp_path):
    """A cell of a tenth of a millisecond was done before anybody looked at the clock."""
    (row,) = rows_of(tmp_path / "r.csv", [Cell(RAW, NONE)], timeout=1e-9)
    assert row["status"] == "timeout: more than 1e-09 s"


# ---- memory that is there


def faults(work):
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


class Stored(Encoding):
    """Stores labels as they are, and counts the page faults of restoring them."""

    name = "stored"
    faults: list = []

    def encode_volume(self, volume, threads=1, watch=None):
        return memoryview(volume).cast("B")

    def shape_of(self, stream):
        return None

    def decode_volume(self, stream, out, threads=1, watch=None):
        labels = np.frombuffer(stream, out.dtype).reshape(out.shape)
        self.faults.append(faults(lambda: np.copyto(out, labels)))


def test_decoding_meets_no_new_memory():
    """64 MiB are 16384 pages of 4 KiB, or 32 of 2 MiB; decoding to them faults on none."""
    labels = np.ones((16, 1024, 1024), np.uint32)
    new = faults(lambda: labels.copy())
    row = measure(Volume("v", "v", "em", labels), Cell(Stored(), NONE))
    assert row["status"] == "ok"
    assert Stored.faults[-1] < new / 4
    assert row["minor_faults"] >= new / 2  # they are counted where the array is touched
    assert row["new_memory_s"] > 0


@pytest.mark.parametrize("encoding", ["none", "compresso"])
def test_new_memory_is_told_apart(encoding):
    volume = Phantom().load(4)
    row = measure(volume, Cell(encodings.parse(encoding), ZLIB))
    assert row["status"] == "ok"
    assert 0 < row["new_memory_s"] < 60
    assert set(records.COLUMNS) >= set(row)


def test_a_clock_adds_up():
    watch = clock.Clock()
    assert watch.time("a", lambda x: x + 1, 2) == 3
    watch.time("a", time.sleep, 0.02)
    watch.time("b", time.sleep, 0.01)
    assert watch.seconds["a_s"] > 0.02
    assert watch.seconds["b_s"] > 0.01
    made = watch.touched((3, 4), np.uint16)
    assert (made.shape, made.dtype, made.sum()) == ((3, 4), np.uint16, 0)
    assert list(watch.ns) == ["a", "b", "new_memory"]


# ---- what was around


def test_what_others_do_is_their_share():
    """Of 2 s on all processors others had a half: 3 s busy of 2 x 2, 1 s of them ours."""
    cores = around.os.cpu_count()
    start = Surroundings(0.0, 1.5, 100.0, 10.0, (5, 1))
    end = Surroundings(2.0, 9.0, 100.0 + 1 + cores, 11.0, (25, 2))
    row = start.until(end)
    assert row["other_cpu"] == 0.5
    assert (row["load"], row["minor_faults"], row["major_faults"]) == (1.5, 20, 1)


def test_a_short_run_tells_nothing_of_others():
    start = Surroundings(0.0, 1.5, 100.0, 10.0, None)
    row = start.until(Surroundings(0.1, 1.5, 101.0, 10.0, None))
    assert "other_cpu" not in row
    assert "minor_faults" not in row


def test_a_system_that_tells_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(around, "STAT", tmp_path / "stat")
    monkeypatch.setattr(around, "GOVERNOR", tmp_path / "governor")
    monkeypatch.delattr(around.os, "getloadavg")
    row = Surroundings.now().until(Surroundings.now())
    assert row["governor"] == ""
    assert {"load", "other_cpu"}.isdisjoint(row)
    (tmp_path / "governor").write_text("performance\n")
    assert around.governor() == "performance"


def test_rows_tell_what_was_around(tmp_path):
    rows_of(tmp_path / "r.csv", [Cell(RAW, ZLIB)])
    (row,) = records.read(tmp_path / "r.csv").to_dict("records")
    assert row["load"] >= 0
    assert row["minor_faults"] >= 0
    assert row["new_memory_s"] > 0
