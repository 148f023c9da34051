"""What the harness adds to the codecs' own time, and to what it gives them."""

import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest

import compresso
from compresso import Compressor, Encoding, MissingPackageError, compressors, encodings
from compresso.compressors._block import BlockCompressor
from compresso.compressors.zstd import Zstd
from compresso.container import description
from compresso.encodings.none import Raw
from experiments import records
from experiments.datasets import LoadedVolume
from experiments.datasets.synthetic import Phantom
from experiments.measure import Clock, Method, method


def volume(labels):
    return LoadedVolume("test", "test", "em", labels)


def run(labels, encoding, compressor):
    cell = Method(encodings.parse(encoding), compressors.parse(compressor))
    return method.measure(volume(labels), cell)


@pytest.mark.parametrize("compressor", ["none", "zstd", "zlib", "lzma", "bz2", "lz4", "lzf"])
@pytest.mark.parametrize("dtype", [np.uint32, np.uint64, ">u2", np.int8, bool])
def test_raw_labels_are_restored_in_pieces(monkeypatch, compressor, dtype):
    """A volume on the far side of what is restored at once is compared to its last byte."""
    labels = np.random.default_rng(0).integers(2, size=(3, 50, 70)).astype(dtype)
    for limit in (1 << 30, 4096, 5000):
        monkeypatch.setattr(method, "PIECE_BYTES", limit)
        row = run(labels, "none", compressor)
        assert row["lossless"], row["status"]
        assert row["encoded_bytes"] == 8 * labels.size


@pytest.mark.parametrize("compressor", ["none", "zstd", "zlib", "lz4", "lzf"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_raw_labels_are_never_wide_as_a_whole(monkeypatch, compressor, order):
    """Of a volume of 4 MiB, which is 8 MiB wide, a few slabs of 64 KiB are held."""
    monkeypatch.setattr(method, "PIECE_BYTES", 1 << 16)
    monkeypatch.setattr(method, "SLAB_BYTES", 1 << 16)
    monkeypatch.setattr(BlockCompressor, "block_bytes", 1 << 16)
    blocks = np.random.default_rng(0).integers(1 << 32, size=(64, 32, 32), dtype=np.uint32)
    labels = np.asarray(blocks.repeat(4, 1).repeat(4, 2), order=order)
    run(labels[:8], "none", compressor)  # imports
    tracemalloc.start()
    try:
        row = run(labels, "none", compressor)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert row["lossless"], row["status"]
    assert row["encoded_bytes"] == 8 * labels.size
    packed = 2 * row["compressed_bytes"] * (compressor != "none")  # in pieces, and joined
    assert peak < labels.nbytes / 4 + packed


def test_other_encodings_hold_the_labels_and_the_decoded_ones():
    blocks = np.random.default_rng(0).integers(1 << 32, size=(64, 4, 4), dtype=np.uint32)
    labels = blocks.repeat(64, 1).repeat(64, 2)
    run(labels[:2], "compresso", "zstd")  # imports and compiles
    tracemalloc.start()
    try:
        row = run(labels, "compresso", "zstd")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert row["lossless"], row["status"]
    assert peak < 1.5 * labels.nbytes


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
    cell = Method(encodings.parse("none"), codec)
    row = method.measure(volume(np.zeros((2, 30, 40), np.uint32)), cell)
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
    monkeypatch.setattr(method, "PIECE_BYTES", 1 << 16)
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
        row = method.measure(volume(BLOCKS), Method(first, second, threads))
        assert row["status"] == "ok"
        assert row["encoded_bytes"] == sum(map(len, streams))
        assert row["compressed_bytes"] == sum(map(len, bodies))
        assert (row["threads"], row["depth"]) == (threads, "4")
    frame = compresso.dumps(BLOCKS, encoding, "zlib", threads=2)
    assert all(body in frame for body in bodies)
    row = method.measure(volume(BLOCKS), Method(first, second))
    assert row["encoded_bytes"] == len(first.encode(BLOCKS))
    assert (row["status"], row["depth"]) == ("ok", "")


def test_a_volume_of_one_group_is_one_stream():
    for shape in [(11, 8, 10), (0, 8, 10), (11, 0, 10)]:
        labels = np.ones(shape, np.uint32)
        row = method.measure(
            volume(labels), Method(encodings.parse("cpso"), compressors.parse("lzma"), 4)
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
    row = method.measure(volume(BLOCKS[:8]), Method(encodings.parse("cpso"), codec, 2))
    assert row["status"] == "ok"


def test_a_group_that_differs_is_told(small_groups):
    codec = Wrong()
    object.__setattr__(codec, "change", lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    row = method.measure(volume(np.zeros((11, 8, 10), np.uint64)), Method(Raw(), codec, 2))
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
        row = method.measure(volume(BLOCKS), Method(Raw(), compressors.parse("zstd"), threads))
        assert row["lossless"], row["status"]
        assert row["decode_s"] == 0
        assert sum(np.dtype(dtype).itemsize * shape[0] for shape, dtype in made) == 8 * BLOCKS.size


def test_labels_that_are_no_integers_cost_only_their_row():
    for threads in (1, 2):
        cell = Method(encodings.parse("cpso"), compressors.parse("none"), threads)
        row = method.measure(volume(np.zeros((2, 3, 4), np.float32)), cell)
        assert row["status"].startswith("error: labels must be integers or bool, not float32")
        assert (row["shape"], row["dtype"]) == ("2x3x4", "float32")


def test_a_refused_label_is_told_where_it_is_in_the_volume(small_groups):
    labels = BLOCKS.astype(np.uint64)
    labels[9, 2, 3] = 2**64 - 1
    for threads in (1, 2):
        cell = Method(encodings.parse("compresso"), compressors.parse("none"), threads)
        assert "(z, y, x) = (9, 2, 3)" in method.measure(volume(labels), cell)["status"]


def test_a_refused_label_is_the_one_of_the_volume():
    refusing = Method(encodings.parse("compresso"), compressors.parse("none"))
    row = method.measure(volume(-np.ones((2, 3, 4), np.int64)), refusing)
    assert "label -1 at" in row["status"]


# ---- rows


def cell(encoding, compressor, threads=1):
    return Method(encodings.parse(encoding), compressors.parse(compressor), threads)


@pytest.mark.parametrize("dtype", [np.uint64, np.int16, bool, ">u4"])
def test_measured_row(phantom, dtype):
    labels = (phantom % 50).astype(dtype)
    row = method.measure(volume(labels), cell("compresso", "zlib", 2), 3)
    assert row["status"] == "ok"
    assert row["lossless"] is True
    assert row["raw_bytes"] == 8 * labels.size
    assert row["native_bytes"] == labels.nbytes
    stream = encodings.parse("compresso").encode(labels)
    assert row["encoded_bytes"] == len(stream)
    assert row["compressed_bytes"] == len(compressors.parse("zlib").compress(stream))
    assert min(row[f"{step}_s"] for step in ("encode", "compress", "decompress", "decode")) > 0
    assert (row["run"], row["threads"], row["shape"]) == (3, 2, "16x96x150")


def test_refused_volume_is_a_row():
    top = volume(np.full((1, 2, 2), 2**64 - 1, np.uint64))
    row = method.measure(top, cell("compresso", "none"))
    assert "18446744073709551615" in row["status"]
    assert "compressed_bytes" not in row


class Forgetful(Encoding):
    """An encoding that loses one label."""

    name = "forgetful"

    def encode_volume(self, volume, threads=1, watch=None):
        return volume.tobytes()

    def shape_of(self, stream):
        return None

    def decode_volume(self, stream, out, threads=1, watch=None):
        out[...] = np.frombuffer(stream, out.dtype).reshape(out.shape)
        out.flat[-1] ^= out.dtype.type(1)


def test_loss_is_noticed(phantom):
    row = method.measure(volume(phantom), Method(Forgetful(), compressors.parse("none")))
    assert row["lossless"] is False
    assert "differ" in row["status"]


class Absent(Compressor):
    """A compressor whose package nobody has."""

    name = "absent"

    def compress(self, data):
        raise MissingPackageError("absent needs the package x; run: pip install x")

    def decompress_pieces(self, data, piece_bytes):
        yield data


def test_codec_that_is_not_installed_is_a_row(phantom):
    row = method.measure(volume(phantom), Method(encodings.parse("none"), Absent()))
    assert row["status"].startswith("unavailable: absent needs")


def compiled():
    """How many versions of each kernel there are."""
    kernels = {}
    for name, module in list(sys.modules.items()):
        if name.startswith("compresso."):
            for item in vars(module).values():
                if hasattr(item, "signatures") and hasattr(item, "py_func"):
                    kernels[item.py_func] = len(item.signatures)
    return kernels


@pytest.mark.parametrize("order", ["C", "F"])
def test_warming_up_compiles_all_that_a_run_needs(phantom, order):
    """The corner has the volume's layout, so no kernel is compiled once more for the whole."""
    volume = LoadedVolume("x", "", "em", np.asarray(phantom, np.uint64, order=order))
    cell = Method(encodings.parse("compresso"), compressors.parse("none"))
    method.warm_up(volume, cell)
    before = compiled()
    assert len(before) > 5
    assert method.measure(volume, cell)["status"] == "ok"
    assert compiled() == before


# ---- memory


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
    row = method.measure(
        LoadedVolume("v", "v", "em", labels), Method(Stored(), compressors.parse("none"))
    )
    assert row["status"] == "ok"
    assert Stored.faults[-1] < new / 4
    assert row["minor_faults"] >= new / 2  # they are counted where the array is touched
    assert row["new_memory_s"] > 0


@pytest.mark.parametrize("encoding", ["none", "compresso"])
def test_new_memory_is_told_apart(encoding):
    volume = Phantom().load(4)
    row = method.measure(volume, Method(encodings.parse(encoding), compressors.parse("zlib")))
    assert row["status"] == "ok"
    assert 0 < row["new_memory_s"] < 60
    assert set(records.COLUMNS) >= set(row)
