"""The base class of kinds of stores, what it is given, and what it finds."""

import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from compresso.codec import Plugin, Registry
from compresso.errors import SpecError
from compresso.volumes._client import Client
from compresso.volumes._metadata import Geometry, Metadata
from compresso.volumes.volume import Box, format_box

RANGES = re.compile("x".join([r"\s*(-?\d+)-(-?\d+)\s*"] * 3))
#: TensorStore would otherwise check at every read that its cache is current.
ONCE = {"recheck_cached_data": "open", "recheck_cached_metadata": "open"}


class Ranges(tuple[tuple[int, int], ...]):
    """Ranges along x, y and z, written as ``0-512x0-512x0-64``; empty for everything."""

    def __new__(cls, text: str) -> Self:
        found = RANGES.fullmatch(text.lower())
        ends = [int(number) for number in found.groups()] if found else []
        ranges = list(zip(ends[::2], ends[1::2], strict=True))
        if text and (not ranges or any(a >= b for a, b in ranges)):
            raise ValueError("expected ranges along x, y and z, such as 0-512x0-512x0-64")
        return super().__new__(cls, ranges)

    def __str__(self) -> str:
        return format_box(self[::-1])


@dataclass(frozen=True)
class Selection:
    """A part of a store."""

    mip: int = 0  # the scale; 0 is the finest
    box: Ranges = Ranges("")  # in voxels of that scale, in the store's own coordinates
    axes: str = ""  # the names of the axes in the store's order, such as xyz or czyx
    channel: int = -1  # -1 if not given
    time: int = -1

    def __post_init__(self) -> None:
        if self.mip < 0:
            raise SpecError(f"mip={self.mip}: the finest scale is 0")
        space = "".join(name for name in "zyx" if name in self.axes)
        if self.axes and (
            not space
            or not "zyx".endswith(space)
            or not set(self.axes) <= set("xyzct")
            or len(set(self.axes)) != len(self.axes)
        ):
            raise SpecError(f"axes={self.axes}: expected x, y and z, and c and t if they exist")


@dataclass(frozen=True)
class Location:
    """A folder that is, or should be, a store."""

    text: str  # as the user wrote it
    kvstore: dict[str, Any]  # TensorStore's specification of the folder
    kinds: Sequence["type[Kind]"]  # possible kinds; empty for TensorStore's other formats
    driver: str  # TensorStore's name of that format
    selection: Selection


@dataclass(frozen=True)
class Chunks:
    """The files of an array's chunks."""

    kvstore: dict[str, Any]  # their folder
    box_of: Callable[[str], Box | None]  # along the store's own axes; None for other files
    whole: bool = True  # whether a file has all of its voxels, so that its size means something


@dataclass(frozen=True)
class Found:
    """An array in a store, and all that its format says about it."""

    array: Any  # a TensorStore
    #: Its axes if nothing names them, including those that may be missing: ``tczyx``, ``xyzct``.
    usual: str
    #: Names, voxel sizes with units, and positions of index 0, for each axis or each spatial axis;
    #: empty if TensorStore knows them.
    names: Sequence[str] = ()
    spacing: Sequence[tuple[float | None, str | None]] = ()
    shift: Sequence[float] = ()
    #: All other fields, by the name of the format, and the names of those that are lost.
    metadata: Metadata = field(default_factory=dict)
    lost: Sequence[str] = ()
    #: The position of index 0, if the store has it for [z, y, x].
    geometry: Geometry | None = None
    chunks: Chunks | None = None


@dataclass(frozen=True)
class Kind(Plugin):
    """A kind of store. A subclass is one file in this folder and is not listed anywhere."""

    #: The names of the documents that mark it; the first is that of an array.
    markers: ClassVar[tuple[str, ...]]
    #: A document that marks a group without one of these.
    inside: ClassVar[str] = ""
    #: The prefixes of addresses, as in ``zarr://``, and the endings of folders.
    schemes: ClassVar[tuple[str, ...]]
    suffixes: ClassVar[tuple[str, ...]] = ()
    #: TensorStore's name, if it knows the kind.
    driver: ClassVar[str] = ""

    @abstractmethod
    def find(self, client: Client, location: Location, document: dict[str, Any]) -> Found:
        """Find the selected array; raises FileError.

        ``document`` is the JSON file that marks this kind of store; it is untrusted.
        """

    def open(self, client: Client, kvstore: dict[str, Any], **settings: Any) -> Any:
        """Open an array with TensorStore; raises FileError."""
        return client.open({"driver": self.driver, "kvstore": kvstore, **ONCE, **settings})


_registry = Registry("compresso.volumes", Kind, "store")  # type: ignore[type-abstract]


def kinds() -> list[type[Kind]]:
    """Return all kinds, in the order in which a folder is tested for them: Zarr 3 before 2."""
    return list(_registry.classes.values())[::-1]
