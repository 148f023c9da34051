"""Windows (paper, section 2): a boundary map as indices into the list of its distinct windows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.parallel import parallel


def grid(shape: Sequence[int], step: Sequence[int]) -> tuple[int, ...]:
    """How many windows of ``step`` voxels cover a volume; both are z, y, x."""
    return tuple(-(-n // s) for n, s in zip(shape, step, strict=True))


def packed_type(step: Sequence[int]) -> type[np.unsignedinteger[Any]]:
    """What windows of ``step`` voxels are packed in."""
    return np.uint16 if math.prod(step) <= 16 else np.uint64


@dataclass(frozen=True)
class Windows:
    """The windows of consecutive slices.

    Parameters
    ----------
    values : (n_values,) uint64
        The distinct windows, ascending.
    indices : (n_windows,) uint32
        Each window's place in ``values``, in raster order.
    """

    values: NDArray[np.uint64]
    indices: NDArray[np.uint32]


class Collector:
    """Cuts the boundary map of consecutive slabs into windows, and numbers them at the end.

    Parameters
    ----------
    shape : tuple of int
        Of all the slabs together, z, y, x.
    step : tuple of int
        Size of a window, z, y, x.
    """

    def __init__(self, shape: Sequence[int], step: tuple[int, int, int]) -> None:
        self._nx, self._step = shape[2], step
        self._count = math.prod(grid(shape, step))
        self._small = packed_type(step) == np.uint16
        # Room for every window; the pages that blank ones leave unused are never touched.
        self._keys = np.empty(self._count, np.uint16 if self._small else np.uint64)
        self._places = np.empty(0 if self._small else self._count, np.uint32)
        self._n_keys = self._n_packed = 0

    def add(self, bits: NDArray[np.uint64]) -> None:
        """Take the next slab's boundary map, (n, ny, words); n is a multiple of the window's z."""
        from compresso.kernels import windows

        cover = grid((*bits.shape[:2], self._nx), self._step)
        done = self._n_packed + math.prod(cover)
        if self._small:
            packed = self._keys[self._n_packed : done].reshape(cover)
            windows.pack(bits, self._nx, self._step, packed)
        else:
            packed = np.empty(cover, np.uint64)
            windows.pack(bits, self._nx, self._step, packed)
            self._n_keys = windows.collect(
                packed.reshape(-1), self._n_packed, self._keys, self._places, self._n_keys
            )
        self._n_packed = done

    def finish(self) -> Windows:
        """Number the windows of all slabs."""
        from compresso.kernels import windows

        if self._small:
            indices = np.empty(self._count, np.uint32)
            return Windows(windows.rank_small(self._keys, indices), indices)
        keys, places = windows.sort(self._keys[: self._n_keys], self._places[: self._n_keys])
        indices = np.zeros(self._count, np.uint32)
        return Windows(windows.rank(keys, places, indices), indices)


def merge(parts: Sequence[Windows], threads: int) -> Windows:
    """The windows of all parts, one after the other, numbered together."""
    from compresso.kernels import windows

    if len(parts) == 1:
        return parts[0]
    values = np.unique(np.concatenate([part.values for part in parts]))
    parallel(lambda p: windows.renumber(p.indices, p.values, values), parts, threads)
    return Windows(values, np.concatenate([part.indices for part in parts]))


def draw(
    indices: NDArray[np.uint32],
    values: NDArray[np.uint64],
    step: tuple[int, int, int],
    nx: int,
    bits: NDArray[np.uint64],
) -> None:
    """Put a slab's boundary map together, the inverse of :class:`Collector`.

    Parameters
    ----------
    indices : (z, y, x) uint32
        Of the slab's windows, on their grid.
    values : (n_values,) uint64
    step : tuple of int
        Size of a window, z, y, x.
    nx : int
        Row length in voxels.
    bits : (n, ny, words) uint64, overwritten
    """
    from compresso.kernels import windows

    packed = np.empty(indices.shape, packed_type(step))
    windows.spell(indices.reshape(-1), values, packed.reshape(-1))
    windows.unpack(packed, nx, step, bits)
