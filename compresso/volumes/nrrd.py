"""NRRD, by pynrrd: the SPL atlases."""

import gzip
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import space_axes
from compresso.errors import FileError
from compresso.plugins import require
from compresso.volumes import _metadata
from compresso.volumes._format import (
    DEFLATE,
    Format,
    bytes_of,
    check_room,
    check_writable,
    volume_shape,
)
from compresso.volumes._geometry import Geometry, Vector, unit_of
from compresso.volumes._metadata import Metadata
from compresso.volumes._stream import BLOCK, Numbers, Stream, open_file, skip
from compresso.volumes.volume import Volume

#: The two spellings of the fields that tell where the data are.
DATA_FILE = ("data file", "datafile")
LINE_SKIP = ("line skip", "lineskip")
BYTE_SKIP = ("byte skip", "byteskip")
#: How each encoding is read, and how many bytes a byte of it can stand for, at most.
ENCODINGS = {
    "raw": ("raw", 1),
    **dict.fromkeys(("gzip", "gz"), ("gzip", DEFLATE)),
    **dict.fromkeys(("bzip2", "bz2"), ("bz2", 1 << 21)),
    **dict.fromkeys(("ascii", "text", "txt"), ("text", 8)),
}


class Nrrd(Format):
    """A text header, and labels from the first to the last, in the same file or beside it.

    gzip and bzip2 have checksums, raw and text none. There must be as many labels as promised, and
    no more.
    """

    name = "NRRD"
    suffixes = (".nrrd", ".nhdr")
    magic = (b"NRRD",)

    @contextmanager
    def open(self, path: Path, inner: str) -> Iterator[Volume]:
        """Open an NRRD file; its axes, x first, become [z, y, x]."""
        nrrd = require("nrrd", "pynrrd", "this file")
        text, header, start = _header(path)
        missing = [
            name for name in ("type", "dimension", "encoding", "sizes") if name not in header
        ]
        if missing:
            raise ValueError(f"its header has no {missing[0]}")
        own = tuple(int(n) for n in header["sizes"][::-1])
        if len(own) != header["dimension"]:
            raise ValueError(f"its header has {len(own)} sizes for {header['dimension']} axes")
        dtype = np.dtype(nrrd.reader._determine_datatype(header))
        if len(own) == 4 and own[-1] > 1 and b"\nSegment0_" in text:
            raise FileError(
                f"{path}: has {own[-1]} layers of segments that overlap, and a volume has one "
                "label per voxel. Export each layer by itself, or one labelmap (in 3D Slicer)"
            )
        shape = volume_shape(path, own, dtype)
        encoding = header["encoding"].lower()
        if encoding not in ENCODINGS:
            raise ValueError(f"its encoding {encoding} is none of {', '.join(ENCODINGS)}")
        kind, ratio = ENCODINGS[encoding]
        data = _data_file(path, header)
        start = _skip_lines(data, 0 if data != path else start, _field(header, LINE_SKIP))
        after = _field(header, BYTE_SKIP)
        check_room(bytes_of(shape, dtype), max(0, data.stat().st_size - start), ratio)
        if after == -1:  # the labels are the last bytes
            after = _length(data, kind, start) - bytes_of(shape, dtype)
        if after < 0:
            raise EOFError(f"it promises {bytes_of(shape, dtype)} bytes of labels, and has less")

        def opener() -> io.BufferedIOBase:
            file = open_file(data, "raw" if kind == "text" else kind, start)
            skip(file, after)
            return Numbers(file, dtype) if kind == "text" else file

        stream = Stream(opener, shape, dtype)
        try:
            axes = [len(own) - 1 - axis for axis in reversed(space_axes(own))]
            said = read_metadata(text, axes, len(own))
            yield Volume(shape, dtype, stream.fetch, *said, own=own)
        finally:
            stream.close()

    def files(self, path: Path) -> tuple[Path, ...]:
        """The header, and the data where they are beside it."""
        data = _data_file(path, _header(path)[1])
        return (path,) if data == path else (path, data)

    def write(
        self,
        path: Path,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        parts: Iterable[NDArray[Any]],
        metadata: Metadata,
    ) -> list[str]:
        """Write an NRRD file, packed with gzip, its axes x first."""
        if path.suffix.lower() == ".nhdr":
            raise FileError(".nhdr files are headers without data; write an .nrrd file")
        check_writable(path, shape, dtype)
        fields = {
            "type": dtype.name,
            "dimension": 3,
            "sizes": " ".join(map(str, shape[::-1])),
            "endian": "little",
            "encoding": "gzip",
        }
        magic, more, lost = header_lines(metadata)
        lines = [magic, *(f"{name}: {value}" for name, value in fields.items()), *more]
        with path.open("wb") as file:
            file.write("".join(f"{line}\n" for line in [*lines, ""]).encode("latin-1"))
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed:
                for part in parts:
                    packed.write(np.ascontiguousarray(part, dtype.newbyteorder("<")).data)
        return lost


def _field(header: Any, names: tuple[str, str], default: Any = 0) -> Any:
    """A field in one of its two spellings."""
    return header.get(names[0], header.get(names[1], default))


def _header(path: Path) -> tuple[bytes, Any, int]:
    """A file's header as text and as pynrrd reads it, and where it ends."""
    nrrd = require("nrrd", "pynrrd", "this file")
    with path.open("rb") as file:
        text = header(file)
        return text, nrrd.read_header(storage(text)), file.tell()


def _data_file(path: Path, header: Any) -> Path:
    """The file of the data; raises FileError where it is in another folder, or one of several."""
    name = _field(header, DATA_FILE, None)
    if name is None:
        return path
    data = path.parent / str(name)
    if data.name in ("LIST", "") or data.resolve().parent != path.parent.resolve():
        raise FileError(f"{path}: its data file {name} is not beside it, and is not opened")
    if not data.is_file():
        raise FileError(f"{path}: its data file {name} is not there")
    return data


def _skip_lines(data: Path, start: int, count: int) -> int:
    """Where the data begin behind so many lines; they are never packed."""
    with data.open("rb") as file:
        file.seek(start)
        for _ in range(count):
            if not file.readline():
                raise EOFError(f"it has less than the {count} lines to skip")
        return file.tell()


def _length(data: Path, kind: str, start: int) -> int:
    """Bytes of the data, unpacked; raises ValueError for text."""
    if kind == "raw":
        return data.stat().st_size - start
    if kind == "text":
        raise ValueError("byte skip: -1 is not for text")
    with open_file(data, kind, start) as file:
        return sum(map(len, iter(lambda: file.read(BLOCK), b"")))


#: How many numbers a field has: of each axis (3), as vectors (9), or of all (1).
NUMBERS = {"spacings": 3, "thicknesses": 3, "axis mins": 3, "axis maxs": 3, "space dimension": 1}
NUMBERS |= {"min": 1, "max": 1, "old min": 1, "old max": 1}
VECTORS = {"space directions": 3, "space origin": 1, "measurement frame": None}
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
#: What is between name and value of a custom field, and of a key.
MARKS = {"custom": ": ", "keys": ":="}
WORLDS = {"left-posterior-superior": "LPS", "right-anterior-superior": "RAS"}
NAMES = {world: name for name, world in WORLDS.items()}
LAS = "left-anterior-superior"
FLOAT = r"[+-]?(?:nan|inf(?:inity)?|(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)"
EXTENT = re.compile(r"Segment\d+_Extent")
EXTENT_NUMBERS = re.compile(r"-?\d{1,9}( -?\d{1,9}){5}", re.ASCII)
ANY_VECTOR = re.compile(rf"none|\(\s*{FLOAT}(?:\s*,\s*{FLOAT})*\s*\)", re.I)
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
        kind, name, _ = _parsed(line.decode("latin-1"))
        if kind == "field" and _short(name) in STORAGE:
            found.append(line)
    return found


def read_metadata(
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
    others: dict[str, dict[str, str]] = {kind: {} for kind in MARKS}
    lost = []
    for line in header.decode("latin-1").split("\n")[1:]:
        kind, name, value = _parsed(line.removesuffix("\r"))
        short = _short(name)
        if kind in MARKS and _line(kind, name, value) is None:
            lost.append(name)
        elif kind in MARKS:
            others[kind][name] = value
        elif kind == "field" and short in FIELDS:
            fields[FIELDS[short]] = value
    if rank != 3:
        fields = {name: _of_volume(name, value, axes, rank) for name, value in fields.items()}
    sound = {name: value for name, value in fields.items() if _makes_sense(name, value)}
    lost += [name for name in fields if name not in sound]
    sound |= {kind: found for kind, found in others.items() if found}
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


def header_lines(metadata: Metadata) -> tuple[str, list[str], list[str]]:
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
    lost = [name for name in own if name not in fields and name not in MARKS]
    place = _metadata.geometry_of(metadata)
    if place is not None and place != geometry(fields):
        moved = fields | ({"space origin": _text(place.origin)} if place.origin else {})
        others = {name: value for name, value in fields.items() if name not in GEOMETRIC}
        fields = moved if place == geometry(moved) else others | render(place, bool(own))
    order = (*GEOMETRIC, *(name for name in fields if name not in GEOMETRIC))
    found = [f"{name}: {fields[name]}" for name in order if name in fields]
    for kind in MARKS:
        for name, value in _metadata.own(own, kind).items():
            line = _line(kind, name, value)
            if line is None:
                lost.append(f"{kind} {name}")
            else:
                found.append(line)
    magic = "NRRD0005" if "measurement frame" in fields else "NRRD0004"
    return magic, found, lost + _metadata.foreign(metadata, "nrrd")


def sliced(fields: dict[str, Any], z0: int, z1: int) -> dict[str, Any]:
    """The fields of slices z0..z1-1: a segment of 3D Slicer has an extent in voxels."""
    keys = dict(_metadata.own(fields, "keys"))
    for key, value in keys.items():
        if EXTENT.fullmatch(key) and isinstance(value, str) and EXTENT_NUMBERS.fullmatch(value):
            *plane, low, high = map(int, value.split())
            low, high = max(low, z0) - z0, min(high, z1 - 1) - z0
            numbers = [*plane, low, high] if low <= high else [0, -1] * 3  # as Slicer has nothing
            keys[key] = " ".join(map(str, numbers))
    return fields | ({"keys": keys} if keys else {})


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


def _line(kind: str, name: str, value: Any) -> str | None:
    """The line of a key or a custom field; None if other programs may take it for another one."""
    line = f"{name}{MARKS[kind]}{value}"
    sound = _is_line(line) and _short(name) not in STORAGE and _parsed(line) == (kind, name, value)
    return line if sound else None


def _parsed(line: str) -> tuple[str, str, str]:
    """What a line of a header is, ``field``, ``custom`` (field), ``keys`` or nothing; name; value.

    A key ends where the first ``:=`` is, but a field of the format is one whatever its value has.
    """
    name, mark, value = line.partition(":")
    key, is_key, text = line.partition(":=")
    if line.startswith("#") or not mark:
        return "", "", ""
    known = _short(name) in STORAGE or _short(name) in FIELDS
    if is_key and (name == key or not known):
        return "keys", key, text
    return "field" if known else "custom", name, value.strip()


def _makes_sense(name: str, value: Any) -> bool:
    """Whether a reader of the file will understand the field."""
    if not isinstance(value, str) or name not in FIELDS.values() or not _is_line(value):
        return False
    try:
        if name in NUMBERS:
            return len(_numbers(value)) == NUMBERS[name]
        if name in VECTORS:
            return _are_vectors(value, VECTORS[name])
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


def _are_vectors(text: str, count: int | None) -> bool:
    """Whether a text has so many vectors of one length, or, for None, as many as that length."""
    found = ANY_VECTOR.findall(text)
    lengths = {vector.count(",") + 1 for vector in found if vector.startswith("(")}
    wanted = max(lengths, default=3) if count is None else count
    return len(lengths) <= 1 and len(found) == wanted and not ANY_VECTOR.sub("", text).strip()


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
