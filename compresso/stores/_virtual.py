"""An array that TensorStore puts together of chunks that are decoded here."""

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from compresso.stores._client import Client

#: An index of each axis: of a chunk's first voxel, or of the one behind its last.
Corner = Sequence[int]
Told = Callable[[Any], None]
#: Begins to read the chunk between two corners; tells the reading when it is done, or the error.
Begin = Callable[[Corner, Corner, Told, Told], None]
#: Puts what was read, None where there is nothing, into a chunk.
Fill = Callable[[bytes | None, NDArray[Any]], None]


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

        def failed(error: object) -> None:
            promise.set_exception(ValueError(f"Error reading {name(low, high)}: {error}"))

        def done(reading: Any) -> None:
            try:
                found = reading.result()
                fill(found.value if found.state == "value" else None, chunk)
                promise.set_result(None)
            except Exception as error:  # it would be lost in TensorStore's thread
                failed(error)

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
