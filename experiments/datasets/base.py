"""What a dataset is to the harness."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from compresso.errors import FileError
from experiments import files
from experiments.errors import DatasetError

#: The panels of the mean figure: the paper's EM sets, its other sets, and what is no real data.
EM, OTHER, SYNTHETIC = "em", "other", "synthetic"


@dataclass(frozen=True)
class Volume:
    """A label volume in memory, in its file's own dtype, and where it is from."""

    name: str
    source: str
    group: str
    labels: NDArray[Any]


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

    def load(self, slices: int | None = None) -> Volume:
        """Read the first ``slices`` slices, or all; raises DatasetError."""
        self._exists()
        with files.open_volume(self.path, self.inner) as reader:
            depth = reader.shape[0]
            labels = reader.read(0, depth if slices is None else min(slices, depth))
        source = f"{self.path}:{self.inner}" if self.inner else str(self.path)
        return Volume(self.name, source, self.group, labels)

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
        except (DatasetError, FileError) as error:
            return str(error)

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
