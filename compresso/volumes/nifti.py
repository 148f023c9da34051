"""NIfTI, by nibabel: MRI segmentations."""

import gzip
import io
import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from compresso.volumes._geometry import Geometry
from compresso.volumes._metadata import Metadata
from compresso.volumes._stream import Stream, open_file, skip
from compresso.volumes.volume import Volume

GZIP = b"\x1f\x8b"


class Nifti(Format):
    """A header, and labels from the first to the last; no checksum but gzip's.

    The length must be what the header says.
    """

    name = "NIfTI"
    suffixes = (".nii", ".nii.gz")
    magic = tuple(size.to_bytes(4, order) for size in (348, 540) for order in ("little", "big"))

    def begins(self, path: Path, head: bytes) -> bool:
        """Whether it is gzip, or the size of a header."""
        return head.startswith(GZIP if path.suffix.lower() == ".gz" else self.magic)

    @contextmanager
    def open(self, path: Path, inner: str) -> Iterator[Volume]:
        """Open a NIfTI file; its axes, x first, become [z, y, x]."""
        packed = path.suffix.lower() == ".gz"
        encoding = "gzip" if packed else "raw"
        with open_file(path, encoding) as file:
            header = _header(file.read(540))
        own, dtype = tuple(header.get_data_shape()[::-1]), header.get_data_dtype()
        shape = volume_shape(path, own, dtype, others=range(len(own) - 3))
        if header.get_slope_inter() not in ((None, None), (1, 0)):
            raise FileError(f"{path}: its header scales the labels; they must be plain integers")
        start = float(header["vox_offset"])
        if not header.single_vox_offset <= start < math.inf or start % 1:
            raise ValueError(f"its labels cannot begin at byte {start}")
        room = max(0, path.stat().st_size - (0 if packed else int(start)))
        check_room(bytes_of(shape, dtype), room, DEFLATE if packed else 1)
        with open_file(path, encoding) as file:
            skip(file, header.sizeof_hdr)
            extensions = file.read(min(int(start) - header.sizeof_hdr, EXTENSIONS))

        def opener() -> io.BufferedIOBase:
            file = open_file(path, encoding)
            skip(file, int(start))
            return file

        stream = Stream(opener, shape, dtype)
        try:
            said = read_metadata(header, extensions)
            yield Volume(shape, dtype, stream.fetch, *said, own=own)
        finally:
            stream.close()

    def write(
        self,
        path: Path,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        parts: Iterable[NDArray[Any]],
        metadata: Metadata,
    ) -> list[str]:
        """Write a NIfTI file, packed with gzip where its name ends so."""
        check_writable(path, shape, dtype)
        nibabel = require("nibabel", "nibabel", "this file")
        longer = needs_version_2(metadata, shape)
        kind = nibabel.Nifti2Header if longer else nibabel.Nifti1Header
        header = kind(endianness="<")
        try:
            header.set_data_dtype(dtype)
            header.set_data_shape(shape[::-1])
        except nibabel.spatialimages.HeaderDataError as error:
            raise FileError(f"NIfTI files cannot hold the volume ({error})") from None
        extensions, lost = fill(header, metadata)
        header["vox_offset"] = header.sizeof_hdr + len(extensions)
        with path.open("wb") as disk, ExitStack() as opened:
            file: Any = disk
            if path.suffix.lower() == ".gz":
                packed = gzip.GzipFile("", "wb", compresslevel=6, fileobj=disk, mtime=0)
                file = opened.enter_context(packed)
            file.write(header.binaryblock + extensions)
            for part in parts:
                file.write(np.ascontiguousarray(part, dtype.newbyteorder("<")).data)
        return lost


def _header(data: bytes) -> Any:
    """The header of version 1 or 2, in the byte order of its first field, its own size."""
    nibabel = require("nibabel", "nibabel", "this file")
    for kind in (nibabel.Nifti1Header, nibabel.Nifti2Header):
        for order in ("little", "big"):
            size = kind.sizeof_hdr
            if int.from_bytes(data[:4], order) == size <= len(data):
                header = kind(data[:size], "<" if order == "little" else ">", check=False)
                if not header["magic"].item().startswith(kind.single_magic[:3]):
                    raise ValueError("its labels are in another file")
                return header
    raise ValueError("it has no NIfTI header")


#: Fields that say how the data are stored; each file has its own.
STORAGE = {
    *("dim", "datatype", "bitpix", "vox_offset", "scl_slope", "scl_inter", "magic"),
    *("eol_check", "unused_str", "data_type", "extents", "session_error", "regular"),
}
#: The lengths that a header can name, by the lowest three bits of ``xyzt_units``.
UNITS = {1: "m", 2: "mm", 3: "um"}
#: The lengths that are written in um where no world is known; the others are in mm.
SMALL = ("nm", "angstrom", "pm")
#: What a position may be off, in steps, by the 32-bit floats of the header.
EXACT = 1e-2
CODES = range(1, 6)  # of the worlds that a header can name
SCANNER = 1
EXTENSION = struct.Struct("<ii")  # bytes of all, code
#: The most of the extensions that is read, in bytes.
EXTENSIONS = 1 << 20
VERSION_2 = 540  # bytes of its header
#: The largest axis of NIfTI-1.
LONGEST = 32767
#: What the metadata say, and a header has no field for.
BESIDE = ("sizeof_hdr", "extensions", "qform")


def read_metadata(header: Any, tail: bytes = b"") -> tuple[Metadata, list[str]]:
    """What nibabel's header says, and the names of what cannot be kept.

    Only fields that differ from an empty header's are kept; bytes become the characters of their
    number, and numbers that are not finite become words. ``tail`` is what is between the header and
    the labels: its extensions. ``qform`` says that the qform is another place than the sform,
    which is the geometry.
    """
    empty = type(header)(endianness=header.endianness)
    fields: dict[str, Any] = {}
    for name in header.keys():  # noqa: SIM118 - a header is no dict
        value = np.asarray(header[name])
        if name not in STORAGE and value.tobytes() != np.asarray(empty[name]).tobytes():
            fields[name] = _to_json(value)
    if header.sizeof_hdr == VERSION_2:
        fields["sizeof_hdr"] = VERSION_2
    if _has_two_places(header):
        fields["qform"] = "differs from the sform"
    extensions, lost = _unpack(tail, header.endianness)
    if extensions:
        fields["extensions"] = extensions
    return _metadata.make("nifti", fields, geometry(header)), lost


def needs_version_2(metadata: Metadata, shape: Sequence[int]) -> bool:
    """Whether a volume must have a header of NIfTI-2: its source had one, or an axis is long."""
    size = _metadata.own(metadata, "nifti").get("sizeof_hdr")
    return size == VERSION_2 or max(shape) > LONGEST


def fill(header: Any, metadata: Metadata) -> tuple[bytes, list[str]]:
    """Set a little-endian header to say the same.

    Returns
    -------
    extensions : bytes
        What follows the header: the mark of extensions, and they.
    lost : list of str
        What it cannot hold.
    """
    own = _metadata.own(metadata, "nifti")
    lost = [name for name, value in own.items() if not _set(header, name, value)]
    try:
        with np.errstate(all="ignore"):
            header.get_best_affine()
    except _errors():  # nibabel could not load the file
        header["qform_code"] = header["sform_code"] = 0
        header["pixdim"][1:4] = np.abs(header["pixdim"][1:4])
        lost.append("an affine that makes no sense")
    extensions, more = _pack(own.get("extensions", []))
    place, old = _metadata.geometry_of(metadata), geometry(header)
    if place is not None and place != old:
        moved = old if old and _is_moved(old, place) else None
        lost += _move(header, moved, place) if moved else _place(header, place)
    return extensions, lost + more + _metadata.foreign(metadata, "nifti")


def geometry(header: Any) -> Geometry | None:
    """Where a header says the volume is: its sform, else its qform, else only its steps."""
    unit = UNITS.get(int(header["xyzt_units"]) & 7)
    try:
        with np.errstate(all="ignore"):
            affine = header.get_sform(coded=True)[0]
            if affine is None:
                affine = header.get_qform(coded=True)[0]
        if affine is None:
            spacing = [abs(float(n)) for n in header["pixdim"][3:0:-1]]
            known = unit or spacing != [1, 1, 1]  # what an empty header says
            return Geometry.along_axes(spacing, None, unit) if known else None
        x, y, z, origin = (tuple(map(float, column)) for column in affine[:3].T)
        return Geometry((z, y, x), origin, "RAS", unit)  # type: ignore[arg-type]
    except _errors():
        return None


def _errors() -> tuple[type[Exception], ...]:
    """What nibabel raises for affines that are none."""
    nibabel = require("nibabel", "nibabel", "this file")
    return (ValueError, ArithmeticError, nibabel.spatialimages.HeaderDataError)


def _place(header: Any, place: Geometry) -> list[str]:
    """Set the affines, the steps and the unit; return what the header cannot hold."""
    if place.unit not in UNITS.values():
        place = place.in_unit("um" if place.unit in SMALL and not place.world else "mm")
    number = next((n for n, name in UNITS.items() if name == place.unit), 0)
    header["xyzt_units"] = int(header["xyzt_units"]) & ~7 | number
    names = ("z", "y", "x")
    lost = [f"an unknown step along {n}" for n, s in zip(names, place.steps, strict=True) if not s]
    z, y, x = (1.0 if n is None else n for n in place.spacing)
    header["pixdim"][1:4] = x, y, z
    codes = [int(header["sform_code"]), int(header["qform_code"])]
    code = next((number for number in codes if number in CODES), SCANNER)
    header["qform_code"] = header["sform_code"] = 0
    if place.world is None and place.origin is None and place.is_plain:
        return lost
    if not place.is_solid:
        return [*lost, "axes that do not span space"]
    affine = place.in_world("RAS").affine()
    header.set_sform(affine, code=code)
    if place.is_orthogonal:
        header.set_qform(affine, code=code)
    return lost + _inexact(header, affine)


def _is_moved(old: Geometry, new: Geometry) -> bool:
    """Whether a header's affine must only be moved; ``old`` has a world where there is one."""
    return bool(old.world) and old.is_solid and replace(old, origin=new.origin) == new


def _move(header: Any, old: Geometry, new: Geometry) -> list[str]:
    """Move the sform and the qform by the same voxels; return what the header cannot hold."""
    lost = []
    affine = new.affine()
    voxels = np.linalg.solve(affine[:3, :3], affine[:3, 3] - old.affine()[:3, 3])
    sform = header.get_sform(coded=True)[0]
    if sform is not None:
        for name, row in zip("xyz", sform[:3], strict=True):
            header[f"srow_{name}"][3] = row[:3] @ voxels + row[3]
    try:
        qform = header.get_qform(coded=True)[0]
    except _errors():
        header["qform_code"], qform = 0, None
        lost.append("a qform that makes no sense")
    if qform is not None:
        for name, row in zip("xyz", qform[:3], strict=True):
            header[f"qoffset_{name}"] = row[:3] @ voxels + row[3]
    return lost + _inexact(header, affine)


def _inexact(header: Any, affine: Any) -> list[str]:
    """Whether the header's floats are too short for the origin of its affine."""
    off = np.abs(header.get_best_affine()[:3, 3] - affine[:3, 3]).max()
    short = off > EXACT * np.linalg.norm(affine[:3, :3], axis=0).min()
    return ["all digits of the origin"] * bool(short)


def _has_two_places(header: Any) -> bool:
    """Whether there are a sform and a qform, and they differ."""
    try:
        with np.errstate(all="ignore"):
            sform, qform = (get(coded=True)[0] for get in (header.get_sform, header.get_qform))
            if sform is None or qform is None:
                return False
            off = np.abs(sform - qform).max()
            return not off <= EXACT * np.linalg.norm(sform[:3, :3], axis=0).min()
    except _errors():
        return True


def _to_json(value: Any) -> Any:
    if value.dtype.kind == "S":
        return value.tobytes().rstrip(b"\0").decode("latin-1")
    items = [n if np.isfinite(n) else str(n) for n in value.ravel().tolist()]
    return items if value.ndim else items[0]


def _set(header: Any, name: str, value: Any) -> bool:
    """Set a field; tell whether it could be."""
    if name in BESIDE:
        return name != "extensions" or isinstance(value, list)
    if name in STORAGE or name not in header.keys():  # noqa: SIM118
        return False
    old = header[name]
    try:
        if old.dtype.kind == "S":
            header[name] = value.encode("latin-1")
            return bool(len(value) <= old.dtype.itemsize)
        items = [float(n) if isinstance(n, str) else n for n in np.ravel(value).tolist()]
        with np.errstate(over="ignore"):
            new = np.array(items, old.dtype).reshape(old.shape)
        if new.dtype.kind != "f" and new.ravel().tolist() != items:
            return False
        header[name] = new
    except (AttributeError, TypeError, ValueError, OverflowError):
        return False
    return True


def _unpack(tail: bytes, order: str) -> tuple[list[list[Any]], list[str]]:
    """The codes and texts of the extensions, and their sizes where the texts do not say them.

    A text has no zeros at its end; its size is that of all the extension.
    """
    found: list[list[Any]] = []
    at = 4
    while tail[:1] > b"\0" and tail[at:].strip(b"\0"):
        if at + EXTENSION.size > len(tail):
            return found, ["more extensions"]
        size, code = struct.unpack_from(f"{order}ii", tail, at)
        if not EXTENSION.size <= size <= len(tail) - at:
            return found, [f"an extension of code {code} and {size} bytes"]
        text = tail[at + EXTENSION.size : at + size].rstrip(b"\0")
        longer = [size] * (size != _padded(EXTENSION.size + len(text)))
        found.append([code, text.decode("latin-1"), *longer])
        at += size
    return found, []


def _pack(extensions: Any) -> tuple[bytes, list[str]]:
    """Extensions as a file has them, each padded to a multiple of 16 bytes."""
    packed, lost = b"", []
    for item in extensions if isinstance(extensions, list) else []:
        try:
            code, text, *sizes = item
            content = text.encode("latin-1")
            size = _padded(max(EXTENSION.size + len(content), *sizes, 0))
            if size > EXTENSIONS:
                raise ValueError("too large")
            packed += (EXTENSION.pack(size, code) + content).ljust(size, b"\0")
        except (AttributeError, TypeError, ValueError, struct.error):
            lost.append("an extension")
    return (b"\1\0\0\0" if packed else b"\0\0\0\0") + packed, lost


def _padded(size: int) -> int:
    return -(-size // 16) * 16
