"""Neuroglancer's precomputed volumes: x, y, z, channel; raw, compressed or in shards."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from compresso.errors import FileError
from compresso.volumes._chunks import BLOCK, DECODED, DEFAULT_BLOCK, PACKED, chunk_name, open_chunks
from compresso.volumes._client import Client, child
from compresso.volumes._keys import Chunks
from compresso.volumes._kind import Found, Kind, check_mip
from compresso.volumes._location import Location
from compresso.volumes.volume import Box

#: The encodings that TensorStore reads.
READ = ("raw", "compressed_segmentation", "jpeg", "png")
#: What may follow the name of a packed chunk; only those of ``PACKED`` are read.
SUFFIXES = (*filter(None, PACKED), ".zst", ".lz4", ".lzma")
#: What an info names next to the labels.
OTHERS = ("mesh", "skeletons", "segment_properties")
#: The names of chunks and of shards.
CHUNK = re.compile(r"(-?\d+)-(-?\d+)_(-?\d+)-(-?\d+)_(-?\d+)-(-?\d+)")
SHARD = re.compile(r"[0-9a-f]+\.(shard|index|data)")

Corner = Sequence[int]
#: The first voxel of a scale, the size of its chunks, and its own size.
Grid = tuple[Corner, Corner, Corner]


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
        sharded = document["scales"][mip].get("sharding") is not None
        chunks = None if sharded else Chunks(folder, _box_of)
        if encoding in READ and not packed:
            return replace(_read_by_tensorstore(client, location, document), chunks=chunks)
        if encoding not in DECODED or not packed <= PACKED.keys() or (packed and sharded):
            kind = "shards" if sharded else "files"
            files = f" in {', '.join(sorted(packed))} {kind}" if packed else ""
            raise FileError(
                f"{text}: scale {mip} is stored as {encoding}{files}, which is not read; "
                f"{', '.join(READ)} and compresso are"
            )
        suffixes = tuple(PACKED) if packed else ("",)
        array = open_chunks(client, location.kvstore, document, mip, suffixes)
        return Found({}, "xyzc", array=array, lost=_others(document), chunks=chunks)


def _box_of(name: str) -> Box | None:
    """The voxels of a chunk's file, along x, y and z; None for another file."""
    suffix = next((one for one in PACKED if one and name.endswith(one)), "")
    found = CHUNK.fullmatch(name.removesuffix(suffix))
    ends = [int(number) for number in found.groups()] if found else []
    return tuple(zip(ends[::2], ends[1::2], strict=True)) if found else None


def _read_by_tensorstore(client: Client, location: Location, document: dict[str, Any]) -> Found:
    """A scale as TensorStore opens it; it would refuse an info for any of the other scales."""
    kvstore, mip, scales = location.kvstore, location.selection.mip, document["scales"]
    understood = [_with_block(scale) for scale in scales]
    if understood != scales or not all(scale.get("encoding") in READ for scale in scales):
        kvstore = client.replaced(kvstore, "info", document | {"scales": [understood[mip]]})
        mip = 0
    spec = {"driver": "neuroglancer_precomputed", "kvstore": kvstore, "scale_index": mip}
    return Found(spec, "xyzc", lost=_others(document))


def _others(document: dict[str, Any]) -> list[str]:
    """The names of what lies next to the labels, such as meshes and the properties of segments."""
    return [name for name in OTHERS if document.get(name)]


def _with_block(scale: dict[str, Any]) -> dict[str, Any]:
    """A scale that has a size of blocks if its encoding needs one, and only then."""
    if scale.get("encoding") == "compressed_segmentation":
        return scale | {BLOCK: scale.get(BLOCK) or DEFAULT_BLOCK}
    return {name: value for name, value in scale.items() if name != BLOCK}


def _packed(client: Client, folder: dict[str, Any], scale: dict[str, Any]) -> set[str]:
    """Return the suffixes of a scale's chunks; TensorStore would not find these, and read zeros.

    Raises FileError if the folder has files of chunks, and the info leads to none of them.
    """
    sharded, grids = scale.get("sharding") is not None, _grids(scale)
    if folder["driver"] != "file":  # there may be too many files to list them
        if sharded or not grids:
            return set()
        low, _, size = grids[0]
        voxels = [low, [n + m // 2 for n, m in zip(low, size, strict=True)]]
        bases = [_chunk_at(voxel, grids[0]) for voxel in voxels]
        names = {base + suffix: suffix for base in bases for suffix in PACKED if suffix}
        return {names[name] for name in client.existing(folder, tuple(names))}
    suffixes, placed, others = set(), False, ""
    astray: dict[str, str] = {}
    with suppress(OSError):
        for entry in os.scandir(folder["path"]):
            suffix = next((one for one in SUFFIXES if entry.name.endswith(one)), "")
            name = entry.name.removesuffix(suffix)
            chunk = CHUNK.fullmatch(name)
            if not chunk and not SHARD.fullmatch(name):
                continue
            suffixes.add(suffix)
            low = list(map(int, chunk.groups()[::2])) if chunk else []
            if sharded == bool(chunk):
                others = entry.name
            elif not chunk or not grids or name == _chunk_at(low, grids[0]):
                placed = True
            elif any(name == _chunk_at(low, grid) for grid in grids[1:]) or not _has(grids[0], low):
                others = entry.name
            else:
                astray[entry.name] = _chunk_at(low, grids[0])
    names_of = ((name, [at + suffix for suffix in ("", *SUFFIXES)]) for name, at in astray.items())
    lost = next((name for name, at in names_of if not client.existing(folder, at)), "")
    if lost or (others and not placed):
        raise FileError(
            f"{client.text}: its info does not lead to {lost or others} of scale {scale['key']}; "
            "correct its sharding, chunk_sizes or voxel_offset, or rename the files"
        )
    return suffixes - {""}


def _grids(scale: dict[str, Any]) -> list[Grid]:
    """The grid of each size of chunks, of which TensorStore uses the first.

    There is none if they make no sense: TensorStore says what is wrong with them.
    """
    try:
        low = [int(n) for n in scale.get("voxel_offset") or (0, 0, 0)]
        size = [int(n) for n in scale["size"]]
        grids: list[Grid] = [(low, [int(n) for n in by], size) for by in scale["chunk_sizes"]]
    except (KeyError, TypeError, ValueError, OverflowError):
        return []
    sane = all(len(row) == 3 for grid in grids for row in grid)
    return grids if sane and all(min(by) > 0 for _, by, _ in grids) else []


def _has(grid: Grid, voxel: Corner) -> bool:
    low, _, size = grid
    return all(a <= n < a + m for a, n, m in zip(low, voxel, size, strict=True))


def _chunk_at(voxel: Corner, grid: Grid) -> str:
    """The name of the chunk that has a voxel."""
    axes = list(zip(voxel, *grid, strict=True))
    lows = [n - (n - first) % by for n, first, by, _ in axes]
    highs = [min(n + by, first + size) for n, (_, first, by, size) in zip(lows, axes, strict=True)]
    return chunk_name(lows, highs)
