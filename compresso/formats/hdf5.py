"""HDF5, by h5py: the authors' stacks, CREMI's .hdf, and most segmentations of the field."""

import io
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.errors import FileError
from compresso.formats import Reader, check, package, reading

SUFFIXES = (".h5", ".hdf5", ".hdf", ".he5")
#: Where label volumes are, in the original program's files and in CREMI's.
USUAL = ("main", "volumes/labels/neuron_ids")


@contextmanager
def open_volume(path: Path, inner: str) -> Iterator[Reader]:
    """Open one dataset of an HDF5 file; ``inner`` may be left out where there is no choice."""
    h5py = package("h5py", "h5py")
    with ExitStack() as files:
        with reading(path, "HDF5", (OSError,)):
            file = files.enter_context(h5py.File(path, "r"))
            dataset = _find(path, file, inner)
        check(path, dataset.shape, dataset.dtype)

        def read(start: int, stop: int) -> NDArray[Any]:
            with reading(path, "HDF5", (OSError,)):
                labels: NDArray[Any] = dataset[start:stop]
                return labels

        yield Reader(dataset.shape, dataset.dtype, read)


def write_volume(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Iterable[NDArray[Any]]
) -> None:
    """Write the dataset ``main``, packed with gzip, a chunk a slice."""
    packing = {} if 0 in shape else {"chunks": (1, *shape[1:]), "compression": "gzip"}
    with _Patient(path, "w+") as disk:
        with package("h5py", "h5py").File(disk, "w") as file:
            main = file.create_dataset("main", shape, dtype, **packing)
            z = 0
            for part in parts:
                main[z : z + len(part)] = part
                z += len(part)
                disk.check()
        disk.check()


class _Patient(io.FileIO):
    """A file that keeps errors until it is asked: HDF5 crashes where a disk is full."""

    error: OSError | None = None

    def check(self) -> None:
        """Raise OSError where anything could not be written."""
        if self.error:
            raise self.error

    def write(self, data: Any) -> int:
        """Write all the bytes, or keep the error."""
        view = memoryview(data).cast("B")
        try:
            while len(view) and not self.error:
                view = view[super().write(view) :]
        except OSError as error:
            self.error = error
        return memoryview(data).nbytes

    def truncate(self, size: int | None = None) -> int:
        """Change the length, or keep the error."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = error
            return size or 0


def _find(path: Path, file: Any, inner: str) -> Any:
    """The dataset to read; raises FileError for none, a group, or one that other files hold."""
    import h5py

    name = inner or _guess(path, file)
    item = file
    for part in filter(None, name.split("/")):
        link = item.get(part, getlink=True) if isinstance(item, h5py.Group) else None
        if isinstance(link, h5py.ExternalLink):
            raise FileError(f"{path}: {name} is a link to another file, which is not followed")
        if link is None or part not in item:
            raise FileError(f"{path}: no dataset {inner!r}; {_choices(file)}")
        item = item[part]
    if not isinstance(item, h5py.Dataset):
        raise FileError(f"{path}: {inner} is a group; {_choices(file)}")
    if item.external or item.is_virtual:
        raise FileError(f"{path}: {name} is stored in other files, which are not opened")
    return item


def _volumes(file: Any) -> list[str]:
    """Names of the 3-D integer datasets of a file. Links to other files are not followed."""
    names: list[str] = []

    def visit(name: str, item: Any) -> None:
        if hasattr(item, "ndim") and item.ndim == 3 and item.dtype.kind in "uib":
            names.append(name)

    file.visititems(visit)
    return names


def _guess(path: Path, file: Any) -> str:
    names = _volumes(file)
    if len(names) == 1:
        return names[0]
    usual = [name for name in USUAL if name in names]
    if len(usual) == 1:
        return usual[0]
    raise FileError(f"{path}: which dataset? {_choices(file)}")


def _choices(file: Any) -> str:
    names = _volumes(file)
    if not names:
        return "it holds no 3-D volume of integers"
    example = f"{Path(file.filename).name}:/{names[0]}"
    return f"its volumes are {', '.join('/' + n for n in names)}; name one as {example}"
