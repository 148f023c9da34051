"""What a file says beside its labels: the geometry, and a format's own fields, as JSON.

Whatever a file or a frame holds, nothing here fails: what makes no sense is left out and named.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from compresso.volumes._geometry import Geometry

Metadata = dict[str, Any]
Path = tuple[str, ...]
#: The most that a frame's description keeps, in bytes of JSON.
LIMIT = 48 << 10
#: Names told in one line.
TOLD = 6
#: The fields of each format that the geometry contains, and the part of it that must be known.
PLACED: dict[str, dict[str, str]] = {
    "nrrd": {
        **{"space": "world", "space units": "unit", "units": "unit", "space dimension": ""},
        **dict.fromkeys(("space directions", "spacings", "axis maxs"), "steps"),
        **{"space origin": "origin", "axis mins": "origin", "centers": ""},
    },
    "nifti": {
        **{"sizeof_hdr": "", "pixdim": "", "xyzt_units": "unit"},
        **dict.fromkeys(("quatern_b", "quatern_c", "quatern_d"), "steps"),
        **dict.fromkeys(("qoffset_x", "qoffset_y", "qoffset_z"), "steps"),
        **dict.fromkeys(("srow_x", "srow_y", "srow_z"), "steps"),
    },
    "hdf5": {
        **{"offset": "origin", "units": "unit", "world": "world"},
        **dict.fromkeys(("resolution", "directions", "element_size_um"), "steps"),
    },
    "tiff": {
        **{"ResolutionUnit": "", "unit": "unit"},
        **dict.fromkeys(("XResolution", "YResolution", "ome", "spacing"), "steps"),
        **dict.fromkeys(("xorigin", "yorigin", "zorigin"), "origin"),
    },
    "zarr": {},
    "n5": {},
}
#: Values that need no mention: the axes are those of space, no unit, NIfTI's usual world.
USUAL = {
    "kinds": ("domain domain domain", "space space space"),
    "unit": ("pixel",),
    "sform_code": (1,),
    "qform_code": (1,),
}


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
    sizes = {path: _size(path[-1]) + _size(value) + len(": ") for path, value in _leaves(metadata)}
    kept = json.loads(json.dumps(metadata))
    lost = []
    for (*parents, name), size in sorted(sizes.items(), key=lambda item: -item[1]):
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
    geometry = geometry_of(metadata)
    for kind in metadata:
        if kind not in PLACED and kind != "geometry":
            lost.append(kind)
        elif kind in PLACED and kind != name:
            for path, value in _leaves(own(metadata, kind)):
                if value not in USUAL.get(path[-1], ()) and not _is_placed(kind, path, geometry):
                    lost.append(" ".join((kind, *path)))
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


def _leaves(metadata: Metadata, parents: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Each field: the names that lead to it, and its value."""
    for name, value in metadata.items():
        if isinstance(value, dict) and name != "geometry" and len(parents) < 2 and value:
            yield from _leaves(value, (*parents, name))
        elif name != "geometry":
            yield (*parents, name), value


def _is_placed(kind: str, path: Path, geometry: Geometry | None) -> bool:
    """Whether the geometry contains a field."""
    parts = [PLACED[kind][name] for name in path if name in PLACED[kind]]
    unknown = (None, (None, None, None))
    return any(not part or getattr(geometry, part, None) not in unknown for part in parts)
