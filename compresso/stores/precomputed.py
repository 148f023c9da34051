"""Neuroglancer's precomputed volumes: x, y, z, channel; raw, compressed or in shards."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from compresso.errors import FileError
from compresso.stores._chunks import BLOCK, DECODED, DEFAULT_BLOCK, PACKED, chunk_name, open_chunks
from compresso.stores._client import Client, child
from compresso.stores._kind import Found, Kind, check_mip
from compresso.stores._location import Location

#: The encodings that TensorStore reads.
READ = ("raw", "compressed_segmentation", "jpeg", "png")
#: What may follow the name of a packed chunk; only those of ``PACKED`` are read.
SUFFIXES = (*filter(None, PACKED), ".zst", ".lz4", ".lzma")
#: The names of chunks and of shards.
CHUNK = re.compile(r"(-?\d+)-(-?\d+)_(-?\d+)-(-?\d+)_(-?\d+)-(-?\d+)")
SHARD = re.compile(r"[0-9a-f]+\.(shard|index|data)")

Corner = Sequence[int]


class Precomputed(Kind):
    """A folder with ``info``, which lists the scales."""

    name = "precomputed"

    def find(self, client: Client, location: Location, document: dict[str, Any]) -> Found:
        """The scale ``mip``."""
        text, mip = location.text, location.selection.mip
        try:
            scales = [
                (str(s["key"]), str(s.get("encoding")), s.get("size")) for s in document["scales"]
            ]
        except (KeyError, TypeError, AttributeError):
            kind = document.get("@type", "no kind")
            raise FileError(
                f"{text}: its info lists no scales of a volume; it is of {kind}"
            ) from None
        check_mip(
            text, mip, [" x ".join(map(str, s)) if isinstance(s, list) else k for k, _, s in scales]
        )
        key, encoding, _ = scales[mip]
        folder = child(text, location.kvstore, key)
        known = encoding in (*READ, *DECODED)
        packed = _packed(client, folder, document["scales"][mip]) if known else set()
        if encoding in READ and not packed:
            return _read_by_tensorstore(client, location, document)
        if encoding not in DECODED or not packed <= PACKED.keys():
            files = f" in {', '.join(sorted(packed))} files" if packed else ""
            raise FileError(
                f"{text}: scale {mip} is stored as {encoding}{files}, which is not read; "
                f"{', '.join(READ)} and compresso are"
            )
        suffixes = tuple(PACKED) if packed else ("",)
        array = open_chunks(client, location.kvstore, document, mip, suffixes)
        return Found({}, "xyzc", array=array)


def _read_by_tensorstore(client: Client, location: Location, document: dict[str, Any]) -> Found:
    """A scale as TensorStore opens it; it would refuse an info for any of the other scales."""
    kvstore, mip, scales = location.kvstore, location.selection.mip, document["scales"]
    understood = [_with_block(scale) for scale in scales]
    if understood != scales or not all(scale.get("encoding") in READ for scale in scales):
        kvstore = client.replaced(kvstore, "info", document | {"scales": [understood[mip]]})
        mip = 0
    spec = {"driver": "neuroglancer_precomputed", "kvstore": kvstore, "scale_index": mip}
    return Found(spec, "xyzc")


def _with_block(scale: dict[str, Any]) -> dict[str, Any]:
    """A scale that has a size of blocks if its encoding needs one, and only then."""
    if scale.get("encoding") == "compressed_segmentation":
        return scale | {BLOCK: scale.get(BLOCK) or DEFAULT_BLOCK}
    return {name: value for name, value in scale.items() if name != BLOCK}


def _packed(client: Client, folder: dict[str, Any], scale: dict[str, Any]) -> set[str]:
    """Return the suffixes of a scale's chunks; TensorStore would not find these, and read zeros.

    Raises FileError if the folder has files of chunks, and the info leads to none of them.
    """
    sharded, grid = scale.get("sharding") is not None, _grid(scale)
    if folder["driver"] != "file":  # there may be too many files to list them
        if sharded or grid is None:
            return set()
        low, _, size = grid
        voxels = [low, [n + m // 2 for n, m in zip(low, size, strict=True)]]
        bases = [_chunk_at(voxel, grid) for voxel in voxels]
        names = {base + suffix: suffix for base in bases for suffix in PACKED if suffix}
        return {names[name] for name in client.existing(folder, tuple(names))}
    suffixes, placed, astray = set(), False, ""
    with suppress(OSError):
        for entry in os.scandir(folder["path"]):
            suffix = next((one for one in SUFFIXES if entry.name.endswith(one)), "")
            name = entry.name.removesuffix(suffix)
            chunk = CHUNK.fullmatch(name)
            if not chunk and not SHARD.fullmatch(name):
                continue
            suffixes.add(suffix)
            if sharded == bool(chunk) or (
                chunk and grid and name != _chunk_at(list(map(int, chunk.groups()[::2])), grid)
            ):
                astray = entry.name
            else:
                placed = True
    if astray and not placed:
        raise FileError(
            f"{client.text}: its info does not lead to any chunk of scale {scale['key']}, which "
            f"has files such as {astray}; correct its sharding, chunk_sizes or voxel_offset"
        )
    return suffixes - {""}


def _grid(scale: dict[str, Any]) -> tuple[Corner, Corner, Corner] | None:
    """The first voxel of a scale, the size of its chunks and its own; None if they make no sense.

    TensorStore says what is wrong with them.
    """
    try:
        rows = (scale.get("voxel_offset") or [0, 0, 0], scale["chunk_sizes"][0], scale["size"])
        low, step, size = ([int(n) for n in row] for row in rows)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        return None
    sane = len(low) == len(step) == len(size) == 3 and min(step) > 0
    return (low, step, size) if sane else None


def _chunk_at(voxel: Corner, grid: tuple[Corner, Corner, Corner]) -> str:
    """The name of the chunk that has a voxel."""
    axes = list(zip(voxel, *grid, strict=True))
    lows = [n - (n - first) % by for n, first, by, _ in axes]
    highs = [min(n + by, first + size) for n, (_, first, by, size) in zip(lows, axes, strict=True)]
    return chunk_name(lows, highs)
