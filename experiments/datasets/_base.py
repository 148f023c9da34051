"""What a dataset is to the harness, and what a source of datasets is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import xxhash

from compresso.arrays import Labels
from compresso.plugins import Plugin
from compresso.volumes import Metadata
from compresso.volumes.volume import Volume, of_array
from experiments.text import SYNTHETIC

#: Reads the labels of a published archive, and what it says beside them; it may raise whatever it
#: likes on another file.
ReadArchive = Callable[[Path], tuple[Labels, Metadata]]


@dataclass(frozen=True)
class LoadedVolume:
    """A label volume in memory, in its file's own dtype, and where it is from.

    Parameters
    ----------
    name, source, group : str
    labels : (nz, ny, nx) integer or bool
    part : str
        Which part of its dataset it is; empty for all of it.
    chunk : str
        Its box in the dataset, x, y, z, where that is measured chunk by chunk.
    """

    name: str
    source: str
    group: str
    labels: Labels
    part: str = ""
    chunk: str = ""

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
    """A volume that can be loaded; nothing is read before :meth:`load`."""

    name: str
    title: str
    group: str

    @abstractmethod
    def load(self, slices: int | None = None) -> LoadedVolume:
        """Read the first ``slices`` slices, or all; raises DatasetError and FileError."""

    @abstractmethod
    def status(self) -> str:
        """One line: what there is and how large, or what is missing or wrong."""

    def check(self, slices: int | None = None) -> None:  # noqa: B027 - what is made has no file
        """Raise DatasetError where so many slices cannot be loaded, as far as a look tells."""

    def notes(self) -> list[str]:
        """Return lines that the user should see before anything is measured."""
        return []

    @contextmanager
    def boxes(self) -> Iterator[tuple[str, Volume]]:
        """Its ``source``, and any box of it; here it is loaded for that.

        Raises as :meth:`load` does.
        """
        volume = self.load()
        yield volume.source, of_array(volume.labels)


@dataclass(frozen=True)
class Published:
    """A line of the paper's Table 1.

    Parameters
    ----------
    line : int
        Its place in the table.
    size : str
        x, y, z as printed there.
    ratio : int
        Of Compresso + LZMA.
    compress, decompress : int
        MB/s of both stages.
    ground_truth : bool
        Whether the segmentation that the paper compressed was never made public, so that the
        labels at hand are others.
    """

    line: int
    size: str
    ratio: int
    compress: int
    decompress: int
    ground_truth: bool = False


@dataclass(frozen=True)
class Source(Plugin):
    """Where datasets come from: one class a name, one file for what belongs together."""

    title: ClassVar[str]
    group: ClassVar[str]
    #: What the paper published of it.
    published: ClassVar[Published | None] = None
    #: How to read its archives, by their names as published, ``file`` or ``file:inner``.
    archives: ClassVar[dict[str, ReadArchive]] = {}

    @abstractmethod
    def datasets(self, directory: Path) -> list[Dataset]:
        """Its datasets, to be found below the folder of the user's data."""


@dataclass(frozen=True)
class Synthetic(Source):
    """A source that makes its volume."""

    group = SYNTHETIC

    @abstractmethod
    def boxes(self) -> Volume:
        """Any box of the volume, made when it is asked for if it can be."""

    @abstractmethod
    def status(self) -> str:
        """What it is, and its default size."""

    @property
    def source(self) -> str:
        """What a row of results tells it by."""
        return "synthetic"

    def load(self, slices: int | None = None) -> LoadedVolume:
        """Make the volume, or its first ``slices`` slices."""
        made = self.boxes()
        depth, part = first(slices, made.shape[0])
        labels = made.read_box(((0, depth), *made.box[1:]))
        return LoadedVolume(self.spec, self.source, self.group, labels, part)

    def datasets(self, directory: Path) -> list[Dataset]:
        """The volume, made when it is loaded."""
        return [_Made(self)]


@dataclass(frozen=True)
class _Made(Dataset):
    maker: Synthetic

    @property
    def name(self) -> str:  # type: ignore[override]
        """The maker's spec."""
        return self.maker.spec

    @property
    def title(self) -> str:  # type: ignore[override]
        """The maker's."""
        return self.maker.title

    @property
    def group(self) -> str:  # type: ignore[override]
        """The maker's."""
        return self.maker.group

    def load(self, slices: int | None = None) -> LoadedVolume:
        """Make the volume, or its first ``slices`` slices."""
        return self.maker.load(slices)

    @contextmanager
    def boxes(self) -> Iterator[tuple[str, Volume]]:
        """Make what is asked for."""
        yield self.maker.source, self.maker.boxes()

    def status(self) -> str:
        """What it is, and its default size."""
        return self.maker.status()
