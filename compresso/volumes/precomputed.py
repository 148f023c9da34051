"""Neuroglancer's precomputed volumes: x, y, z, channel; raw, compressed or in shards.

TensorStore reads them, but not the encoding ``compresso`` and the packed files of CloudVolume,
whose chunks are decoded here.
"""

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from compresso import compressors
from compresso.arrays import Labels
from compresso.codec import Extent
from compresso.encodings.compressed_segmentation import CompressedSegmentation
from compresso.encodings.cpso import Cpso
from compresso.errors import FileError
from compresso.volumes._client import Node, as_file_error
from compresso.volumes._stores import Kind, Selection, StoredArray, check_mip, decoded
from compresso.volumes.volume import Box

#: The encodings that TensorStore reads, and those that are decoded here.
READ = ("raw", "compressed_segmentation", "jpeg", "png")
DECODED = ("raw", "compressed_segmentation", "compresso")
#: The suffixes of CloudVolume's packed chunks in a local folder, and their compressors. If a chunk
#: has several files, the first of these is read, as by a CloudVolume that has just started.
PACKED = {
    "": "none",
    ".gz": "gzip",
    ".br": "brotli",
    ".zstd": "zstd",
    ".xz": "lzma",
    ".bz2": "bz2",
}
#: All suffixes that packed chunks may have; only those of ``PACKED`` are read.
SUFFIXES = (*filter(None, PACKED), ".zst", ".lz4", ".lzma")
#: Folders that an info may name next to the labels.
OTHERS = ("mesh", "skeletons", "segment_properties")
#: The fields of a scale that do not depend on its encoding.
PLAIN = ("size", "voxel_offset", "resolution", "chunk_sizes")
#: The field with the size of compressed_segmentation's blocks, and the size without it.
BLOCK, DEFAULT_BLOCK = "compressed_segmentation_block_size", [8, 8, 8]
#: A chunk's stream takes at most twice the bytes of its labels, and some headers.
SPARE = 1 << 16
#: The names of chunks and of shards.
CHUNK = re.compile(r"(-?\d+)-(-?\d+)_(-?\d+)-(-?\d+)_(-?\d+)-(-?\d+)")
SHARD = re.compile(r"[0-9a-f]+\.(shard|index|data)")

Corner = Sequence[int]
#: The first voxel of a scale, the size of its chunks, and its own size.
Grid = tuple[Corner, Corner, Corner]


class Precomputed(Kind):
    """A folder with ``info``, which lists the scales."""

    name = "precomputed"
    priority = 1
    markers = ("info",)
    schemes = ("precomputed",)
    driver = "neuroglancer_precomputed"

    def find(self, node: Node, selection: Selection, document: dict[str, Any]) -> StoredArray:
        """Find the scale ``mip``."""
        text, mip = node.text, selection.mip
        try:
            scales = document["scales"]
            names = [(str(scale["key"]), scale.get("size")) for scale in scales]
        except (KeyError, TypeError, AttributeError):
            kind = document.get("@type", "unknown")
            raise FileError(
                f"{text}: its info does not list the scales of a volume (type {kind})"
            ) from None
        sizes = [" x ".join(map(str, s)) if isinstance(s, list) else key for key, s in names]
        check_mip(node, mip, sizes)
        scale, encoding = scales[mip], str(scales[mip].get("encoding"))
        folder = node.child(names[mip][0])
        known = encoding in (*READ, *DECODED)
        packed = _packed(folder, scale) if known else set()
        sharded = scale.get("sharding") is not None
        if encoding in READ and not packed:
            array = _read_by_tensorstore(node, document, mip)
        elif encoding in DECODED and packed <= PACKED.keys() and not (packed and sharded):
            array = _decode(folder, document, scale, tuple(PACKED) if packed else ("",))
        else:
            kind = "shards" if sharded else "files"
            files = f" in {', '.join(sorted(packed))} {kind}" if packed else ""
            raise FileError(
                f"{text}: scale {mip} is stored as {encoding}{files}, which is not supported "
                f"(known: {', '.join(READ)} and compresso)"
            )
        lost = [name for name in OTHERS if document.get(name)]
        path = None if sharded else folder.path
        return StoredArray(array, "xyzc", lost=lost, path=path, box_of=_box_of)


def _box_of(name: str) -> Box | None:
    """Return the voxels of a chunk's file along x, y and z; None for another file."""
    suffix = next((one for one in PACKED if one and name.endswith(one)), "")
    found = CHUNK.fullmatch(name.removesuffix(suffix))
    ends = [int(number) for number in found.groups()] if found else []
    return tuple(zip(ends[::2], ends[1::2], strict=True)) if found else None


def _read_by_tensorstore(node: Node, document: dict[str, Any], mip: int) -> Any:
    """Open a scale with TensorStore, which would refuse an info for any of the other scales."""
    scales = document["scales"]
    understood = [_with_block(scale) for scale in scales]
    if understood != scales or not all(scale.get("encoding") in READ for scale in scales):
        node, mip = node.replaced("info", document | {"scales": [understood[mip]]}), 0
    return Precomputed().open(node, scale_index=mip)


def _with_block(scale: dict[str, Any]) -> dict[str, Any]:
    """Return a scale that has a size of blocks if and only if its encoding needs one."""
    if scale.get("encoding") == "compressed_segmentation":
        return scale | {BLOCK: scale.get(BLOCK) or DEFAULT_BLOCK}
    return {name: value for name, value in scale.items() if name != BLOCK}


# -- chunks that are decoded here -----------------------------------------------------------------


def _decode(
    node: Node,
    document: dict[str, Any],
    scale: dict[str, Any],
    suffixes: Sequence[str],
) -> Any:
    """Return a TensorStore of a scale; for each chunk, the suffixes are tried in turn."""
    plain = {name: value for name, value in scale.items() if name in PLAIN}
    plain = document | {"scales": [plain | {"encoding": "raw", "key": "k"}]}
    claimed = Precomputed().open(node.replaced("info", plain))
    if claimed.shape[3] != 1:
        raise FileError(f"{node.text}: {claimed.shape[3]} channels, but only one is supported")
    dtype, decode = np.dtype(claimed.dtype.numpy_dtype), _decoder(node.text, scale)
    with as_file_error(node.text):
        where, key_of = _keys(node, scale, claimed)
        store = where.store()

    def read(low: Corner, high: Corner) -> Labels | None:
        name, shape = chunk_name(low[:3], high[:3]), [b - a for a, b in zip(low, high, strict=True)]
        for suffix in suffixes:
            key = key_of(low[:3], high[:3])
            try:
                found = store.read(key + suffix if suffix else key).result()
                if found.state == "value":
                    size = int(np.prod(shape)) * dtype.itemsize
                    packing = compressors.parse(PACKED[suffix])
                    stream = packing.decompress(found.value, 2 * size + SPARE)
                    labels: Labels = decode(stream, tuple(shape[2::-1]), dtype)
                    return labels.T[..., None]
            except Exception as error:
                path = f"{scale['key']}/{name}{suffix}"
                raise ValueError(f"Error reading {path}: {error}") from error
        if node.strict:
            raise ValueError(f"NOT_FOUND: chunk {scale['key']}/{name} is missing")
        return None

    chunk = claimed.chunk_layout.read_chunk.shape
    return decoded(node, claimed.domain, claimed.dtype, chunk, claimed.dimension_units, read)


def _decoder(text: str, scale: dict[str, Any]) -> Callable[..., Labels]:
    """Return the decoder of a scale's streams; raises FileError."""
    if scale["encoding"] == "compresso":
        return Cpso().decode
    if scale["encoding"] == "raw":
        return _decode_raw
    block = scale.get(BLOCK) or DEFAULT_BLOCK
    try:
        return CompressedSegmentation(Extent("x".join(map(str, block)))).decode
    except (TypeError, ValueError):
        raise FileError(f"{text}: its info is damaged: blocks of {block}") from None


def _decode_raw(stream: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Labels:
    size = int(np.prod(shape)) * dtype.itemsize
    if len(stream) != size:
        raise ValueError(f"it has {len(stream)} bytes instead of {size}")
    return np.frombuffer(stream, dtype.newbyteorder("<")).reshape(shape)


def _keys(
    node: Node, scale: dict[str, Any], claimed: Any
) -> tuple[Node, Callable[[Corner, Corner], Any]]:
    """Return the store of the chunks, and a function from two corners to a chunk's key."""
    if scale.get("sharding") is None:
        return node, chunk_name
    driver = "neuroglancer_uint64_sharded"
    shards = {"driver": driver, "metadata": scale["sharding"], "base": node.kvstore}
    origin, size = claimed.domain.inclusive_min[:3], claimed.chunk_layout.read_chunk.shape[:3]
    grid = [-(-n // step) for n, step in zip(claimed.shape[:3], size, strict=True)]

    def key(low: Corner, _: Corner) -> bytes:
        at = [(n - first) // step for n, first, step in zip(low, origin, size, strict=True)]
        return morton(at, grid).to_bytes(8, "big")

    return replace(node, kvstore=shards), key


def morton(at: Sequence[int], grid: Sequence[int]) -> int:
    """Return a chunk's number in shards: the bits of its index, as many as each axis needs."""
    code = filled = 0
    for bit in range(max(grid).bit_length()):
        for number, count in zip(at, grid, strict=True):
            if 1 << bit < count:
                code |= (number >> bit & 1) << filled
                filled += 1
    return code


# -- the names of chunks --------------------------------------------------------------------------


def chunk_name(low: Corner, high: Corner) -> str:
    """Return the name of the chunk between two corners, without a suffix."""
    return "_".join(f"{a}-{b}" for a, b in zip(low, high, strict=True))


def _packed(node: Node, scale: dict[str, Any]) -> set[str]:
    """Return the suffixes of a scale's chunks, which TensorStore would read as missing.

    Raises FileError for chunks under names that the info does not lead to.
    """
    sharded, grid = scale.get("sharding") is not None, _grid(scale)
    if node.path is None:  # there may be too many files to list them
        if sharded or not grid:
            return set()
        low, _, size = grid
        voxels = [low, [n + m // 2 for n, m in zip(low, size, strict=True)]]
        bases = [_chunk_at(voxel, grid) for voxel in voxels]
        names = {base + suffix: suffix for base in bases for suffix in PACKED if suffix}
        return {names[name] for name in node.existing(names)}
    suffixes, found, misnamed = set(), set(), {}
    with suppress(OSError):
        for entry in os.scandir(node.path):
            suffix = next((one for one in SUFFIXES if entry.name.endswith(one)), "")
            name = entry.name.removesuffix(suffix)
            chunk = CHUNK.fullmatch(name)
            if chunk or SHARD.fullmatch(name):
                suffixes.add(suffix)
                expected = "" if sharded == bool(chunk) else name
                if chunk and expected and grid:
                    expected = _chunk_at([int(low) for low in chunk.groups()[::2]], grid)
                if name == expected:
                    found.add(name)
                else:
                    misnamed[entry.name] = expected
    lost = [name for name, right in misnamed.items() if right not in found and (right or not found)]
    if lost:
        raise FileError(
            f"{node.text}: file {lost[0]} does not match the grid that info defines for scale "
            f"{scale['key']}. Correct its sharding, chunk_sizes or voxel_offset, or rename the "
            "files."
        )
    return suffixes - {""}


def _grid(scale: dict[str, Any]) -> Grid | None:
    """Return the grid of the chunks; None for invalid sizes, which TensorStore refuses."""
    try:
        low = [int(n) for n in scale.get("voxel_offset") or (0, 0, 0)]
        grid = low, [int(n) for n in scale["chunk_sizes"][0]], [int(n) for n in scale["size"]]
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return None
    return grid if all(len(row) == 3 for row in grid) and min(grid[1]) > 0 else None


def _chunk_at(voxel: Corner, grid: Grid) -> str:
    """Return the name of the chunk with a voxel; empty for a voxel outside."""
    axes = list(zip(voxel, *grid, strict=True))
    if not all(first <= n < first + size for n, first, _, size in axes):
        return ""
    lows = [n - (n - first) % by for n, first, by, _ in axes]
    highs = [min(n + by, first + size) for n, (_, first, by, size) in zip(lows, axes, strict=True)]
    return chunk_name(lows, highs)
