"""An array that TensorStore puts together of chunks that are decoded here."""

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from compresso.volumes._client import Client

#: An index of each axis: of a chunk's first voxel, or of the one behind its last.
Corner = Sequence[int]
#: Takes a finished reading, or an error, and the suffix of the object's name, "" by default.
Told = Callable[..., None]
#: Begins to read the chunk between two corners; tells the reading when it is done, or the error.
Begin = Callable[[Corner, Corner, Told, Told], None]
#: Puts the bytes of an object with this suffix, None for a missing one, into a chunk.
Fill = Callable[[bytes | None, NDArray[Any], str], None]


def virtual(
    client: Client, meant: Any, begin: Begin, fill: Fill, name: Callable[[Corner, Corner], str]
) -> Any:
    """A TensorStore like ``meant``, whose chunks are read and decoded by these functions.

    Parameters
    ----------
    client : Client
    meant : TensorStore
        Has the dtype, the domain and the chunks.
    begin, fill : callable
    name : callable
        Names a chunk in the error that reading raises for it.
    """

    def read(domain: Any, chunk: NDArray[Any], _: Any) -> Any:
        low, high = domain.inclusive_min, domain.exclusive_max
        promise, future = client.tensorstore.Promise.new()

        def failed(error: object, suffix: str = "") -> None:
            promise.set_exception(ValueError(f"Error reading {name(low, high)}{suffix}: {error}"))

        def done(reading: Any, suffix: str = "") -> None:
            try:
                found = reading.result()
                data = found.value if found.state == "value" else None
                if data is None and client.strict:
                    error = ValueError(f"NOT_FOUND: chunk {name(low, high)} is missing")
                    promise.set_exception(error)
                    return
                fill(data, chunk, suffix)
                promise.set_result(None)
            except Exception as error:  # it would be lost in TensorStore's thread
                failed(error, suffix)

        # To wait here would keep the thread that the answer needs.
        begin(low, high, done, failed)
        return future

    layout = meant.chunk_layout  # without what is written together, which is a shard
    return client.tensorstore.virtual_chunked(
        read,
        dtype=meant.dtype,
        domain=meant.domain,
        chunk_layout=client.tensorstore.ChunkLayout(
            read_chunk_shape=layout.read_chunk.shape, grid_origin=layout.grid_origin
        ),
        dimension_units=meant.dimension_units,
        context=client.context,
    )


def in_memory(client: Client, spec: dict[str, Any], name: str, text: bytes) -> Any:
    """Open a store that is a document ``name`` alone: TensorStore checks what it claims."""
    notes = {"driver": "memory"}
    memory = client.tensorstore.KvStore.open(notes, context=client.context).result()
    memory.write(name, text).result()
    return client.tensorstore.open(
        spec | {"kvstore": notes}, context=client.context, read=True
    ).result()
