"""Chunked stores as label volumes: Neuroglancer precomputed, Zarr and N5, read by TensorStore.

A kind of store is one file in this folder with a class derived from :class:`Kind`.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from compresso.arrays import Labels, space_axes
from compresso.codec import build, find_classes
from compresso.errors import EncodeError, FileError, SpecError
from compresso.text import file_size
from compresso.volumes import _metadata
from compresso.volumes._client import DECODERS, Node, as_file_error, tensorstore
from compresso.volumes._format import available, bytes_of, volume_shape
from compresso.volumes._metadata import Geometry, Metadata, common_unit, unit_of
from compresso.volumes.volume import Box, Stored, Volume, format_box, slices_of

T = TypeVar("T")
RANGES = re.compile("x".join([r"\s*(-?\d+)-(-?\d+)\s*"] * 3))
#: TensorStore would otherwise check at every read that its cache is current.
ONCE = {"recheck_cached_data": "open", "recheck_cached_metadata": "open"}


class Ranges(tuple[tuple[int, int], ...]):
    """Ranges along x, y and z, written as ``0-512x0-512x0-64``; empty for everything."""

    def __new__(cls, text: str) -> Self:
        found = RANGES.fullmatch(text.lower())
        ends = [int(number) for number in found.groups()] if found else []
        ranges = list(zip(ends[::2], ends[1::2], strict=True))
        if text and (not ranges or any(a >= b for a, b in ranges)):
            raise ValueError("expected ranges along x, y and z, such as 0-512x0-512x0-64")
        return super().__new__(cls, ranges)

    def __str__(self) -> str:
        return format_box(self[::-1])


@dataclass(frozen=True)
class Selection:
    """A part of a store."""

    mip: int = 0  # the scale; 0 is the finest
    box: Ranges = Ranges("")  # in voxels of that scale, in the store's own coordinates
    axes: str = ""  # the names of the axes in the store's order, such as xyz or czyx
    channel: int = -1  # -1 if not given
    time: int = -1

    def __post_init__(self) -> None:
        if self.mip < 0:
            raise SpecError(f"mip={self.mip}: the finest scale is 0")
        space = "".join(sorted(self.axes)).lstrip("ct")
        known = set(self.axes) <= set("xyzct") and len(set(self.axes)) == len(self.axes)
        if self.axes and not (known and space and "xyz".startswith(space)):
            raise SpecError(f"axes={self.axes}: expected x, y and z, and c and t if they exist")


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
    spacing: Sequence[tuple[float | None, str | None]] = ()
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
    #: The names of the documents that mark it; the first is that of an array.
    markers: ClassVar[tuple[str, ...]]
    #: A document that marks a group without one of these.
    inside: ClassVar[str] = ""
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

    def open(self, node: Node, **settings: Any) -> Any:
        """Open a folder's array with TensorStore; raises FileError."""
        return node.open(self.driver, **ONCE, **settings)


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
    parts = [part for part in re.split(r"[/|:]", address) if part]
    if "|" in address and len(parts) > 1 and not address.rpartition("|")[2].partition(":")[2]:
        parts.pop()  # the driver
    return (parts[-1] if parts else address) + (f":{chosen}" if chosen else "")


def local(text: str) -> Path | None:
    """Return the local folder of a store's array or group; None for other addresses."""
    *_, address = _split_scheme(split_address(text)[0])
    folder, inner = split_inner(address.partition("|")[0].removeprefix("file://"))
    return folder / inner.strip("/") if folder.is_dir() else None


def absolute(text: str) -> str:
    """Return a volume's name that means the same in another working directory."""
    scheme, _, address = _split_scheme(text)
    path, bar, drivers = address.partition("|")
    return text if URL.match(address) else f"{scheme}{os.path.abspath(path)}{bar}{drivers}"


def locate(text: str) -> Location:
    """Parse the name of a store; raises SpecError and FileError."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FileError(f"{text}: TensorStore needs names in UTF-8. Choose another name.") from None
    address, chosen = split_address(text)
    selection = build(Selection, f"store:{chosen}")
    _, possible, address = _split_scheme(address)
    if not URL.match(address) and "|" not in address:
        folder, inner = split_inner(address)
        path = os.path.abspath(folder / inner.strip("/"))
        kvstore = {"driver": "file", "path": _as_folder(path)}
        return Location(kvstore, possible or kinds(), "", selection)
    endings = "|".join(re.escape(ending) for kind in kinds() for ending in kind.suffixes)
    inside = re.search(f"({endings})(?=:/)", address, re.IGNORECASE)
    inner = ""
    if inside and "|" not in address:  # gs://bucket/a.zarr:/inside
        address, inner = address[: inside.end()], address[inside.end() + 1 :]
    first, bar, rest = address.partition("|")
    if not URL.match(first):
        first = Path(os.path.abspath(first)).as_uri()
    try:
        spec = tensorstore().Spec(first + bar + rest).to_json()
        kvstore = dict(spec["kvstore"])
    except (ValueError, KeyError) as error:
        reason = str(error).rpartition(": ")[2]
        raise FileError(f"{text}: not an address that TensorStore knows ({reason})") from None
    driver = spec["driver"]
    possible = possible or [kind for kind in kinds() if driver in ("auto", kind.driver)]
    if possible:
        kvstore["path"] = _as_folder(kvstore.get("path", "") + inner)
    return Location(kvstore, possible, driver, selection)


def _split_scheme(address: str) -> tuple[str, list[type[Kind]], str]:
    """Split ``zarr://folder`` into the prefix, its kinds, and the rest; without one, both empty."""
    scheme, mark, rest = address.partition("://")
    possible = [kind for kind in kinds() if mark and scheme.lower() in kind.schemes]
    if not possible:
        return "", possible, address
    # CloudVolume writes a relative path as file://folder.
    return scheme + mark, possible, re.sub("^file://(?=[^/])", "", rest)


def _as_folder(path: str) -> str:
    """Return a path with one slash at its end; the root of a bucket or an archive has none."""
    return path.rstrip("/") + "/" if path else path


# -- opening --------------------------------------------------------------------------------------

#: The names of spatial axes, and the long names of the others.
SPACE = ("z", "y", "x")
NAMES = {"c": "channel", "t": "time"}


@contextmanager
def open_store(text: str, memory: int | None = None, strict: bool = False) -> Iterator[Volume]:
    """Open a chunked store, as :func:`compresso.volumes.open` does.

    Reading slices raises FileError for those that do not fit the memory, and names damaged ones.
    """
    room = available() if memory is None else memory
    location = locate(text)
    node = Node.make(text, location.kvstore, strict, room // 4)
    stored = _find(node, location)
    named = stored.names or any(stored.array.domain.labels) or location.selection.axes
    rank = stored.array.rank
    own = tuple(stored.array.shape) if rank < 3 or (rank > 3 and not named) else ()
    array, geometry = arrange(text, stored, location.selection)
    dtype = np.dtype(array.dtype.numpy_dtype)
    volume_shape(text, array.shape, dtype)
    layout = array.chunk_layout
    chunk = tuple(
        int(n or whole) for n, whole in zip(layout.read_chunk.shape, array.shape, strict=True)
    )

    def read(part: str, *index: slice) -> Labels:
        with as_file_error(text, part):
            labels: Labels = array[index].read(order="C").result()
            return labels

    def check_memory(part: str, size: int) -> None:
        if size > available():
            raise FileError(
                f"{text}: {part} ({file_size(size)}) do not fit the memory. Choose a box, "
                ":box=X0-X1xY0-Y1xZ0-Z1"
            )

    def fetch_box(box: Box) -> Labels:
        return read(f"voxels {format_box(box)} (x, y, z, counted from the first)", *slices_of(box))

    def fetch(start: int, stop: int) -> Labels:
        check_memory("its chunks", bytes_of(chunk, dtype))
        part = f"slices {start} to {stop - 1}"
        check_memory(part, bytes_of((stop - start, *array.shape[1:]), dtype))
        try:
            return read(part, slice(start, stop))
        except FileError:
            # Find the layer of chunks that cannot be read.
            first = (layout.grid_origin[0] or 0) % chunk[0] - chunk[0]
            for low in range(first, stop, chunk[0]):
                low, high = max(0, low), min(low + chunk[0], array.shape[0])
                if start < high:
                    read(f"slices {low} to {high - 1}", slice(max(low, start), min(high, stop)))
            raise

    try:
        yield Volume(
            array.shape,
            dtype,
            fetch,
            _metadata.make("", {}, geometry) | stored.metadata,
            tuple(stored.lost),
            fetch_box,
            chunk,
            own,
            list_chunks(stored, array),
            (node.path,) if node.path else (),
            None if node.path else (),
        )
    finally:
        node.close()


def _find(node: Node, location: Location) -> StoredArray:
    """Find the selected array."""
    if not location.kinds:
        return StoredArray(node.open(location.driver), "tczyx")
    names = {name: kind for kind in location.kinds for name in kind.markers}
    name, document = node.first(names)
    if name:
        return names[name]().find(node, location.selection, document)
    for kind in location.kinds:
        if kind.inside and node.optional(kind.inside):
            return kind().find(node, location.selection, {})
    if node.optional(UNFINISHED):
        raise FileError(f"{node.text}: {RESUMABLE}")
    raise FileError(f"{node.text}: absent, or not a store: it has no {', '.join(names)}")


def check_mip(node: Node, mip: int, scales: Sequence[str]) -> None:
    """Raise FileError if the scale does not exist."""
    if mip >= len(scales):
        listed = ", ".join(f"mip={number} ({scale})" for number, scale in enumerate(scales[:9]))
        raise FileError(f"{node.text}: no scale mip={mip} (existing: {listed or 'none'})")


def numbers(value: object, count: int) -> list[float]:
    """Return a JSON list of ``count`` numbers; raises ValueError for anything else."""
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(f"expected {count} numbers")
    if any(type(item) not in (int, float) for item in value):
        raise ValueError("expected numbers")
    return [float(item) for item in value]


def decoded(
    node: Node, domain: Any, dtype: Any, chunk: Sequence[int], units: Any, read: Any
) -> Any:
    """Return a TensorStore whose chunks are decoded in Python.

    ``read`` returns the labels between two corners, or None for the value 0.
    """

    def fill(part: Any, labels: Any, _: Any) -> None:
        with node.decoding():
            found = read(part.inclusive_min, part.exclusive_max)
        labels[...] = 0 if found is None else found

    # Threads of its own: those of the client's context must be free for what read waits for.
    limit = {"data_copy_concurrency": {"limit": DECODERS}}
    ts = node.tensorstore
    return ts.virtual_chunked(
        fill,
        dtype=dtype,
        domain=domain,
        chunk_layout=ts.ChunkLayout(read_chunk_shape=chunk, grid_origin=domain.inclusive_min),
        dimension_units=units,
        context=ts.Context(limit, node.context),
    )


# -- axes -----------------------------------------------------------------------------------------


def arrange(text: str, stored: StoredArray, selection: Selection) -> tuple[Any, Geometry | None]:
    """Return the selected part of an array as [z, y, x] from 0, and its geometry if known."""
    array = stored.array
    names = axis_names(text, stored, selection)
    axes = [names.index(name) for name in SPACE if name in names]
    missing = len(SPACE) - len(axes)
    spacing = stored.spacing or [
        (None, None) if unit is None else (unit.multiplier, unit.base_unit)
        for unit in array.dimension_units
    ]
    steps = _of_space(spacing, axes, array.rank, (None, None)) or [(None, None)] * 3
    shift = _of_space(stored.shift, axes, array.rank, 0.0)
    for axis in reversed(range(array.rank)):
        if names[axis] not in SPACE:
            first, end = array.domain.inclusive_min[axis], array.domain.exclusive_max[axis]
            key = "time" if names[axis] == "time" else "channel"
            picked = getattr(selection, key)
            picked = first if picked < 0 and end - first == 1 else picked
            if not first <= picked < end:
                raise FileError(
                    f"{text}: axis {names[axis] or '(unnamed)'} has {end - first} entries "
                    f"({first} to {end - 1}). Select one with :{key}={first}"
                )
            array = array[(slice(None),) * axis + (picked,)]
    order = sorted(axes)
    array = array.transpose([order.index(axis) for axis in axes])[(None,) * missing]
    if box := selection.box[::-1]:
        whole = tuple(zip(array.domain.inclusive_min, array.domain.exclusive_max, strict=True))
        if any(a < n or b > m for (a, b), (n, m) in zip(box, whole, strict=True)):
            inside = format_box(whole)
            raise FileError(f"{text}: box={selection.box} is not inside {inside} (x, y, z)")
        array = array[tuple(slice(a, b) for a, b in box)]
    low = array.domain.inclusive_min
    array = array.translate_to[(0,) * 3]
    if stored.geometry and axes == [0, 1, 2]:
        return array, stored.geometry.moved(*low)
    at = [
        None if step is None and (n or not shift) else s + n * (step or 0.0)
        for s, n, (step, _) in zip(shift or (0.0,) * 3, low, steps, strict=True)
    ]
    last = steps[-1][1]  # an unknown step has any unit
    units = [unit and unit_of(unit) for unit in (last if n is None else u for n, u in steps)]
    sizes, unit = common_unit([step for step, _ in steps], units)
    (z, y, x), _ = common_unit(at, units)
    try:
        origin = None if x is None or y is None or z is None else (x, y, z)
        return array, Geometry.along_axes(sizes, origin, unit)
    except (ValueError, OverflowError):
        return array, None


def _of_space(values: Sequence[T], axes: Sequence[int], rank: int, unknown: T) -> list[T]:
    """Return the values for z, y and x; empty if there is neither one per axis nor three."""
    missing = [unknown] * (len(SPACE) - len(axes))
    if len(values) == rank:
        return missing + [values[axis] for axis in axes]
    if len(values) == len(SPACE):
        order = sorted(axes)
        own = values[len(missing) :]
        return [*values[: len(missing)], *(own[order.index(axis)] for axis in axes)]
    return []


def axis_names(text: str, stored: StoredArray, selection: Selection) -> list[str]:
    """Return a name for each axis, among them the last of z, y and x."""
    array, given = stored.array, selection.axes
    known = [label.lower() for label in stored.names or array.domain.labels]
    if given:
        if len(given) != array.rank:
            raise FileError(
                f"{text}: the array has {array.rank} axes, but axes={given} names {len(given)}"
            )
        known = list(given)
    elif not set(SPACE) & set(known):
        known = _usual_names(text, array.shape, stored.default_axes, selection)
    named = [name for name in known if name in SPACE]
    if not named or sorted(named) != sorted(SPACE[-len(named) :]):
        listed = ", ".join(map(repr, known))
        advice = f". Name them, e.g. :axes={'tczyx'[-array.rank :]}" if array.rank <= 5 else ""
        raise FileError(f"{text}: the axes are {listed}, not x, y and z once each{advice}")
    return [NAMES.get(name, name) for name in known]


def _usual_names(text: str, shape: Sequence[int], usual: str, selection: Selection) -> list[str]:
    """Return names for unnamed axes; axes that are dropped get an empty name."""
    picks = selection.channel >= 0 or selection.time >= 0
    axes: Sequence[int] = range(len(shape))
    try:
        axes = axes if picks else space_axes(shape)
    except EncodeError as error:
        if len(shape) > len(usual):
            raise FileError(f"{text}: {error}") from None
    last = usual.endswith("x")
    names = usual[-len(axes) :] if last else usual[usual.index("x") :][: len(axes)]
    named = dict(zip(axes, names, strict=True))
    return [named.get(axis, "") for axis in range(len(shape))]


# -- stored chunks --------------------------------------------------------------------------------


def list_chunks(stored: StoredArray, array: Any) -> Stored | None:
    """Return a function that lists the stored chunks of a view; None if they are not local."""
    root, box_of = stored.path, stored.box_of
    if root is None or box_of is None:
        return None
    output, shape = array.spec().transform.output, array.shape

    def boxes() -> Iterator[Box]:
        for folder, _, files in os.walk(root):
            for name in files:
                whole = box_of(Path(folder, name).relative_to(root).as_posix())
                if box := whole and _in_view(whole, output, shape):
                    yield box

    return boxes


def _in_view(box: Box, output: Any, shape: Sequence[int]) -> Box | None:
    """Return a box of the store in the view's coordinates; None if it is outside the view."""
    seen = [(0, size) for size in shape]
    for (low, high), axis in zip(box, output, strict=False):  # chunks may have no channel axis
        if axis.input_dimension is None:
            if not low <= axis.offset < high:
                return None
            continue
        size = shape[axis.input_dimension]
        low, high = max(0, low - axis.offset), min(size, high - axis.offset)
        if low >= high:
            return None
        seen[axis.input_dimension] = low, high
    return tuple(seen)


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
