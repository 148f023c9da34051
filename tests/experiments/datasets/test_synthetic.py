"""The phantom and the patterns: deterministic, box by box, and like tissue."""

import hashlib

import numpy as np
import pytest

from compresso import SpecError
from compresso.codec import Extent
from compresso.volumes.volume import slices_of
from experiments import datasets
from experiments.datasets.synthetic import PATTERNS, Pattern, Phantom


def test_the_phantom_is_deterministic(tmp_path):
    size = Extent("90x70x6")
    whole = Phantom(size).labels()
    assert whole.shape == (6, 70, 90)
    assert not np.array_equal(Phantom(size, seed=1).labels(), whole)
    assert Phantom(size, bits=32).labels(1).dtype == np.uint32
    (dataset,) = datasets.parse("Phantom:size=90x70x6", tmp_path)
    assert (dataset.group, dataset.source) == (datasets.SYNTHETIC, "synthetic")
    assert np.array_equal(dataset.load(2).labels, whole[:2])


def test_the_phantom_is_the_same_in_every_version():
    """Rows are compared across versions; the hash is that of an earlier one."""
    labels = Phantom(Extent("150x90x8"), seed=4).labels(4)
    found = hashlib.sha1(np.ascontiguousarray(labels, "<u8")).hexdigest()
    assert found == "17d1094bbfbd31fa797ca1e4d2cea71df5d34551"


@pytest.mark.parametrize("size", ["1x1x1", "40x1x3", "1x33x2"])
def test_small_phantoms(size):
    assert Phantom(Extent(size)).labels().shape == Extent(size)[::-1]


@pytest.mark.parametrize(
    "spec",
    ["phantom:size=8x8", "phantom:bits=16", "phantom:colour=red", "pattern:kind=plaid"],
)
def test_wrong_parameters_are_refused(tmp_path, spec):
    with pytest.raises(SpecError, match=spec.partition(":")[0]):
        datasets.parse(spec, tmp_path)


def test_patterns():
    noise, board, coins, blank = (Pattern(kind, Extent("5x4x3")).labels(2) for kind in PATTERNS)
    assert np.array_equal(noise, np.arange(1, 41).reshape(2, 4, 5))
    for axis in range(3):
        assert np.all(np.diff(board.astype(np.int8), axis=axis) != 0)
    assert np.array_equal(coins, np.random.RandomState(0).randint(2, size=(2, 4, 5)))
    assert np.array_equal(blank, np.full((2, 4, 5), 7))


@pytest.mark.parametrize(
    "spec",
    ["phantom:size=150x90x6,seed=4", "phantom:size=64x66x6,bits=32"]
    + [f"pattern:size=70x66x6,kind={kind}" for kind in PATTERNS],
)
def test_boxes_do_not_depend_on_each_other(tmp_path, spec):
    (dataset,) = datasets.parse(spec, tmp_path)
    whole = dataset.load().labels
    with dataset.open() as volume:
        assert volume.dtype == whole.dtype
        for box in (((4, 6), (30, 66), (5, 64)), ((0, 3), (0, 1), (0, 64)), volume.box):
            assert np.array_equal(volume.read_box(box), whole[slices_of(box)])


def test_a_box_of_a_volume_larger_than_any_memory(tmp_path):
    (dataset,) = datasets.parse("pattern:size=100000x100000x100000", tmp_path)
    with dataset.open() as volume:
        made = volume.read_box(((99_999, 100_000), (0, 2), (7, 9)))
    first = 99_999 * 10**10 + 1 + 7  # its voxels are numbered from 1 on, x fastest
    assert made.tolist() == [[[first, first + 1], [first + 10**5, first + 10**5 + 1]]]
