"""Names of stores as people write them, and the part that they select (docs/stores.md)."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from compresso.errors import FileError, SpecError
from compresso.plugins import build

#: A selection at the end: ``:mip=1,box=0-512x0-512x0-64``.
SELECTION = re.compile(r":{1,2}(\w+=[^/|:]*)$")
URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
RANGE = re.compile(r"(-?\d+)-(-?\d+)")
#: Prefixes of addresses, and the kinds of store that they mean.
SCHEMES = {
    "precomputed": ("precomputed",),
    "zarr": ("zarr3", "zarr2"),
    "zarr2": ("zarr2",),
    "zarr3": ("zarr3",),
    "n5": ("n5",),
}
#: TensorStore's drivers, and the kinds of store that they read.
DRIVERS = {
    "auto": ("precomputed", "zarr3", "zarr2", "n5"),
    "neuroglancer_precomputed": ("precomputed",),
    "zarr3": ("zarr3",),
    "zarr": ("zarr2",),
    "n5": ("n5",),
}
#: The files that mark each kind of store.
MARKERS = {
    "precomputed": ("info",),
    "zarr3": ("zarr.json",),
    "zarr2": (".zarray", ".zgroup"),
    "n5": ("attributes.json",),
}
#: The metadata of a Zarr array while it is written: under this name, no program opens it.
UNFINISHED = "zarr.json.unfinished"
RESUMABLE = "is an unfinished conversion; run the same command again to finish it"


class Box(tuple[tuple[int, int], ...]):
    """Ranges along x, y and z, written as ``0-512x0-512x0-64``; empty for everything."""

    def __new__(cls, text: str) -> Self:
        found = [RANGE.fullmatch(part.strip()) for part in text.lower().split("x") if text]
        ranges = [(int(match[1]), int(match[2])) for match in found if match]
        if text and (len(ranges) != 3 or len(found) != 3 or any(a >= b for a, b in ranges)):
            raise ValueError("expected ranges along x, y and z, such as 0-512x0-512x0-64")
        return super().__new__(cls, ranges)

    def __getnewargs__(self) -> tuple[str]:
        return (str(self),)  # for pickle and copy

    def __str__(self) -> str:
        return "x".join(f"{low}-{high}" for low, high in self)


@dataclass(frozen=True)
class Selection:
    """A part of a store."""

    mip: int = 0  # the scale; 0 is the finest
    box: Box = Box("")  # in voxels of that scale, in the store's own coordinates
    axes: str = ""  # the names of the axes in the store's order, such as xyz or czyx
    channel: int = -1  # -1 if not given
    time: int = -1

    def __post_init__(self) -> None:
        if self.mip < 0:
            raise SpecError(f"mip={self.mip}: the finest scale is 0")
        space = "".join(name for name in "zyx" if name in self.axes)
        if self.axes and (
            not space
            or not "zyx".endswith(space)
            or not set(self.axes) <= set("xyzct")
            or len(set(self.axes)) != len(self.axes)
        ):
            raise SpecError(f"axes={self.axes}: expected x, y and z, and c and t if they exist")


@dataclass(frozen=True)
class Location:
    """A folder that is, or should be, a store."""

    text: str  # as the user wrote it
    kvstore: dict[str, Any]  # TensorStore's specification of the folder
    kinds: tuple[str, ...]  # possible kinds of store; empty for TensorStore's other formats
    driver: str  # TensorStore's name of that format
    selection: Selection


def split(text: str) -> tuple[str, str]:
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
    """Whether a text names a store rather than a file: an address, or a folder that is a store.

    Examples
    --------
    >>> names_store("gs://bucket/seg|zarr3:"), names_store("labels.npy")
    (True, False)
    """
    address, _ = split(text)
    if URL.match(address) or ("|" in address and not os.path.exists(address)):
        return True
    folder, _ = split_inner(address)
    return folder.is_dir() and (
        folder.suffix.lower() in (".zarr", ".n5")
        or any((folder / name).is_file() for name in (*sum(MARKERS.values(), ()), UNFINISHED))
    )


def what_is(folder: Path) -> str:
    """Describe a folder that was given instead of a compressed file."""
    if (folder / UNFINISHED).is_file() and not (folder / MARKERS["zarr3"][0]).is_file():
        return RESUMABLE
    if names_store(str(folder)):
        return "is a chunked store, not a compressed file; compress it first"
    return "is a folder, not a compressed file; name a file"


def short(text: str) -> str:
    """Return a short name for a store: the last part of its path, and the selection.

    Examples
    --------
    >>> short("precomputed://gs://bucket/of/seg:mip=1")
    'seg:mip=1'
    """
    address, chosen = split(text)
    parts = [part for part in re.split(r"[/|:]", address) if part]
    if "|" in address and len(parts) > 1 and not address.rpartition("|")[2].partition(":")[2]:
        parts.pop()  # the driver
    return (parts[-1] if parts else address) + (f":{chosen}" if chosen else "")


def holds(text: str, path: Path) -> bool:
    """Whether a file is, or would be, inside the local folder of a store."""
    found = _local(text) if names_store(text) else None
    return found is not None and found[0].resolve() in Path(os.path.realpath(path)).parents


def local(text: str) -> Path | None:
    """Return the local folder of a store's array or group; None for other addresses."""
    found = _local(text)
    return found and found[0] / found[1].strip("/")


def _local(text: str) -> tuple[Path, str] | None:
    """Return the local folder at the start of a store's name, and the path inside it."""
    address, _ = split(text)
    scheme, mark, rest = address.partition("://")
    if mark and scheme.lower() in SCHEMES:
        address = rest
    found = split_inner(address.partition("|")[0].removeprefix("file://"))
    return found if found[0].is_dir() else None


def locate(text: str, tensorstore: Any) -> Location:
    """Parse the name of a store.

    Raises SpecError for an invalid selection, FileError for an address unknown to TensorStore.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FileError(f"{text}: TensorStore needs names in UTF-8; choose another name") from None
    address, chosen = split(text)
    selection = build(Selection, f"store:{chosen}")
    scheme, _, rest = address.partition("://")
    kinds = SCHEMES.get(scheme.lower()) if URL.match(address) else None
    if kinds:
        address = rest
    if not URL.match(address) and "|" not in address:
        folder, inner = split_inner(address)
        path = os.path.abspath(folder / inner.strip("/"))
        kvstore = {"driver": "file", "path": _as_folder(path)}
        return Location(text, kvstore, kinds or DRIVERS["auto"], "", selection)
    inside = re.search(r"\.(zarr|n5)(?=:/)", address, re.IGNORECASE)
    inner = ""
    if inside and "|" not in address:  # gs://bucket/a.zarr:/inside
        address, inner = address[: inside.end()], address[inside.end() + 1 :]
    first, bar, rest = address.partition("|")
    if not URL.match(first):
        first = Path(os.path.abspath(first)).as_uri()
    try:
        found = tensorstore.Spec(first + bar + rest).to_json()
        kvstore = dict(found["kvstore"])
    except (ValueError, KeyError) as error:
        reason = str(error).rpartition(": ")[2]
        raise FileError(f"{text}: not an address that TensorStore knows ({reason})") from None
    driver = found["driver"]
    kinds = kinds or DRIVERS.get(driver, ())
    if kinds:
        kvstore["path"] = _as_folder(kvstore.get("path", "") + inner)
    return Location(text, kvstore, kinds, driver, selection)


def _as_folder(path: str) -> str:
    """Return a path with one slash at its end; the root of a bucket or an archive has none."""
    return path.rstrip("/") + "/" if path else path
