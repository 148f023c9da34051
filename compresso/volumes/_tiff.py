"""What a TIFF file says beside the labels: resolution, and what ImageJ and OME write of it."""

import html
import json
import math
import re
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from compresso.plugins import require
from compresso.volumes import _metadata
from compresso.volumes._geometry import Geometry, common_unit, unit_of
from compresso.volumes._metadata import Metadata

X_RESOLUTION, Y_RESOLUTION, UNIT, DESCRIPTION = 282, 283, 296, 270
PHOTOMETRIC, ORIENTATION, SOFTWARE, COLOUR_MAP, IMAGEJ = 262, 274, 305, 320, 50839
#: Tags with a line of text that are kept.
TEXTS = {269: "DocumentName", 271: "Make", 272: "Model", SOFTWARE: "Software", 306: "DateTime"}
TEXTS |= {315: "Artist", 316: "HostComputer", 33432: "Copyright"}
#: Values that every viewer assumes: black is 0, or a palette; the first row is the top one.
USUAL = {PHOTOMETRIC: (1, 3), ORIENTATION: (1,), SOFTWARE: ("tifffile.py",)}
#: Tags that say how the pixels are stored and what values they have; each file has its own.
STORAGE = {
    *(254, 255, 256, 257, 258, 259, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288),
    *(289, 292, 293, 297, 317, 322, 323, 324, 325, 338, 339, 340, 341, 347, 32997, 32998, 50838),
}
#: Tags that :func:`read` looks at one by one.
PLACED = {X_RESOLUTION, Y_RESOLUTION, UNIT, DESCRIPTION, IMAGEJ}
#: The metadata of ImageJ that are not bytes of its own objects: how a value becomes JSON's.
IMAGEJ_FIELDS: dict[str, Callable[[Any], Any]] = {
    "Info": str,
    "Labels": lambda labels: labels if isinstance(labels, list) else [labels],
    "LUTs": lambda tables: np.asarray(tables).reshape(-1, 3, 256).tolist(),
    "Properties": dict,
    "Ranges": list,
}
#: What ResolutionUnit means, and its numbers.
NO_UNIT, INCH, CM = 1, 2, 3
UNITS = {INCH: "inch", CM: "cm"}
#: What is written where no resolution is known.
NOTHING = {"XResolution": [1, 1], "YResolution": [1, 1], "ResolutionUnit": NO_UNIT}
#: Numerators and denominators have 32 bits.
LARGEST = 2**32 - 1
#: ImageJ's lines that count pages; each file has its own.
COUNTS = {"ImageJ", "images", "slices", "channels", "frames", "hyperstack", "mode", "loop"}
#: What tifffile's JSON says about the pages; each file has its own.
SHAPE = ("shape", "axes", "truncated")
ORIGINS = ("zorigin", "yorigin", "xorigin")
OME_TYPES = {"u1": "uint8", "u2": "uint16", "u4": "uint32"}
OME_TYPES |= {"i1": "int8", "i2": "int16", "i4": "int32"}
OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
SIZES = ("PhysicalSizeZ", "PhysicalSizeY", "PhysicalSizeX")


def read(tags: Any, number: int = 0) -> tuple[Metadata, list[str]]:
    """What the tags of tifffile's first page say, and the names of what cannot be kept.

    Parameters
    ----------
    tags : tifffile.TiffTags
    number : int
        Which of OME's images it is.
    """
    fields: dict[str, Any] = {}
    lost = []
    for code, name in ((X_RESOLUTION, "XResolution"), (Y_RESOLUTION, "YResolution")):
        value = _tag(tags, code)
        if isinstance(value, tuple) and len(value) == 2:
            fields[name] = [int(n) for n in value]
    if "XResolution" in fields and isinstance(unit := _tag(tags, UNIT), int):
        fields["ResolutionUnit"] = int(unit)
    if fields == NOTHING:
        fields = {}
    for tag in tags:
        if tag.code not in STORAGE | PLACED:
            value = _kept(tag.code, _tag(tags, tag.code))
            if value is None:
                lost.append(f"tag {tag.name}")
            elif value not in USUAL.get(tag.code, ()):
                fields[tag.name] = value
    imagej = _tag(tags, IMAGEJ)
    if isinstance(imagej, dict):
        found = {name: _from_imagej(name, value) for name, value in imagej.items()}
        fields["IJMetadata"] = {name: value for name, value in found.items() if value is not None}
        lost += [f"ImageJ's {name}" for name, value in found.items() if value is None]
    text = _tag(tags, DESCRIPTION)
    if isinstance(text, str) and text.startswith("ImageJ="):
        lines = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
        fields["imagej"] = {name: value for name, value in lines.items() if name not in COUNTS}
    elif isinstance(text, str) and re.search(r"<(\w+:)?OME\b", text):
        fields["ome"] = _sizes(text, number)
        lost.append("OME-XML other than the voxels' size")
    elif isinstance(text, str):
        fields |= _unwrapped(text)
    return _metadata.make("tiff", fields, geometry(fields)), lost


def tags(
    metadata: Metadata, shape: Sequence[int], dtype: np.dtype[Any]
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Arguments for tifffile's ``write`` that say the same.

    Returns
    -------
    every : dict
        Arguments for every page.
    first : dict
        Arguments for the first page, whose description says how many slices there are.
    lost : list of str
        What they cannot hold.
    """
    fields = _metadata.own(metadata, "tiff")
    lost = _metadata.foreign(metadata, "tiff")
    place = _metadata.geometry_of(metadata)
    was = geometry(fields)
    if place is not None and place != was:
        if was is None or _without_origin(place) != _without_origin(was):
            fields, more = render(place)
            lost += more
        elif "imagej" in fields and place.is_plain:
            fields = fields | {"imagej": fields["imagej"] | _origins(place)}
        else:
            lost.append("where its first slice is")
    every, more = _look(fields, dtype)
    lost += more
    resolution = [_pair(fields.get(name)) for name in ("XResolution", "YResolution")]
    if None not in resolution:
        unit = fields.get("ResolutionUnit", INCH)
        every["resolution"] = tuple(resolution)
        every["resolutionunit"] = unit if type(unit) is int and 1 <= unit <= 3 else NO_UNIT
    description, more = _description(fields, shape, dtype)
    lost += more
    texts = {code: fields[name] for code, name in TEXTS.items() if name in fields}
    lost += [TEXTS[code] for code, text in texts.items() if not _is_text(text)]
    lines = {code: text.encode() for code, text in texts.items() if _is_text(text)}
    first = every | {"description": description, "software": lines.pop(SOFTWARE, None)}
    more_tags, more = _imagej_tags(_metadata.own(fields, "IJMetadata"))
    first["extratags"] = [
        *every["extratags"],
        *((code, "s", 0, line, True) for code, line in lines.items()),
        *more_tags,
    ]
    return every, first, lost + more


def sliced(fields: dict[str, Any], z0: int, z1: int) -> dict[str, Any]:
    """The fields of slices z0..z1-1: ImageJ has a label for each."""
    imagej = _metadata.own(fields, "IJMetadata")
    labels = imagej.get("Labels")
    if not isinstance(labels, list):
        return fields
    return fields | {"IJMetadata": imagej | {"Labels": labels[z0:z1]}}


def geometry(fields: dict[str, Any]) -> Geometry | None:
    """The spacing that the fields say; None where they do not."""
    try:
        if "ome" in fields:
            sizes = _metadata.own(fields, "ome")
            units = [unit_of(sizes.get(f"{name}Unit", "um")) for name in SIZES]
            spacing, unit = common_unit([_size(sizes.get(name)) for name in SIZES], units)
            return Geometry.along_axes(spacing, None, unit)
        imagej = _metadata.own(fields, "imagej")
        tag_unit = UNITS.get(fields.get("ResolutionUnit", INCH))
        pairs = [_pair(fields.get(name)) for name in ("YResolution", "XResolution")]
        y, x = (pair and (pair[1] / pair[0] if pair[0] else None) for pair in pairs)
        spacing = [_size(imagej.get("spacing")), y, x]
        unit = unit_of(imagej["unit"]) if "unit" in imagej else tag_unit
        origins = [_number(imagej.get(name)) for name in ORIGINS]
        if None not in spacing and any(origins):
            z, y, x = (0.0 - (at or 0) * (n or 0) for at, n in zip(origins, spacing, strict=True))
            return Geometry.along_axes(spacing, (x, y, z), unit)
        return Geometry.along_axes(spacing, None, unit)
    except (ValueError, TypeError, OverflowError):
        return None


def render(place: Geometry) -> tuple[dict[str, Any], list[str]]:
    """The fields of another format's geometry, in cm as the tags have it, and what they lose."""
    lost = []
    place = place.in_unit("cm")
    z, y, x = place.spacing
    pairs = [_rational(n) for n in (x, y)]
    fields: dict[str, Any] = {"ResolutionUnit": CM if place.unit else NO_UNIT}
    fields |= {f"{n}Resolution": p for n, p in zip("XY", pairs, strict=True)}
    if None in pairs:
        lost.append("the spacing of x and y")
    imagej = {"unit": place.unit} if place.unit else {}
    if z:
        imagej["spacing"] = repr(z)
    plain = place.in_world("LPS") if place.world else place
    if plain.is_plain and None not in plain.spacing:
        imagej |= _origins(plain)
    else:
        lost += ["the axes' directions"] * (not plain.is_plain)
        lost += ["the origin"] * (place.origin is not None)
    return fields | {"imagej": imagej}, lost


def _without_origin(place: Geometry) -> Geometry | None:
    return replace(place, origin=None) if any(place.steps) else None


def _origins(place: Geometry) -> dict[str, str]:
    """ImageJ's origins: the voxel, counted from the first, that is at the world's 0."""
    if place.origin is None:
        return {}
    at = zip(ORIGINS, place.origin[::-1], place.spacing, strict=True)
    return {name: repr(0.0 - n / (step or 1)) for name, n, step in at if n}


def _look(fields: dict[str, Any], dtype: np.dtype[Any]) -> tuple[dict[str, Any], list[str]]:
    """Arguments of every page that say how it is shown, and what they cannot hold."""
    options: dict[str, Any] = {"photometric": "minisblack", "extratags": []}
    lost = []
    if fields.get("PhotometricInterpretation") == 0:
        options["photometric"] = "miniswhite"
    if "ColorMap" in fields:
        colours = _colours(fields["ColorMap"], dtype)
        if colours is None:
            lost.append("ColorMap")
        else:
            options |= {"photometric": "palette", "colormap": colours}
    turned = fields.get("Orientation", 1)
    if type(turned) is int and 1 <= turned <= 8:
        options["extratags"] = [(ORIENTATION, "H", 1, turned, False)] * (turned > 1)
    else:
        lost.append("Orientation")
    return options, lost


def _colours(value: Any, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """A colour map for all labels of a dtype, black where it has none; None where it cannot be."""
    if dtype.str[1:] not in ("u1", "u2"):
        return None
    colours = np.zeros((3, 1 << 8 * dtype.itemsize), np.uint16)
    try:
        rows = np.array(value)
        if rows.dtype.kind not in "ui" or rows.ndim != 2:
            return None
        colours[:, : rows.shape[1]] = rows
        return colours if np.array_equal(colours[:, : rows.shape[1]], rows) else None
    except (ValueError, OverflowError):
        return None


def _imagej_tags(fields: dict[str, Any]) -> tuple[list[Any], list[str]]:
    """The tags of ImageJ's metadata for tifffile, and what they cannot hold."""
    pack = require("tifffile", "tifffile", "this file").tifffile.imagej_metadata_tag
    found, lost = {}, []
    for name, value in fields.items():
        try:
            if name == "LUTs":
                value = list(np.array(value, np.uint8).reshape(-1, 3, 256))
            if name in IMAGEJ_FIELDS and pack({name: value}, "<"):
                found[name] = value
                continue
        except (AttributeError, TypeError, ValueError, OverflowError, struct.error):
            pass
        lost.append(f"ImageJ's {name}")
    return list(pack(found, "<")), lost


def _description(
    fields: dict[str, Any], shape: Sequence[int], dtype: np.dtype[Any]
) -> tuple[bytes, list[str]]:
    kind = OME_TYPES.get(dtype.str[1:])
    if "ome" in fields and kind:
        return _ome(_metadata.own(fields, "ome"), shape, kind), []
    if "imagej" in fields:
        counts = {"ImageJ": "1.54f", "images": shape[0], "slices": shape[0]}
        lines = _metadata.own(fields, "imagej") | {"loop": "false"}
        lines = counts | {name: line for name, line in lines.items() if name not in counts}
        found = [f"{name}={value}\n" for name, value in lines.items()]
        sound = [line for line in found if len(line.splitlines()) == 1 and "\0" not in line]
        lost = ["ImageJ's lines"] * (len(sound) < len(found))
        return "".join(sound).encode("utf-8", "replace"), lost
    about: dict[str, Any] = {"shape": list(shape)}  # as tifffile's own files begin
    more = fields.get("shaped")
    for item in more if isinstance(more, list) else []:
        if isinstance(item, list) and len(item) == 2 and item[0] not in SHAPE:
            about[str(item[0])] = item[1]
    if "ImageDescription" in fields:
        about["ImageDescription"] = fields["ImageDescription"]
    return json.dumps(about).encode(), ["OME's sizes of voxels"] * ("ome" in fields)


def _ome(sizes: dict[str, Any], shape: Sequence[int], kind: str) -> bytes:
    """The least OME-XML that is valid: one image, its size, and its pages in order."""
    z, y, x = shape
    known: dict[str, Any] = {"ID": "Pixels:0", "DimensionOrder": "XYZCT", "Type": kind}
    known |= {"SizeX": x, "SizeY": y, "SizeZ": z, "SizeC": 1, "SizeT": 1}
    names = [name + end for name in SIZES for end in ("", "Unit")]
    known |= {name: sizes[name] for name in names if _is_text(sizes.get(name))}
    words = " ".join(f"{name}={quoteattr(str(value))}" for name, value in known.items())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{OME}"><Image ID="Image:0">'
        f'<Pixels {words}><Channel ID="Channel:0" SamplesPerPixel="1"/>'
        f'<TiffData IFD="0" PlaneCount="{z}"/></Pixels></Image></OME>'
    ).encode()


def _unwrapped(text: str) -> dict[str, Any]:
    """The fields of a description; ours and tifffile's are JSON, which has them next to a shape."""
    fields: dict[str, Any] = {"ImageDescription": text}
    if text.startswith('{"shape"'):
        with suppress(ValueError, RecursionError):
            found = json.loads(text, parse_constant=str)
            fields = {"ImageDescription": found.pop("ImageDescription", "")}
            fields["shaped"] = [list(item) for item in found.items() if item[0] not in SHAPE]
    return {name: value for name, value in fields.items() if value}


def _sizes(text: str, number: int) -> dict[str, str]:
    """The sizes of voxels, and their units, of one of OME's images."""
    pixels = re.findall(r"<(?:\w+:)?Pixels\b[^>]*>", text)[number : number + 1]
    found = re.findall(r"\b(PhysicalSize[XYZ](?:Unit)?)\s*=\s*[\"']([^\"'<]*)", "".join(pixels))
    return {name: html.unescape(value) for name, value in found}


def _kept(code: int, value: Any) -> Any:
    """The value of a tag as JSON has it; None where it is not kept."""
    if code in (PHOTOMETRIC, ORIENTATION):
        return int(value) if isinstance(value, int) else None
    if code == COLOUR_MAP:
        return value.tolist() if isinstance(value, np.ndarray) else None
    return value if code in TEXTS and isinstance(value, str) else None


def _from_imagej(name: str, value: Any) -> Any:
    """ImageJ's metadata of a name as JSON has them; None where they are not kept."""
    try:
        value = IMAGEJ_FIELDS[name](value)
        json.dumps(value, allow_nan=False)
    except (KeyError, TypeError, ValueError):
        return None
    return value


def _tag(tags: Any, code: int) -> Any:
    """The value of a tag; None where there is none, or it is damaged."""
    try:
        tag = tags.get(code)
        return None if tag is None else tag.value
    except (OSError, ValueError, TypeError, IndexError, KeyError, OverflowError):
        return None


def _number(text: Any) -> float | None:
    """The number of a text; None for what is none."""
    try:
        number = float(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _size(text: Any) -> float | None:
    number = _number(text)
    return number if number and number > 0 else None


def _pair(value: Any) -> tuple[int, int] | None:
    """A rational of a tag; None where it is none."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    over, under = value
    sound = all(type(n) is int and 0 <= n <= LARGEST for n in value)
    return (over, under) if sound and under else None


def _rational(step: float | None) -> list[int] | None:
    """The pixels per unit of a step, as a tag has them; None where it cannot hold them."""
    if not step:
        return None
    limit = min(LARGEST, int(LARGEST / step)) if step > 1 else LARGEST
    near = Fraction(step).limit_denominator(max(1, limit))
    if not 0 < near.numerator <= LARGEST or abs(float(near) - step) > 1e-6 * step:
        return None
    return [near.denominator, near.numerator]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()
