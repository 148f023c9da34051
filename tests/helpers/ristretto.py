"""Volumes for tests of ``ristretto``, and its round trip."""

import numpy as np

from compresso.encodings.ristretto import Ristretto


def check(labels, codec=None, threads=1):
    """Round trip bit for bit; returns the stream."""
    codec = codec or Ristretto()
    stream = codec.encode(labels, threads)
    volume = labels.reshape((1,) * (3 - labels.ndim) + labels.shape)
    restored = codec.decode(stream, volume.shape, labels.dtype.newbyteorder("="), threads)
    assert restored.shape == volume.shape
    assert np.array_equal(restored, volume)
    return stream


def cells(shape, n, seed=0, dtype=np.uint64):
    """Regions nearest to random points, which drift from slice to slice."""
    random = np.random.default_rng(seed)
    points = random.random((n, 3)) * shape
    grid = np.stack(np.indices(shape), axis=-1)
    distance = ((grid[..., None, :] - points) ** 2).sum(axis=-1)
    return random.permutation(10 * n)[:n].astype(dtype)[distance.argmin(axis=-1)]


def columns_first(image):
    """The labels of a slice as 1, 2, 3.. in the order of their first voxels, column by column."""
    _, first, inverse = np.unique(image.T, return_index=True, return_inverse=True)
    return (np.argsort(np.argsort(first)) + 1)[inverse].reshape(image.T.shape).T
