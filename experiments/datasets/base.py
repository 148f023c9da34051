"""What a dataset is to the harness."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from experiments import files
from experiments.errors import DatasetError
from experiments.status import Status

#: The panels of the mean figure: the paper's EM sets, its other sets, and what is no real data.
EM, OTHER, SYNTHETIC = "em", "other", "synthetic"


def shown(name: str, group: str) -> str:
    """A dataset's name or title for the user; what is no real data says so everywhere."""
    return f"{name} (synthetic)" if group == SYNTHETIC else name


@dataclass(frozen=True)
class Volume:
    """A label volume in memory, in its file's own dtype, and where it is from.

    Parameters
    ----------
    name, source, group : str
    labels : (nz, ny, nx) integer or bool
    part : str
        Which part of its dataset it is; empty for all of it.
    """

    name: str
    source: str
    group: str
    labels: NDArray[Any]
    part: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """A hash of shape, dtype and labels, 16 hexadecimal digits: other labels, other digits."""
        labels = self.labels
        native = labels.dtype.newbyteorder("=")
        hashed = xxhash.xxh3_64(f"{labels.shape} {native.str}".encode())
        for plane in labels:
            hashed.update(np.ascontiguousarray(plane, native).data)
        return hashed.hexdigest()


def first(slices: int | None, depth: int) -> tuple[int, str]:
    """How many of ``depth`` slices are wanted, and, where not all, which part they are."""
    if slices is None or slices >= depth:
        return depth, ""
    return slices, f"first {slices} of {depth} slices"


class Dataset(ABC):
    """A volume that can be found and loaded; nothing is read before :meth:`load`."""

    name: str
    title: str
    group: str

    @abstractmethod
    def load(self, slices: int | None = None) -> Volume:
        """Read the first ``slices`` slices, or all; raises DatasetError."""

    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole volume (z, y, x), without reading it; raises DatasetError."""

    @abstractmethod
    def status(self) -> str:
        """One line: the file and shape, or what is missing."""


@dataclass(frozen=True)
class FileDataset(Dataset):
    """A volume in a file.

    Parameters
    ----------
    name : str
        Its name in tables and in the CSV.
    path : Path
    inner : str
        Which of the file's volumes, where it holds several.
    title, group : str
    """

    name: str
    path: Path
    inner: str = ""
    title: str = ""
    group: str = EM

    @property
    def source(self) -> str:
        """The file's whole path, and what is inside it."""
        return files.source(self.path, self.inner)

    def load(self, slices: int | None = None) -> Volume:
        """Read the first ``slices`` slices, or all; raises DatasetError."""
        self._exists()
        with files.open_volume(self.path, self.inner) as reader:
            depth, part = first(slices, reader.shape[0])
            labels = reader.read(0, depth)
        return Volume(self.name, self.source, self.group, labels, part)

    def shape(self) -> tuple[int, ...]:
        """Shape of the whole volume (z, y, x), without reading it; raises DatasetError."""
        self._exists()
        with files.open_volume(self.path, self.inner) as reader:
            return reader.shape

    def status(self) -> str:
        """The file and its volume's shape, or what is wrong with it."""
        try:
            self._exists()
            with files.open_volume(self.path, self.inner) as reader:
                size = " x ".join(map(str, reader.shape[::-1]))
                return f"{size} {reader.dtype} in {self.path}"
        except Exception as error:  # whatever is wrong with one file, the others are listed
            return Status.of(error).reason

    def _exists(self) -> None:
        if not self.path.exists():
            raise DatasetError(f"{self.path}: no such file")


@dataclass(frozen=True)
class PaperDataset(Dataset):
    """One of the paper's datasets, in one of the places where its file may be.

    Parameters
    ----------
    name, title, group : str
    directory : Path
        The folder of the user's data.
    layouts : tuple of str
        Paths below it, ``file`` or ``file:inner``; the first that exists is taken.
    origin : str
        Where the data comes from, in words for the user.
    """

    name: str
    title: str
    group: str
    directory: Path
    layouts: tuple[str, ...]
    origin: str

    def find(self) -> FileDataset | None:
        """The file that is there, if any."""
        for layout in self.layouts:
            path, inner = files.split(str(self.directory / layout))
            if path.exists():
                return FileDataset(self.name, path, inner, self.title, self.group)
        return None

    def load(self, slices: int | None = None) -> Volume:
        """Read the first ``slices`` slices, or all; raises DatasetError."""
        return self._present().load(slices)

    def shape(self) -> tuple[int, ...]:
        """Shape of the whole volume (z, y, x), without reading it; raises DatasetError."""
        return self._present().shape()

    def _present(self) -> FileDataset:
        found = self.find()
        if found is None:
            raise DatasetError(
                f"dataset {self.name} is not here: looked in {self.directory} for "
                f"{', '.join(self.layouts)}; {self.origin}"
            )
        return found

    def status(self) -> str:
        """The file and its volume's shape, or where the data comes from."""
        found = self.find()
        return found.status() if found else f"missing; {self.origin}"
