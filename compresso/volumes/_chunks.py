"""Precomputed chunks that TensorStore does not read: decoded here, and put together by it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso import compressors
from compresso.encodings.compressed_segmentation import CompressedSegmentation
from compresso.encodings.cpso import Cpso
from compresso.errors import FileError
from compresso.plugins import Extent
from compresso.volumes._client import Client, telling
from compresso.volumes._virtual import Corner, Told, in_memory, virtual

#: The encodings that are decoded here.
DECODED = ("raw", "compressed_segmentation", "compresso")
#: What CloudVolume appends to the names of packed chunks in a local folder, and what packed them.
#: If a chunk has several files, the first of these is read, as by a CloudVolume that just started.
PACKED = {
    "": "none",
    ".gz": "gzip",
    ".br": "brotli",
    ".zstd": "zstd",
    ".xz": "lzma",
    ".bz2": "bz2",
}
#: What is said of a scale, whatever its encoding.
PLAIN = ("size", "voxel_offset", "resolution", "chunk_sizes")
#: Where an info says the size of compressed_segmentation's blocks, and the size if it does not.
BLOCK, DEFAULT_BLOCK = "compressed_segmentation_block_size", [8, 8, 8]
#: What a chunk's stream takes beyond its labels, at most: as much again, and some headers.
SPARE = 1 << 16


def open_chunks(
    client: Client,
    kvstore: dict[str, Any],
    document: dict[str, Any],
    mip: int,
    suffixes: Sequence[str] = ("",),
) -> Any:
    """A TensorStore of a scale in chunks of its own, x, y, z, channel.

    Parameters
    ----------
    client : Client
    kvstore : dict
        Of the volume.
    document : dict
        Its ``info``.
    mip : int
    suffixes : sequence of str
        What may follow the chunks' names, keys of ``PACKED``: each is tried until one is found.

    Raises
    ------
    FileError
        For claims that make no sense; reading tells what is wrong with a chunk.
    """
    scale = document["scales"][mip]
    with telling(client.text):
        meant = _claims(client, document, scale)
        where, key_of = _keys(kvstore, scale, meant)
        folder = client.tensorstore.KvStore.open(where, context=client.context).result()
    if meant.shape[3] != 1:
        raise FileError(f"{client.text}: has {meant.shape[3]} channels; only one is decoded here")
    decoder = _Decoder.of(client.text, scale, meant.dtype.numpy_dtype)

    def begin(low: Corner, high: Corner, done: Told, failed: Told) -> None:
        key = key_of(low[:3], high[:3])

        def attempt(suffix: str, *others: str) -> None:
            def answered(reading: Any) -> None:
                try:
                    missing = reading.result().state == "missing"
                except Exception as error:  # it would be lost in TensorStore's thread
                    failed(error, suffix)
                    return
                if missing and others:
                    attempt(*others)
                else:
                    done(reading, suffix)

            folder.read(key + suffix if suffix else key).add_done_callback(answered)

        attempt(*suffixes)

    def fill(data: bytes | None, chunk: NDArray[Any], suffix: str) -> None:
        chunk[...] = 0
        if data is not None:
            chunk[..., 0] = decoder.decode(data, chunk.shape[2::-1], suffix).T

    def name(low: Corner, high: Corner) -> str:
        return f"{scale['key']}/{chunk_name(low[:3], high[:3])}"

    return virtual(client, meant, begin, fill, name)


def _keys(
    kvstore: dict[str, Any], scale: dict[str, Any], meant: Any
) -> tuple[dict[str, Any], Callable[[Corner, Corner], Any]]:
    """Where chunks are, and by which key, given where a chunk begins and ends."""
    path = f"{scale['key']}/"
    if scale.get("sharding") is None:
        return kvstore, lambda low, high: path + chunk_name(low, high)
    shards = {
        "driver": "neuroglancer_uint64_sharded",
        "metadata": scale["sharding"],
        "base": kvstore | {"path": kvstore["path"] + path},
    }
    origin, size = meant.domain.inclusive_min[:3], meant.chunk_layout.read_chunk.shape[:3]
    grid = [-(-n // step) for n, step in zip(meant.shape[:3], size, strict=True)]

    def key(low: Corner, _: Corner) -> bytes:
        at = [(n - first) // step for n, first, step in zip(low, origin, size, strict=True)]
        return morton(at, grid).to_bytes(8, "big")

    return shards, key


def morton(at: Sequence[int], grid: Sequence[int]) -> int:
    """A chunk's number in shards: the bits of its numbers along x, y, z, interleaved.

    An axis has as many bits as its last chunk needs.
    """
    code = filled = 0
    for bit in range(max(grid).bit_length()):
        for number, count in zip(at, grid, strict=True):
            if 1 << bit < count:
                code |= (number >> bit & 1) << filled
                filled += 1
    return code


def chunk_name(low: Corner, high: Corner) -> str:
    """Return the name of the chunk between two corners, without a suffix."""
    return "_".join(f"{a}-{b}" for a, b in zip(low, high, strict=True))


def _claims(client: Client, document: dict[str, Any], scale: dict[str, Any]) -> Any:
    """A store in memory that has a scale's shape and chunks: TensorStore checks what they claim."""
    plain = {name: value for name, value in scale.items() if name in PLAIN}
    plain = document | {"scales": [plain | {"encoding": "raw", "key": "k"}]}
    spec = {"driver": "neuroglancer_precomputed"}
    return in_memory(client, spec, "info", json.dumps(plain).encode())


@dataclass(frozen=True)
class _Decoder:
    encoding: str
    dtype: np.dtype[Any]
    block: Extent

    @classmethod
    def of(cls, text: str, scale: dict[str, Any], dtype: np.dtype[Any]) -> "_Decoder":
        block = scale.get(BLOCK) or DEFAULT_BLOCK
        try:
            size = Extent("x".join(map(str, block)))
        except (TypeError, ValueError):
            raise FileError(f"{text}: its info is damaged: blocks of {block}") from None
        return cls(str(scale["encoding"]), dtype, size)

    def decode(self, data: bytes, shape: tuple[int, ...], suffix: str) -> NDArray[Any]:
        """Labels [z, y, x] of a chunk; raises DecodeError and ValueError."""
        size = int(np.prod(shape)) * self.dtype.itemsize
        stream = compressors.parse(PACKED[suffix]).decompress(data, 2 * size + SPARE)
        if self.encoding == "raw":
            if len(stream) != size:
                raise ValueError(f"it has {len(stream)} bytes instead of {size}")
            return np.frombuffer(stream, self.dtype.newbyteorder("<")).reshape(shape)
        if self.encoding == "compresso":
            return Cpso().decode(stream, shape, self.dtype)
        return CompressedSegmentation(self.block).decode(stream, shape, self.dtype)
