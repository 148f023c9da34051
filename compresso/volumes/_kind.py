"""What a kind of store is: how an array is found in a folder, and what is said of its axes."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from compresso.errors import FileError
from compresso.plugins import Plugin
from compresso.volumes._client import Client
from compresso.volumes._geometry import Geometry
from compresso.volumes._keys import Chunks
from compresso.volumes._location import Location
from compresso.volumes._metadata import Metadata

#: The names of axes, in lower case.
SPACE = ("z", "y", "x")
NAMES = {"c": "channel", "t": "time"}


@dataclass(frozen=True)
class Found:
    """An array in a store.

    Parameters
    ----------
    spec : dict
        How TensorStore opens it.
    usual : str
        Its axes where nothing names them, with those that may be missing: ``tczyx``, ``xyzct``.
    names : sequence of str
        Its axes, as its format names them; empty where TensorStore knows as much.
    spacing : sequence of (float or None, str or None)
        Of each axis, or of each axis of space, and its unit; empty where TensorStore knows as much.
    shift : sequence of float
        Position of index 0 along the same axes, in their units; empty for zeros.
    array : TensorStore, optional
        Where it is open already.
    metadata : dict
        What else the store says, by the name of the format that said it.
    lost : sequence of str
        The names of what it says too, and the metadata cannot hold.
    geometry : Geometry, optional
        Where index 0 lies, if an array [z, y, x] says it all at once.
    chunks : Chunks, optional
        The files that hold its chunks.
    """

    spec: dict[str, Any]
    usual: str
    names: Sequence[str] = ()
    spacing: Sequence[tuple[float | None, str | None]] = ()
    shift: Sequence[float] = ()
    array: Any = None
    metadata: Metadata = field(default_factory=dict)
    lost: Sequence[str] = ()
    geometry: Geometry | None = None
    chunks: Chunks | None = None


@dataclass(frozen=True)
class Kind(Plugin):
    """One kind of store. A class of this is one file in this folder; nothing else lists it."""

    @abstractmethod
    def find(self, client: Client, location: Location, document: dict[str, Any]) -> Found:
        """Find the array that is meant.

        Parameters
        ----------
        client : Client
        location : Location
        document : dict
            What tells the kind, as JSON; anybody's.

        Raises
        ------
        FileError
        """


def check_mip(text: str, mip: int, scales: Sequence[str]) -> None:
    """Raise FileError where there is no such scale."""
    if mip >= len(scales):
        listed = ", ".join(f"mip={number} ({scale})" for number, scale in enumerate(scales[:9]))
        raise FileError(f"{text}: has no scale mip={mip}; it has {listed or 'none'}")


def numbers(value: object, count: int) -> list[float]:
    """A list of so many numbers; raises ValueError for anything else."""
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(f"expected {count} numbers")
    if any(type(item) not in (int, float) for item in value):
        raise ValueError("expected numbers")
    return [float(item) for item in value]
