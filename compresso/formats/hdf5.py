"""HDF5, by h5py: the authors' stacks, CREMI's .hdf, and most segmentations of the field."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compresso.errors import FileError
from compresso.formats import Reader, check, package

SUFFIXES = (".h5", ".hdf5", ".hdf", ".he5")
#: Where label volumes are, in the original program's files and in CREMI's.
USUAL = ("main", "volumes/labels/neuron_ids")


@contextmanager
def open_volume(path: Path, inner: str) -> Iterator[Reader]:
    """Open one dataset of an HDF5 file; ``inner`` may be left out where there is no choice."""
    h5py = package("h5py", "h5py")
    try:
        with h5py.File(path, "r") as file:
            name = inner or _guess(path, file)
            _refuse_links(path, file, name)
            dataset = file[name]
            if not isinstance(dataset, h5py.Dataset):
                raise FileError(f"{path}: {inner} is a group; {_choices(file)}")
            if dataset.external or dataset.is_virtual:
                raise FileError(f"{path}: {name} is stored in other files, which are not opened")
            check(path, dataset.shape, dataset.dtype)
            yield Reader(dataset.shape, dataset.dtype, lambda start, stop: dataset[start:stop])
    except KeyError:
        with h5py.File(path, "r") as file:
            raise FileError(f"{path}: no dataset {inner!r}; {_choices(file)}") from None
    except OSError as error:
        raise FileError(f"{path}: not readable as HDF5 ({error})") from None


def _refuse_links(path: Path, file: Any, name: str) -> None:
    """Raise FileError where a path leads out of the file, for the file may come from anybody."""
    import h5py

    group = file
    for part in filter(None, name.split("/")):
        if isinstance(group.get(part, getlink=True), h5py.ExternalLink):
            raise FileError(f"{path}: {name} is a link to another file, which is not followed")
        group = group[part]


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
