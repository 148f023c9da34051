"""Names of stores as people write them, and the part that they select (docs/stores.md)."""

import os
import re
from itertools import chain
from pathlib import Path
from typing import Any

from compresso.codec import build
from compresso.errors import FileError
from compresso.volumes._kind import Kind, Location, Selection, kinds

#: A selection at the end: ``:mip=1,box=0-512x0-512x0-64``.
SELECTION = re.compile(r":{1,2}(\w+=[^/|:]*)$")
URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
#: The metadata of a Zarr array while it is written: under this name, no program opens it.
HEAD = "zarr.json"
UNFINISHED = f"{HEAD}.unfinished"
RESUMABLE = "unfinished conversion. Run the same command again to finish it."


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
        folder.suffix.lower() in chain(*(kind.suffixes for kind in kinds()))
        or (folder / UNFINISHED).is_file()
        or any((folder / name).is_file() for kind in kinds() for name in kind.markers)
    )


def what_is(folder: Path) -> str:
    """Describe a folder that was given instead of a compressed file."""
    if (folder / UNFINISHED).is_file() and not (folder / HEAD).is_file():
        return RESUMABLE
    if names_store(str(folder)):
        return "not a compressed file but a chunked store. Compress it first."
    return "not a compressed file but a folder. Name a file."


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
    if mark and _of_scheme(scheme):
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
        raise FileError(f"{text}: TensorStore needs names in UTF-8. Choose another name.") from None
    address, chosen = split(text)
    selection = build(Selection, f"store:{chosen}")
    scheme, _, rest = address.partition("://")
    found = _of_scheme(scheme) if URL.match(address) else []
    if found:
        address = rest
    if not URL.match(address) and "|" not in address:
        folder, inner = split_inner(address)
        path = os.path.abspath(folder / inner.strip("/"))
        kvstore = {"driver": "file", "path": _as_folder(path)}
        return Location(text, kvstore, found or kinds(), "", selection)
    endings = "|".join(re.escape(ending) for kind in kinds() for ending in kind.suffixes)
    inside = re.search(f"({endings})(?=:/)", address, re.IGNORECASE)
    inner = ""
    if inside and "|" not in address:  # gs://bucket/a.zarr:/inside
        address, inner = address[: inside.end()], address[inside.end() + 1 :]
    first, bar, rest = address.partition("|")
    if not URL.match(first):
        first = Path(os.path.abspath(first)).as_uri()
    try:
        spec = tensorstore.Spec(first + bar + rest).to_json()
        kvstore = dict(spec["kvstore"])
    except (ValueError, KeyError) as error:
        reason = str(error).rpartition(": ")[2]
        raise FileError(f"{text}: not an address that TensorStore knows ({reason})") from None
    driver = spec["driver"]
    found = found or [kind for kind in kinds() if driver in ("auto", kind.driver)]
    if found:
        kvstore["path"] = _as_folder(kvstore.get("path", "") + inner)
    return Location(text, kvstore, found, driver, selection)


def _of_scheme(scheme: str) -> list[type[Kind]]:
    return [kind for kind in kinds() if scheme.lower() in kind.schemes]


def _as_folder(path: str) -> str:
    """Return a path with one slash at its end; the root of a bucket or an archive has none."""
    return path.rstrip("/") + "/" if path else path
