"""Damaged streams: every prefix and every single flipped bit of small ones, and random damage."""

import sys
from collections import Counter

import numpy as np
import pytest

import compresso as C
from compresso import compressors, encodings
from experiments.trust.corruption import Worker, _count, checked, damaged, touched
from experiments.trust.sources import SOURCES

LABELS = np.repeat(np.arange(24, dtype=np.uint16).reshape(2, 3, 4) // 5, 3, axis=2)


def outcome(decode, data):
    try:
        found = decode(data)
    except C.DecodeError:
        return "refused"
    return "same" if np.array_equal(found, LABELS) else "wrong"


def flips(data):
    for at in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            yield bytes(damaged)


@pytest.mark.parametrize("encoding", encodings.installed())
@pytest.mark.parametrize("compression", ["none", "lzma", "zstd"])
def test_frames_are_never_wrong(encoding, compression):
    data = C.dumps(LABELS, encoding, compression, depth=1)
    assert outcome(C.loads, data) == "same"
    for size in range(len(data)):
        assert outcome(C.loads, data[:size]) == "refused"
    tally = Counter(outcome(C.loads, bad) for bad in flips(data))
    assert tally["wrong"] == 0


@pytest.mark.parametrize("encoding", ["compresso", "neuroglancer", "png", "jpeg2000"])
def test_bare_streams_are_refused_or_decoded(encoding):
    """They have no checksum: what does not contradict itself decodes; nothing else happens."""
    codec = encodings.parse(encoding)
    data = codec.encode(LABELS)

    def decode(bad):
        return codec.decode(bad, LABELS.shape)

    tally = Counter(outcome(decode, bad) for bad in flips(data))
    assert sum(tally.values()) == 8 * len(data)
    assert tally["refused"] > 8 * 8


@pytest.mark.parametrize("name", compressors.names())
def test_compressors_refuse_or_restore(name):
    codec = compressors.parse(name)
    data = codec.compress(LABELS.tobytes() * 3)
    for bad in flips(data):
        try:
            size = len(memoryview(codec.decompress(bad, limit=1 << 20)))
        except C.DecodeError:
            size = 0
        assert size <= 1 << 20


@pytest.mark.parametrize("name", ["frame compresso zstd", "bare compresso none", "bare x264 none"])
def test_random_damage_in_a_process_of_its_own(tmp_path, name):
    np.save(tmp_path / "labels.npy", LABELS)
    worker = Worker(sys.executable, name, tmp_path / "labels.npy")
    stream = worker.stream()
    tally = Counter(worker.decode(list(damaged(stream, 240, np.random.default_rng(1)))))
    worker.stop()
    assert tally["crash"] == tally["hang"] == 0
    assert name.startswith("bare") or tally["wrong"] == 0


@pytest.mark.parametrize("name", ["h5-gzip", "nii-gz", "tif-ome-zlib", "nrrd-text"])
def test_source_files_damaged_in_a_process_of_its_own(tmp_path, name):
    np.save(tmp_path / "narrow.npy", LABELS)
    tally = _count(sys.executable, f"file {name}", tmp_path, 120, seed=2)
    assert tally["wrong"] == tally["crash"] == tally["hang"] == 0
    assert tally["refused"] > 50


@pytest.mark.slow
def test_thousands_of_damaged_source_files(tmp_path):
    """4000 and more mutations and cuts: an error of one line, or the labels, where it can tell."""
    np.save(tmp_path / "narrow.npy", LABELS)
    tally = Counter()
    for name in SOURCES:
        tally += _count(sys.executable, f"file {name}", tmp_path, 240, seed=3)
    assert sum(tally.values()) > 4000
    assert tally["wrong"] == tally["crash"] == tally["hang"] == 0


def test_where_damage_is(tmp_path):
    assert touched(b"abcdef", b"aXcdXf") == [(1, 2), (4, 5)]
    assert touched(b"abcdef", b"abc") == [(3, 6)]
    assert touched(b"abcdef", b"abef") == [(2, 4)]
    assert touched(b"abcdef", b"abccdef") == [(3, 4)]
    SOURCES["nrrd-gzip"].write(tmp_path / "x.nrrd", LABELS)
    stream = (tmp_path / "x.nrrd").read_bytes()
    ((start, stop),) = checked("file nrrd-gzip", stream, tmp_path)
    assert stream[start : start + 2] == b"\x1f\x8b"
    assert stop == len(stream)
    assert checked("file npy", b"", tmp_path) == []
    assert checked("frame compresso zstd", b"1234", tmp_path) == [(0, 4)]


def test_a_crash_is_counted(tmp_path):
    np.save(tmp_path / "labels.npy", LABELS)
    worker = Worker(sys.executable, "bare none none", tmp_path / "labels.npy")
    stream = worker.stream()
    worker._process.kill()
    assert worker.decode([stream, stream]) == ["crash", "same"]
    worker.stop()
