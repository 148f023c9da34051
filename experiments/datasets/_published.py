"""Sources that the paper measured: files that may be in one of several places."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from compresso.volumes.volume import Volume
from experiments.datasets._base import Dataset, LoadedVolume, Source
from experiments.datasets._files import FileDataset, split
from experiments.errors import DatasetError

#: Layouts of the original program, ``{0}`` for the name: its EM sets, and its MRI sets.
ORIGINAL = ("{0}/rhoana/{0}_rhoana.h5", "{0}/gold/{0}_gold.h5", "{0}.h5")
MRI = ("{0}.h5", "MRI/{0}.h5", "{0}.nrrd", "MRI/{0}.nrrd")


@dataclass(frozen=True)
class PublishedSource(Source):
    """A dataset of the paper."""

    #: Where its file may be, ``file`` or ``file:inner``; the first that exists is taken.
    layouts: ClassVar[tuple[str, ...]]
    #: What the user can do to get it.
    origin: ClassVar[str] = "run.py fetch {0}"
    #: What ``fetch`` downloads: its address, ``sha256:...`` or ``md5:...`` where one is published,
    #: and which of the file's volumes. ``precomputed://...`` is a store, all others are files.
    url: ClassVar[str]
    checksum: ClassVar[str | None] = None
    inner: ClassVar[str] = ""

    def datasets(self, directory: Path) -> list[Dataset]:
        """The dataset, whether it is here or not."""
        return [PublishedDataset(self, directory)]

    @property
    def places(self) -> tuple[str, ...]:
        """Its layouts, with its name in them."""
        return tuple(layout.format(self.name) for layout in self.layouts)

    @property
    def advice(self) -> str:
        """Its origin, with its name in it."""
        return self.origin.format(self.name)


@dataclass(frozen=True)
class PublishedDataset(Dataset):
    """One of the paper's datasets, to be found below a folder."""

    origin: PublishedSource
    directory: Path

    @property
    def name(self) -> str:  # type: ignore[override]
        """The source's."""
        return self.origin.name

    @property
    def title(self) -> str:  # type: ignore[override]
        """The source's."""
        return self.origin.title

    @property
    def group(self) -> str:  # type: ignore[override]
        """The source's."""
        return self.origin.group

    def find(self) -> FileDataset | None:
        """The file that is there, if any."""
        for place in self.origin.places:
            path, inner = split(str(self.directory / place))
            if path.exists():
                return FileDataset(self.name, path, inner, self.title, self.group)
        return None

    def load(self, slices: int | None = None) -> LoadedVolume:
        """Read the first ``slices`` slices, or all; raises DatasetError and FileError."""
        return self._found().load(slices)

    @contextmanager
    def boxes(self) -> Iterator[tuple[str, Volume]]:
        """Read from the file that is there; raises DatasetError and FileError."""
        with self._found().boxes() as found:
            yield found

    def check(self, slices: int | None = None) -> None:
        """Raise DatasetError where it is not here."""
        self._found()

    def notes(self) -> list[str]:
        """Return the notes of its file."""
        return self._found().notes()

    def _found(self) -> FileDataset:
        found = self.find()
        if found is None:
            raise DatasetError(
                f"dataset {self.name} is not here: looked in {self.directory} for "
                f"{', '.join(self.origin.places)}; {self.origin.advice}"
            )
        return found

    def status(self) -> str:
        """The file and its volume's shape, or where the data comes from."""
        found = self.find()
        return found.status() if found else f"missing; {self.origin.advice}"
