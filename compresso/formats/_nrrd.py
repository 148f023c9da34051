"""What an NRRD header says beside the labels: space, units, key/value pairs, and the rest."""

import re
from collections.abc import Sequence
from typing import Any, BinaryIO

from compresso.formats import _metadata
from compresso.formats._geometry import Geometry, Vector, unit_of
from compresso.formats._metadata import Metadata

#: How many numbers a field has: of each axis (3), as vectors (9), or of all (1).
NUMBERS = {"spacings": 3, "thicknesses": 3, "axis mins": 3, "axis maxs": 3, "space dimension": 1}
NUMBERS |= {"min": 1, "max": 1, "old min": 1, "old max": 1}
VECTORS = {"space directions": 3, "space origin": 1, "measurement frame": 3}
TEXTS = ("space", "content", "sample units", "space units", "centers", "kinds", "labels", "units")
#: Every field that is kept, by its spelling without spaces; the others describe the data.
FIELDS = {name.replace(" ", ""): name for name in (*NUMBERS, *VECTORS, *TEXTS)}
FIELDS["centerings"] = "centers"
#: Fields that say how the data are stored; each file has its own.
STORAGE = {
    *("type", "dimension", "sizes", "endian", "encoding", "datafile", "lineskip", "byteskip"),
    *("blocksize", "number"),
}
#: Those that say where the volume is, in the order in which they are written.
GEOMETRIC = (
    *("space", "space dimension", "space units", "space directions", "space origin"),
    *("spacings", "units", "axis mins", "axis maxs", "centers"),
)
#: Fields with a word for each axis, and the word for an axis that the file does not have.
EACH = dict.fromkeys(("spacings", "thicknesses", "axis mins", "axis maxs"), "nan")
EACH |= {
    "space directions": "none",
    "kinds": "???",
    "centers": "???",
    "labels": '""',
    "units": '""',
}
WORD = re.compile(r'"[^"]*"|\([^)]*\)|\S+')
FLAT = re.compile(r"\(([^,()]+,[^,()]+)\)")  # a vector of a plane
WORLDS = {"left-posterior-superior": "LPS", "right-anterior-superior": "RAS"}
NAMES = {world: name for name, world in WORLDS.items()}
LAS = "left-anterior-superior"
FLOAT = r"[+-]?(?:nan|inf(?:inity)?|(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)"
VECTOR = re.compile(rf"none|\(\s*({FLOAT})\s*,\s*({FLOAT})\s*,\s*({FLOAT})\s*\)", re.I)


def header(file: BinaryIO) -> bytes:
    """The lines of a header, up to the empty one behind it."""
    lines = []
    for line in file:
        if not line.strip():
            break
        lines.append(line)
    return b"".join(lines)


def storage(header: bytes) -> list[bytes]:
    """The lines of a header that say how the data are stored, behind its magic."""
    magic, *lines = header.split(b"\n")
    found = [magic]
    for line in lines:
        name, _, value = line.partition(b":")
        if _short(name.decode("latin-1")) in STORAGE and not value.startswith(b"="):
            found.append(line)
    return found


def read(
    header: bytes, axes: Sequence[int] = (0, 1, 2), rank: int = 3
) -> tuple[Metadata, list[str]]:
    """What a header's lines say, and the names of what cannot be kept.

    Bytes become the characters of their number, so that every text comes back as it was.

    Parameters
    ----------
    header : bytes
    axes : sequence of int
        Those of the file's axes, x first, that are the volume's.
    rank : int
        The number of the file's axes.
    """
    fields: dict[str, Any] = {}
    keys: dict[str, str] = {}
    lost = []
    for line in header.decode("latin-1").split("\n")[1:]:
        name, mark, value = line.removesuffix("\r").partition(":")
        short = _short(name)
        key = value.startswith("=")
        if line.startswith("#") or not mark or (short in STORAGE and not key):
            continue
        if key and short in STORAGE:  # other programs might take it for the field
            lost.append(name)
        elif key:
            keys[name] = value[1:]
        elif short in FIELDS:
            fields[FIELDS[short]] = value.strip()
        else:
            lost.append(name)
    if rank != 3:
        fields = {name: _of_volume(name, value, axes, rank) for name, value in fields.items()}
    sound = {name: value for name, value in fields.items() if _makes_sense(name, value)}
    lost += [name for name in fields if name not in sound]
    if keys:
        sound["keys"] = keys
    return _metadata.make("nrrd", sound, geometry(sound)), lost


def _of_volume(name: str, value: str, axes: Sequence[int], rank: int) -> str:
    """Return the value that a field of an array of any rank has for its volume."""
    if name == "space dimension" and value == "2":
        return "3"
    value = FLAT.sub(r"(\1,0)", value)
    words = WORD.findall(value)
    if name not in EACH or len(words) != rank:
        return value
    return " ".join([*(words[axis] for axis in axes), *[EACH[name]] * (3 - len(axes))])


def lines(metadata: Metadata) -> tuple[str, list[str], list[str]]:
    """The lines of a header that say the same, after its magic, and what it cannot hold.

    Returns
    -------
    magic : str
        The oldest version that has all fields.
    lines : list of str
        To be written in Latin-1.
    lost : list of str
    """
    own = _metadata.own(metadata, "nrrd")
    fields = {name: value for name, value in own.items() if _makes_sense(name, value)}
    lost = [name for name in own if name not in fields and name != "keys"]
    place = _metadata.geometry_of(metadata)
    if place is not None and place != geometry(fields):
        fields = {n: v for n, v in fields.items() if n not in GEOMETRIC} | render(place, bool(own))
    order = (*GEOMETRIC, *(name for name in fields if name not in GEOMETRIC))
    found = [f"{name}: {fields[name]}" for name in order if name in fields]
    keys = _metadata.own(own, "keys")
    for key, value in keys.items():
        if _is_key(key) and _is_line(value):
            found.append(f"{key}:={value}")
        else:
            lost.append(f"key {key}")
    magic = "NRRD0005" if "measurement frame" in fields else "NRRD0004"
    return magic, found, lost + _metadata.foreign(metadata, "nrrd")


def _is_key(key: str) -> bool:
    """Whether this may be the name of a key, and is no other program's field of the data."""
    return (
        _is_line(key) and not key.startswith("#") and ":" not in key and _short(key) not in STORAGE
    )


def geometry(fields: dict[str, Any]) -> Geometry | None:
    """Where the fields say the volume is, as ITK understands them; None where they do not."""
    try:
        directions = _vectors(fields.get("space directions", "none none none"))
        (origin,) = _vectors(fields.get("space origin", "none"))
        if "space directions" in fields or origin:
            x, y, z = directions
            found = Geometry((z, y, x), origin, None, _one_unit(fields.get("space units", "")))
            return _in_space(found, fields.get("space", "").lower())
        spacing = _numbers(fields.get("spacings", "nan nan nan"))
        units = _one_unit(fields.get("units", ""))
        return Geometry.along_axes(spacing[::-1], _corner(fields, spacing), units)
    except ValueError:
        return None


def render(place: Geometry, own: bool) -> dict[str, str]:
    """The fields of a geometry; in mm, which ITK takes for granted, unless it was NRRD's own."""
    place = place if own else place.in_unit("mm")
    fields = {"space": NAMES[place.world]} if place.world else {"space dimension": "3"}
    if place.unit:
        fields["space units"] = " ".join([f'"{place.unit}"'] * 3)
    if any(place.steps):
        fields["space directions"] = " ".join(map(_text, place.steps[::-1]))
    if place.origin:
        fields["space origin"] = _text(place.origin)
    return fields


def _in_space(place: Geometry, space: str) -> Geometry:
    if space in (LAS, "las"):
        return _mirrored(place)
    world = WORLDS.get(space, space.upper())
    return Geometry(place.steps, place.origin, world if world in NAMES else None, place.unit)


def _mirrored(place: Geometry) -> Geometry:
    """From LAS, which is left-handed, to LPS."""
    z, y, x = (step and (step[0], 0.0 - step[1], step[2]) for step in place.steps)
    at = place.origin and (place.origin[0], 0.0 - place.origin[1], place.origin[2])
    return Geometry((z, y, x), at, "LPS", place.unit)


def _corner(fields: dict[str, Any], spacing: list[float]) -> Vector | None:
    """The first voxel's centre; ``axis mins`` are its corner, unless the centering is ``node``."""
    if "axis mins" not in fields:
        return None
    mins = _numbers(fields["axis mins"])
    kinds = str(fields.get("centers", "")).lower().split()
    kinds += ["cell"] * (3 - len(kinds))
    x, y, z = (
        low if kind == "node" else low + step / 2
        for low, step, kind in zip(mins, spacing, kinds, strict=False)
    )
    return x, y, z


def _one_unit(text: str) -> str | None:
    """The unit of all axes; None where they differ or are unknown."""
    units = set(re.findall(r'"([^"]*)"', text))
    return unit_of(units.pop()) if len(units) == 1 else None


def _makes_sense(name: str, value: Any) -> bool:
    """Whether a reader of the file will understand the field."""
    if not isinstance(value, str) or name not in FIELDS.values() or not _is_line(value):
        return False
    try:
        if name in NUMBERS:
            return len(_numbers(value)) == NUMBERS[name]
        if name in VECTORS:
            return len(_vectors(value)) == VECTORS[name]
    except ValueError:
        return False
    return True


def _is_line(value: Any) -> bool:
    """Whether a value is one line of bytes."""
    if not isinstance(value, str):
        return False
    return all(ord(char) < 256 and char not in "\r\n" for char in value)


def _short(name: str) -> str:
    """A field's name, whatever its spelling."""
    return name.strip().lower().replace(" ", "")


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.split()]


def _vectors(text: str) -> list[Vector | None]:
    """The vectors of a field; raises ValueError for anything else."""
    if VECTOR.sub("", text).strip():
        raise ValueError(f"{text} are no vectors")
    found = VECTOR.findall(text)
    return [(float(x), float(y), float(z)) if x else None for x, y, z in found]


def _text(vector: Vector | None) -> str:
    return "none" if vector is None else f"({','.join(map(repr, vector))})"
