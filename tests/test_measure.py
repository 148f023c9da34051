"""What the harness adds to the codecs' own time, and to what it gives them."""

import time

import numpy as np
import pytest

from compresso import compressors, encodings
from compresso.compressors.zstd import Zstd
from experiments.datasets import Volume
from experiments.measure import Cell
from experiments.measure import cell as measure
from experiments.trust import overhead


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
        monkeypatch.setattr(measure, "CHUNK_BYTES", limit)
        row = run(labels, "none", compressor)
        assert row["lossless"], row["status"]
        assert row["encoded_bytes"] == 8 * labels.size


class Wrong(Zstd):
    """Restores one byte too few, too many, or another."""

    change = staticmethod(lambda data: data)

    def decompress_chunks(self, data, chunk_bytes):
        whole = bytearray().join(super().decompress_chunks(data, chunk_bytes))
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
    assert row["status"].startswith("error")


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
    monkeypatch.setattr(measure, "CHUNK_BYTES", 1 << 16)
    packed = codec.compress(labels)
    ratios = []
    for _ in range(5):
        start = time.perf_counter()
        for piece in codec.decompress_chunks(packed, 1 << 16):
            del piece
        bare = time.perf_counter() - start
        row = run(labels, "none", compressor)
        ratios.append((row["decompress_s"] + row["decode_s"]) / bare)
    assert min(ratios) < 2


def test_the_overhead_table_compares_with_bare_calls():
    """The page's ratios, on a volume small enough for a test; every library call is there."""
    labels = np.zeros((2, 64, 64), np.uint64)
    for name in ("zstd", "zlib", "bz2", "lzma", "brotli"):
        found = overhead.ratios(volume(labels), name, 1)
        assert set(found) == {"compress", "decompress"}
        assert all(0 < ratio < 1000 for ratio in found.values())
        data = labels.tobytes()
        pack, unpack = overhead.bare_calls(name)
        assert unpack(pack(data)) == data
        assert bytes(compressors.parse(name).decompress(pack(data))) == data
