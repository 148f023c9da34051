"""What a NIfTI header says beside the labels: the affines, their codes, units, and the rest."""

import struct
from typing import Any

import numpy as np

from compresso.formats import _metadata
from compresso.formats._geometry import Geometry
from compresso.formats._metadata import Metadata
from compresso.plugins import require

#: Fields that say how the data are stored; each file has its own.
STORAGE = {
    *("sizeof_hdr", "dim", "datatype", "bitpix", "vox_offset", "scl_slope", "scl_inter", "magic"),
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


def read(header: Any, tail: bytes = b"") -> tuple[Metadata, list[str]]:
    """What nibabel's header says, and the names of what cannot be kept.

    Only fields that differ from an empty header's are kept; bytes become the characters of their
    number, and numbers that are not finite become words. ``tail`` is what is between the header and
    the labels: its extensions.
    """
    empty = type(header)(endianness=header.endianness)
    fields: dict[str, Any] = {}
    for name in header.keys():  # noqa: SIM118 - a header is no dict
        value = np.asarray(header[name])
        if name not in STORAGE and value.tobytes() != np.asarray(empty[name]).tobytes():
            fields[name] = _to_json(value)
    extensions, lost = _unpack(tail, header.endianness)
    if extensions:
        fields["extensions"] = extensions
    return _metadata.make("nifti", fields, geometry(header)), lost


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
    place = _metadata.geometry_of(metadata)
    if place is not None and place != geometry(header):
        lost += _place(header, place)
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
    off = np.abs(affine[:3, 3].astype(np.float32) - affine[:3, 3]).max()
    return [*lost, "all digits of the origin"] if off > EXACT * min(x, y, z) else lost


def _to_json(value: Any) -> Any:
    if value.dtype.kind == "S":
        return value.tobytes().rstrip(b"\0").decode("latin-1")
    items = [n if np.isfinite(n) else str(n) for n in value.ravel().tolist()]
    return items if value.ndim else items[0]


def _set(header: Any, name: str, value: Any) -> bool:
    """Set a field; tell whether it could be."""
    if name == "extensions":
        return isinstance(value, list)
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
    """The codes and texts of the extensions, without their padding."""
    found: list[list[Any]] = []
    at = 4
    while tail[:1] > b"\0" and at + EXTENSION.size <= len(tail):
        size, code = struct.unpack_from(f"{order}ii", tail, at)
        if not EXTENSION.size <= size <= len(tail) - at:
            return found, ["more extensions"]
        text = tail[at + EXTENSION.size : at + size].rstrip(b"\0")
        found.append([code, text.decode("latin-1")])
        at += size
    return found, []


def _pack(extensions: Any) -> tuple[bytes, list[str]]:
    """Extensions as a file has them, each padded to 16 bytes."""
    packed, lost = b"", []
    for item in extensions if isinstance(extensions, list) else []:
        try:
            code, text = item
            content = text.encode("latin-1")
            size = -(-(EXTENSION.size + len(content)) // 16) * 16
            packed += (EXTENSION.pack(size, code) + content).ljust(size, b"\0")
        except (AttributeError, TypeError, ValueError, struct.error):
            lost.append("an extension")
    return (b"\1\0\0\0" if packed else b"\0\0\0\0") + packed, lost
