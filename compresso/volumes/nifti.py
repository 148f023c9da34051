"""NIfTI, by nibabel: MRI segmentations."""

import math
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from compresso.arrays import Labels, little_endian
from compresso.errors import FileError
from compresso.volumes import _format, _metadata
from compresso.volumes._format import Format
from compresso.volumes._metadata import Geometry, Metadata, lost_if_invalid
from compresso.volumes.volume import Volume

GZIP = b"\x1f\x8b"


class Nifti(Format):
    """A header and all labels, without a checksum other than gzip's."""

    name = "NIfTI"
    suffixes = (".nii", ".nii.gz")
    #: gzip's, or the size of a header.
    magic = (GZIP, *(n.to_bytes(4, order) for n in (348, 540) for order in ("little", "big")))
    key = "nifti"
    kinds = "ui"
    geometry_fields = (
        *("sizeof_hdr", "pixdim", "xyzt_units", "quatern_b", "quatern_c", "quatern_d"),
        *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
    )
    default_values: ClassVar = {"sform_code": (1,), "qform_code": (1,)}

    @contextmanager
    def open(self, path: Path, inner: str) -> Iterator[Volume]:
        """Open a NIfTI file; its axes, x first, become [z, y, x]."""
        with path.open("rb") as plain:
            is_packed = plain.read(len(GZIP)) == GZIP
        packing = "gzip" if is_packed else "raw"
        with _format.unpacked(path, packing) as file:
            data = file.read(VERSION_2)
            header = _header(data)
            own, dtype = tuple(header.get_data_shape()[::-1]), header.get_data_dtype()
            shape = _format.volume_shape(path, own, dtype, others=range(len(own) - 3))
            if header.get_slope_inter() not in ((None, None), (1, 0)):
                raise FileError(f"{path}: its header scales the labels; they must be integers")
            start = float(header["vox_offset"])
            if not header.single_vox_offset <= start < math.inf or start % 1:
                raise ValueError(f"its labels cannot begin at byte {start}")
            data += file.read(min(max(0, int(start) - len(data)), EXTENSIONS))
        fields = read_metadata(header, data[header.sizeof_hdr : int(start)])
        with _format.stream(path, shape, dtype, packing, skip=int(start)) as fetch:
            yield Volume(shape, dtype, fetch, *fields, own=own, whole=is_packed)

    def write(self, path: Path, volume: Volume, parts: Iterable[Labels]) -> list[str]:
        """Write a NIfTI file, packed with gzip if its name ends with .gz."""
        import nibabel

        size = _metadata.own(volume.metadata, "nifti").get("sizeof_hdr")
        longer = size == VERSION_2 or max(volume.shape) > LONGEST_AXIS
        header = (nibabel.Nifti2Header if longer else nibabel.Nifti1Header)(endianness="<")
        header.set_data_dtype(volume.dtype)
        header.set_data_shape(volume.shape[::-1])
        extensions, lost = fill(header, volume.metadata)
        header["vox_offset"] = header.sizeof_hdr + len(extensions)
        with path.open("wb") as disk, _format.packer(disk, path.suffix.lower() == ".gz") as file:
            file.write(header.binaryblock + extensions)
            file.writelines(map(little_endian, parts))
        return lost


def _header(data: bytes) -> Any:
    """Return the header of version 1 or 2, whose first field is its own size."""
    import nibabel

    for kind, order in product((nibabel.Nifti1Header, nibabel.Nifti2Header), "<>"):
        size, magic = kind.sizeof_hdr, kind.single_magic[:3]
        header = kind(data[:size].ljust(size, b"\0"), order, check=False)
        if header["sizeof_hdr"] == size and header["magic"].item().startswith(magic):
            return header
    raise ValueError("it does not have a NIfTI header, or its labels are in another file")


# -- metadata -------------------------------------------------------------------------------------

#: Fields that say how the data are stored; each file has its own.
STORAGE = {
    *("dim", "datatype", "bitpix", "vox_offset", "scl_slope", "scl_inter", "magic", "eol_check"),
    *("unused_str", "data_type", "extents", "session_error", "regular"),
}
#: The units of a header, by the lowest three bits of ``xyzt_units``.
UNITS = {1: "m", 2: "mm", 3: "um"}
#: Units that become um if the world is unknown; others become mm.
SMALL = ("nm", "angstrom", "pm")
#: The largest error of a position, in steps, by the 32-bit floats of the header.
EXACT = 1e-2
CODES = range(1, 6)  # of the worlds that a header can name
SCANNER = 1
EXTENSION = struct.Struct("<ii")  # the bytes of an extension, and its code
#: The most bytes of extensions that are read.
EXTENSIONS = 1 << 20
VERSION_2 = 540  # bytes of its header
#: The largest axis of NIfTI-1.
LONGEST_AXIS = 32767


def read_metadata(header: Any, tail: bytes = b"") -> tuple[Metadata, list[str]]:
    """Return the metadata of nibabel's header, and the names of lost fields.

    Only fields that differ from an empty header's are kept. ``tail`` is the content between the
    header and the labels. The geometry is the sform's; ``qform`` marks another qform.
    """
    empty = type(header)(endianness=header.endianness)
    fields: dict[str, Any] = {}
    for name in header.keys():  # noqa: SIM118 - a header is not a dict
        value = np.asarray(header[name])
        if name not in STORAGE and value.tobytes() != np.asarray(empty[name]).tobytes():
            fields[name] = _metadata.to_json(value)
    if header.sizeof_hdr == VERSION_2:
        fields["sizeof_hdr"] = VERSION_2
    place, is_unique = _geometry(header)
    if not is_unique:
        fields["qform"] = "differs from the sform"
    extensions, lost = _unpack(tail, header.endianness)
    if extensions:
        fields["extensions"] = extensions
    return _metadata.make("nifti", fields, place), lost


@np.errstate(all="ignore")  # of an affine that is not finite
def fill(header: Any, metadata: Metadata) -> tuple[bytes, list[str]]:
    """Fill a little-endian header; return the content after it, and the names of lost fields."""
    own = dict(_metadata.own(metadata, "nifti"))
    qform = own.pop("qform", None)
    extensions, lost = _pack(own.pop("extensions", []))
    own.pop("sizeof_hdr", None)
    for name, value in own.items():
        with lost_if_invalid(lost, name):
            if name in STORAGE:
                raise ValueError("not metadata")
            old = header[name]
            header[name] = _metadata.from_json(value, old.dtype).reshape(old.shape)
    try:
        header.get_best_affine()
    except Exception:  # nibabel could not load the file
        header["qform_code"] = header["sform_code"] = 0
        header["pixdim"][1:4] = np.abs(header["pixdim"][1:4])
        lost.append("an invalid affine")
    place = _metadata.geometry_of(metadata)
    if place is not None and place != _geometry(header)[0]:
        lost += ["a qform that differs from the sform"] * bool(qform) + _place(header, place)
    return extensions, lost + Nifti().lost_fields(metadata)


def _geometry(header: Any) -> tuple[Geometry | None, bool]:
    """Return the sform's geometry, else the qform's, else only the spacing; and if it is unique."""
    unit = UNITS.get(int(header["xyzt_units"]) & 7)
    is_unique = False
    try:
        pairs = header.get_sform(coded=True), header.get_qform(coded=True)
        affines = [affine for affine, code in pairs if code]
        is_unique = len(affines) < 2 or _are_close(*affines)
        if not affines:
            spacing = [abs(float(n)) for n in header["pixdim"][3:0:-1]]
            known = unit or spacing != [1, 1, 1]  # which an empty header has
            return Geometry.along_axes(spacing, None, unit) if known else None, True
        x, y, z, origin = (tuple(map(float, column)) for column in affines[0][:3].T)
        return Geometry((z, y, x), origin, "RAS", unit), is_unique  # type: ignore[arg-type]
    except Exception:  # nibabel's own errors are not of one kind
        return None, is_unique


def _are_close(affine: Any, other: Any) -> bool:
    off = np.abs(affine - other).max()
    return bool(off <= EXACT * np.linalg.norm(affine[:3, :3], axis=0).min())


def _place(header: Any, place: Geometry) -> list[str]:
    """Set the affines, the spacing and the unit; return the names of lost fields."""
    if place.unit not in UNITS.values():
        place = place.in_unit("um" if place.unit in SMALL and not place.world else "mm")
    number = next((n for n, name in UNITS.items() if name == place.unit), 0)
    header["xyzt_units"] = int(header["xyzt_units"]) & ~7 | number
    pairs = zip("zyx", place.steps, strict=True)
    lost = [f"an unknown step along {name}" for name, step in pairs if not step]
    header["pixdim"][1:4] = [1.0 if n is None else n for n in place.spacing[::-1]]
    codes = [int(header["sform_code"]), int(header["qform_code"])]
    code = next((number for number in codes if number in CODES), SCANNER)
    header["qform_code"] = header["sform_code"] = 0
    if place.world is None and place.origin is None and place.is_plain:
        return lost
    if not place.is_solid:
        return [*lost, "axes that do not span space"]
    affine = place.in_world("RAS").affine()
    header.set_sform(affine, code=code)
    products = place.directions @ place.directions.T
    if np.allclose(products, np.eye(3), rtol=0, atol=_metadata.TOLERANCE):  # at right angles
        header.set_qform(affine, code=code)
    is_exact = _are_close(affine, header.get_best_affine())
    return lost + ["all digits of the origin"] * (not is_exact)


def _unpack(tail: bytes, order: str) -> tuple[list[list[Any]], list[str]]:
    """Return the code and the content of each extension, and the names of lost ones."""
    found: list[list[Any]] = []
    at = 4
    while tail[:1] > b"\0" and tail[at:].strip(b"\0"):
        size, code = struct.unpack_from(f"{order}ii", tail.ljust(at + EXTENSION.size, b"\0"), at)
        if not EXTENSION.size <= size <= len(tail) - at:
            return found, ["an invalid extension"]
        found.append([code, tail[at + EXTENSION.size : at + size].decode("latin-1")])
        at += size
    return found, []


def _pack(extensions: Any) -> tuple[bytes, list[str]]:
    """Return extensions, each padded to a multiple of 16 bytes, and the names of lost ones."""
    packed, lost = b"", list[str]()
    for item in extensions if isinstance(extensions, list) else [[]]:
        with lost_if_invalid(lost, "an extension"):
            code, text = item
            content = text.encode("latin-1")
            size = -(-(EXTENSION.size + len(content)) // 16) * 16
            if size > EXTENSIONS:
                raise ValueError("too large")
            packed += (EXTENSION.pack(size, code) + content).ljust(size, b"\0")
    return (b"\1\0\0\0" if packed else bytes(4)) + packed, lost
