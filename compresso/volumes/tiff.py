"""TIFF stacks, by tifffile: pages, and the metadata of ImageJ, OME and tifffile itself."""

import io
import json
import logging
import math
import re
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np

from compresso.arrays import Labels
from compresso.errors import FileError
from compresso.volumes import _format, _metadata
from compresso.volumes._format import Format
from compresso.volumes._metadata import Geometry, Metadata, common_unit, lost_if_invalid, unit_of
from compresso.volumes.volume import Volume

#: The largest number of bytes per compressed byte, by the number of the compression.
RATIOS = {1: 1, 5: 2600, 8: _format.DEFLATE, 32773: 64, 32946: _format.DEFLATE}
LARGEST_RATIO = 1 << 16
#: Labels of more bytes are written as BigTIFF, which ImageJ itself does not read.
CLASSIC = (1 << 32) - (1 << 25)
#: The attributes of OME that count pages.
OME_SIZES = {"SizeZ", "SizeC", "SizeT"}
OME_COUNTS = OME_SIZES | {"FirstZ", "FirstC", "FirstT", "IFD", "NumPlanes", "PlaneCount"}


class Tiff(Format):
    """Pages, of which those of one series are the slices, in the series' own order."""

    name = "TIFF"
    suffixes = (".tif", ".tiff")
    magic = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    key = "tiff"
    geometry_fields = (
        *("XResolution", "YResolution", "ResolutionUnit", "unit", "spacing"),
        *("xorigin", "yorigin", "zorigin"),
    )
    default_values: ClassVar = {"unit": ("pixel",)}
    holds_several = True

    @contextmanager
    def open(self, path: Path, inner: str) -> Iterator[Volume]:
        """Open a series of a TIFF file; ``inner`` is its number if there are several."""
        import tifffile

        size = path.stat().st_size
        with io.BufferedReader(_Anonymous(path)) as disk:
            with _warnings_as_errors():
                file = tifffile.TiffFile(disk, _multifile=False)
                series = _choose(path, file, inner)
                shape, start = _shape(path, series), series.dataoffset
                fields = read_metadata(series.keyframe.tags, int(inner or 0))
            dtype = np.dtype(series.dtype)
            if start is None:

                def fetch(start: int, stop: int) -> Labels:
                    labels = np.empty((stop - start, *shape[1:]), dtype)
                    with _warnings_as_errors():
                        for z in range(start, stop):
                            plane = _page(series, z, size).asarray()
                            labels[z - start] = plane.reshape(shape[1:])
                    return labels

                yield Volume(shape, dtype, fetch, *fields)
                return
            # One run of bytes, of which some programs describe only the first slice.
            dtype = dtype.newbyteorder(file.byteorder)
            with _format.stream(path, shape, dtype, start=start, last=False) as follow:
                yield Volume(shape, dtype, follow, *fields)

    def write(self, path: Path, volume: Volume, parts: Iterable[Labels]) -> list[str]:
        """Write a TIFF file, one page per slice, compressed with zlib."""
        import tifffile

        every, first, lost = tags(volume)
        dtype = volume.dtype.newbyteorder("=")
        options = {"shape": volume.shape[1:], "dtype": dtype}
        options |= {"compression": "zlib", "metadata": None}
        big = _format.bytes_of(volume.shape, dtype) > CLASSIC
        with tifffile.TiffWriter(path, bigtiff=big) as file:
            for number, page in enumerate(chain.from_iterable(parts)):
                file.write(page, **options | (every if number else first))
        return lost

    def sliced(self, fields: Metadata, z0: int, z1: int) -> Metadata:
        """Return the fields with ImageJ's labels of these slices."""
        imagej = _metadata.own(fields, "IJMetadata")
        labels = imagej.get("Labels")
        if not isinstance(labels, list):
            return fields
        return fields | {"IJMetadata": imagej | {"Labels": labels[z0:z1]}}


# -- pages ----------------------------------------------------------------------------------------


class _Anonymous(io.FileIO):
    """A file that hides its folder from tifffile, which could open other files there."""

    def fileno(self) -> int:
        """Raise an error, as a file without a number does."""
        raise io.UnsupportedOperation("fileno")


@contextmanager
def _warnings_as_errors() -> Iterator[None]:
    """Raise ValueError for damage that tifffile only logs, such as pages read as zeros."""
    thread, log = threading.get_ident(), logging.getLogger("tifffile")
    messages: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        ours = record.thread == thread and record.levelno >= logging.WARNING
        messages.extend([record.getMessage()] * ours)
        return not ours

    log.addFilter(keep)
    try:
        yield
    finally:
        log.removeFilter(keep)
    if messages:
        raise ValueError(messages[0])


def _choose(path: Path, file: Any, inner: str) -> Any:
    """Return the series to read; raises FileError if several exist and none is named."""
    _check_chain(file)
    if file.is_ome:
        _check_ome(file)
    series = file.series
    if file.is_ome and series[0].kind != "ome":
        raise FileError(f"{path}: its OME metadata lead to other files, which are not opened")
    if sum(len(level) for each in series for level in each.levels) < len(file.pages):
        raise ValueError("its metadata promise fewer slices than it has pages")
    kinds = {(each.kind, each.axes, each.keyframe.hash) for each in series}
    if not inner and len(series) > 1 == len(kinds) and series[0].axes == "YX":
        # Single pages that were appended to the file one by one.
        first, pages = series[0], [each.keyframe for each in series]
        return type(first)(pages, (len(pages), *first.shape), first.dtype, "ZYX", kind=first.kind)
    if (inner or len(series) > 1) and not (inner.isdecimal() and int(inner) < len(series)):
        found = [f"{i} of {each.dtype.name} {each.shape}" for i, each in enumerate(series)]
        problem = f"no series {inner}" if inner else "several series"
        raise _format.several(path, problem, found, len(series) - 1)
    return series[int(inner or 0)]


def _check_chain(file: Any) -> None:
    """Raise EOFError if the chain of pages is cut, and ValueError if it is a circle.

    tifffile takes the first for the last page, and follows the second for ever.
    """
    disk, form, found = file.filehandle, file.tiff, set()
    offset = file.pages.first.offset
    while offset:
        if offset in found:
            raise ValueError("its pages follow one another in a circle")
        found.add(offset)
        try:
            disk.seek(offset)
            (number,) = struct.unpack(form.tagnoformat, disk.read(form.tagnosize))
            disk.seek(offset + form.tagnosize + number * form.tagsize)
            (offset,) = struct.unpack(form.offsetformat, disk.read(form.offsetsize))
        except struct.error:
            raise EOFError("it ends before its last page") from None


def _check_ome(file: Any) -> None:
    """Raise ValueError if OME promises more pages than exist; tifffile would allocate them."""
    most = len(file.pages) * file.pages.first.samplesperpixel
    for element in ElementTree.fromstring(file.ome_metadata).iter():
        counts = {name: int(n) for name, n in element.attrib.items() if name in OME_COUNTS}
        planes = math.prod(n for name, n in counts.items() if name in OME_SIZES)
        if max(planes, *counts.values(), 0) > most:
            raise ValueError(f"its OME metadata promise more than {most} pages")


def _shape(path: Path, series: Any) -> tuple[int, int, int]:
    """Return slices, rows and columns; raises FileError for other images than volumes."""
    page, whole = series.keyframe, series.get_shape(False)
    plane = (page.imagelength, page.imagewidth)
    others = [n for n, axis in zip(whole, series.get_axes(False), strict=True) if axis not in "YX"]
    depth = math.prod(others)
    one_depth = sum(n > 1 for n in others) <= 1 and page.imagedepth == 1 and not series.transform
    if page.samplesperpixel != 1 or not one_depth:
        raise FileError(
            f"{path}: an image of shape {series.shape} ({series.axes}) is not a volume of labels. "
            "Write a stack of pages without colours, channels and times."
        )
    pages = depth if series.is_truncated else len(series)
    if pages != depth or math.prod(whole) != depth * math.prod(plane):
        raise ValueError(f"its metadata promise {whole}, but it has {len(series)} pages of {plane}")
    return (depth, *plane)


def _page(series: Any, z: int, size: int) -> Any:
    """Return the page of a slice, whose strips and tiles must all exist in the file's bytes."""
    page = series[z]
    if page is None:
        raise EOFError(f"slice {z} is missing")
    if page.is_frame and not page.is_virtual:
        page = page.aspage()  # with all its tags, not those of the first
        if page.hash != series.keyframe.hash:
            raise ValueError(f"slice {z} has another format than the others")
    count = 1 if page.is_contiguous else math.prod(page.keyframe.chunked)
    sizes = (page.nbytes,) if page.is_contiguous else page.databytecounts[:count]
    offsets = page.dataoffsets[:count]
    if not len(offsets) == len(sizes) == count or any(
        not at or not n or at + n > size for at, n in zip(offsets, sizes, strict=True)
    ):
        raise EOFError(f"slice {z} is incomplete")
    packing = max(1, 8 * series.dtype.itemsize // page.keyframe.bitspersample)
    ratio = RATIOS.get(page.keyframe.compression, LARGEST_RATIO)
    _format.check_room(page.nbytes, sum(sizes), ratio * packing)
    return page


# -- reading metadata -----------------------------------------------------------------------------

#: Tags with a line of text that are kept, and all tags that are.
TEXTS = {"DocumentName": 269, "Make": 271, "Model": 272, "Software": 305, "DateTime": 306}
TEXTS |= {"Artist": 315, "HostComputer": 316, "Copyright": 33432}
#: The tags that programs write if no resolution is known.
NOTHING = {"XResolution": [1, 1], "YResolution": [1, 1], "ResolutionUnit": 1}
KEPT = {*TEXTS, *NOTHING, "PhotometricInterpretation", "Orientation", "ColorMap"}
#: Values that every viewer assumes: black is 0, or a palette; the first row is the top one.
USUAL = {"PhotometricInterpretation": (1, 3), "Orientation": (1,), "Software": ("tifffile.py",)}
#: Tags that say how the pixels are stored and what values they have; each file has its own.
STORAGE = {
    *(254, 255, 256, 257, 258, 259, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288),
    *(289, 292, 293, 297, 317, 322, 323, 324, 325, 338, 339, 340, 341, 347, 32997, 32998, 50838),
    50839,
}
ORIENTATION, IMAGEJ = 274, 50839
#: ImageJ's metadata that are not bytes of its own objects.
IMAGEJ_FIELDS = ("Info", "Labels", "LUTs", "Properties", "Ranges")
#: The values of ResolutionUnit.
NO_UNIT, INCH, CM = 1, 2, 3
UNITS = {INCH: "inch", CM: "cm"}
#: Numerators and denominators have 32 bits.
LARGEST_TERM = 2**32 - 1
#: ImageJ's lines and tifffile's JSON that count pages; each file has its own.
COUNTS = {"ImageJ", "images", "slices", "channels", "frames", "hyperstack", "mode", "loop"}
SHAPE = ("shape", "axes", "truncated")
ORIGINS = ("zorigin", "yorigin", "xorigin")
SIZES = ("PhysicalSizeZ", "PhysicalSizeY", "PhysicalSizeX")


def read_metadata(found: Any, number: int = 0) -> tuple[Metadata, list[str]]:
    """Return the metadata in tifffile's tags of the first page, and the names of lost fields.

    ``number`` is the index of an image of OME.
    """
    codes = {tag.name: tag.code for tag in found if tag.code not in STORAGE}
    tags = {name: _json(partial(found.valueof, code)) for name, code in codes.items()}
    text = tags.pop("ImageDescription", None)
    text = text if isinstance(text, str) else ""
    kept = {name: value for name, value in tags.items() if name in KEPT and value is not None}
    lost = [f"tag {name}" for name in tags if name not in kept]
    fields = {name: value for name, value in kept.items() if value not in USUAL.get(name, ())}
    resolution = {name: fields.pop(name) for name in NOTHING if name in fields}
    if "XResolution" in resolution and resolution != NOTHING:
        fields |= resolution
    imagej: dict[str, Any] = {}
    with suppress(*_metadata.INVALID):
        imagej = dict(found.valueof(IMAGEJ) or {})
    values = {name: _json(partial(imagej.get, name)) for name in IMAGEJ_FIELDS}
    if imagej:
        fields["IJMetadata"] = {name: value for name, value in values.items() if value}
        lost += [f"ImageJ's {name}" for name in imagej if not values.get(name)]
    if text.startswith("ImageJ="):
        lines = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
        fields["imagej"] = {name: value for name, value in lines.items() if name not in COUNTS}
    elif re.search(r"<(\w+:)?OME\b", text):
        pixels: list[Any] = []
        with suppress(ElementTree.ParseError):
            parts = ElementTree.fromstring(text).iter()
            pixels = [part.attrib for part in parts if part.tag.endswith("Pixels")]
        sizes = pixels[number] if number < len(pixels) else {}
        units = [unit_of(sizes.get(f"{name}Unit", "um")) for name in SIZES]
        spacing, unit = common_unit([_size(sizes.get(name)) for name in SIZES], units)
        lost.append("OME-XML other than the voxels' size")
        with suppress(ValueError):
            return _metadata.make("tiff", fields, Geometry.along_axes(spacing, None, unit)), lost
    else:
        fields["ImageDescription"] = text
        if text.startswith('{"shape"'):  # as tifffile and we write
            with suppress(ValueError, RecursionError):
                found = json.loads(text, parse_constant=str)
                fields["ImageDescription"] = found.pop("ImageDescription", "")
                fields["shaped"] = {n: value for n, value in found.items() if n not in SHAPE}
        fields = {name: value for name, value in fields.items() if value or value == 0}
    return _metadata.make("tiff", fields, geometry(fields)), lost


def geometry(fields: dict[str, Any]) -> Geometry | None:
    """Return the spacing and origin in the fields; None without them."""
    try:
        imagej = _metadata.own(fields, "imagej")
        pairs = [_pair(fields.get(name)) for name in ("YResolution", "XResolution")]
        y, x = (pair and pair[0] and pair[1] / pair[0] for pair in pairs)
        spacing = [_size(imagej.get("spacing")), y, x]
        unit = UNITS.get(fields.get("ResolutionUnit", INCH))
        unit = unit_of(imagej["unit"]) if "unit" in imagej else unit
        origin = None
        if all(spacing) and any(name in imagej for name in ORIGINS):
            at = [float(imagej.get(name, 0)) for name in ORIGINS]
            z, y, x = (0.0 - a * (n or 0) for a, n in zip(at, spacing, strict=True))
            origin = (x, y, z) if any(at) else None
        return Geometry.along_axes(spacing, origin, unit)
    except _metadata.INVALID:
        return None


def _json(read: Callable[[], Any]) -> Any:
    """Return what a function returns as JSON; None if that is damaged or of another kind."""
    with suppress(*_metadata.INVALID):
        text = json.dumps(read(), allow_nan=False, default=lambda item: item.tolist())
        return json.loads(text)
    return None


def _size(text: Any) -> float | None:
    """Return the positive, finite number of a text; None for any other text."""
    try:
        number = float(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 < number < math.inf else None


def _pair(value: Any) -> tuple[int, int] | None:
    """Return numerator and denominator of a tag; None if they are invalid."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    over, under = value
    sound = all(type(n) is int and 0 <= n <= LARGEST_TERM for n in value)
    return (over, under) if sound and under else None


# -- writing metadata -----------------------------------------------------------------------------


def tags(volume: Volume) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Return tifffile's arguments for writing a page and the first page, and lost fields."""
    fields = _metadata.own(volume.metadata, "tiff")
    lost = Tiff().lost_fields(volume.metadata)
    place = _metadata.geometry_of(volume.metadata)
    if place is not None and place != geometry(fields):
        placed = render(place, lost)
        placed["imagej"] = _metadata.own(fields, "imagej") | placed["imagej"]
        fields = fields | placed
    inverted = fields.get("PhotometricInterpretation") == 0
    every: dict[str, Any] = {"photometric": "miniswhite" if inverted else "minisblack"}
    every["extratags"] = []
    if "ColorMap" in fields:
        with lost_if_invalid(lost, "ColorMap"):
            size = 1 << 8 * volume.dtype.itemsize
            colours = np.array(fields["ColorMap"], np.uint16).reshape(3, size)
            every |= {"photometric": "palette", "colormap": colours}
    turned = fields.get("Orientation", 1)
    if turned in range(2, 9):
        every["extratags"].append((ORIENTATION, "H", 1, int(turned), False))
    elif turned != 1:
        lost.append("Orientation")
    resolution = [_pair(fields.get(name)) for name in ("XResolution", "YResolution")]
    if None not in resolution:
        unit = fields.get("ResolutionUnit", INCH)
        every["resolution"] = tuple(resolution)
        every["resolutionunit"] = int(unit) if unit in (INCH, CM) else NO_UNIT
    texts = {name: fields[name] for name in TEXTS if name in fields}
    lines = {n: t.encode() for n, t in texts.items() if isinstance(t, str) and t.isprintable()}
    lost += [name for name in texts if name not in lines]
    first = every | {"software": lines.pop("Software", None)}
    first["description"] = _description(fields, volume.shape, lost)
    first["extratags"] = [
        *every["extratags"],
        *_imagej_tags(_metadata.own(fields, "IJMetadata"), lost),
        *((TEXTS[name], "s", 0, line, True) for name, line in lines.items()),
    ]
    return every, first, lost


def render(place: Geometry, lost: list[str]) -> dict[str, Any]:
    """Return the fields for a geometry, in cm; add the names of lost fields to ``lost``."""
    place = place.in_unit("cm")
    z, y, x = place.spacing
    pairs = {"XResolution": _rational(x), "YResolution": _rational(y)}
    if (x and not pairs["XResolution"]) or (y and not pairs["YResolution"]):
        lost.append("the spacing of x and y")
    imagej = {"unit": place.unit} if place.unit else {}
    if z:
        imagej["spacing"] = repr(z)
    plain = place.in_world("LPS") if place.world else place
    if plain.is_plain and None not in plain.spacing:
        # ImageJ's origins are the voxel, counted from the first, at the world's 0.
        at = zip(ORIGINS, (plain.origin or (0, 0, 0))[::-1], plain.spacing, strict=True)
        imagej |= {name: repr(0.0 - n / (step or 1)) for name, n, step in at if n}
    else:
        lost += ["the axes' directions"] * (not plain.is_plain)
        lost += ["the origin"] * (place.origin is not None)
    return {"ResolutionUnit": CM if place.unit else NO_UNIT, **pairs, "imagej": imagej}


def _imagej_tags(fields: dict[str, Any], lost: list[str]) -> Sequence[Any]:
    """Return the tags of ImageJ's metadata for tifffile."""
    from tifffile.tifffile import imagej_metadata_tag as pack

    found = {}
    for name, value in fields.items():
        with lost_if_invalid(lost, f"ImageJ's {name}"):
            if name == "LUTs":
                value = list(np.array(value, np.uint8).reshape(-1, 3, 256))
            if name not in IMAGEJ_FIELDS or not pack({name: value}, "<"):
                raise ValueError("not ImageJ's")
            found[name] = value
    tags: Sequence[Any] = pack(found, "<")
    return tags


def _description(fields: dict[str, Any], shape: Sequence[int], lost: list[str]) -> bytes:
    """Return a description with the number of slices."""
    if "imagej" in fields:
        counts = {"ImageJ": "1.54f", "images": shape[0], "slices": shape[0]}
        lines = counts | _metadata.own(fields, "imagej") | {"loop": "false"} | counts
        found = [f"{name}={value}\n" for name, value in lines.items()]
        sound = [line for line in found if len(line.splitlines()) == 1 and "\0" not in line]
        lost += [n for n in ("ImageDescription", "shaped") if n in fields]
        lost += ["ImageJ's lines"] * (len(sound) < len(found))
        return "".join(sound).encode("utf-8", "replace")
    about: dict[str, Any] = {"shape": list(shape)}  # like the beginning of tifffile's own files
    more = _metadata.own(fields, "shaped")
    about |= {name: value for name, value in more.items() if name not in SHAPE}
    if "ImageDescription" in fields:
        about["ImageDescription"] = fields["ImageDescription"]
    return json.dumps(about).encode()


def _rational(step: float | None) -> list[int] | None:
    """Return the pixels per unit of a step as a tag; None if a tag cannot hold them."""
    if not step:
        return None
    limit = min(LARGEST_TERM, int(LARGEST_TERM / step)) if step > 1 else LARGEST_TERM
    near = Fraction(step).limit_denominator(max(1, limit))
    if not 0 < near.numerator <= LARGEST_TERM or abs(float(near) - step) > 1e-6 * step:
        return None
    return [near.denominator, near.numerator]
