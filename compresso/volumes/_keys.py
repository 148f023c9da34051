"""The names of the chunks of Zarr and N5, and whether all of them are where the metadata say."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compresso.errors import FileError
from compresso.volumes._client import Client
from compresso.volumes.volume import Box, Stored

Shape = Sequence[int]


@dataclass(frozen=True)
class Keys:
    """How chunks are named, for example ``c/0/1/2`` or ``0.1.2``.

    Parameters
    ----------
    prefix : str
        ``c`` or nothing.
    separator : str
        A slash or a point.
    """

    prefix: str
    separator: str

    @classmethod
    def of(cls, document: dict[str, Any]) -> "Keys":
        """Read a ``.zarray`` or a ``zarr.json``; TensorStore says what is wrong with them."""
        encoding = document.get("chunk_key_encoding")
        if not isinstance(encoding, dict):
            return cls("", str(document.get("dimension_separator") or "."))
        said = encoding.get("configuration")
        separator = said.get("separator") if isinstance(said, dict) else None
        default = ("c", "/") if encoding.get("name") == "default" else ("", ".")
        return cls(default[0], str(separator or default[1]))

    def name(self, at: Sequence[object]) -> str:
        """Return the name of the chunk with these numbers."""
        return self.separator.join([*filter(None, [self.prefix]), *map(str, at)]) or "0"

    def numbers(self, name: str) -> list[int]:
        """Return the numbers in a chunk's name; none for another name."""
        parts = name.split(self.separator)
        if self.prefix and parts.pop(0) != self.prefix:
            return []
        return [int(part) for part in parts] if all(map(_is_number, parts)) else []


EVERY = [Keys(prefix, separator) for prefix in ("", "c") for separator in "./"]


def check_keys(
    client: Client,
    kvstore: dict[str, Any],
    document: dict[str, Any],
    keys: Keys,
    shape: object,
    chunk: object,
) -> None:
    """Raise FileError for a chunk that the metadata do not lead to: it would be read as empty.

    Parameters
    ----------
    client : Client
    kvstore, document : dict
        The array's folder and metadata.
    keys : Keys
        The names of its chunks, as the metadata say.
    shape, chunk : object
        Of the array and of its chunks, as the metadata say. Nothing is checked if they make no
        sense: TensorStore says what is wrong with them.
    """
    try:
        counts = [-(-int(n) // int(by)) for n, by in zip(shape, chunk, strict=True)]  # type: ignore
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return
    for other, at in _found(client, kvstore, [other for other in EVERY if other != keys], counts):
        name, expected = other.name(at), keys.name(at)
        if not client.existing(kvstore, [expected]):
            raise FileError(
                f"{client.text}: its metadata lead to {expected}, but that chunk is in {name}; "
                f"{_fix(document, other)}"
            )


def _fix(document: dict[str, Any], keys: Keys) -> str:
    """How to make the metadata lead to chunks with these names."""
    separator = f'"separator": "{keys.separator}"'
    if "chunk_key_encoding" in document:
        name = "default" if keys.prefix else "v2"
        said = f'{{"name": "{name}", "configuration": {{{separator}}}}}'
        return f'set "chunk_key_encoding" to {said} in its zarr.json'
    if "zarr_format" in document and not keys.prefix:
        return f'set "dimension_{separator[1:]} in its .zarray'
    return "rename its chunks"


def _found(
    client: Client, kvstore: dict[str, Any], names: Sequence[Keys], counts: Shape
) -> Iterator[tuple[Keys, Sequence[int]]]:
    """The numbers of chunks with such names; outside of local folders only two are tried."""
    if kvstore["driver"] != "file":  # there may be too many to list them
        some = [0] * len(counts), [n // 2 for n in counts]
        tried = {keys.name(at): (keys, at) for keys in names for at in some}
        yield from (tried[name] for name in client.existing(kvstore, tuple(tried)))
        return
    folder = Path(kvstore["path"])
    for keys in names:
        for path in folder.glob(keys.name(["[0-9]*"] * len(counts))):
            at = keys.numbers(path.relative_to(folder).as_posix())
            inside = len(at) == len(counts) and all(n < m for n, m in zip(at, counts, strict=True))
            if inside and path.is_file():
                yield keys, at


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


#: The voxels of a file of this name, by the store's own axes; None for a file that is not a chunk.
BoxOf = Callable[[str], Box | None]


@dataclass(frozen=True)
class Chunks:
    """The files that hold the chunks of an array.

    Parameters
    ----------
    kvstore : dict
        Of their folder.
    box_of : callable
        Which voxels a file holds.
    whole : bool
        Whether each file has all of its voxels. If not, its bytes say nothing about them.
    """

    kvstore: dict[str, Any]
    box_of: BoxOf
    whole: bool = True


def numbered(keys: Keys, chunk: object) -> BoxOf:
    """Names that number the chunks along each axis, as Zarr and N5 have them."""
    sizes = chunk if isinstance(chunk, list) else []

    def box_of(name: str) -> Box | None:
        at = keys.numbers(name)
        if not at or len(at) != len(sizes):
            return None
        return tuple((i * size, (i + 1) * size) for i, size in zip(at, sizes, strict=True))

    return box_of


def listing(chunks: Chunks, array: Any) -> Stored | None:
    """Lists the chunks in a folder; None for a folder that is not on this machine.

    Parameters
    ----------
    chunks : Chunks
    array : TensorStore
        The view [z, y, x] in which boxes are counted.
    """
    if chunks.kvstore["driver"] != "file":
        return None
    root = chunks.kvstore["path"]
    output, shape = array.spec().transform.output, array.shape

    def stored() -> Iterator[tuple[Box, int]]:
        for folder, _, files in os.walk(root):
            inside = os.path.relpath(folder, root)
            prefix = "" if inside == "." else f"{inside}{os.sep}"
            for name in files:
                found = chunks.box_of((prefix + name).replace(os.sep, "/"))
                box = found and _seen(found, output, shape)
                if box:
                    size = os.stat(os.path.join(folder, name)).st_size if chunks.whole else 0
                    yield box, size

    return stored


def _seen(box: Box, output: Any, shape: Sequence[int]) -> Box | None:
    """A box of the store as the view counts it; None for one that is not in view."""
    seen = [(0, size) for size in shape]
    for (low, high), axis in zip(box, output, strict=False):  # ranges leave out the channels
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
