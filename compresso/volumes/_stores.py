"""Stores of chunks as sources of label volumes: Neuroglancer's precomputed, Zarr and N5.

They are read by TensorStore, wherever it can read them: in a local folder, at http(s):// or in a
bucket. One kind of store is one file in this folder; ``_kind.py`` has what a kind is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from compresso.arrays import Labels
from compresso.errors import FileError
from compresso.plugins import Registry
from compresso.volumes import _metadata
from compresso.volumes._axes import arrange
from compresso.volumes._client import Client, telling
from compresso.volumes._format import volume_shape
from compresso.volumes._keys import listing
from compresso.volumes._kind import Found, Kind
from compresso.volumes._layers import Layers
from compresso.volumes._location import GOES_ON, MARKERS, UNFINISHED, Location, locate
from compresso.volumes._metadata import Metadata
from compresso.volumes.volume import Box, Shape, Stored, Volume, format_box, slices_of

kinds = Registry("compresso.volumes", Kind, "store")  # type: ignore[type-abstract]


@contextmanager
def open_store(text: str, memory: int | None = None, strict: bool = False) -> Iterator[Volume]:
    """Open a store.

    Parameters
    ----------
    text : str
        An address or a folder, and a selection: ``gs://bucket/seg|zarr3:``,
        ``precomputed://gs://bucket/seg:mip=1,box=0-512x0-512x0-64``, ``folder.zarr:/inside``.
    memory : int, optional
        Approximate memory in bytes for reading, without the returned slices; by default the free
        memory.
    strict : bool
        Refuse chunks that the store lacks; by default they have the fill value.

    Raises
    ------
    SpecError
        If the selection is invalid.
    FileError
        If the store is absent, private, unreachable, damaged, or not a volume; reading raises it
        too, and names the slices.
    MissingPackageError
        Without TensorStore.
    """
    array, metadata, lost, own, stored = _open(text, strict)
    layout = array.chunk_layout.read_chunk.shape
    chunk = tuple(int(n or whole) for n, whole in zip(layout, array.shape, strict=True))

    def fetch_box(box: Box) -> Labels:
        part = f"its voxels {format_box(box)} (x, y, z, counted from the first)"
        with telling(text, part):
            labels: Labels = array[slices_of(box)].read(order="C").result()
            return labels

    dtype = np.dtype(array.dtype.numpy_dtype)
    fetch = Layers(text, array, memory).fetch
    yield Volume(array.shape, dtype, fetch, metadata, lost, fetch_box, chunk, own, stored)


def _open(
    text: str, strict: bool = False
) -> tuple[Any, Metadata, tuple[str, ...], Shape, Stored | None]:
    """Open an array of TensorStore's as [z, y, x].

    Also returned are what else the store says, the names of what it says and metadata cannot hold,
    the array's own shape if it may surprise, and the list of its chunks if it is known.
    """
    client = Client.make(text, strict)
    location = locate(text, client.tensorstore)
    found = _find(client, location)
    array = client.open(found.spec) if found.array is None else found.array
    named = found.names or any(array.domain.labels) or location.selection.axes
    own = tuple(array.shape) if array.rank < 3 or (array.rank > 3 and not named) else ()
    array, geometry = arrange(text, array, found, location.selection)
    volume_shape(text, array.shape, np.dtype(array.dtype.numpy_dtype))
    place = _metadata.make("", {}, geometry)
    stored = listing(found.chunks, array) if found.chunks else None
    return array, place | found.metadata, tuple(found.lost), own, stored


def _find(client: Client, location: Location) -> Found:
    """The array that is meant; raises FileError."""
    if not location.kinds:
        return Found({"driver": location.driver, "kvstore": location.kvstore}, "tczyx")
    names = {name: kind for kind in location.kinds for name in MARKERS[kind]}
    name, document = client.first(location.kvstore, tuple(names))
    if name:
        return kinds.classes[names[name]]().find(client, location, document)
    if "n5" in location.kinds and client.optional(location.kvstore, "s0/attributes.json"):
        # A group of N5 may have nothing of its own.
        return kinds.classes["n5"]().find(client, location, {})
    if "zarr3" in location.kinds and client.optional(location.kvstore, UNFINISHED):
        raise FileError(f"{location.text}: {GOES_ON}")
    raise FileError(f"{location.text}: absent, or no store: it has no {', '.join(names)}")
