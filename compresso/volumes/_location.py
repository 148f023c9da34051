"""Where a store is, as people write it, and which part of it they want."""

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
#: What people write before an address, and the kinds of store that it means.
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
#: The files that tell a store's kind.
MARKERS = {
    "precomputed": ("info",),
    "zarr3": ("zarr.json",),
    "zarr2": (".zarray", ".zgroup"),
    "n5": ("attributes.json",),
}
#: The metadata of a Zarr array that is still being written: under this name no array opens.
UNFINISHED = "zarr.json.unfinished"
#: What is said of one.
GOES_ON = "is an unfinished conversion; the command that made it goes on from there"


class Box(tuple[tuple[int, int], ...]):
    """From and to before, along x, y and z, spelled ``0-512x0-512x0-64``; empty for everything."""

    def __new__(cls, text: str) -> Self:
        found = [RANGE.fullmatch(part.strip()) for part in text.lower().split("x") if text]
        ranges = [(int(match[1]), int(match[2])) for match in found if match]
        if text and (len(ranges) != 3 or len(found) != 3 or any(a >= b for a, b in ranges)):
            raise ValueError("expected x, y and z, each from-to, such as 0-512x0-512x0-64")
        return super().__new__(cls, ranges)

    def __getnewargs__(self) -> tuple[str]:
        return (str(self),)  # how pickle and copy make it again

    def __str__(self) -> str:
        return "x".join(f"{low}-{high}" for low, high in self)


@dataclass(frozen=True)
class Selection:
    """Which part of a store.

    Parameters
    ----------
    mip : int
        Which scale; 0 is the finest.
    box : Box
        In voxels of that scale, counted as the store does: with its offset.
    axes : str
        The names of the axes in the store's order, such as ``xyz`` or ``czyx``, where it has none.
    channel, time : int
        Which one, where there are several; -1 is not said.
    """

    mip: int = 0
    box: Box = Box("")
    axes: str = ""
    channel: int = -1
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
            raise SpecError(f"axes={self.axes}: expected x, y, z, and c and t where there are")


@dataclass(frozen=True)
class Location:
    """A folder that is, or should be, a store.

    Parameters
    ----------
    text : str
        As the user wrote it, for messages.
    kvstore : dict
        TensorStore's specification of the folder.
    kinds : tuple of str
        What may be there, keys of ``MARKERS``; empty for one of TensorStore's other formats.
    driver : str
        TensorStore's name of that format.
    selection : Selection
    """

    text: str
    kvstore: dict[str, Any]
    kinds: tuple[str, ...]
    driver: str
    selection: Selection


def split(text: str) -> tuple[str, str]:
    """The address, and the selection behind it as written."""
    found = SELECTION.search(text)
    return (text[: found.start()], found[1]) if found else (text, "")


def names_store(text: str) -> bool:
    """Whether a text names a store rather than a file: an address, or a folder that is one."""
    address, _ = split(text)
    if URL.match(address) or ("|" in address and not os.path.exists(address)):
        return True
    folder, _ = split_inner(address)
    return folder.is_dir() and (
        folder.suffix.lower() in (".zarr", ".n5")
        or any((folder / name).is_file() for name in (*sum(MARKERS.values(), ()), UNFINISHED))
    )


def what_is(folder: Path) -> str:
    """What a folder is, to tell who wants a file."""
    if (folder / UNFINISHED).is_file() and not (folder / MARKERS["zarr3"][0]).is_file():
        return GOES_ON
    if names_store(str(folder)):
        return "is a store of chunks, and no frame; compress makes a frame of it"
    return "is a folder, and no frame; name a file"


def short(text: str) -> str:
    """A short name for a store: the last part of its path, and the selection."""
    address, chosen = split(text)
    parts = [part for part in re.split(r"[/|:]", address) if part]
    if "|" in address and len(parts) > 1 and not address.rpartition("|")[2].partition(":")[2]:
        parts.pop()  # the driver
    return (parts[-1] if parts else address) + (f":{chosen}" if chosen else "")


def holds(text: str, path: Path) -> bool:
    """Whether a file lies, or would lie, in the local folder of a store."""
    found = _local(text) if names_store(text) else None
    return found is not None and found[0].resolve() in Path(os.path.realpath(path)).parents


def local(text: str) -> Path | None:
    """The local folder of a store's array or group; None for one that is elsewhere."""
    found = _local(text)
    return found and found[0] / found[1].strip("/")


def _local(text: str) -> tuple[Path, str] | None:
    """The local folder that a store's name begins with, and what is inside it."""
    address, _ = split(text)
    scheme, mark, rest = address.partition("://")
    if mark and scheme.lower() in SCHEMES:
        address = rest
    address = address.partition("|")[0].removeprefix("file://")
    found = split_inner(address)
    return found if found[0].is_dir() else None


def locate(text: str, tensorstore: Any) -> Location:
    """Understand what a user wrote.

    Raises
    ------
    SpecError
        For an unknown or impossible selection.
    FileError
        For an address that TensorStore does not know, or cannot know.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FileError(
            f"{text}: TensorStore knows names in UTF-8 only; choose another name"
        ) from None
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
    address, inner = _inner_of_address(address)
    try:
        found = tensorstore.Spec(_address(address)).to_json()
        kvstore = dict(found["kvstore"])
    except (ValueError, KeyError) as error:
        reason = str(error).rpartition(": ")[2]
        raise FileError(f"{text}: is no address that TensorStore knows ({reason})") from None
    driver = found["driver"]
    kinds = kinds or DRIVERS.get(driver, ())
    if kinds:
        kvstore["path"] = _as_folder(kvstore.get("path", "") + inner)
    return Location(text, kvstore, kinds, driver, selection)


def _address(address: str) -> str:
    """As TensorStore wants it: a local path before ``|`` is a file's address."""
    first, bar, rest = address.partition("|")
    if not URL.match(first):
        first = Path(os.path.abspath(first)).as_uri()
    return first + bar + rest


def _inner_of_address(address: str) -> tuple[str, str]:
    """Split ``gs://bucket/a.zarr:/inside``."""
    found = re.search(r"\.(zarr|n5)(?=:/)", address, re.IGNORECASE)
    if found and "|" not in address:
        return address[: found.end()], address[found.end() + 1 :]
    return address, ""


def split_inner(address: str) -> tuple[Path, str]:
    """Split ``folder:/inside``."""
    head = address
    while ":" in head and not os.path.exists(head):
        head = head.rpartition(":")[0]
    inner = address[len(head) + 1 :]
    return (Path(head), inner) if inner and os.path.isdir(head) else (Path(address), "")


def _as_folder(path: str) -> str:
    """With one slash at the end, but for the root of a bucket or an archive."""
    return path.rstrip("/") + "/" if path else path
