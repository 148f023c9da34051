"""What is inside a group of Zarr or N5, without opening it array by array."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from compresso.volumes._location import split, split_inner

#: Folders that are looked into, at most, and volumes that are named.
MOST, NAMED = 2000, 12
INTEGER = re.compile(r"u?int\d+|bool|[<>|][iub][1248]")

Nodes = dict[str, dict[str, Any]]


def volumes(kvstore: dict[str, Any], consolidated: object) -> list[str] | None:
    """Paths of the volumes in a group; None where that cannot be told.

    Parameters
    ----------
    kvstore : dict
        TensorStore's specification of the group.
    consolidated : object
        The metadata of all that is inside, where the group has it: anybody's JSON.
    """
    if isinstance(consolidated, dict):
        nodes = _listed(consolidated)
    elif kvstore["driver"] == "file":
        nodes = dict(_walked(Path(kvstore["path"])))
    else:
        return None
    scaled = [path for path, node in nodes.items() if multiscales(node)]
    axes = {
        path: 3 if path in scaled else _axes(node)
        for path, node in nodes.items()
        if path in scaled or not any(path.startswith(f"{group}/") for group in scaled)
    }
    most = max([1, *axes.values()])
    return sorted(path for path, number in axes.items() if number == most)


def choices(text: str, found: list[str] | None) -> str:
    """The end of an error that lets the user choose."""
    if found is None:
        return f"name what is inside it, such as {example(text, 'path/inside')}"
    if not found:
        return "there is no array of integers in it"
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    listed = ", ".join(f"/{path}" for path in found[:NAMED])
    return f"its volumes are {listed}{more}; name one as {example(text, found[0])}"


def example(text: str, path: str) -> str:
    """How a path inside of a store is written; ``text`` may have an inner path and a selection."""
    address, chosen = split(text)
    end = chosen and f":{chosen}"
    if "|" in address:
        container, _, driver = address.rpartition("|")
        kind, _, inner = driver.partition(":")
        inside = "/".join(filter(None, [inner.strip("/"), path]))
        return f"'{container}|{kind}:{inside}{end}'"
    folder = "://" in address or split_inner(address)[1]
    return f"{address.rstrip('/')}{'/' if folder else ':/'}{path}{end}"


def multiscales(node: dict[str, Any]) -> Any:
    """The first multiscale image of a node's OME metadata, or None."""
    attributes = node.get("attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    ome = attributes.get("ome")
    listed = (ome if isinstance(ome, dict) else attributes).get("multiscales")
    return listed[0] if isinstance(listed, list) and listed else None


def _axes(node: dict[str, Any]) -> int:
    """Return how many axes of a volume an array of integers can have, at most 3; 0 for others."""
    shape = node.get("shape", node.get("dimensions"))
    dtype = node.get("data_type", node.get("dtype", node.get("dataType")))
    if not isinstance(shape, list) or not INTEGER.fullmatch(str(dtype)):
        return 0
    return min(len(shape), 3)


def _listed(consolidated: dict[str, Any]) -> Nodes:
    """Nodes by path, from either version's consolidated metadata."""
    nodes: Nodes = {}
    for key, value in consolidated.items():
        if not isinstance(value, dict):
            continue
        path, _, name = key.rpartition("/")
        if name == ".zattrs":
            nodes.setdefault(path, {})["attributes"] = value
        elif name in (".zarray", ".zgroup"):
            nodes[path] = nodes.get(path, {}) | value
        else:
            nodes[key] = value
    return {path: node for path, node in nodes.items() if path}


def _walked(root: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Nodes by path, from the folders themselves; what is below an array is not looked at."""
    for seen, (folder, below, files) in enumerate(os.walk(root)):
        below.sort()
        node: dict[str, Any] = {}
        for name in ("attributes.json", ".zarray", "zarr.json"):
            if name in files:
                node |= _read(Path(folder) / name)
        if ".zattrs" in files:
            node["attributes"] = _read(Path(folder) / ".zattrs")
        if seen >= MOST:
            return
        if "shape" in node or "dimensions" in node:
            below.clear()
        path = Path(folder).relative_to(root).as_posix()
        if node and path != ".":
            yield path, node


def _read(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, RecursionError):
        value = json.loads(path.read_bytes())
        if isinstance(value, dict):
            return value
    return {}
