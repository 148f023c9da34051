"""What the harness adds to the codecs' own time, and to what it gives them."""

import threading
import time

import numpy as np
import pytest

import compresso
from compresso import compressors, encodings
from compresso.compressors.zstd import Zstd
from compresso.container import description
from compresso.encodings.none import Raw
from experiments.datasets import Volume
from experiments.measure import Cell, Clock
from experiments.measure import cell as measure


def volume(labels):
    return Volume("test", "test", "em", labels)


def run(labels, encoding, compressor):
    cell = Cell(encodings.parse(encoding), compressors.parse(compressor))
    return measure.measure(volume(labels), cell)


@pytest.mark.parametrize("compressor", ["none", "zstd", "zlib", "lzma", "bz2", "lz4", "lzf"])
@pytest.mark.parametrize("dtype", [np.uint32, np.uint64, ">u2", np.int8, bool])
def test_raw_labels_are_restored_in_pieces(monkeypatch, compressor, dtype):
    """A volume on the far side of what is restored at once is compared to its last byte."""
    labels = np.random.default_rng(0).integers(2, size=(3, 50, 70)).astype(dtype)
    for limit in (1 << 30, 4096, 5000):
        monkeypatch.setattr(measure, "PIECE_BYTES", limit)
        row = run(labels, "none", compressor)
        assert row["lossless"], row["status"]
        assert row["encoded_bytes"] == 8 * labels.size


class Wrong(Zstd):
    """Restores one byte too few, too many, or another."""

    change = staticmethod(lambda data: data)

    def decompress_pieces(self, data, piece_bytes):
        whole = bytearray().join(super().decompress_pieces(data, piece_bytes))
        changed = bytes(self.change(whole))
        yield changed[:1000]
        yield changed[1000:]


@pytest.mark.parametrize(
    "change",
    [lambda d: d[:-1], lambda d: d + b"\0", lambda d: d[:1500] + b"\1" + d[1501:], lambda d: b""],
)
def test_raw_labels_that_differ_are_told(change):
    codec = Wrong()
    object.__setattr__(codec, "change", change)
    cell = Cell(encodings.parse("none"), codec)
    row = measure.measure(volume(np.zeros((2, 30, 40), np.uint32)), cell)
    assert not row["lossless"]
    assert row["status"] == "error: decoded labels differ"


def test_widening_is_not_timed(monkeypatch):
    """Raw labels go to the compressor as they lie in memory: nothing is copied under the clock."""
    given = []
    monkeypatch.setattr(Zstd, "compress", lambda self, data: given.append(data) or bytes(8))
    labels = np.arange(1000, dtype=np.uint64).reshape(10, 10, 10)
    run(labels, "none", "zstd")
    assert np.shares_memory(np.frombuffer(given[-1], np.uint64), labels)
    codec = encodings.parse("none")
    stream = codec.encode(labels)
    assert np.shares_memory(codec.decode(stream), np.frombuffer(stream, np.uint64))


@pytest.mark.parametrize("compressor", ["zstd", "zlib", "bz2"])
def test_restoring_in_pieces_takes_time_in_proportion(monkeypatch, compressor):
    """The harness's time beside the bare calls', in one process; joining again and again, as it
    once did, took tens of times as long."""
    labels = np.zeros((64, 256, 256), np.uint64)
    codec = compressors.parse(compressor)
    monkeypatch.setattr(measure, "PIECE_BYTES", 1 << 16)
    packed = codec.compress(labels)
    ratios = []
    for _ in range(5):
        start = time.perf_counter()
        for piece in codec.decompress_pieces(packed, 1 << 16):
            del piece
        bare = time.perf_counter() - start
        row = run(labels, "none", compressor)
        ratios.append((row["decompress_s"] + row["decode_s"]) / bare)
    assert min(ratios) < 2


# ---- several threads: groups, as in a frame


@pytest.fixture
def small_groups(monkeypatch):
    """Groups of 4 slices of 8 x 10 voxels, where there are several threads."""
    monkeypatch.setattr(description, "GROUP_VOXELS", 4 * 8 * 10)


SPANS = [(0, 4), (4, 8), (8, 11)]
BLOCKS = np.random.default_rng(0).integers(5, size=(11, 8, 10)).astype(np.uint32)


@pytest.mark.parametrize("encoding", ["none", "compresso", "ristretto"])
def test_groups_are_those_of_a_frame(small_groups, encoding):
    """The same bytes for any number of threads but one, which has the whole as one stream."""
    first, second = encodings.parse(encoding), compressors.parse("zlib")
    streams = [first.encode(BLOCKS[z0:z1]) for z0, z1 in SPANS]
    bodies = [second.compress(stream) for stream in streams]
    for threads in (2, 3, 7):
        row = measure.measure(volume(BLOCKS), Cell(first, second, threads))
        assert row["status"] == "ok"
        assert row["encoded_bytes"] == sum(map(len, streams))
        assert row["compressed_bytes"] == sum(map(len, bodies))
        assert (row["threads"], row["depth"]) == (threads, "4")
    frame = compresso.dumps(BLOCKS, encoding, "zlib", threads=2)
    assert all(body in frame for body in bodies)
    for cell in (Cell(first, second), Cell(first, second, 3, whole=True)):
        row = measure.measure(volume(BLOCKS), cell)
        assert row["encoded_bytes"] == len(first.encode(BLOCKS))
        assert (row["status"], row["depth"]) == ("ok", "")


def test_a_volume_of_one_group_is_one_stream():
    for shape in [(11, 8, 10), (0, 8, 10), (11, 0, 10)]:
        labels = np.ones(shape, np.uint32)
        row = measure.measure(
            volume(labels), Cell(encodings.parse("cpso"), compressors.parse("lzma"), 4)
        )
        assert (row["status"], row["depth"]) == ("ok", ""), shape


class Together(Zstd):
    """Works only where a second thread does so at the same time; keeps how many there were."""

    def compress(self, data):
        return self._met(super().compress(data))

    def decompress(self, data, limit=None):
        return self._met(super().decompress(data, limit))

    def _met(self, data):
        self.barrier.wait(timeout=20)
        return data


def test_the_second_stage_is_on_several_threads(small_groups):
    codec = Together()
    object.__setattr__(codec, "barrier", threading.Barrier(2))
    row = measure.measure(volume(BLOCKS[:8]), Cell(encodings.parse("cpso"), codec, 2))
    assert row["status"] == "ok"


def test_a_group_that_differs_is_told(small_groups):
    codec = Wrong()
    object.__setattr__(codec, "change", lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    row = measure.measure(volume(np.zeros((11, 8, 10), np.uint64)), Cell(Raw(), codec, 2))
    assert not row["lossless"]
    assert row["status"] == "error: decoded labels differ"


def test_raw_labels_are_restored_alike_by_any_number_of_threads(small_groups, monkeypatch):
    """They are decoded where they are, and the compressor's memory, all their bytes, is new."""
    made = []
    touched = Clock.touched
    monkeypatch.setattr(
        Clock,
        "touched",
        lambda self, shape, dtype: made.append((shape, dtype)) or touched(self, shape, dtype),
    )
    for threads in (1, 2):
        made.clear()
        row = measure.measure(volume(BLOCKS), Cell(Raw(), compressors.parse("zstd"), threads))
        assert row["lossless"], row["status"]
        assert row["decode_s"] == 0
        assert sum(np.dtype(dtype).itemsize * shape[0] for shape, dtype in made) == 8 * BLOCKS.size


def test_labels_that_are_no_integers_cost_only_their_row():
    for threads in (1, 2):
        cell = Cell(encodings.parse("cpso"), compressors.parse("none"), threads)
        row = measure.measure(volume(np.zeros((2, 3, 4), np.float32)), cell)
        assert row["status"].startswith("error: labels must be integers or bool, not float32")
        assert (row["shape"], row["dtype"]) == ("2x3x4", "float32")


def test_a_refused_label_is_told_where_it_is_in_the_volume(small_groups):
    labels = BLOCKS.astype(np.uint64)
    labels[9, 2, 3] = 2**64 - 1
    for threads in (1, 2):
        cell = Cell(encodings.parse("compresso"), compressors.parse("none"), threads)
        assert "(z, y, x) = (9, 2, 3)" in measure.measure(volume(labels), cell)["status"]


def test_a_shared_clock_divides_what_passed():
    """Two items, each 300 and 100 ns of its 1,000 in stages: one after the other, twice that.

    At once, all take 1,000 ns, of which 600 of 2,000 and 200 of 2,000 are the stages'.
    """
    own = threading.local()

    def now():  # each thread's clock is 1,000 ns later whenever it is asked
        own.ns = getattr(own, "ns", 0) + 1000
        return own.ns

    for at_once, expected in ((1, {"a": 600, "b": 200}), (2, {"a": 300, "b": 100})):
        clock = Clock(now)
        found = clock.share(lambda own, item: own.ns.update(a=300, b=100) or -item, [5, 7], at_once)
        assert found == [-5, -7]
        assert clock.ns == expected
