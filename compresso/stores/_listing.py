"""Which chunks a local store has: they are its files, whose names say which voxels they hold."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from compresso.boxes import Box, Stored
from compresso.stores._keys import Keys

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
