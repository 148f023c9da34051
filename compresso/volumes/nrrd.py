"""NRRD, by pynrrd: the SPL atlases."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from compresso.arrays import Labels, Shape, little_endian, space_axes
from compresso.errors import FileError
from compresso.volumes import _format, _metadata
from compresso.volumes._format import Format
from compresso.volumes._metadata import Geometry, Metadata, Vector, unit_of
from compresso.volumes.volume import Volume

#: How each encoding is read.
ENCODINGS = {"raw": "raw", "gzip": "gzip", "bz2": "bz2", "text": "text"}
ENCODINGS |= {"gz": "gzip", "bzip2": "bz2", "ascii": "text", "txt": "text"}
#: Digits of a label in a text, at most.
DIGITS = 32


class Nrrd(Format):
    """A text header and all labels, in the same file or in one next to it."""

    name = "NRRD"
    suffixes = (".nrrd", ".nhdr")
    magic = (b"NRRD",)
    key = "nrrd"
    kinds = "ui"
    geometry_fields = (
        *("space", "space dimension", "space units", "space directions", "space origin"),
        *("spacings", "units", "axis mins", "axis maxs", "centers"),
    )
    default_values: ClassVar = {"kinds": ("domain domain domain", "space space space")}

    @contextmanager
    def open(self, path: Path, inner: str) -> Iterator[Volume]:
        """Open an NRRD file; its axes, x first, become [z, y, x]."""
        import nrrd

        text, header, start = _header(path)
        if missing := {"type", "dimension", "encoding", "sizes"} - set(header):
            raise ValueError(f"its header has no {min(missing)}")
        own = tuple(int(n) for n in header["sizes"][::-1])
        if len(own) != header["dimension"]:
            raise ValueError(f"its header has {len(own)} sizes for {header['dimension']} axes")
        try:
            dtype = np.dtype(nrrd.reader._determine_datatype(header))
        except KeyError:
            raise ValueError(f"its type {header['type']} is unknown") from None
        if len(own) == 4 and own[-1] > 1 and b"\nSegment0_" in text:
            raise FileError(
                f"{path}: {own[-1]} layers of overlapping segments, but a volume has one label "
                "per voxel. In 3D Slicer, export each layer by itself, or one labelmap."
            )
        shape = _format.volume_shape(path, own, dtype)
        packing = ENCODINGS.get(header["encoding"].lower())
        if packing is None:
            raise ValueError(f"its encoding must be one of {', '.join(ENCODINGS)}")
        data = _data_file(path, header)
        start = _skip_lines(data, 0 if data != path else start, header.get("lineskip", 0))
        skip = header.get("byteskip", 0)
        axes = [len(own) - 1 - axis for axis in reversed(space_axes(own))]
        fields = read_metadata(text, axes, len(own))
        if skip == -1 and packing != "text":  # the labels are the last bytes
            with _format.unpacked(data, packing, start) as file:
                length = sum(map(len, iter(lambda: file.read(1 << 20), b"")))
            skip = length - _format.bytes_of(shape, dtype)
        if skip < 0:
            raise EOFError("it has fewer labels than its header says")
        if packing == "text":
            labels = _read_text(data, start + skip, shape, dtype)
            yield Volume(shape, dtype, lambda a, b: labels[a:b], *fields, own=own)
            return
        with _format.stream(data, shape, dtype, packing, start, skip) as fetch:
            yield Volume(shape, dtype, fetch, *fields, own=own, whole=packing != "raw")

    def files(self, path: Path) -> tuple[Path, ...]:
        """Return the header, and the data file if there is one."""
        data = _data_file(path, _header(path)[1])
        return (path,) if data == path else (path, data)

    def write(self, path: Path, volume: Volume, parts: Iterable[Labels]) -> list[str]:
        """Write an NRRD file, packed with gzip, its axes x first."""
        if path.suffix.lower() == ".nhdr":
            raise FileError(".nhdr files are headers without data. Write an .nrrd file.")
        magic, more, lost = header_lines(volume.metadata)
        sizes = " ".join(map(str, volume.shape[::-1]))
        lines = [magic, f"type: {volume.dtype.name}", "dimension: 3", f"sizes: {sizes}"]
        lines += ["endian: little", "encoding: gzip", *more, ""]
        with path.open("wb") as file:
            file.write("".join(f"{line}\n" for line in lines).encode("latin-1"))
            with _format.packer(file) as packed:
                packed.writelines(map(little_endian, parts))
        return lost

    def sliced(self, fields: Metadata, z0: int, z1: int) -> Metadata:
        """Cut the extents in voxels of 3D Slicer's segments."""
        keys = dict(_metadata.own(fields, "keys"))
        for key, value in keys.items():
            if EXTENT.fullmatch(key) and isinstance(value, str) and SIX_NUMBERS.fullmatch(value):
                *plane, low, high = map(int, value.split())
                low, high = max(low, z0) - z0, min(high, z1 - 1) - z0
                numbers = [*plane, low, high] if low <= high else [0, -1] * 3  # Slicer's nothing
                keys[key] = " ".join(map(str, numbers))
        return fields | ({"keys": keys} if keys else {})


# -- data -----------------------------------------------------------------------------------------


def _header(path: Path) -> tuple[bytes, Any, int]:
    """Return a header, its fields about storage as pynrrd reads them, and its length."""
    import nrrd

    with path.open("rb") as file:
        text = b"".join(iter(lambda: b"" if (line := file.readline()).isspace() else line, b""))
        magic, *lines = text.decode("latin-1").split("\n")
        fields = [(name, value) for kind, name, value in map(_parsed, lines) if kind == "field"]
        storage = [f"{name}: {value}" for name, value in fields if name in STORAGE]
        return text, nrrd.read_header([magic, *storage]), file.tell()


def _data_file(path: Path, header: Any) -> Path:
    """Return the file of the data; raises FileError unless it is one file in the same folder."""
    name = header.get("datafile")
    if name is None:
        return path
    data: Path = path.parent / name
    if name == "LIST" or data.resolve().parent != path.parent.resolve() or not data.is_file():
        raise FileError(
            f"{path}: its data must be in one file next to the header; {name} is not, or is missing"
        )
    return data


def _skip_lines(data: Path, start: int, count: int) -> int:
    """Return the position after the given number of lines, which are never packed."""
    with data.open("rb") as file:
        file.seek(start)
        for _ in range(count):
            if not file.readline():
                raise EOFError(f"it has fewer than the {count} lines to skip")
        return file.tell()


def _read_text(data: Path, start: int, shape: Shape, dtype: np.dtype[Any]) -> Labels:
    """Read labels that are written as a text, all at once."""
    text = data.read_bytes()[start:]
    words = text.split()
    if not text[-1:].isspace():
        raise EOFError("its text must end with the end of a line; it may be cut")
    if len(words) != math.prod(shape) or max(map(len, words), default=0) > DIGITS:
        raise ValueError(f"its text is not made of {math.prod(shape)} integers")
    labels: Labels = np.array(words, "S").astype(dtype).reshape(shape)
    return labels


# -- reading metadata -----------------------------------------------------------------------------

#: The shapes of numbers for a volume; all other fields are texts.
SHAPES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("spacings", "thicknesses", "axis mins", "axis maxs", "space origin"), (3,)),
    **dict.fromkeys(("space directions", "measurement frame"), (3, 3)),
    **dict.fromkeys(("space dimension", "min", "max", "old min", "old max"), ()),
}
TEXTS = ("space", "content", "sample units", "space units", "centers", "kinds", "labels", "units")
#: Every field that is kept, by its name without spaces; the others describe the data.
FIELDS = {name.replace(" ", ""): name for name in (*SHAPES, *TEXTS)} | {"centerings": "centers"}
#: Fields that say how the data are stored; each file has its own.
STORAGE = {
    *("type", "dimension", "sizes", "endian", "encoding"),
    *("datafile", "lineskip", "byteskip", "blocksize", "number"),
}
#: Fields with a word for each axis, and the word for an axis that the file does not have.
EACH = dict.fromkeys(("spacings", "thicknesses", "axis mins", "axis maxs"), "nan")
EACH |= {"space directions": "none", "kinds": "???", "centers": "???"}
EACH |= {"labels": '""', "units": '""'}
LINE = re.compile(r"[^\r\n\u0100-\U0010ffff]*")
WORD = re.compile(r'"[^"]*"|\([^)]*\)|\S+')
FLAT = re.compile(r"\(([^,()]+,[^,()]+)\)")  # a vector of a plane
SPACES = re.compile(r"(?<=[(,])\s+|\s+(?=[,)])")  # in vectors
#: The signs between name and value of a custom field, and of a key.
MARKS = {"custom": ": ", "keys": ":="}
WORLDS = {"left-posterior-superior": "LPS", "right-anterior-superior": "RAS"}
NAMES = {world: name for name, world in WORLDS.items()}
EXTENT = re.compile(r"Segment\d+_Extent")
SIX_NUMBERS = re.compile(r"-?\d{1,9}( -?\d{1,9}){5}", re.ASCII)


def read_metadata(
    header: bytes, axes: Sequence[int] = (0, 1, 2), rank: int = 3
) -> tuple[Metadata, list[str]]:
    """Return the metadata of a header, and the names of lost fields.

    Bytes become Latin-1, so that every text comes back unchanged. ``axes`` are those of the file's
    ``rank`` axes, x first, that are the volume's.
    """
    fields: dict[str, Any] = {}
    others: dict[str, dict[str, str]] = {kind: {} for kind in MARKS}
    lost = []
    for line in header.decode("latin-1").split("\n")[1:]:
        kind, name, value = _parsed(line.removesuffix("\r"))
        if kind in MARKS:
            target, is_sound = others[kind], _line(kind, name, value) is not None
        elif name in FIELDS:
            name = FIELDS[name]
            value = _of_volume(name, value, axes, rank)
            target, is_sound = fields, _is_valid(name, value)
        else:
            continue
        if is_sound:
            target[name] = value
        else:
            lost.append(name)
    fields |= {kind: found for kind, found in others.items() if found}
    return _metadata.make("nrrd", fields, geometry(fields)), lost


def _of_volume(name: str, value: str, axes: Sequence[int], rank: int) -> str:
    """Return the value for the volume of a field of an array of any rank."""
    if SHAPES.get(name) in ((3,), (3, 3)):
        value = SPACES.sub("", value)
    if rank == 3:
        return value
    if name == "space dimension" and value == "2":
        return "3"
    value = FLAT.sub(r"(\1,0)", value)
    words = WORD.findall(value)
    if name not in EACH or len(words) != rank:
        return value
    return " ".join([*(words[axis] for axis in axes), *[EACH[name]] * (3 - len(axes))])


def geometry(fields: dict[str, Any]) -> Geometry | None:
    """Return the geometry in the fields, as ITK understands them; None without one."""
    found = {
        name: _understood(name, fields[name]) for name in Nrrd.geometry_fields if name in fields
    }
    is_world = "space directions" in found or "space origin" in found
    units = found.get("space units" if is_world else "units")
    unit = unit_of(units[0]) if units and len(set(units)) == 1 else None
    try:
        if not is_world:
            spacing = found.get("spacings", np.full(3, np.nan))
            origin = None
            if "axis mins" in found:  # corners of the first voxel, but its centre with "node"
                kinds = [*str(found.get("centers", "")).lower().split(), "", "", ""][:3]
                half = [0.0 if kind == "node" else 0.5 for kind in kinds]
                origin = tuple((found["axis mins"] + half * spacing).tolist())
            return Geometry.along_axes(spacing[::-1].tolist(), origin, unit)
        rows = found.get("space directions", np.full((3, 3), np.nan))
        x, y, z = (None if np.isnan(row).all() else tuple(row.tolist()) for row in rows)
        origin = tuple(found["space origin"].tolist()) if "space origin" in found else None
        place = Geometry((z, y, x), origin, None, unit)
        world = str(found.get("space", "")).lower()
        world = WORLDS.get(world, world.upper())
        if world in ("LAS", "LEFT-ANTERIOR-SUPERIOR"):  # left-handed
            return place.scaled((1, -1, 1), world="LPS")
        return replace(place, world=world if world in NAMES else None)
    except ValueError:
        return None


def _parsed(line: str) -> tuple[str, str, str]:
    """Return the kind of a line of a header, its name and its value.

    The kind is ``field``, whose name is in lower case and without spaces, ``custom`` (field),
    ``keys`` or empty. A key ends at the first ``:=``, but the format's own fields may have it in
    their values.
    """
    name, mark, value = line.partition(":")
    key, is_key, text = line.partition(":=")
    if line.startswith("#") or not mark:
        return "", "", ""
    short = _short(name)
    is_known = short in STORAGE or short in FIELDS
    if is_key and (name == key or not is_known):
        return "keys", key, text
    return ("field", short, value.strip()) if is_known else ("custom", name, value.strip())


def _understood(name: str, value: str) -> Any:
    """Return the value of a field as pynrrd reads it; raises its errors and ValueError."""
    import nrrd

    found = nrrd.read_header(["NRRD0005", f"{name}: {value}"])[name]
    if name in SHAPES and np.shape(found) != SHAPES[name]:
        raise ValueError(f"{name}: not for a volume")
    return found


def _is_valid(name: str, value: Any) -> bool:
    """Whether other programs can read the field."""
    try:
        return name in FIELDS.values() and _is_line(value) and _understood(name, value) is not None
    except Exception:  # pynrrd's own errors are not of one kind
        return False


def _is_line(value: Any) -> bool:
    """Whether a value is one line of Latin-1."""
    return isinstance(value, str) and LINE.fullmatch(value) is not None


def _short(name: str) -> str:
    return name.strip().lower().replace(" ", "")


# -- writing metadata -----------------------------------------------------------------------------


def header_lines(metadata: Metadata) -> tuple[str, list[str], list[str]]:
    """Return the oldest version that has all fields, the lines in Latin-1, and lost fields."""
    own = _metadata.own(metadata, "nrrd")
    fields = {name: value for name, value in own.items() if _is_valid(name, value)}
    lost = [name for name in own if name not in fields and name not in MARKS]
    place = _metadata.geometry_of(metadata)
    if place is not None and place != geometry(fields):
        moved = fields | ({"space origin": _text(place.origin)} if place.origin else {})
        others = {name: value for name, value in fields.items() if name not in Nrrd.geometry_fields}
        fields = moved if place == geometry(moved) else others | render(place, bool(own))
    order = dict.fromkeys((*Nrrd.geometry_fields, *fields))
    found = [f"{name}: {fields[name]}" for name in order if name in fields]
    for kind in MARKS:
        for name, value in _metadata.own(own, kind).items():
            line = _line(kind, name, value)
            found += [line] if line else []
            lost += [] if line else [f"{kind} {name}"]
    magic = "NRRD0005" if "measurement frame" in fields else "NRRD0004"
    return magic, found, lost + Nrrd().lost_fields(metadata)


def render(place: Geometry, own: bool) -> dict[str, str]:
    """Return the fields for a geometry; in mm, as ITK reads them, unless it was NRRD's own."""
    place = place if own else place.in_unit("mm")
    fields = {"space": NAMES[place.world]} if place.world else {"space dimension": "3"}
    if place.unit:
        fields["space units"] = " ".join([f'"{place.unit}"'] * 3)
    if any(place.steps):
        fields["space directions"] = " ".join(map(_text, place.steps[::-1]))
    if place.origin:
        fields["space origin"] = _text(place.origin)
    return fields


def _line(kind: str, name: str, value: Any) -> str | None:
    """Return the line of a key or a custom field; None if programs could misunderstand it."""
    line = f"{name}{MARKS[kind]}{value}"
    sound = _is_line(line) and _short(name) not in STORAGE and _parsed(line) == (kind, name, value)
    return line if sound else None


def _text(vector: Vector | None) -> str:
    return "none" if vector is None else f"({','.join(map(repr, vector))})"
