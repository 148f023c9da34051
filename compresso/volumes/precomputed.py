"""Neuroglancer's precomputed volumes: x, y, z, channel; raw, compressed or in shards.

TensorStore reads them, but not the encoding ``compresso`` and the packed files of CloudVolume,
whose chunks are decoded here.
"""

import math
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
from compresso.volumes._client import Node, as_file_error, decoded
from compresso.volumes._stores import Kind, Selection, StoredArray, check_mip
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


class Precomputed(Kind):
    """A folder with ``info``, which lists the scales."""

    name = "precomputed"
    priority = 1
    markers = ("info",)
    schemes = ("precomputed",)
    driver = "neuroglancer_precomputed"

    def find(self, node: Node, selection: Selection, document: dict[str, Any]) -> StoredArray:
        """Find the scale ``mip``."""
        mip = selection.mip
        try:
            scales = document["scales"]
            names = [(str(scale["key"]), scale.get("size")) for scale in scales]
        except (KeyError, TypeError, AttributeError):
            kind = document.get("@type", "unknown")
            raise FileError(
                f"{node.text}: its info does not list the scales of a volume (type {kind})"
            ) from None
        sizes = [" x ".join(map(str, s)) if isinstance(s, list) else key for key, s in names]
        check_mip(node, mip, sizes)
        scale, encoding = scales[mip], str(scales[mip].get("encoding"))
        folder = node.child(names[mip][0])
        plain = {name: value for name, value in scale.items() if name in PLAIN}
        plain |= {"encoding": "raw", "key": "k"}
        claimed = self.open(node, document | {"scales": [plain]})
        packed = _packed(folder, scale, claimed) if encoding in (*READ, *DECODED) else set()
        sharded = scale.get("sharding") is not None
        if encoding in READ and not packed:
            # TensorStore would refuse an info for any other scale, and for a block without need.
            known = {name: value for name, value in scale.items() if name != BLOCK}
            if encoding == "compressed_segmentation":
                known[BLOCK] = scale.get(BLOCK) or DEFAULT_BLOCK
            array = self.open(node, document | {"scales": [known]})
        elif encoding in DECODED and packed <= PACKED.keys() and not (packed and sharded):
            array = _decode(folder, scale, claimed, tuple(PACKED) if packed else ("",))
        else:
            kind = "shards" if sharded else "files"
            files = f" in {', '.join(sorted(packed))} {kind}" if packed else ""
            raise FileError(
                f"{node.text}: scale {mip} is stored as {encoding}{files}, which is not supported "
                f"(known: {', '.join(READ)} and compresso)"
            )
        lost = [name for name in OTHERS if document.get(name)]
        path = None if sharded else folder.path
        return StoredArray(array, "xyzc", lost=lost, path=path, box_of=_box_of)


# -- chunks that are decoded here -----------------------------------------------------------------


def _decode(node: Node, scale: dict[str, Any], claimed: Any, suffixes: Sequence[str]) -> Any:
    """Return a TensorStore of a scale; for each chunk, the suffixes are tried in turn.

    ``claimed`` is a TensorStore with the shape, the dtype and the grid of the scale.
    """
    if claimed.shape[3] != 1:
        raise FileError(f"{node.text}: {claimed.shape[3]} channels, but only one is supported")
    dtype, decode = np.dtype(claimed.dtype.numpy_dtype), _decoder(node.text, scale)
    origin, chunk = claimed.domain.inclusive_min, claimed.chunk_layout.read_chunk.shape
    grid = [-(-n // by) for n, by in zip(claimed.shape[:3], chunk[:3], strict=True)]
    sharding, chunks = scale.get("sharding"), node
    if sharding is not None:
        driver = "neuroglancer_uint64_sharded"
        shards = {"driver": driver, "metadata": sharding, "base": node.kvstore}
        chunks = replace(node, kvstore=shards)
    with as_file_error(node.text):
        store = chunks.store()

    def read(low: Corner, high: Corner) -> Labels | None:
        shape = [b - a for a, b in zip(low, high, strict=True)]
        name = "_".join(f"{a}-{b}" for a, b in zip(low[:3], high[:3], strict=True))
        at = [(n - first) // by for n, first, by in zip(low, origin, chunk, strict=True)]
        size = math.prod(shape) * dtype.itemsize
        for suffix in suffixes:
            try:
                key = name + suffix if sharding is None else morton(at, grid).to_bytes(8, "big")
                found = store.read(key).result()
                if found.state == "value":
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
    return np.frombuffer(stream, dtype.newbyteorder("<")).reshape(shape)


def morton(at: Sequence[int], grid: Sequence[int]) -> int:
    """Return a chunk's number in shards: the bits of its index, as many as each axis needs."""
    code = filled = 0
    for bit in range(max(grid).bit_length()):
        for number, count in zip(at, grid, strict=False):
            if 1 << bit < count:
                code |= (number >> bit & 1) << filled
                filled += 1
    return code


# -- the names of chunks --------------------------------------------------------------------------


def _split_suffix(file: str) -> tuple[str, str]:
    suffix = next((one for one in SUFFIXES if file.endswith(one)), "")
    return file.removesuffix(suffix), suffix


def _box_of(file: str) -> Box | None:
    """Return the voxels of a chunk's file along x, y and z; None for another file."""
    found = CHUNK.fullmatch(_split_suffix(file)[0])
    ends = [int(number) for number in found.groups()] if found else []
    return tuple(zip(ends[::2], ends[1::2], strict=True)) if found else None


def _packed(node: Node, scale: dict[str, Any], claimed: Any) -> set[str]:
    """Return the suffixes of a scale's chunks, which TensorStore would read as missing.

    Raises FileError for chunks under names that the info does not lead to.
    """
    sharded = scale.get("sharding") is not None
    if node.path is None:  # there may be too many files to list them
        if sharded:
            return set()
        low, size = claimed.domain.inclusive_min, claimed.shape
        voxels = [low, [n + m // 2 for n, m in zip(low, size, strict=True)]]
        bases = [_chunk_at(voxel, claimed) for voxel in voxels]
        names = {base + suffix: suffix for base in bases for suffix in PACKED if suffix}
        return {names[name] for name in node.existing(names)}
    suffixes, found, misnamed = set(), set(), {}
    with suppress(OSError):
        for entry in os.scandir(node.path):
            name, suffix = _split_suffix(entry.name)
            box = _box_of(name)
            if box or SHARD.fullmatch(name):
                suffixes.add(suffix)
                expected = "" if sharded == bool(box) else name
                if box and expected:
                    expected = _chunk_at([low for low, _ in box], claimed)
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


def _chunk_at(voxel: Corner, claimed: Any) -> str:
    """Return the name of the chunk with a voxel; empty for a voxel outside."""
    domain, chunk = claimed.domain, claimed.chunk_layout.read_chunk.shape
    axes = zip(voxel[:3], domain.inclusive_min, domain.exclusive_max, chunk, strict=False)
    parts = []
    for n, first, end, by in axes:
        if not first <= n < end:
            return ""
        low = n - (n - first) % by
        parts.append(f"{low}-{min(low + by, end)}")
    return "_".join(parts)
