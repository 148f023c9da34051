"""Zarr arrays whose chunks this package's own codec has encoded: TensorStore does not know it."""

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.container.chunk import ChunkCodec, Layout
from compresso.errors import EncodeError, FileError, SpecError
from compresso.volumes._client import Client, telling
from compresso.volumes._keys import Keys
from compresso.volumes._virtual import Corner, Told, in_memory, virtual

NAME = "compresso"
PLAIN = [{"name": "bytes", "configuration": {"endian": "little"}}]


def open_own(client: Client, kvstore: dict[str, Any], document: dict[str, Any]) -> Any:
    """A TensorStore of an array; None where its chunks are not of that codec.

    Parameters
    ----------
    client : Client
    kvstore : dict
        Of the array.
    document : dict
        Its ``zarr.json``, or its ``.zarray``; anybody's.

    Raises
    ------
    FileError
        For claims that make no sense, for other codecs beside, and for Zarr version 2; reading
        tells what is wrong with a chunk.
    """
    compressor = document.get("compressor")
    if isinstance(compressor, dict) and compressor.get("id") == NAME:
        raise FileError(
            f"{client.text}: its chunks are of the codec {NAME} in Zarr version 2, which is not "
            "read; copy it to version 3, with zarr"
        )
    codecs = _named(document.get("codecs"))
    shards = _Shards.of(codecs)
    inner = codecs if shards is None else shards.inner
    if not any(codec.get("name") == NAME for codec in inner):
        return None
    if len(inner) > 1:
        names = ", ".join(str(codec.get("name")) for codec in inner)
        raise FileError(f"{client.text}: its codecs are {names}; only {NAME} alone is read")
    plain = document | {"codecs": PLAIN if shards is None else [shards.plain(codecs[0])]}
    with telling(client.text):
        text = json.dumps(plain).encode()
        meant = in_memory(client, {"driver": "zarr3"}, "zarr.json", text)
        chunks = _Chunks.of(client, kvstore, document, meant, shards)
    layout = _layout(client.text, inner[0], meant)

    def fill(data: bytes | None, chunk: NDArray[Any], _: str) -> None:
        if data is None:
            chunk[...] = meant.fill_value if meant.fill_value is not None else 0
        else:
            labels = layout.decode(data)  # of the whole chunk, also where the array ends inside
            np.copyto(chunk, labels[tuple(map(slice, chunk.shape))], casting="equiv")

    return virtual(client, meant, chunks.begin, fill, chunks.name)


def _named(codecs: object) -> list[dict[str, Any]]:
    """What is a codec in a list of them."""
    listed = codecs if isinstance(codecs, list) else []
    return [codec for codec in listed if isinstance(codec, dict)]


def _layout(text: str, codec: dict[str, Any], meant: Any) -> Layout:
    dtype = meant.dtype.numpy_dtype
    try:
        codecs = ChunkCodec(**codec.get("configuration", {}))
        for stage in codecs.stages:
            for package in stage.packages:
                stage.require(package)
        return Layout(codecs, tuple(meant.chunk_layout.read_chunk.shape), dtype)
    except (SpecError, EncodeError, TypeError) as error:
        raise FileError(f"{text}: its codec {NAME} is configured amiss ({error})") from None


@dataclass(frozen=True)
class _Shards:
    """What the codec of shards says."""

    inner: list[dict[str, Any]]
    index: dict[str, Any]  # as TensorStore wants it

    @classmethod
    def of(cls, codecs: list[dict[str, Any]]) -> "_Shards | None":
        if not codecs or codecs[0].get("name") != "sharding_indexed":
            return None
        said = codecs[0].get("configuration")
        said = said if isinstance(said, dict) else {}
        index = {name: said[name] for name in ("index_codecs", "index_location") if name in said}
        return cls(_named(said.get("codecs")), index)

    def plain(self, codec: dict[str, Any]) -> dict[str, Any]:
        """The same shards, of chunks that are not encoded."""
        return codec | {"configuration": codec["configuration"] | {"codecs": PLAIN}}


@dataclass(frozen=True)
class _Chunks:
    """Where the chunks of an array are."""

    client: Client
    kvstore: dict[str, Any]
    folder: Any
    shards: _Shards | None
    keys: Keys
    outer: tuple[int, ...]
    inner: tuple[int, ...]

    @classmethod
    def of(
        cls,
        client: Client,
        kvstore: dict[str, Any],
        document: dict[str, Any],
        meant: Any,
        shards: _Shards | None,
    ) -> "_Chunks":
        layout = meant.chunk_layout
        folder = client.tensorstore.KvStore.open(kvstore, context=client.context).result()
        outer, inner = tuple(layout.write_chunk.shape), tuple(layout.read_chunk.shape)
        return cls(client, kvstore, folder, shards, Keys.of(document), outer, inner)

    def name(self, low: Corner, _: Corner) -> str:
        """The key of the object that has a chunk."""
        return self.keys.name([n // size for n, size in zip(low, self.outer, strict=True)])

    def begin(self, low: Corner, high: Corner, done: Told, failed: Told) -> None:
        """Begin to read a chunk."""
        key = self.name(low, high)
        if self.shards is None:
            self.folder.read(key).add_done_callback(done)
            return
        sizes = list(zip(low, self.outer, self.inner, strict=True))
        inside = b"".join((n % size // part).to_bytes(4, "big") for n, size, part in sizes)
        shard = {
            "driver": "zarr3_sharding_indexed",
            "base": self.kvstore | {"path": self.kvstore["path"] + key},
            "grid_shape": [size // part for _, size, part in sizes],
            **self.shards.index,
        }
        opening = self.client.tensorstore.KvStore.open(shard, context=self.client.context)
        opening.add_done_callback(partial(_read, inside, done, failed))


def _read(key: bytes, done: Told, failed: Told, opening: Any) -> None:
    try:
        opening.result().read(key).add_done_callback(done)
    except Exception as error:  # it would be lost in TensorStore's thread
        failed(error)
