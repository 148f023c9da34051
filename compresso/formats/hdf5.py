"""HDF5, by h5py: the authors' stacks, CREMI's .hdf, and most segmentations of the field."""

import io
import shlex
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import LIMIT, space_axes
from compresso.boxes import Box, shape_of, slices_of
from compresso.errors import EncodeError, FileError
from compresso.formats import _hdf5
from compresso.formats._format import Format, Reader, bytes_of, check_room, volume_shape
from compresso.formats._metadata import Metadata
from compresso.plugins import require

#: Where label volumes are, in the original program's files and in CREMI's.
USUAL = ("main", "volumes/labels/neuron_ids")
#: Soft links that lead to one another, at most; HDF5's own limit.
LINKS = 16
#: Datasets that an error lists, at most.
NAMED = 6
#: The number of the filter that sorts the bytes of labels by their place.
SHUFFLE = 2


class Hdf5(Format):
    """Datasets in a tree of groups; chunks may have checksums: zlib's, or fletcher32.

    Chunks that were never written are legal, and hold the fill value.
    """

    name = "HDF5"
    suffixes = (".h5", ".hdf5", ".hdf", ".he5")
    several = True
    empty = True
    any_shape = True

    @contextmanager
    def open(self, path: Path, inner: str) -> Iterator[Reader]:
        """Open one dataset of an HDF5 file; ``inner`` may be left out where there is no choice."""
        with require("h5py", "h5py", "this file").File(path, "r") as file:
            dataset = _find(path, file, inner)
            own, dtype = dataset.shape or (), dataset.dtype
            shape = volume_shape(path, own, dtype)
            axes = space_axes(own)
            size = path.stat().st_size
            _check_storage(dataset, size)
            # What was never written takes no room; more of that than LIMIT is no volume.
            check_room(bytes_of(shape, dtype) - LIMIT, size, 1 << 16)

            def fetch(start: int, stop: int) -> NDArray[Any]:
                return fetch_box(((start, stop), *((0, n) for n in shape[1:])))

            def fetch_box(box: Box) -> NDArray[Any]:
                index: list[int | slice] = [0] * len(own)
                for axis, part in zip(axes, slices_of(box)[-len(axes) :], strict=True):
                    index[axis] = part
                labels: NDArray[Any] = dataset[tuple(index)]
                return labels.reshape(shape_of(box))

            chunk = tuple(dataset.chunks[axis] for axis in axes) if dataset.chunks else shape[2:]
            chunk = (1,) * (3 - len(chunk)) + chunk
            said = _hdf5.read(dataset)
            yield Reader(shape, dtype, fetch, *said, fetch_box=fetch_box, chunk=chunk, own=own)

    def write(
        self,
        path: Path,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        parts: Iterable[NDArray[Any]],
        metadata: Metadata,
    ) -> list[str]:
        """Write the dataset ``main``, packed with gzip, a chunk a slice."""
        attributes, lost = _hdf5.attributes(metadata)
        chunks = (1, *shape[1:]) if len(shape) == 3 else True
        packing = {} if 0 in shape else {"chunks": chunks, "compression": "gzip"}
        with _Patient(path, "w+") as disk:
            with require("h5py", "h5py", "this file").File(disk, "w") as file:
                main = file.create_dataset("main", shape, dtype, **packing)
                for name, (value, kind) in attributes.items():
                    main.attrs.create(name, value, dtype=kind)
                z = 0
                for part in parts:
                    main[z : z + len(part)] = part
                    z += len(part)
                    disk.check()
            disk.check()
        return lost


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
    item = _follow(path, file, name)
    if item is None:
        raise FileError(f"{path}: no dataset {inner!r}; {_choices(path, file)}")
    if not isinstance(item, h5py.Dataset):
        raise FileError(f"{path}: {inner} is a group; {_choices(path, file)}")
    if item.external or item.is_virtual:
        raise FileError(f"{path}: {name} is stored in other files, which are not opened")
    return item


def _follow(path: Path, file: Any, name: str) -> Any:
    """What a name leads to, by hard and soft links; None where it leads to nothing.

    h5py would follow a link to another file as soon as it is asked whether the name exists.
    """
    import h5py

    item, parts, links = file["/"], deque(name.split("/")), 0
    while parts:
        part = parts.popleft()
        if part in ("", "."):
            continue
        if not isinstance(item, h5py.Group) or not item.id.links.exists(part.encode()):
            return None
        kind = item.id.links.get_info(part.encode()).type
        if kind == h5py.h5l.TYPE_HARD:
            item = item[part]
        elif kind == h5py.h5l.TYPE_SOFT:
            target = item.id.links.get_val(part.encode()).decode()
            item = file["/"] if target.startswith("/") else item
            parts.extendleft(reversed(target.split("/")))
            links += 1
        else:
            raise FileError(f"{path}: {name} is a link to another file, which is not followed")
        if links > LINKS:
            raise FileError(f"{path}: {name} is a link that leads to more than {LINKS} others")
    return item


def _check_storage(dataset: Any, size: int) -> None:
    """Raise ValueError for labels that HDF5 would overlook, or take for more than they are.

    Shapes and tables of chunks have no checksum in files of the usual, earliest version.
    """
    if dataset.chunks is None:
        if dataset.id.get_storage_size() not in (0, bytes_of(dataset.shape, dataset.dtype)):
            raise ValueError(f"it stores another volume than one of shape {dataset.shape}")
        return
    whole = bytes_of(dataset.chunks, dataset.dtype)
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(i)[::2] for i in range(settings.get_nfilters())]
    if any(code == SHUFFLE and size[0] != dataset.dtype.itemsize for code, size in filters):
        raise ValueError("its bytes are shuffled for labels of another size")
    found = set()

    def visit(chunk: Any) -> None:
        at = chunk.chunk_offset
        if (
            any(z % c or z >= n for z, c, n in zip(at, dataset.chunks, dataset.shape, strict=True))
            or at in found
            or chunk.byte_offset + chunk.size > size
            or ((not filters or chunk.filter_mask) and chunk.size < whole)
        ):
            raise ValueError(f"damaged table of chunks, at {at}")
        found.add(at)

    dataset.id.chunk_iter(visit)


def _volumes(file: Any) -> list[str]:
    """Names of the integer datasets of a file that have the most axes, as volumes have them.

    If none of them is a volume, they are all named. Links are not followed.
    """
    import h5py

    names: dict[int, list[str]] = {}

    def visit(name: str, item: Any) -> None:
        with suppress(TypeError):  # a type that NumPy does not have
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "uib":
                axes: tuple[int, ...] = ()
                with suppress(EncodeError):
                    axes = space_axes(item.shape or ())
                names.setdefault(len(axes), []).append(name)

    file.visititems(visit)
    return names[max(names)] if names else []


def _guess(path: Path, file: Any) -> str:
    names = _volumes(file)
    if len(names) == 1:
        return names[0]
    usual = [name for name in USUAL if name in names]
    if len(usual) == 1:
        return usual[0]
    raise FileError(f"{path}: which dataset? {_choices(path, file)}")


def _choices(path: Path, file: Any) -> str:
    names = [f"/{name}" for name in _volumes(file)]
    if not names:
        return "it does not hold a dataset of integers"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    listed = ", ".join(names[:NAMED])
    return f"its volumes are {listed}{more}; name one as {shlex.quote(f'{path}:{names[0]}')}"
