"""``ristretto`` against the decoder that was written from docs/formats.md."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compresso.encodings.ristretto import Ristretto
from tests.compresso.encodings.test_ristretto import cells, columns_first
from tests.helpers import ristretto_oracle as oracle


def volumes():
    """Deep slices, pictures, pictures by columns, noise and thin things."""
    random = np.random.default_rng(0)
    yield "deep", cells((6, 24, 70), 20)
    yield "deep", cells((5, 40, 37), 30, seed=2) % np.uint64(7)
    pictures = [cells((1, 28, 34), 12, seed=seed)[0] for seed in range(4)]
    yield "pictures", np.stack(pictures)
    yield "columns", np.stack([columns_first(picture) for picture in pictures]).astype(np.uint64)
    yield "noise", random.integers(0, 4, (3, 9, 20), np.uint64)
    yield "many labels", random.integers(0, 2**64, (2, 12, 13), np.uint64)
    yield "wide", np.repeat(random.integers(0, 3, (2, 3, 9), np.uint64), 40, axis=2)
    yield "thin", random.integers(0, 3, (4, 1, 1), np.uint64)
    yield "empty", np.zeros((0, 3, 4), np.uint64)


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("effort", [1, 2, 3])
def test_the_text_tells_the_stream(effort, start):
    for slab in (0, 2):
        for name, labels in volumes():
            stream = Ristretto(effort=effort, slab=slab, start=start).encode(labels)
            assert np.array_equal(oracle.decode(stream), labels), name


@st.composite
def any_labels(draw):
    """1-D to 3-D volumes of any dtype, few or many labels, regions or noise."""
    shape = draw(st.sampled_from([(40,), (7, 19), (1, 8, 70), (3, 9, 17), (5, 1, 6), (4, 12, 1)]))
    dtype = np.dtype(draw(st.sampled_from([np.uint8, np.uint16, np.uint32, np.uint64])))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    palette = random.integers(0, np.iinfo(dtype).max, 40, dtype, endpoint=True)
    palette[0] = 0
    picks = random.integers(0, draw(st.integers(1, 40)), shape)
    for axis in range(len(shape)):
        picks = np.repeat(picks, draw(st.integers(1, 4)), axis)[tuple(map(slice, shape))]
    return palette[picks]


@settings(max_examples=12)
@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("effort", [1, 2, 3])
@given(labels=any_labels(), slab=st.integers(0, 3))
def test_any_labels_by_the_text(effort, start, labels, slab):
    stream = Ristretto(effort=effort, slab=slab, start=start).encode(labels)
    volume = labels.reshape((1,) * (3 - labels.ndim) + labels.shape)
    assert np.array_equal(oracle.decode(stream), volume)
