"""HDF5, by h5py: the authors' stacks, CREMI's .hdf, and most segmentations of the field."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from experiments.errors import DatasetError
from experiments.formats import Reader, check, first

SUFFIXES = (".h5", ".hdf5", ".hdf", ".he5")
#: Where label volumes are, in the original program's files and in CREMI's.
USUAL = ("main", "volumes/labels/neuron_ids")


@contextmanager
def open_volume(path: Path, inner: str) -> Iterator[Reader]:
    """Open one dataset of an HDF5 file; ``inner`` may be left out where there is no choice."""
    try:
        with h5py.File(path, "r") as file:
            dataset = file[inner or _guess(path, file)]
            if not isinstance(dataset, h5py.Dataset):
                raise DatasetError(f"{path}: {inner} is a group; {_choices(file)}")
            check(path, dataset.shape, dataset.dtype)
            yield Reader(dataset.shape, dataset.dtype, lambda n: dataset[: first(dataset.shape, n)])
    except KeyError:
        with h5py.File(path, "r") as file:
            raise DatasetError(f"{path}: no dataset {inner!r}; {_choices(file)}") from None
    except OSError as error:
        raise DatasetError(f"{path}: not readable as HDF5 ({error})") from None


def _volumes(file: h5py.File) -> list[str]:
    """Names of the 3-D integer datasets of a file. Links to other files are not followed."""
    names: list[str] = []

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == 3 and item.dtype.kind in "uib":
            names.append(name)

    file.visititems(visit)
    return names


def _guess(path: Path, file: h5py.File) -> str:
    names = _volumes(file)
    if len(names) == 1:
        return names[0]
    usual = [name for name in USUAL if name in names]
    if len(usual) == 1:
        return usual[0]
    raise DatasetError(f"{path}: which dataset? {_choices(file)}")


def _choices(file: h5py.File) -> str:
    names = _volumes(file)
    if not names:
        return "it holds no 3-D volume of integers"
    example = f"{Path(file.filename).name}:/{names[0]}"
    return f"its volumes are {', '.join('/' + n for n in names)}; name one as {example}"
