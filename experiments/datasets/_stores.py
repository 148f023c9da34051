"""Volumes in stores of chunks: Neuroglancer's precomputed, Zarr, N5; local or in a bucket."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from compresso import volumes
from compresso.volumes import reshaped
from compresso.volumes.volume import Volume
from experiments.datasets._base import Dataset, LoadedVolume, first
from experiments.errors import DatasetError
from experiments.text import EM, printable

#: Copies of the labels that a measurement needs at least: they are compared with the decoded ones.
COPIES = 2


@dataclass(frozen=True)
class StoreDataset(Dataset):
    """A volume in a store.

    Parameters
    ----------
    name : str
        Its name in tables and in the CSV.
    text : str
        Its address and the selection, as the user wrote them.
    shape : (int, int, int)
        Its shape; what is not selected does not count.
    dtype : dtype
    title, group : str
    own : tuple of int
        The array's own shape, if it does not have three axes.
    """

    name: str
    text: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    title: str = ""
    group: str = EM
    own: tuple[int, ...] = ()

    @classmethod
    def find(cls, text: str, group: str = EM) -> "StoreDataset":
        """Look a volume up, without reading its labels.

        Raises FileError where it is absent, private, out of reach or no volume, and SpecError for a
        selection that makes no sense.
        """
        with volumes.open_store(text) as reader:
            name = printable(volumes.short(text))
            return cls(name, text, reader.shape, reader.dtype, name, group, reader.own)

    @property
    def source(self) -> str:
        """The whole address, and the selection."""
        text = self.text if "://" in self.text else os.path.abspath(self.text)
        return printable(text)

    def load(self, slices: int | None = None) -> LoadedVolume:
        """Read the first ``slices`` slices, or all.

        Raises FileError, and DatasetError for more than the memory holds, before anything is read.
        """
        self.check(slices)
        depth, part = first(slices, self.shape[0])
        with volumes.open_store(self.text) as reader:
            labels = reader.read(0, depth)
        return LoadedVolume(self.name, self.source, self.group, labels, part)

    @contextmanager
    def boxes(self) -> Iterator[tuple[str, Volume]]:
        """Read from the store, chunk by chunk; raises FileError."""
        with volumes.open(self.text, volumes.available() // 4) as boxes:
            yield self.source, boxes

    def check(self, slices: int | None = None) -> None:
        """Raise DatasetError where so many slices do not fit the memory."""
        depth, _ = first(slices, self.shape[0])
        size = math.prod((depth, *self.shape[1:])) * self.dtype.itemsize
        room = volumes.available()
        if COPIES * size > room:
            raise DatasetError(
                f"{self.text}: {self.status()}; {COPIES} copies of it do not fit the memory that "
                f"is free, {volumes.format_size(room)}; choose a box, "
                ":box=X0-X1xY0-Y1xZ0-Z1, or --slices"
            )

    def notes(self) -> list[str]:
        """Return the size, which may be larger than expected, and how the axes are read."""
        return [f"{self.name}: {self.status()}", *reshaped(self.text, self.own, self.shape)]

    def status(self) -> str:
        """The size."""
        size = " x ".join(map(str, self.shape[::-1]))
        labels = math.prod(self.shape) * self.dtype.itemsize
        return f"{size} {self.dtype.name}, {volumes.format_size(labels)}"
