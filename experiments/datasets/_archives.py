"""The archives that sources publish, read in place: nothing is unpacked to the disk."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from compresso.arrays import Labels
from compresso.errors import FileError, MissingPackageError
from compresso.volumes import Metadata, Volume, open_file
from experiments.datasets._base import ReadArchive


@cache
def readers() -> dict[str, dict[str, ReadArchive]]:
    """How to read each archive, by its published name, and by what follows the colon."""
    from experiments.datasets import sources  # whose modules use this one

    found: dict[str, dict[str, ReadArchive]] = {}
    for source in sources.classes.values():
        for place, read in source.archives.items():
            name, _, inner = place.partition(":")
            found.setdefault(name, {})[inner] = read
    return found


def is_archive(path: Path) -> bool:
    """Whether a file has the name of a published archive, in upper or lower case."""
    return path.name.lower().endswith(tuple(name.lower() for name in readers()))


def tiff_in_zip(ending: str) -> ReadArchive:
    """A reader of the TIFF pages in a zip whose names hold ``ending``: one stack, or many pages."""

    def read(path: Path) -> tuple[Labels, Metadata]:
        import tifffile

        with zipfile.ZipFile(path) as archive:
            names = sorted(
                n
                for n in archive.namelist()
                if ending.lower() in n.lower() and n.lower().endswith((".tif", ".tiff"))
            )
            pages = [tifffile.imread(io.BytesIO(archive.read(name))) for name in names]
        return (pages[0] if len(pages) == 1 and pages[0].ndim == 3 else np.stack(pages)), {}

    return read


def nrrd_in_zip(name: str) -> ReadArchive:
    """A reader of one NRRD file in a zip."""

    def read(path: Path) -> tuple[Labels, Metadata]:
        import tempfile

        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            member = next(n for n in archive.namelist() if n.endswith(name))
            file = Path(folder) / "labels.nrrd"
            file.write_bytes(archive.read(member))
            with open_file(file) as reader:
                return reader.read(0, reader.shape[0]), reader.metadata

    return read


@contextmanager
def open_volume(path: Path, inner: str) -> Iterator[Volume]:
    """Read an archive whole; it is kept for as long as the same one is asked for."""
    state = path.stat()
    labels, metadata = _read(path, inner, (state.st_mtime_ns, state.st_size))
    yield Volume(labels.shape, labels.dtype, lambda start, stop: labels[start:stop], metadata)


@lru_cache(maxsize=1)
def _read(path: Path, inner: str, _: tuple[int, int]) -> tuple[Labels, Metadata]:
    known = next(r for n, r in readers().items() if path.name.lower().endswith(n.lower()))
    if inner not in known:
        raise FileError(f"{path}: holds {', '.join(known)}; name one behind a colon")
    try:
        labels, metadata = known[inner](path)
    except (MissingPackageError, MemoryError):
        raise
    except Exception as error:  # six libraries raise what they like on what is not their format
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError(f"{path}: not the archive it is named as, or damaged ({reason})") from None
    if labels.ndim != 3 or labels.dtype.kind not in "uib":
        raise FileError(
            f"{path}: holds {labels.dtype.name} of shape {labels.shape}, no volume of labels"
        )
    return labels, metadata
