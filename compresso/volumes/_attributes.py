"""What the attributes of an array of Zarr or N5 say: where it lies, and anything else."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from compresso.volumes._kind import numbers
from compresso.volumes._metadata import Metadata

#: Attributes with the size of a voxel, and the unit that they imply.
SIZES = {"resolution": None, "voxel_size": None, "pixelResolution": None, "element_size_um": "um"}

Spacing = list[tuple[float | None, str | None]]


@dataclass(frozen=True)
class Place:
    """Where an array lies: a number for each axis, or for each axis of space in the same order.

    Parameters
    ----------
    spacing : list of (float or None, str or None)
        The size of a voxel and its unit; empty if unknown.
    shift : list of float
        The position of index 0; empty if unknown.
    names : collection of str
        The attributes that say so.
    """

    spacing: Spacing
    shift: Sequence[float]
    names: Collection[str]


def place_of(attributes: dict[str, Any], rank: int, sizes: Collection[str] = tuple(SIZES)) -> Place:
    """Read ``resolution``, ``voxel_size`` or their like, ``units`` and ``offset``; anybody's.

    Parameters
    ----------
    attributes : dict
    rank : int
        How many axes the array has.
    sizes : collection of str
        Those of ``SIZES`` that may be read.
    """
    names = []
    spacing: Spacing = []
    for name in sizes:
        value = attributes.get(name)
        said = value if isinstance(value, dict) else {"dimensions": value}  # n5-viewer's form
        if steps := _row(said.get("dimensions"), rank):
            units = said.get("unit") or SIZES[name] or attributes.get("units")
            words = units if isinstance(units, list) else [units] * len(steps)
            words = words if len(words) == len(steps) else [None] * len(steps)
            spacing = [
                (n, None if w is None else str(w)) for n, w in zip(steps, words, strict=True)
            ]
            names += [name, "units"]
            break
    shift = _row(attributes.get("offset"), rank)
    return Place(spacing, shift, [*names, *(["offset"] if shift else [])])


def fields_of(attributes: dict[str, Any], known: Collection[str]) -> tuple[Metadata, list[str]]:
    """Return the attributes that are not in ``known``, and the names of those JSON cannot hold.

    What OME groups as ``ome`` since its version 0.5 is taken apart.
    """
    ome = attributes.get("ome")
    if isinstance(ome, dict):
        rest = {name: value for name, value in attributes.items() if name != "ome"}
        return fields_of(rest | ome, {*known, "version"})
    fields, lost = {}, []
    for name, value in attributes.items():
        if name not in known:
            try:
                json.dumps(value, allow_nan=False)
                fields[name] = value
            except (ValueError, RecursionError):
                lost.append(name)
    return fields, lost


def _row(value: object, rank: int) -> list[float]:
    """The numbers of all axes, or of those of space; none for anything else."""
    try:
        return numbers(value, 3 if isinstance(value, list) and len(value) == 3 else rank)
    except (ValueError, OverflowError):
        return []
