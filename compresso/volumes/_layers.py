"""Reads slices of an array whose chunks are deeper than one slice."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.errors import FileError
from compresso.volumes._client import telling
from compresso.volumes._memory import available, format_size


@dataclass
class Layers:
    """Slices of an array [z, y, x]; a layer of chunks that is wanted in parts is read once.

    Parameters
    ----------
    text : str
        The store as the user wrote it, for messages.
    array : TensorStore
    memory : int, optional
        Bytes that may be used, about; by default what there is.
    """

    text: str
    array: Any
    memory: int | None = None
    _kept: tuple[int, NDArray[Any]] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        layout = self.array.chunk_layout
        sizes = zip(layout.read_chunk.shape, self.array.shape, strict=True)
        self._chunk = tuple(int(size or whole) for size, whole in sizes)
        self._depth = max(1, self._chunk[0])
        self._origin = (layout.grid_origin[0] or 0) % self._depth
        self._room = (self.memory or available()) // 4

    def fetch(self, start: int, stop: int) -> NDArray[Any]:
        """Slices start..stop-1; raises FileError, which names those that cannot be read."""
        self._check_memory(start, stop)
        if stop - start == self.array.shape[0]:
            return self._read(start, stop)
        spans = list(self._spans(start, stop))
        if len(spans) == 1:
            return self._span(*spans[0])
        labels = np.empty((stop - start, *self.array.shape[1:]), self.array.dtype.numpy_dtype)
        for low, high in spans:
            labels[low - start : high - start] = self._span(low, high)
        return labels

    def _spans(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Whole layers together, and the parts of layers before and behind them."""
        low, _ = self._layer(start)
        first = start if low == start else min(stop, self._layer(start)[1])
        last_low, last_high = self._layer(stop - 1)
        last = stop if last_high <= stop else max(first, last_low)
        for a, b in ((start, first), (first, last), (last, stop)):
            if a < b:
                yield a, b

    def _layer(self, z: int) -> tuple[int, int]:
        low = z - (z - self._origin) % self._depth
        return max(0, low), min(self.array.shape[0], low + self._depth)

    def _span(self, start: int, stop: int) -> NDArray[Any]:
        low, high = self._layer(start)
        if (start, stop) == (low, high) or stop > high or self._bytes(high - low) > self._room:
            self._kept = None
            return self._read(start, stop)
        if self._kept is None or self._kept[0] != low:
            self._kept = None
            self._kept = low, self._read(low, high)
        return self._kept[1][start - low : stop - low]

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        try:
            with telling(self.text, f"slices {start} to {stop - 1}"):
                labels: NDArray[Any] = self.array[start:stop].read(order="C").result()
                return labels
        except FileError:
            self._blame(start, stop)
            raise

    def _blame(self, start: int, stop: int) -> None:
        """Find the layer of chunks that cannot be read; raises FileError."""
        low = start
        while low < stop:
            high = min(stop, self._layer(low)[1])
            if (low, high) == (start, stop):
                return
            with telling(self.text, f"slices {low} to {high - 1}"):
                self.array[low:high].read().result()
            low = high

    def _check_memory(self, start: int, stop: int) -> None:
        """Raise FileError before anything is allocated that the memory cannot hold."""
        room, size = available(), self.array.dtype.numpy_dtype.itemsize
        chunk = math.prod(self._chunk) * size
        if chunk > room:
            raise FileError(
                f"{self.text}: its chunks of {format_size(chunk)} do not fit the memory"
            )
        if self._bytes(stop - start) > room:
            wanted = f"slices {start} to {stop - 1}, {format_size(self._bytes(stop - start))},"
            raise FileError(
                f"{self.text}: {wanted} do not fit the memory; choose a box, :box=X0-X1xY0-Y1xZ0-Z1"
            )

    def _bytes(self, slices: int) -> int:
        shape = (slices, *self.array.shape[1:], self.array.dtype.numpy_dtype.itemsize)
        return math.prod(map(int, shape))
