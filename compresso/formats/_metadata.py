"""What a file says beside its labels: the geometry, and a format's own fields, as JSON.

Whatever a file or a frame holds, nothing here fails: what makes no sense is left out and named.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from compresso.formats._geometry import Geometry

Metadata = dict[str, Any]
#: The most that a frame's description keeps, in bytes of JSON.
LIMIT = 48 << 10
#: Names told in one line.
TOLD = 6
#: The fields of each format that the geometry says too.
PLACED = {
    "nrrd": {
        *("space", "space dimension", "space units", "space directions", "space origin"),
        *("spacings", "units", "axis mins", "axis maxs", "centers"),
    },
    "nifti": {
        *("pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c"),
        *("quatern_d", "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
    },
    "hdf5": {"resolution", "offset", "units", "directions", "world", "element_size_um"},
    "tiff": {
        *("XResolution", "YResolution", "ResolutionUnit", "ome"),
        *("unit", "spacing", "xorigin", "yorigin", "zorigin"),
    },
    "zarr": set(),
    "n5": set(),
}
#: What nobody misses: that the axes are those of space.
USUAL = ("domain domain domain", "space space space")


def make(name: str, fields: dict[str, Any], geometry: Geometry | None) -> Metadata:
    """The metadata of a file of the format ``name``; empty parts are left out."""
    place = {"geometry": geometry.to_json()} if geometry and geometry.is_sane else {}
    return place | ({name: fields} if fields else {})


def own(metadata: Metadata, name: str) -> dict[str, Any]:
    """The fields of the format ``name``; none where another format's file was the source."""
    fields = metadata.get(name)
    return fields if isinstance(fields, dict) else {}


def geometry_of(metadata: Metadata) -> Geometry | None:
    """The geometry; None where there is none, or it makes no sense."""
    try:
        geometry = Geometry.from_json(metadata.get("geometry"))
    except ValueError:
        return None
    return geometry if geometry.is_sane else None


def sliced(metadata: Metadata, z: int) -> Metadata:
    """That of the slices from ``z`` on: they begin elsewhere."""
    geometry = geometry_of(metadata)
    if geometry is None:
        return metadata
    try:
        return metadata | {"geometry": geometry.moved(z).to_json()}
    except ValueError:  # beyond all places
        return {key: value for key, value in metadata.items() if key != "geometry"}


def fit(metadata: Metadata, limit: int = LIMIT) -> tuple[Metadata, list[str]]:
    """Leave out the largest fields until the JSON has at most ``limit`` bytes; name them."""
    excess = _size(metadata) - limit
    if excess <= 0:
        return metadata, []
    leaves = sorted(_leaves(metadata), key=lambda leaf: -leaf[2])
    kept = json.loads(json.dumps(metadata))
    lost = []
    for parents, name, size in leaves:
        if excess <= 0:
            break
        part = kept
        for parent in parents:
            part = part[parent]
        del part[name]
        lost.append(name)
        excess -= size
    return kept, lost


def foreign(metadata: Metadata, name: str) -> list[str]:
    """What a file of the format ``name`` cannot hold of the other formats' own fields."""
    lost = []
    for kind in metadata:
        if kind not in PLACED and kind != "geometry":
            lost.append(kind)
        elif kind in PLACED and kind != name:
            fields = {n: v for n, v in own(metadata, kind).items() if v not in USUAL}
            for parents, leaf, _ in _leaves(fields):
                if not PLACED[kind] & {*parents, leaf}:
                    lost.append(" ".join((kind, *parents, leaf)))
    return lost


def unplaced(metadata: Metadata) -> list[str]:
    """What a file that has room for nothing beside the labels cannot hold."""
    place = ["the geometry"] if geometry_of(metadata) else []
    return place + foreign(metadata, "")


def summary(metadata: Metadata) -> str:
    """One line about the geometry, and how many fields there are besides; it may be empty."""
    geometry = geometry_of(metadata)
    parts = [str(geometry)] if geometry else []
    for name in metadata:
        if name != "geometry":
            number = sum(1 for _ in _leaves(own(metadata, name)))
            parts.append(f"{_printable(name)}: {number} field{'s' * (number != 1)}")
    return "; ".join(parts)


def tell(where: object, lost: Iterable[str], why: str = "cannot hold") -> list[str]:
    """One line about what was lost, no line where nothing was."""
    names = list(dict.fromkeys(map(_printable, lost)))
    if not names:
        return []
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return [f"{where}: {why} {', '.join(names[:TOLD])}{more}"]


def _printable(text: str) -> str:
    """A name of anybody's, for a terminal."""
    return text.encode("unicode_escape").decode()[:80]


def _size(value: Any) -> int:
    return len(json.dumps(value))


def _leaves(
    metadata: Metadata, parents: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str, int]]:
    """Where each field is, its name, and about how many bytes it takes."""
    for name, value in metadata.items():
        if isinstance(value, dict) and name != "geometry" and len(parents) < 2 and value:
            yield from _leaves(value, (*parents, name))
        elif name != "geometry":
            yield parents, name, _size(name) + _size(value) + len(": ")
