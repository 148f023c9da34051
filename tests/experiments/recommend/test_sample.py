"""Samples: what is read, what they stand for, and the interval of the estimate."""

import dataclasses
import math
from functools import partial

import h5py
import numpy as np
import pytest

from compresso import volumes
from compresso.volumes.volume import of_array, shape_of, slices_of
from experiments import DatasetError
from experiments.recommend.estimate import estimate_size, size
from experiments.recommend.sample import Positions, draw, plan, stack
from tests.helpers.rows import method

SHAPE, CHUNK = (32, 384, 384), (8, 64, 64)
BLOCK = (slice(10, 22), slice(100, 228), slice(200, 328))
#: The share of chunks that have voxels of the block.
STORED = 2 * 3 * 3 / (4 * 6 * 6)
METHODS = [method("cpso", "none"), method("cpso", "zstd"), method("compresso", "zstd")]


def estimated(one, sample):
    return estimate_size(one, sample, size(one, stack(sample.chunks)))


def drawn(path, *arguments):
    with volumes.open(str(path), 1 << 30) as volume:
        return draw(volume, *arguments)


def spying(volume):
    """A volume, and the boxes that are read of it."""
    read = []
    return dataclasses.replace(
        volume, fetch_box=lambda box: read.append(box) or volume.read_box(box)
    ), read


@pytest.fixture(scope="module")
def labels():
    """Cells around random points in one block; all else is 0."""
    volume = np.zeros(SHAPE, np.uint32)
    block = volume[BLOCK]
    voxels = np.moveaxis(np.indices(block.shape), 0, -1) * (4, 1, 1)
    points = np.random.default_rng(0).random((60, 3)) * block.shape * (4, 1, 1)
    far = np.stack([((voxels - point) ** 2).sum(-1) for point in points])
    block[...] = far.argmin(0) + 1
    return volume


def test_the_plan_follows_the_request():
    assert plan((1000, 2000, 3000), 0.01, (10, 100, 100)) == ((10, 100, 100), 600)
    assert plan((100, 100, 100))[1] == 0  # small: all of it
    assert plan((1000, 1000, 1000), 0.3)[1] == 0  # more than a quarter
    assert plan((1000, 1000, 1000), 1e-9)[1] == 4  # enough for quarters, halves and the whole
    chunk, count = plan((100_000, 100_000, 100_000))
    assert count == 64
    assert math.prod(chunk) < 1 << 21
    with pytest.raises(DatasetError):
        plan((0, 4, 4))


def test_only_the_sample_is_read():
    labels = np.random.RandomState(0).randint(9, size=(64, 256, 256)).astype(np.uint8)
    volume, read = spying(of_array(labels))
    draw(volume, (8, 32, 32), 4, 0)
    looks, chunks, boxes = [(1, 32, 32)] * 16, [(8, 32, 32)] * 4, [(64, 64, 64)] * 4
    assert [shape_of(box) for box in read] == [*looks, *chunks, *boxes, (16, 128, 128)]


def test_a_sample_is_part_of_the_volume_and_the_same_for_a_seed():
    """Also where boxes at the border overlap others."""
    labels = np.random.RandomState(3).randint(99, size=(41, 60, 64)).astype(np.uint32)
    one, same, other = (draw(of_array(labels), (8, 16, 16), 5, seed) for seed in (1, 1, 2))
    assert np.array_equal(stack(one.chunks), stack(same.chunks))
    assert not np.array_equal(stack(one.chunks), stack(other.chunks))
    positions = Positions(labels.shape, (8, 16, 16))
    boxes = [positions[number] for number in range(len(positions))]
    parts = [labels[slices_of(box)] for box in boxes]
    assert all(any(np.array_equal(chunk, part) for part in parts) for chunk in one.chunks)
    seen = np.zeros(positions.shape, int)
    for box in boxes:
        seen[slices_of(box)] += 1
    assert seen.min() == 1


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 300, 400), (3, 9, 8)])
def test_a_small_volume_is_measured_whole(shape):
    labels = np.arange(math.prod(shape), dtype=np.uint32).reshape(shape)
    sample = draw(of_array(labels), *plan(shape))
    assert sample.whole
    assert np.array_equal(stack(sample.chunks), labels)
    assert [block.size for block in sample.blocks] == [min(labels.size, 1 << 18)]


def test_noise_takes_the_same_bytes_in_any_chunk():
    """Each voxel of noise takes its 8 bytes, whatever is around it, so the estimate is known."""
    labels = np.random.RandomState(1).randint(2**63, size=(64, 128, 128), dtype=np.uint64)
    found = estimated(method("none", "none"), draw(of_array(labels), (8, 32, 32), 8))
    assert found.value == pytest.approx(labels.nbytes, rel=1e-9)
    assert found.low < labels.nbytes < found.high


def only_the_block(path, labels, block=BLOCK):
    with h5py.File(path, "w") as file:
        made = file.create_dataset("main", SHAPE, "u4", chunks=CHUNK, compression="gzip")
        made[block] = labels[block]


@pytest.mark.parametrize(
    ("name", "write", "known"),
    [
        ("a.h5", only_the_block, True),
        ("a.h5", partial(only_the_block, block=...), False),
        ("a.npy", np.save, False),
    ],
)
def test_the_interval_holds_if_most_of_a_volume_is_blank(tmp_path, labels, name, write, known):
    path = tmp_path / name
    write(path, labels)
    truth = {one: size(one, labels) for one in METHODS}
    contained = []
    for seed in range(3):
        sample = drawn(path, CHUNK, 16, seed)
        content = sample.content
        assert (content.share == content.low == content.high == STORED) == known
        assert all(box.any() for _, box in sample.boxes)
        for one in METHODS:
            found = estimated(one, sample)
            assert found.value == pytest.approx(truth[one], rel=0.4)
            contained.append(found.low < truth[one] < found.high)
    assert sum(contained) >= 7


def test_missing_chunks_are_not_read(tmp_path, labels):
    only_the_block(tmp_path / "a.h5", labels)
    with volumes.open(str(tmp_path / "a.h5"), 1 << 30) as volume:
        spied, read = spying(volume)
        draw(spied, CHUNK, 16)
    missing = [box for box in read if box[0][1] <= 8 or box[0][0] >= 24]
    assert [shape_of(box) for box in missing] == [(1, 1, 1)]  # for the label of missing chunks


@pytest.mark.parametrize("label", [0, 7])
def test_a_ratio_without_several_labels_has_no_interval(tmp_path, label):
    labels = np.full((64, 128, 128), label, np.uint8)
    one, sample = method("none", "zlib"), draw(of_array(labels), (8, 32, 32), 8)
    assert (sample.content.share, sample.content.label) == (0, label)
    assert "128 positions" in sample.content.reason
    found, exact = estimated(one, sample), size(one, labels)
    assert exact / 2 < found.value < 2 * exact
    assert np.isnan([found.low, found.high]).all()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("main", SHAPE, "u4", chunks=CHUNK, fillvalue=label)
    sample = drawn(tmp_path / "a.h5", CHUNK, 16)
    assert (sample.content.share, sample.content.label) == (0, label)
    assert "no chunk is stored" in sample.content.reason
