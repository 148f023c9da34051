"""HDF5, by h5py: the authors' stacks, CREMI's .hdf, and most segmentations of the field."""

import io
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from compresso.arrays import LIMIT, Labels, space_axes
from compresso.codec import require
from compresso.errors import EncodeError, FileError
from compresso.volumes import _metadata
from compresso.volumes._format import Format, bytes_of, check_room, several, volume_shape
from compresso.volumes._metadata import Geometry, Metadata, Vector, lost_if_invalid, unit_of
from compresso.volumes.volume import Box, Volume, shape_of, slices_of

#: Where label volumes are, in the original program's files and in CREMI's.
USUAL = ("main", "volumes/labels/neuron_ids")
#: Most soft links in a row, as in HDF5 itself.
LINKS = 16
#: Bytes of labels that a byte of a file can stand for, at most.
LARGEST_RATIO = 1 << 16
#: The number of the filter that sorts the bytes of labels.
SHUFFLE = 2


class Hdf5(Format):
    """Datasets in a tree of groups; chunks may be missing and hold the fill value."""

    name = "HDF5"
    suffixes = (".h5", ".hdf5", ".hdf", ".he5")
    magic = (b"\x89HDF\r\n\x1a\n",)
    key = "hdf5"
    geometry_fields = ("resolution", "offset", "units", "directions", "world", "element_size_um")
    holds_several = True
    empty = True
    any_shape = True

    def begins(self, head: bytes) -> bool:
        """Whether its signature is at the start, or after another program's 512 bytes or more."""
        starts = (0, *(512 << n for n in range(12)))
        return any(head.startswith(self.magic, start) for start in starts)

    @contextmanager
    def open(self, path: Path, inner: str) -> Iterator[Volume]:
        """Open one dataset of an HDF5 file; ``inner`` may be empty if there is no choice."""
        import h5py

        with h5py.File(path, "r") as file:
            dataset = _find(path, file, inner)
            own, dtype = dataset.shape or (), dataset.dtype
            shape = volume_shape(path, own, dtype)
            axes = space_axes(own)
            size = path.stat().st_size
            stored = _chunks(path, dataset, size)
            # Missing chunks take no room in the file; up to LIMIT bytes of labels may be missing.
            check_room(bytes_of(shape, dtype) - LIMIT, size, LARGEST_RATIO)

            def fetch_box(box: Box) -> Labels:
                index: list[int | slice] = [0] * len(own)
                for axis, part in zip(axes, slices_of(box)[-len(axes) :], strict=True):
                    index[axis] = part
                labels: Labels = dataset[tuple(index)]
                return labels.reshape(shape_of(box))

            def in_volume(numbers: tuple[int, ...], missing: int) -> tuple[int, ...]:
                return (missing,) * (3 - len(axes)) + tuple(numbers[axis] for axis in axes)

            chunk = in_volume(dataset.chunks, 1) if dataset.chunks else (1, 1, shape[2])

            def boxes() -> Iterator[Box]:
                for at in stored:
                    ends = zip(in_volume(at, 0), chunk, shape, strict=True)
                    yield tuple((a, min(a + by, n)) for a, by, n in ends)

            listed = boxes if dataset.chunks or not dataset.id.get_storage_size() else None
            fields, lost = read_metadata(dataset)
            yield Volume(shape, dtype, None, fields, lost, fetch_box, chunk, own, listed)

    def write(self, path: Path, volume: Volume, parts: Iterable[Labels]) -> list[str]:
        """Write the dataset ``main``, packed with gzip, one chunk per slice."""
        import h5py

        attributes, lost = attributes_of(volume.metadata)
        shape = volume.shape
        chunks = (1, *shape[1:]) if len(shape) == 3 else True
        packing = {} if 0 in shape else {"chunks": chunks, "compression": "gzip"}
        with _Disk(path, "w+") as disk:
            with h5py.File(disk, "w") as file:
                main = file.create_dataset("main", shape, volume.dtype, **packing)
                for name, (value, kind) in attributes.items():
                    main.attrs.create(name, value, dtype=kind)
                z = 0
                for part in parts:
                    main[z : z + len(part)] = part
                    z += len(part)
                    disk.check()
            disk.check()
        return lost


class _Disk(io.FileIO):
    """A file that raises errors only in :meth:`check`: HDF5 crashes if a disk is full."""

    error: OSError | None = None

    def check(self) -> None:
        """Raise the first error of writing."""
        if self.error:
            raise self.error

    def write(self, data: Any) -> int:
        """Write all the bytes, or remember the error."""
        view = memoryview(data).cast("B")
        try:
            while len(view) and not self.error:
                view = view[super().write(view) :]
        except OSError as error:
            self.error = error
        return memoryview(data).nbytes

    def truncate(self, size: int | None = None) -> int:
        """Change the length, or remember the error."""
        try:
            super().truncate(size)
        except OSError as error:
            self.error = error
        return size or 0


# -- datasets -------------------------------------------------------------------------------------


def _find(path: Path, file: Any, inner: str) -> Any:
    """Return the dataset to read; raises FileError if it is missing or in other files."""
    import h5py

    names = [] if inner else _volumes(file)
    usual = [name for name in USUAL if name in names]
    name = inner or next((found[0] for found in (names, usual) if len(found) == 1), "")
    item = _follow(path, file, name)
    if not isinstance(item, h5py.Dataset):
        problem = f"no dataset {inner}; found" if inner else "several datasets"
        if names := [f"/{name}" for name in _volumes(file)]:
            raise several(path, problem, names, names[0])
        floats = [f"; /{name} is {file[name].dtype}" for name in _volumes(file, "f")[:1]]
        advice = '. Convert it first, e.g. labels.astype("uint32")' if floats else ""
        raise FileError(f"{path}: no dataset of integers{''.join(floats)}{advice}")
    if item.external or item.is_virtual:
        raise FileError(f"{path}: {name} is stored in other files, which are not opened")
    return item


def _follow(path: Path, file: Any, name: str) -> Any:
    """Return the object of a name, by hard and soft links; None if it does not exist.

    h5py itself would follow a link to another file, even to check whether the name exists.
    """
    import h5py

    item, parts, links = file["/"], name.split("/")[::-1], 0
    while parts:
        part = parts.pop()
        if part in ("", "."):
            continue
        link = item.get(part, getlink=True) if isinstance(item, h5py.Group) else None
        if link is None:
            return None
        if isinstance(link, h5py.HardLink):
            item = item[part]
        elif isinstance(link, h5py.SoftLink) and links < LINKS:
            item = file["/"] if link.path.startswith("/") else item
            parts += link.path.split("/")[::-1]
            links += 1
        else:
            raise FileError(
                f"{path}: {name} leads to another file, or through more than {LINKS} links"
            )
    return item


def _volumes(file: Any, kinds: str = "uib") -> list[str]:
    """Return the names of the integer datasets with the most axes of a volume, without links."""
    import h5py

    names: dict[int, list[str]] = {}

    def visit(name: str, item: Any) -> None:
        with suppress(TypeError):  # a type that NumPy does not have
            if isinstance(item, h5py.Dataset) and item.dtype.kind in kinds:
                axes: tuple[int, ...] = ()
                with suppress(EncodeError):
                    axes = space_axes(item.shape or ())
                names.setdefault(len(axes), []).append(name)

    file.visititems(visit)
    return names[max(names)] if names else []


def _chunks(path: Path, dataset: Any, size: int) -> list[tuple[int, ...]]:
    """Register the filters of the chunks with HDF5; return the first voxel of each stored chunk.

    Raises ValueError for damage that HDF5 does not notice: shapes and tables of chunks have no
    checksum in files of the usual, earliest version.
    """
    from h5py.h5z import filter_avail

    dtype, chunks = dataset.dtype, dataset.chunks
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(number) for number in range(settings.get_nfilters())]
    for code, _, values, _ in filters:
        if not filter_avail(code):
            require("hdf5plugin", "hdf5plugin", f"{path}: the HDF5 filter {code}")
        if not filter_avail(code):
            raise FileError(
                f"{path}: the HDF5 filter {code} is not installed. Store the file with gzip on the "
                "machine where it was made: h5repack -f GZIP=6 OLD NEW"
            )
        if code == SHUFFLE and values[0] != dtype.itemsize:
            raise ValueError("its bytes are shuffled for labels of another size")
    if chunks is None:
        if dataset.id.get_storage_size() not in (0, bytes_of(dataset.shape, dtype)):
            raise ValueError(f"it stores another volume than one of shape {dataset.shape}")
        return []
    found: set[tuple[int, ...]] = set()

    def visit(chunk: Any) -> None:
        at = chunk.chunk_offset
        is_raw = not filters or chunk.filter_mask
        if (
            any(z % c or z >= n for z, c, n in zip(at, chunks, dataset.shape, strict=True))
            or at in found
            or chunk.byte_offset + chunk.size > size
            or (is_raw and chunk.size < bytes_of(chunks, dtype))
        ):
            raise ValueError(f"damaged table of chunks, at {at}")
        found.add(at)

    dataset.id.chunk_iter(visit)
    return list(found)


# -- attributes -----------------------------------------------------------------------------------

#: The largest attribute that is kept, in bytes, and the largest number of them.
LARGEST_ATTRIBUTE = 4096
MOST_ATTRIBUTES = 256
DTYPE = re.compile(r"[<>|][iufbS][1-8]|[|]S\d{1,4}")
TEXTS = ("ascii", "utf-8")
#: Attributes that describe each axis of the dataset.
AXES = ("axistags", "DIMENSION_LABELS", "DIMENSION_LIST", "_ARRAY_DIMENSIONS")


def read_metadata(dataset: Any) -> tuple[Metadata, list[str]]:
    """Return the metadata in the attributes of a dataset, and the names of lost fields."""
    import h5py

    fields: dict[str, Any] = {}
    lost = ["the names of its enum values"] if h5py.check_enum_dtype(dataset.dtype) else []
    names: list[Any] = []
    with lost_if_invalid(lost, "its attributes"):
        names += islice(dataset.attrs, MOST_ATTRIBUTES + 1)
    for name in names[:MOST_ATTRIBUTES]:
        # Names that are not UTF-8 are bytes.
        with lost_if_invalid(lost, name.decode("latin-1") if isinstance(name, bytes) else name):
            if name in AXES and dataset.ndim > 3:  # some of the axes are dropped
                raise ValueError(name)
            name.encode()
            fields[name] = _to_json(dataset.attrs, name)
    lost += [f"attributes beyond {MOST_ATTRIBUTES}"] * (len(names) > MOST_ATTRIBUTES)
    return _metadata.make("hdf5", fields, geometry(fields)), lost


def attributes_of(metadata: Metadata) -> tuple[dict[str, tuple[Any, Any]], list[str]]:
    """Return the attributes for metadata, each a value and h5py's dtype, and lost fields."""
    own = _metadata.own(metadata, "hdf5")
    found, lost = {}, Hdf5().lost_fields(metadata)
    for name, field in own.items():
        with lost_if_invalid(lost, name):
            if not 0 < len(name) < LARGEST_ATTRIBUTE or "\0" in name:
                raise ValueError(name)
            found[name] = _value(field["dtype"], field["value"])
    place = _metadata.geometry_of(metadata)
    if place is not None and place != geometry(own):
        found = {n: v for n, v in found.items() if n not in Hdf5.geometry_fields}
        found |= render(place)
    return found, lost


def geometry(fields: dict[str, Any]) -> Geometry | None:
    """Return the geometry in CREMI's, ilastik's (``element_size_um``) or our own attributes."""
    plain = {n: field.get("value") for n, field in fields.items() if isinstance(field, dict)}
    size, unit = _row(plain.get("resolution")), unit_of(plain.get("units"))
    if size is None and (micrometres := _row(plain.get("element_size_um"))):
        size, unit = micrometres, "um"
    offset, world = _row(plain.get("offset")), plain.get("world")
    try:
        flat = Geometry.along_axes(size or [None] * 3, offset and offset[::-1], unit)
        turned = np.array(plain.get("directions"), float)
        z, y, x = flat.steps
        if turned.shape == (3, 3):
            rows = (turned[:, ::-1] * np.array(flat.spacing, float)[:, None]).tolist()
            z, y, x = (step and tuple(row) for step, row in zip(flat.steps, rows, strict=True))
        return replace(flat, steps=(z, y, x), world=world if world in ("LPS", "RAS") else None)
    except _metadata.INVALID:
        return None


def render(place: Geometry) -> dict[str, tuple[Any, Any]]:
    """Return the attributes for a geometry, in nm, as in CREMI's files."""
    place = place.in_unit("nm")
    rows: dict[str, Any] = {}
    if any(place.steps):
        rows["resolution"] = [math.nan if n is None else n for n in place.spacing]
    if place.origin is not None:
        rows["offset"] = place.origin[::-1]
    if not place.is_plain:
        rows["directions"] = place.directions[:, ::-1]
    texts = {"units": place.unit, "world": place.world}
    found = {name: (np.array(row, "<f8"), np.dtype("<f8")) for name, row in rows.items()}
    return found | {name: _value("utf-8", text) for name, text in texts.items() if text}


def _to_json(attributes: Any, name: str) -> dict[str, Any]:
    """Return an attribute as JSON; raises one of ``INVALID`` if it cannot be kept."""
    import h5py

    about = attributes.get_id(name)
    if not 0 < math.prod(about.shape) * about.dtype.itemsize <= LARGEST_ATTRIBUTE:
        raise ValueError("empty or too large")
    text = h5py.check_string_dtype(about.dtype)
    if text is not None and text.length is None:
        words = np.asarray(attributes[name], object)
        if sum(len(word.encode()) for word in words.ravel()) > LARGEST_ATTRIBUTE:
            raise ValueError("too large")
        return {"dtype": text.encoding, "value": words.tolist()}
    if not DTYPE.fullmatch(about.dtype.str):
        raise TypeError(f"{about.dtype} is not kept")
    value = np.asarray(attributes[name], about.dtype)
    return {"dtype": about.dtype.str, "value": _metadata.to_json(value)}


def _value(dtype: str, value: Any) -> tuple[Any, Any]:
    """Return the value and h5py's dtype of an attribute; raises one of ``INVALID``."""
    import h5py

    items = np.array(value, object)
    if dtype in TEXTS:
        if "\0" in "".join(items.ravel()).encode(dtype).decode():
            raise ValueError("HDF5's texts end with NUL")
        return (value if isinstance(value, str) else items), h5py.string_dtype(dtype)
    if not DTYPE.fullmatch(dtype):
        raise TypeError(f"{dtype} is not kept")
    kind = np.dtype(dtype)
    array = _metadata.from_json(value, kind)
    if array.nbytes > LARGEST_ATTRIBUTE:
        raise ValueError("too large")
    return array, kind


def _row(value: Any) -> Vector | None:
    """Return the three numbers of an attribute."""
    with suppress(*_metadata.INVALID):
        z, y, x = (float(n) for n in (value if isinstance(value, list) else []))
        return z, y, x
    return None
