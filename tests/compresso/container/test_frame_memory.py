"""Frames larger than the memory: what is held at once is a few groups, not the volume."""

import tracemalloc

import numpy as np
import pytest

import compresso as C
from compresso import files

SHAPE, DEPTH = (256, 128, 128), 8
VOLUME = 4 * 256 * 128 * 128  # bytes, 16 MiB
GROUP = VOLUME * DEPTH // SHAPE[0]  # half a MiB


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A volume and a frame of 32 groups, and all that is imported or compiled once."""
    path = tmp_path_factory.mktemp("memory")
    blocks = np.random.default_rng(0).integers(2**32, size=(256, 16, 16), dtype=np.uint32)
    labels = blocks.repeat(8, 1).repeat(8, 2)
    np.save(path / "in.npy", labels)
    (path / "in.cps").write_bytes(C.dumps(labels, "compresso", "zlib", depth=DEPTH))
    C.loads((path / "in.cps").read_bytes())
    return path


def peak(work):
    """The most bytes that were allocated at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_measure_sees_a_volume(folder):
    assert peak(lambda: C.loads((folder / "in.cps").read_bytes())) > VOLUME


@pytest.mark.parametrize("target", ["t.npy", "t.nrrd"])
def test_decompressing_a_file_holds_groups(folder, target):
    places, work = (folder / "in.cps", folder / target), files.Work(force=True)
    assert peak(lambda: files.decompress_file(*places, work=work)) < 8 * GROUP


def test_compressing_a_file_holds_groups(folder):
    arguments = (str(folder / "in.npy"), folder / "t.cps", "compresso", "zlib")
    # Of a slice six copies as uint64 are reckoned with: --memory is about that.
    memory, work = 6 * 8 * DEPTH * SHAPE[1] * SHAPE[2], files.Work(force=True)
    assert peak(lambda: files.compress_file(*arguments, memory, work)) < memory
    with C.open(folder / "t.cps") as array:
        assert array.description.depth == DEPTH


def test_an_array_holds_a_group_and_what_was_asked_for(folder):
    def look():
        with C.open(folder / "in.cps") as array:
            array[::50]
            array[3:250, 5, 6]
            array.labels()
            assert sum(array.counts().values()) == VOLUME // 4

    assert peak(look) < VOLUME / 2


def test_verifying_holds_a_group(folder):
    assert peak(lambda: list(files.verify_file(folder / "in.cps", 1))) < 8 * GROUP
