"""Stores of chunks as sources of label volumes: Neuroglancer's precomputed, Zarr and N5.

They are read by TensorStore, wherever it can read them: in a local folder, at http(s):// or in a
bucket. One kind of store is one file in this folder; ``_kind.py`` has what a kind is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from compresso import boxes
from compresso.arrays import Labels
from compresso.boxes import Box, Boxes, Shape
from compresso.errors import FileError
from compresso.formats import Metadata, _metadata
from compresso.formats._format import Reader, volume_shape
from compresso.plugins import Registry
from compresso.stores._axes import arrange
from compresso.stores._client import Client
from compresso.stores._errors import telling
from compresso.stores._folder import Folder, folder
from compresso.stores._kind import Found, Kind
from compresso.stores._layers import Layers
from compresso.stores._location import (
    GOES_ON,
    MARKERS,
    UNFINISHED,
    Location,
    holds,
    local,
    locate,
    names_store,
    short,
    what_is,
)
from compresso.stores._memory import available, spelled

__all__ = ["available", "folder", "holds", "local", "names_store", "open_array", "open_volume"]
__all__ += ["UNFINISHED", "Folder", "short", "spelled", "what_is"]


kinds = Registry(__name__, Kind, "store")  # type: ignore[type-abstract]


@contextmanager
def open_volume(text: str, memory: int | None = None) -> Iterator[Reader]:
    """Open a store.

    Parameters
    ----------
    text : str
        An address or a folder, and a selection behind it: ``gs://bucket/seg|zarr3:``,
        ``precomputed://gs://bucket/seg:mip=1,box=0-512x0-512x0-64``, ``folder.zarr:/inside``.
    memory : int, optional
        Bytes that reading may use beside the slices asked for, about; by default what there is.

    Raises
    ------
    SpecError
        For a selection that makes no sense.
    FileError
        One line that says whether the store is absent, private, unreachable, damaged, or no volume;
        reading raises it too, and names the slices.
    MissingPackageError
        Without TensorStore.
    """
    array, metadata, lost, own = _open(text)
    dtype = np.dtype(array.dtype.numpy_dtype)
    fetch = Layers(text, array, memory).fetch
    yield Reader(array.shape, dtype, fetch, metadata, lost, own=own)


def open_array(text: str, strict: bool = False) -> Boxes:
    """Open a store to read boxes of it.

    Parameters
    ----------
    text : str
        As :func:`open_volume` takes it.
    strict : bool
        A chunk that the store lacks is an error, and not its fill value.

    Raises
    ------
    SpecError, FileError, MissingPackageError
        As :func:`open_volume` does.
    """
    array, metadata, lost, own = _open(text, strict)
    layout = array.chunk_layout.read_chunk.shape
    chunk = tuple(int(n or whole) for n, whole in zip(layout, array.shape, strict=True))

    def fetch(box: Box) -> Labels:
        part = f"its voxels {boxes.spelled(box)} (x, y, z, counted from the first)"
        with telling(text, part):
            labels: Labels = array[boxes.slices_of(box)].read(order="C").result()
            return labels

    dtype = np.dtype(array.dtype.numpy_dtype)
    return Boxes(array.shape, dtype, chunk, fetch, metadata, lost, own)


def _open(text: str, strict: bool = False) -> tuple[Any, Metadata, tuple[str, ...], Shape]:
    """Open an array of TensorStore's as [z, y, x].

    Also returned are what else the store says, the names of what it says and metadata cannot hold,
    and the array's own shape if it may surprise.
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
    return array, place | found.metadata, tuple(found.lost), own


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
