"""Datasets that are files: those of ``compresso.volumes``, and the archives of the sources."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from compresso import volumes
from compresso.errors import CompressoError
from compresso.volumes import Volume, available
from experiments.datasets import _archives
from experiments.datasets._base import Dataset, LoadedVolume, first
from experiments.errors import DatasetError
from experiments.records import Status
from experiments.text import EM, printable


def split(text: str) -> tuple[Path, str]:
    """Split ``my.h5:/volumes/labels`` into the file and what is inside it."""
    return volumes.split(text, tuple(_archives.readers()))


def open_volume(path: Path, inner: str = "") -> AbstractContextManager[Volume]:
    """Open a file of any known kind; raises FileError."""
    if _archives.is_archive(path):
        return _archives.open_volume(path, inner)
    return volumes.open_file(path, inner)


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
        """What tells it from every other: the file's whole path, and what is inside it."""
        return printable(os.path.abspath(self.path) + (f":{self.inner}" if self.inner else ""))

    def load(self, slices: int | None = None) -> LoadedVolume:
        """Read the first ``slices`` slices, or all; raises DatasetError and FileError."""
        self.check()
        with open_volume(self.path, self.inner) as reader:
            depth, part = first(slices, reader.shape[0])
            labels = reader.read(0, depth)
        return LoadedVolume(self.name, self.source, self.group, labels, part)

    @contextmanager
    def boxes(self) -> Iterator[tuple[str, Volume]]:
        """Read boxes or slices where its format can; raises DatasetError and FileError."""
        self.check()
        with open_volume(self.path, self.inner) as reader:
            yield self.source, volumes.with_boxes(str(self.path), reader, available() // 4)

    def notes(self) -> list[str]:
        """Return how the axes are read; errors are left to :meth:`load`."""
        if _archives.is_archive(self.path):  # would be read whole
            return []
        with suppress(CompressoError), open_volume(self.path, self.inner) as reader:
            return volumes.reshaped(self.path, reader.own, reader.shape)
        return []

    def status(self) -> str:
        """The file and its volume's shape, or what is wrong with it."""
        try:
            self.check()
            with open_volume(self.path, self.inner) as reader:
                size = " x ".join(map(str, reader.shape[::-1]))
                return f"{size} {reader.dtype.name} in {self.path}"
        except Exception as error:  # whatever is wrong with one file, the others are listed
            return Status.of(error).reason

    def check(self, slices: int | None = None) -> None:
        """Raise DatasetError where there is no file."""
        if not self.path.exists():
            raise DatasetError(f"{self.path}: no such file")
