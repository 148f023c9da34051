"""Shared by Zarr and N5: the names of chunks, the attributes of arrays, and groups."""

import itertools
import json
import os
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compresso.errors import FileError
from compresso.volumes._client import Node
from compresso.volumes._metadata import Metadata
from compresso.volumes._stores import split_address, split_inner
from compresso.volumes.volume import Box

#: Voxel sizes, and their units as the store has them.
Spacing = list[tuple[float | None, object]]

# -- the names of chunks --------------------------------------------------------------------------


@dataclass(frozen=True)
class Keys:
    """How chunks are named: ``c/0/1/2`` has the prefix ``c`` and the separator ``/``."""

    prefix: str
    separator: str

    @classmethod
    def of(cls, document: dict[str, Any]) -> "Keys":
        """Read a ``.zarray`` or a ``zarr.json``; TensorStore refuses invalid ones."""
        encoding = document.get("chunk_key_encoding")
        if not isinstance(encoding, dict):
            return cls("", str(document.get("dimension_separator") or "."))
        separator = object_of(encoding.get("configuration")).get("separator")
        default = ("c", "/") if encoding.get("name") == "default" else ("", ".")
        return cls(default[0], str(separator or default[1]))

    def name(self, index: Iterable[object]) -> str:
        """Return the name of the chunk with this index."""
        return self.separator.join([*filter(None, [self.prefix]), *map(str, index)]) or "0"

    def index(self, name: str) -> list[int]:
        """Return the index in a chunk's name; empty for other names."""
        parts = name.split(self.separator)
        if self.prefix and parts.pop(0) != self.prefix:
            return []
        sound = all(part.isascii() and part.isdecimal() for part in parts)
        return [int(part) for part in parts] if sound else []


EVERY = [Keys(prefix, separator) for prefix in ("", "c") for separator in "./"]


def check_keys(
    node: Node, keys: Keys, shape: Sequence[int], chunk: Sequence[int]
) -> Callable[[str], Box | None]:
    """Return a function from the name of a chunk to its box, which is None for other files.

    ``chunk`` is the shape of all chunks. Raises FileError for a misnamed chunk, which would be read
    as missing.
    """
    counts = [-(-n // by) for n, by in zip(shape, chunk, strict=True)]
    for other, index in _chunks(node, [each for each in EVERY if each != keys], counts):
        name, expected = other.name(index), keys.name(index)
        if not node.existing([expected]):
            raise FileError(
                f"{node.text}: chunk names do not match the metadata: expected {expected}, found "
                f"{name}. Correct the separator or chunk_key_encoding in its metadata, or rename "
                "the chunks."
            )

    def box_of(name: str) -> Box | None:
        index = keys.index(name)
        if len(index) != len(chunk):
            return None
        return tuple((i * by, (i + 1) * by) for i, by in zip(index, chunk, strict=True))

    return box_of


def _chunks(
    node: Node, names: Sequence[Keys], counts: Sequence[int]
) -> Iterator[tuple[Keys, Sequence[int]]]:
    """Find chunks with such names: all in a local folder, elsewhere at most two."""
    if node.path is None:  # there may be too many to list them
        some = [0] * len(counts), [n // 2 for n in counts]
        tried = {keys.name(index): (keys, index) for keys in names for index in some}
        yield from (tried[name] for name in node.existing(tried))
        return
    for keys in names:
        for path in node.path.glob(keys.name(["[0-9]*"] * len(counts))):
            index = keys.index(path.relative_to(node.path).as_posix())
            inside = len(index) == len(counts) and all(map(int.__lt__, index, counts))
            if inside and path.is_file():
                yield keys, index


def object_of(value: Any) -> dict[str, Any]:
    """Return a JSON object; empty for any other value."""
    return value if isinstance(value, dict) else {}


# -- attributes -----------------------------------------------------------------------------------

#: Attributes with the voxel size, and the unit that they imply.
SIZES = {"resolution": None, "voxel_size": None, "pixelResolution": None, "element_size_um": "um"}


def numbers(value: object, *counts: int) -> list[float]:
    """Return a JSON list of numbers that has one of these lengths; empty for anything else."""
    items = value if isinstance(value, list) and len(value) in counts else []
    with suppress(OverflowError):
        if all(type(item) in (int, float) for item in items):
            return [float(item) for item in items]
    return []


def place_of(
    attributes: dict[str, Any], rank: int, sizes: Collection[str] = tuple(SIZES)
) -> tuple[Spacing, list[float], list[str]]:
    """Return voxel sizes with units, the position of index 0, and the attributes that say so."""
    names = []
    spacing: Spacing = []
    counts = (rank, 3) if rank > 3 else (rank,)  # those of all axes, or of the spatial ones
    for name in sizes:
        value = attributes.get(name)
        found = value if isinstance(value, dict) else {"dimensions": value}  # n5-viewer's form
        if steps := numbers(found.get("dimensions"), *counts):
            units = found.get("unit") or SIZES[name] or attributes.get("units")
            words = units if isinstance(units, list) else [units] * len(steps)
            words = words if len(words) == len(steps) else [None] * len(steps)
            spacing = list(zip(steps, words, strict=True))
            names += [name, "units"]
            break
    shift = numbers(attributes.get("offset"), *counts)
    return spacing, shift, [*names, *(["offset"] if shift else [])]


def fields_of(attributes: dict[str, Any], known: Collection[str]) -> tuple[Metadata, list[str]]:
    """Return the attributes that are not in ``known``, and the names of those JSON cannot hold.

    The parts of OME's attribute ``ome`` (since 0.5) are attributes of their own before.
    """
    ome = attributes.get("ome")
    if isinstance(ome, dict):
        rest = {name: value for name, value in attributes.items() if name != "ome"}
        return fields_of(rest | ome, {*known, "version"})
    fields, lost = {}, []
    for name, value in attributes.items():
        if name not in known:
            try:
                json.dumps(value, allow_nan=False)
                fields[name] = value
            except (ValueError, RecursionError):
                lost.append(name)
    return fields, lost


def multiscales(attributes: Any) -> Any:
    """Return the first multiscale image of OME's attributes, or None."""
    attributes = object_of(attributes)
    listed = object_of(attributes.get("ome", attributes)).get("multiscales")
    return listed[0] if isinstance(listed, list) and listed else None


# -- groups ---------------------------------------------------------------------------------------

#: Most folders that are searched, and volumes that an error lists.
MOST_FOLDERS, MOST_LISTED = 2000, 12
INTEGER = re.compile(r"u?int\d+|bool|[<>|][iub][1248]")

#: The documents of a node, in a folder or in consolidated metadata.
HEADS = ("attributes.json", ".zgroup", ".zarray", "zarr.json", ".zattrs")

Nodes = dict[str, dict[str, Any]]


def only_volume(node: Node, consolidated: object = None) -> str:
    """Return the path of the only volume in a group; raises FileError, which lists all volumes.

    ``consolidated`` is the untrusted metadata of all nodes, if the group has it.
    """
    if isinstance(consolidated, dict):
        found = _volumes(_nodes(consolidated.items()))
    elif node.path is not None:
        found = _volumes(_nodes(_documents(node.path)))
    else:
        raise FileError(
            f"{node.text}: not an array but a group. Name an array inside it, e.g. "
            f"{_example(node.text, 'path/inside')}"
        )
    if len(found) == 1:
        return found[0]
    if not found:
        raise FileError(f"{node.text}: a group without an array of integers")
    more = f" and {len(found) - MOST_LISTED} more" if len(found) > MOST_LISTED else ""
    listed = ", ".join(f"/{path}" for path in found[:MOST_LISTED])
    raise FileError(
        f"{node.text}: several arrays: {listed}{more}. Choose one, e.g. "
        f"{_example(node.text, found[0])}"
    )


def _documents(root: Path) -> Iterator[tuple[str, Any]]:
    """Yield the documents in a folder by path; folders of chunks are not searched."""
    for folder, below, files in itertools.islice(os.walk(root), MOST_FOLDERS):
        below.sort()
        for name in HEADS:
            if name in files:
                path = Path(folder, name)
                with suppress(OSError, ValueError, RecursionError):
                    document = json.loads(path.read_bytes())
                    yield path.relative_to(root).as_posix(), document
                    if not {"shape", "dimensions"}.isdisjoint(object_of(document)):
                        below.clear()


def _nodes(documents: Iterable[tuple[str, Any]]) -> Nodes:
    """Return the nodes inside a group by path; consolidated metadata of Zarr 3 have no file names.

    ``attributes`` are those of Zarr 2 as well.
    """
    nodes: Nodes = {}
    for key, value in documents:
        folder, _, name = key.rpartition("/")
        path = folder if name in HEADS else key
        fields = {"attributes": value} if name == ".zattrs" else object_of(value)
        nodes[path] = nodes.get(path, {}) | fields
    nodes.pop("", None)
    return nodes


def _volumes(nodes: Nodes) -> list[str]:
    """Return the paths of the images and of the arrays of integers with the most axes."""
    scaled = [path for path, node in nodes.items() if multiscales(node.get("attributes"))]
    axes = dict.fromkeys(scaled, 3)
    for path, node in nodes.items():
        shape = node.get("shape", node.get("dimensions"))
        dtype = node.get("data_type", node.get("dtype", node.get("dataType")))
        inside = any(f"{path}/".startswith(f"{image}/") for image in scaled)
        if not inside and isinstance(shape, list) and INTEGER.fullmatch(str(dtype)):
            axes[path] = min(len(shape), 3)
    most = max([1, *axes.values()])
    return sorted(path for path, number in axes.items() if number == most)


def _example(text: str, path: str) -> str:
    """Write the name of a node inside a store, whose name may have an inner path already."""
    address, chosen = split_address(text)
    address = address.rstrip("/")
    if "|" in address:
        joint = ":" if ":" not in address.rpartition("|")[2] else "/"
    else:
        joint = "/" if "://" in address or split_inner(address)[1] else ":/"
    joint = "" if address.endswith(":") else joint
    return shlex.quote(f"{address}{joint}{path}{chosen and f':{chosen}'}")
