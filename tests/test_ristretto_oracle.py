"""``ristretto`` against the decoder that was written from docs/formats.md."""

import numpy as np
import pytest
import ristretto_oracle as oracle
from test_ristretto import cells, columns_first

from compresso.encodings.ristretto import Ristretto


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
