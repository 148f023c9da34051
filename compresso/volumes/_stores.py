"""Chunked stores as label volumes: Neuroglancer precomputed, Zarr and N5, read by TensorStore.

:func:`open_store` parses an address, opens the array, and arranges its axes. A kind of store is one
file in this folder with a class derived from :class:`Kind`.
"""

import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from compresso.arrays import Labels, space_axes
from compresso.codec import build, find_classes
from compresso.errors import EncodeError, FileError, SpecError
from compresso.text import file_size
from compresso.volumes import _metadata
from compresso.volumes._client import Node, as_file_error, tensorstore
from compresso.volumes._format import available, bytes_of, volume_shape
from compresso.volumes._metadata import Geometry, Metadata, common_unit, unit_of
from compresso.volumes.volume import Box, Volume, format_box, shape_of, slices_of

#: The names of spatial axes.
SPACE = ("z", "y", "x")
RANGES = re.compile("x".join([r"\s*(-?\d+)-(-?\d+)\s*"] * 3), re.IGNORECASE)
#: TensorStore would otherwise check at every read that its cache is current.
ONCE = {"recheck_cached_data": "open", "recheck_cached_metadata": "open"}


@dataclass(frozen=True)
class Selection:
    """A part of a store."""

    mip: int = 0  # the scale; 0 is the finest
    box: str = ""  # 0-512x0-512x0-64, in voxels of that scale, in the store's own coordinates
    axes: str = ""  # the names of the axes in the store's order, such as xyz or czyx
    channel: int = -1  # -1 if not given
    time: int = -1

    def __post_init__(self) -> None:
        if self.mip < 0:
            raise SpecError(f"mip={self.mip}: the finest scale is 0")
        if self.box and (not self.ranges or min(shape_of(self.ranges)) <= 0):
            example = "0-512x0-512x0-64"
            raise SpecError(f"box={self.box}: expected ranges along x, y and z, such as {example}")
        space = "".join(sorted(self.axes)).lstrip("ct")
        known = set(self.axes) <= set("xyzct") and len(set(self.axes)) == len(self.axes)
        if self.axes and not (known and space and "xyz".startswith(space)):
            raise SpecError(f"axes={self.axes}: expected x, y and z, and c and t if they exist")

    @property
    def ranges(self) -> Box:
        """The box along z, y and x; empty for everything."""
        found = RANGES.fullmatch(self.box)
        ends = [int(number) for number in found.groups()] if found else []
        return tuple(zip(ends[::2], ends[1::2], strict=True))[::-1]


@dataclass(frozen=True)
class Location:
    """The name of a store, parsed."""

    kvstore: dict[str, Any]  # TensorStore's specification of the folder
    kinds: Sequence["type[Kind]"]  # possible kinds; empty for TensorStore's other formats
    driver: str  # TensorStore's name of that format
    selection: Selection


@dataclass(frozen=True)
class StoredArray:
    """An array in a store, and all that its format says about it."""

    array: Any  # a TensorStore
    #: Its axes if nothing names them, including those that may be missing: ``tczyx``, ``xyzct``.
    default_axes: str
    #: Names, voxel sizes with units, and positions of index 0, for each axis or each spatial axis;
    #: empty if TensorStore knows them.
    names: Sequence[str] = ()
    spacing: Sequence[tuple[float | None, object]] = ()
    shift: Sequence[float] = ()
    #: All other fields, by the name of the format, and the names of those that are lost.
    metadata: Metadata = field(default_factory=dict)
    lost: Sequence[str] = ()
    #: The position of index 0, if the store has it for [z, y, x].
    geometry: Geometry | None = None
    #: The local folder of its chunks, and the box of each file along the store's own axes; the box
    #: is None for other files.
    path: Path | None = None
    box_of: Callable[[str], Box | None] | None = None


class Kind(ABC):
    """A kind of store. A subclass is one file in this folder and is not listed anywhere."""

    #: Its name in messages.
    name: ClassVar[str]
    #: A folder with the documents of several kinds is of the kind with the highest priority.
    priority: ClassVar[int] = 0
    #: The names of the documents that mark it; the first is that of an array. Those in a folder
    #: inside it mark a group without a document of its own.
    markers: ClassVar[tuple[str, ...]]
    #: The prefixes of addresses, as in ``zarr://``, and the endings of folders.
    schemes: ClassVar[tuple[str, ...]]
    suffixes: ClassVar[tuple[str, ...]] = ()
    #: TensorStore's name, if it knows the kind.
    driver: ClassVar[str] = ""

    @abstractmethod
    def find(self, node: Node, selection: Selection, document: dict[str, Any]) -> StoredArray:
        """Find the selected array in a folder; raises FileError.

        ``document`` is the JSON file that marks this kind of store; it is untrusted.
        """

    def open(self, node: Node, document: dict[str, Any]) -> Any:
        """Open an array by a document that TensorStore understands; raises FileError."""
        return node.replaced(self.markers[0], document).open(self.driver, **ONCE)


@cache
def kinds() -> list[type[Kind]]:
    """Return all kinds, in the order in which a folder is tested for them."""
    found = find_classes("compresso.volumes", Kind, "store")  # type: ignore[type-abstract]
    return sorted(found.values(), key=lambda kind: -kind.priority)


# -- names ----------------------------------------------------------------------------------------

#: A selection at the end: ``:mip=1,box=0-512x0-512x0-64``.
SELECTION = re.compile(r":{1,2}(\w+=[^/|:]*)$")
URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
#: The metadata of a Zarr array, and their name while it is written: no program opens that.
ZARR_METADATA = "zarr.json"
UNFINISHED = f"{ZARR_METADATA}.unfinished"
RESUMABLE = "unfinished conversion. Run the same command again to finish it."


def split_address(text: str) -> tuple[str, str]:
    """Split a name into the address and the selection."""
    found = SELECTION.search(text)
    return (text[: found.start()], found[1]) if found else (text, "")


def split_inner(address: str) -> tuple[Path, str]:
    """Split ``folder:/inside``."""
    head = address
    while ":" in head and not os.path.exists(head):
        head = head.rpartition(":")[0]
    inner = address[len(head) + 1 :]
    return (Path(head), inner) if inner and os.path.isdir(head) else (Path(address), "")


def names_store(text: str) -> bool:
    """Whether a text names a store rather than a file: an address, or a folder that is a store."""
    address, _ = split_address(text)
    if URL.match(address) or ("|" in address and not os.path.exists(address)):
        return True
    folder, _ = split_inner(address)
    return folder.is_dir() and (
        folder.suffix.lower() in chain(*(kind.suffixes for kind in kinds()))
        or (folder / UNFINISHED).is_file()
        or any((folder / name).is_file() for kind in kinds() for name in kind.markers)
    )


def what_is(folder: Path) -> str:
    """Describe a folder that was given instead of a compressed file."""
    if (folder / UNFINISHED).is_file() and not (folder / ZARR_METADATA).is_file():
        return RESUMABLE
    if names_store(str(folder)):
        return "a chunked store, and not a .cps file. Read it with compress, convert or Zarr."
    return "not a compressed file but a folder. Name a file."


def short(text: str) -> str:
    """Return a short name for a store: the last part of its path, and the selection."""
    address, chosen = split_address(text)
    path = re.sub(r"\|[^|:]*:?$", "", address).rstrip("/|:")  # without the driver
    return (re.split(r"[/|:]", path)[-1] or address) + (f":{chosen}" if chosen else "")


def local(text: str) -> Path | None:
    """Return the local folder of a store's array or group; None for other addresses."""
    spec = locate(text).kvstore
    return Path(spec["path"]) if spec["driver"] == "file" else None


def absolute(text: str) -> str:
    """Return a volume's name that means the same in another working directory."""
    scheme, _, address = _split_scheme(text)
    path, bar, drivers = address.partition("|")
    return text if URL.match(address) else f"{scheme}{os.path.abspath(path)}{bar}{drivers}"


def _split_scheme(address: str) -> tuple[str, list[type[Kind]], str]:
    """Split ``zarr://folder`` into the prefix, its kinds, and the rest; without one, both empty."""
    scheme, mark, rest = address.partition("://")
    possible = [kind for kind in kinds() if mark and scheme.lower() in kind.schemes]
    if not possible:
        return "", possible, address
    # CloudVolume writes a relative path as file://folder.
    return scheme + mark, possible, re.sub("^file://(?=[^/])", "", rest)


def locate(text: str) -> Location:
    """Parse the name of a store; raises SpecError and FileError."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FileError(f"{text}: TensorStore needs names in UTF-8. Choose another name.") from None
    address, chosen = split_address(text)
    selection = build(Selection, f"store:{chosen}")
    _, possible, address = _split_scheme(address)
    first, bar, drivers = address.partition("|")
    if URL.match(first):  # gs://bucket/a.zarr:/inside
        endings = "|".join(re.escape(ending) for kind in kinds() for ending in kind.suffixes)
        first = re.sub(f"({endings}):(?=/)", r"\1", first, flags=re.IGNORECASE)
    else:
        folder, inner = split_inner(first)
        first = Path(os.path.abspath(folder / inner.strip("/"))).as_uri()
    try:
        spec = tensorstore().Spec(first + bar + drivers).to_json()
        kvstore = dict(spec["kvstore"])
    except (ValueError, KeyError) as error:
        reason = str(error).rpartition(": ")[2]
        raise FileError(f"{text}: not an address that TensorStore knows ({reason})") from None
    driver = spec["driver"]
    possible = possible or [kind for kind in kinds() if driver in ("auto", kind.driver)]
    if possible:
        path = kvstore.get("path", "")  # empty for the root of a bucket
        kvstore["path"] = path and path.rstrip("/") + "/"
    return Location(kvstore, possible, driver, selection)


# -- opening --------------------------------------------------------------------------------------


@contextmanager
def open_store(text: str, memory: int | None = None, strict: bool = False) -> Iterator[Volume]:
    """Open a chunked store, as :func:`compresso.volumes.open` does.

    Reading slices raises FileError for those that do not fit the memory, and names damaged ones.
    """
    location = locate(text)
    room = available() if memory is None else memory
    node = Node.make(text, location.kvstore, strict, room // 4)
    stored = _find(node, location)
    names = axis_names(text, stored, location.selection)
    array, geometry = arrange(text, stored, names, location.selection)
    dtype = np.dtype(array.dtype.numpy_dtype)
    shape = volume_shape(text, array.shape, dtype)
    layout = array.chunk_layout
    chunk = tuple(int(n or whole) for n, whole in zip(layout.read_chunk.shape, shape, strict=True))

    def read(part: str, box: Box) -> Labels:
        with as_file_error(text, part):
            labels: Labels = array[slices_of(box)].read(order="C").result()
            return labels

    def fetch_box(box: Box) -> Labels:
        (start, stop), *across = box
        if shape_of(box)[1:] != shape[1:]:
            return read(f"voxels {format_box(box)} (x, y, z, counted from the first)", box)
        part = f"slices {start} to {stop - 1}"
        for name, size in (("its chunks", chunk), (part, shape_of(box))):
            if bytes_of(size, dtype) > available():
                raise FileError(
                    f"{text}: {name} ({file_size(bytes_of(size, dtype))}) do not fit the memory. "
                    "Choose a box, :box=X0-X1xY0-Y1xZ0-Z1"
                )
        try:
            return read(part, box)
        except FileError:
            # Find the layer of chunks that cannot be read.
            first = (layout.grid_origin[0] or 0) % chunk[0] - chunk[0]
            for at in range(first, stop, chunk[0]):
                low, high = max(at, start), min(at + chunk[0], stop)
                if low < high:
                    read(f"slices {low} to {high - 1}", ((low, high), *across))
            raise

    unnamed = not (stored.names or any(stored.array.domain.labels) or location.selection.axes)
    rank = len(names)
    try:
        yield Volume(
            shape,
            dtype,
            metadata=_metadata.make("", {}, geometry) | stored.metadata,
            lost=tuple(stored.lost),
            fetch_box=fetch_box,
            chunk=chunk,
            own=tuple(stored.array.shape) if rank < 3 or (rank > 3 and unnamed) else (),
            stored=partial(stored_boxes, stored, array) if stored.path and stored.box_of else None,
            paths=(node.path,) if node.path else (),
        )
    finally:
        node.pool.shutdown(cancel_futures=True)


def _find(node: Node, location: Location) -> StoredArray:
    """Find the selected array."""
    if not location.kinds:
        return StoredArray(node.open(location.driver), "tczyx")
    names = {name: kind for kind in location.kinds for name in kind.markers}
    name, document = node.first(names)
    if name:
        own = {} if "/" in name else document
        return names[name]().find(node, location.selection, own)
    if node.optional(UNFINISHED):
        raise FileError(f"{node.text}: {RESUMABLE}")
    raise FileError(f"{node.text}: absent, or not a store: it has no {', '.join(names)}")


def check_mip(node: Node, mip: int, scales: Sequence[str]) -> None:
    """Raise FileError if the scale does not exist."""
    if mip >= len(scales):
        listed = ", ".join(f"mip={number} ({scale})" for number, scale in enumerate(scales[:9]))
        raise FileError(f"{node.text}: no scale mip={mip} (existing: {listed or 'none'})")


# -- axes -----------------------------------------------------------------------------------------


def axis_names(text: str, stored: StoredArray, selection: Selection) -> list[str]:
    """Return a name for each axis, among them the last of z, y and x; empty for dropped axes."""
    shape, usual = stored.array.shape, stored.default_axes
    rank = len(shape)
    given = selection.axes or stored.names or stored.array.domain.labels
    names = [name.lower() for name in given]
    if not set(SPACE) & set(names):
        axes: Sequence[int] = range(rank)
        try:
            if rank > len(usual) or max(selection.channel, selection.time) < 0:
                axes = space_axes(shape)
        except EncodeError as error:
            if rank > len(usual):
                raise FileError(f"{text}: {error}") from None
        short = usual[-len(axes) :] if usual.endswith("x") else usual
        known = dict(zip(axes, short, strict=False))
        names = [known.get(axis, "") for axis in range(rank)]
    kept = [name for name in names if name in SPACE]
    if len(names) != rank or not kept or sorted(kept) != sorted(SPACE[-len(kept) :]):
        advice = f". Name them, e.g. :axes={'tczyx'[-rank:]}" if rank <= 5 else ""
        raise FileError(
            f"{text}: the names of the {rank} axes are {', '.join(map(repr, names))}, not x, y "
            f"and z once each{advice}"
        )
    return names


def arrange(
    text: str, stored: StoredArray, names: Sequence[str], selection: Selection
) -> tuple[Any, Geometry | None]:
    """Return the selected part of an array as [z, y, x] from 0, and its geometry if known."""
    array = stored.array
    for axis in reversed(range(array.rank)):
        if names[axis] not in SPACE:
            first, end = array.domain.inclusive_min[axis], array.domain.exclusive_max[axis]
            key = "time" if names[axis] in ("t", "time") else "channel"
            picked = getattr(selection, key)
            picked = first if picked < 0 and end - first == 1 else picked
            if not first <= picked < end:
                raise FileError(
                    f"{text}: axis {names[axis] or '(unnamed)'} has {end - first} entries "
                    f"({first} to {end - 1}). Select one with :{key}={first}"
                )
            array = array[(slice(None),) * axis + (picked,)]
    kept = [name for name in names if name in SPACE]
    missing = len(SPACE) - len(kept)
    array = array.transpose([kept.index(name) for name in SPACE[missing:]])[(None,) * missing]
    if box := selection.ranges:
        whole = tuple(zip(array.domain.inclusive_min, array.domain.exclusive_max, strict=True))
        if any(a < n or b > m for (a, b), (n, m) in zip(box, whole, strict=True)):
            inside = format_box(whole)
            raise FileError(f"{text}: box={selection.box} is not inside {inside} (x, y, z)")
        array = array[slices_of(box)]
    low = array.domain.inclusive_min
    geometry = stored.geometry if tuple(names) == SPACE else None
    try:
        geometry = (geometry or _geometry(stored, names, low)).moved(*low)
    except (ValueError, OverflowError):
        geometry = None
    return array.translate_to[(0,) * 3], geometry


def _geometry(stored: StoredArray, names: Sequence[str], low: Sequence[int]) -> Geometry:
    """Return the geometry of index 0, for a view from ``low`` on; raises ValueError if unknown."""
    spacing = stored.spacing or [
        (None, None) if unit is None else (unit.multiplier, unit.base_unit)
        for unit in stored.array.dimension_units
    ]
    found = _of_space(spacing, names, (None, None)) or [(None, None)] * 3
    steps = [None if step is None or not math.isfinite(step) else step for step, _ in found]
    shift = _of_space(stored.shift, names, 0.0)
    lost = [step is None and (n or not shift) for step, n in zip(steps, low, strict=True)]
    last = found[-1][1]  # an unknown step has any unit
    units = [unit_of(last if step is None else unit) for step, unit in found]
    sizes, unit = common_unit(steps, units)
    (z, y, x), _ = common_unit(shift or (0.0,) * 3, units)
    origin = None if any(lost) else (x or 0.0, y or 0.0, z or 0.0)
    return Geometry.along_axes(sizes, origin, unit)


def _of_space(values: Sequence[Any], names: Sequence[str], unknown: Any) -> list[Any]:
    """Return the values for z, y and x; empty if there is neither one per axis nor three."""
    owners = names if len(values) == len(names) else [name for name in names if name in SPACE]
    if len(values) != len(owners):
        return []
    known = dict(zip(owners, values, strict=True))
    return [known.get(name, unknown) for name in SPACE]


# -- stored chunks --------------------------------------------------------------------------------


def stored_boxes(stored: StoredArray, array: Any) -> Iterator[Box]:
    """Yield the boxes of the stored chunks of a local array, in the coordinates of a view."""
    output = array.spec().transform.output
    for folder, _, files in os.walk(stored.path or ""):
        for name in files:
            path = Path(folder, name).relative_to(stored.path or "").as_posix()
            if not stored.box_of or not (box := stored.box_of(path)):
                continue
            seen, inside = [(0, size) for size in array.shape], True
            for (low, high), axis in zip(box, output, strict=False):  # it may have no channel axis
                at = axis.input_dimension  # None if one entry of this axis is selected
                size = 1 if at is None else array.shape[at]
                low, high = max(0, low - axis.offset), min(size, high - axis.offset)
                inside = inside and low < high
                if at is not None:
                    seen[at] = low, high
            if inside:
                yield tuple(seen)


# -- writing --------------------------------------------------------------------------------------


class Folder:
    """The objects below an address, by name; each is written completely or not at all."""

    def __init__(self, text: str) -> None:
        self.text = text  # the address as the user wrote it
        location = locate(text)
        spec = location.kvstore
        #: The local folder; empty for other addresses.
        self.path = ""
        if spec["driver"] == "file":  # the target of a link need not exist
            self.path = os.path.realpath(spec["path"])
            spec = spec | {"path": os.path.join(self.path, "")}
        if location.kinds and "zarr3" not in [kind.name for kind in location.kinds]:
            raise FileError(f"{text}: cannot write this format, only Zarr v3")
        if location.selection != Selection():
            raise SpecError(f"{text}: a target cannot have a selection. Remove it.")
        with as_file_error(text):
            self._store = Node.make(text, spec).store()

    def read(self, names: Iterable[str]) -> list[bytes | None]:
        """Return objects, None for those that do not exist; raises FileError."""
        with as_file_error(self.text):
            results = [reading.result() for reading in [self._store.read(name) for name in names]]
        return [bytes(result.value) if result.state == "value" else None for result in results]

    def write(self, objects: dict[str, bytes]) -> None:
        """Write or replace objects; raises FileError."""
        with as_file_error(self.text):
            for writing in [self._store.write(name, data) for name, data in objects.items()]:
                writing.result()

    def remove(self, name: str) -> None:
        """Remove an object, or all below a name that ends with a slash; raises FileError."""
        with as_file_error(self.text):
            if name.endswith("/"):
                below = tensorstore().KvStore.KeyRange(name, name[:-1] + chr(ord("/") + 1))
                self._store.delete_range(below).result()
            else:
                self._store.write(name, None).result()

    def names(self) -> list[str]:
        """Return the names in a local folder; other addresses are not listed."""
        return sorted(os.listdir(self.path)) if self.path and os.path.isdir(self.path) else []
