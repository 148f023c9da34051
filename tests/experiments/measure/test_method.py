"""What a measurement counts: bytes, seconds and memory; and what it notices."""

import resource
import sys

import numpy as np
import pytest

import compresso
from compresso import compressors, encodings, volumes
from compresso.compressors.zstd import Zstd
from compresso.container import description
from compresso.encodings.none import Raw
from experiments import records
from experiments.datasets import Dataset, LoadedVolume
from experiments.measure import Method, method
from tests.helpers.codecs import Absent, Buggy, Changed, Forgetful, Stored
from tests.helpers.memory import peak

SPANS = [(0, 4), (4, 8), (8, 11)]
BLOCKS = np.random.default_rng(0).integers(5, size=(11, 8, 10)).astype(np.uint32)


def measured(labels, encoding, compressor, threads=1, run=1):
    if isinstance(encoding, str):
        encoding = encodings.parse(encoding)
    if isinstance(compressor, str):
        compressor = compressors.parse(compressor)
    volume = LoadedVolume(Dataset("test"), labels)
    return method.measure(volume, Method(encoding, compressor, threads), run)


@pytest.fixture
def small_groups(monkeypatch):
    """Groups of 4 slices of 8 x 10 voxels, if there are several threads."""
    monkeypatch.setattr(description, "GROUP_VOXELS", 4 * 8 * 10)


@pytest.mark.parametrize("dtype", [np.int16, bool, ">u4"])
def test_a_row(phantom, dtype):
    labels = (phantom % 50).astype(dtype)
    row = measured(labels, "compresso", "zlib", 2, run=3)
    assert (row["status"], row["lossless"]) == ("ok", True)
    assert (row["raw_bytes"], row["native_bytes"]) == (8 * labels.size, labels.nbytes)
    stream = encodings.parse("compresso").encode(labels)
    assert row["encoded_bytes"] == len(stream)
    assert row["compressed_bytes"] == len(compressors.parse("zlib").compress(stream))
    assert min(row[name] for name in records.SECONDS) > 0
    assert (row["run"], row["threads"], row["shape"]) == (3, 2, "16x96x150")
    assert 0 < row["new_memory_s"] < 60
    assert set(records.COLUMNS) >= set(row)


@pytest.mark.parametrize("compressor", ["none", "zstd", "lzma"])
@pytest.mark.parametrize("dtype", [np.uint64, ">u2", np.int8, bool])
def test_raw_labels_are_compared_in_pieces(monkeypatch, compressor, dtype):
    labels = np.random.default_rng(0).integers(2, size=(3, 50, 70)).astype(dtype)
    for limit in (1 << 30, 5000):
        monkeypatch.setattr(method, "PIECE_BYTES", limit)
        row = measured(labels, "none", compressor)
        assert row["lossless"], row["status"]
        assert row["encoded_bytes"] == 8 * labels.size
        assert row["decode_s"] == 0


def test_raw_labels_are_not_copied_while_timed(monkeypatch):
    given = []
    monkeypatch.setattr(Zstd, "compress", lambda self, data: given.append(data) or bytes(8))
    labels = np.arange(1000, dtype=np.uint64).reshape(10, 10, 10)
    measured(labels, "none", "zstd")
    assert np.shares_memory(np.frombuffer(given[-1], np.uint64), labels)
    monkeypatch.setattr(volumes, "available", lambda: 7999)
    row = measured(labels.astype(np.uint32), "none", "zlib")
    assert row["status"].startswith("error: raw labels")
    assert measured(labels, "none", "zlib")["status"] == "ok"


def test_encodings_hold_the_labels_and_the_decoded_ones():
    blocks = np.random.default_rng(0).integers(1 << 32, size=(64, 4, 4), dtype=np.uint32)
    labels = blocks.repeat(64, 1).repeat(64, 2)
    measured(labels[:2], "compresso", "zstd")  # imports and compiles
    assert peak(lambda: measured(labels, "compresso", "zstd")) < 1.5 * labels.nbytes


@pytest.mark.parametrize(
    "change",
    [lambda d: d[:-1], lambda d: d + b"\0", lambda d: d[:1500] + b"\1" + d[1501:], lambda d: b""],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_raw_labels_that_differ_are_noticed(small_groups, change, threads):
    row = measured(np.zeros((11, 8, 10), np.uint32), Raw(), Changed.by(change), threads)
    assert (row["lossless"], row["status"]) == (False, "error: decoded labels differ")


def test_failures_are_rows(phantom, small_groups):
    row = measured(phantom, Forgetful(), "none")
    assert (row["lossless"], row["status"]) == (False, "error: decoded labels differ")
    assert measured(phantom, "none", Absent())["status"].startswith("unavailable: absent needs")
    assert measured(phantom, Buggy(), "none")["status"].startswith("error: IndexError: list index")
    top = np.full((1, 2, 2), 2**64 - 1, np.uint64)
    row = measured(top, "compresso", "none")
    assert row["status"].startswith("refused: label 18446744073709551615")
    assert "compressed_bytes" not in row
    labels = BLOCKS.astype(np.uint64)
    labels[9, 2, 3] = 2**64 - 1
    for threads in (1, 2):  # of a group, too
        row = measured(labels, "compresso", "none", threads)
        assert "(z, y, x) = (9, 2, 3)" in row["status"]
    row = measured(np.zeros((2, 3, 4), np.float32), "cpso", "none")
    assert "float32" in row["status"]
    assert (row["shape"], row["dtype"]) == ("2x3x4", "float32")


# ---- several threads: groups, as in a compressed file


@pytest.mark.parametrize("encoding", ["none", "compresso", "ristretto"])
def test_groups_are_those_of_a_file(small_groups, encoding):
    """The same bytes for any number of threads except one, which has one stream."""
    first, second = encodings.parse(encoding), compressors.parse("zlib")
    streams = [first.encode(BLOCKS[z0:z1]) for z0, z1 in SPANS]
    bodies = [second.compress(stream) for stream in streams]
    for threads in (2, 3, 7):
        row = measured(BLOCKS, first, second, threads)
        assert row["status"] == "ok"
        assert row["encoded_bytes"] == sum(map(len, streams))
        assert row["compressed_bytes"] == sum(map(len, bodies))
        assert (row["threads"], row["depth"]) == (threads, "4")
    file = compresso.dumps(BLOCKS, encoding, "zlib", threads=2)
    assert all(body in file for body in bodies)
    for labels, threads in ((BLOCKS, 1), (BLOCKS[:4], 4), (BLOCKS[:0], 4)):  # one stream
        row = measured(labels, first, second, threads)
        assert row["encoded_bytes"] == len(first.encode(labels))
        assert (row["status"], row["depth"]) == ("ok", "")


# ---- kernels and memory


def compiled():
    """How many versions of each kernel there are."""
    kernels = {}
    for name, module in list(sys.modules.items()):
        if name.startswith("compresso."):
            for item in vars(module).values():
                if hasattr(item, "signatures") and hasattr(item, "py_func"):
                    kernels[item.py_func] = len(item.signatures)
    return kernels


def test_warming_up_compiles_all_that_a_run_needs(phantom):
    """The corner has the volume's layout, so no kernel is compiled again for the whole."""
    volume = LoadedVolume(Dataset("x"), np.asarray(phantom, np.uint64, order="F"))
    one = Method(encodings.parse("compresso"), compressors.parse("none"))
    method.warm_up(volume, one)
    before = compiled()
    assert method.measure(volume, one)["status"] == "ok"
    assert compiled() == before


class Counting(Stored):
    """Counts the page faults of decoding."""

    name = "counting"
    faults: list = []

    def decode_volume(self, stream, out, threads=1, watch=None):
        labels = np.frombuffer(stream, out.dtype).reshape(out.shape)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        np.copyto(out, labels)
        self.faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)


def test_decoding_touches_no_freshly_allocated_memory():
    """The pages of 64 MiB are touched, and their faults counted, before the clock starts."""
    row = measured(np.ones((16, 1024, 1024), np.uint32), Counting(), "none")
    assert row["status"] == "ok"
    assert Counting.faults[-1] < row["minor_faults"] / 2
    assert row["new_memory_s"] > 0
