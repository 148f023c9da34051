"""What Figure 3 claims: that a few windows are most of a volume's."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import as_volume
from compresso.boundaries import WindowCollector, mark_boundaries
from compresso.codec import unwatched
from experiments.datasets import LoadedVolume

FREQUENT = 100


class Coverage(NamedTuple):
    """The share of a volume's windows that its 100 most frequent ones cover."""

    name: str
    group: str
    share: float
    part: str = ""


def coverage(volume: LoadedVolume) -> Coverage:
    """Measure what Figure 3 claims, on one volume."""
    counts = np.sort(window_counts(volume)[1])[::-1]
    share = float(counts[:FREQUENT].sum() / max(1, counts.sum()))
    return Coverage(volume.name, volume.group, share, volume.part)


def window_counts(volume: LoadedVolume) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The distinct 8x8x1 windows of a volume, ascending, and how often each occurs."""
    labels = as_volume(volume.labels)
    if labels.size == 0:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    collector = WindowCollector(labels.shape, (1, 8, 8))
    for slab in mark_boundaries(labels, (0, len(labels)), 1, unwatched):
        collector.add(slab.own_bits)
    found = collector.finish()
    return found.values, np.bincount(found.indices, minlength=found.values.size)
