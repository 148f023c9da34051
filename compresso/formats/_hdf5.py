"""What the attributes of an HDF5 dataset say: resolution, offset, and all small ones."""

import math
import re
from itertools import islice
from typing import Any

import numpy as np

from compresso.formats import _metadata
from compresso.formats._geometry import Geometry, Vector, unit_of
from compresso.formats._metadata import Metadata

#: The largest attribute that is kept, in bytes, and how many are.
LARGEST = 4096
MOST = 256
DTYPE = re.compile(r"[<>|][iufbS]\d{1,4}")
TEXTS = ("ascii", "utf-8")
#: What h5py raises for attributes that are damaged, or of types that NumPy does not have.
ERRORS = (OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError)


def read(dataset: Any) -> tuple[Metadata, list[str]]:
    """What the attributes of a dataset say, and the names of what cannot be kept.

    Also named are the attributes of the groups that it is in, and the names of enum values.
    """
    import h5py

    fields: dict[str, Any] = {}
    lost = ["the names of its enum values"] if h5py.check_enum_dtype(dataset.dtype) else []
    lost += _outer(dataset)
    try:
        names = list(islice(dataset.attrs, MOST + 1))
    except ERRORS:
        return {}, ["its attributes"]
    for name in names[:MOST]:
        if isinstance(name, bytes):  # it is not UTF-8
            lost.append(name.decode("latin-1"))
            continue
        try:
            name.encode()
            fields[name] = _to_json(dataset.attrs, name)
            if h5py.check_enum_dtype(dataset.attrs.get_id(name).dtype):
                lost.append(f"the names of the enum values of {name}")
        except ERRORS:
            lost.append(name)
    if len(names) > MOST:
        lost.append(f"attributes beyond {MOST}")
    return _metadata.make("hdf5", fields, geometry(fields)), lost


def _outer(dataset: Any) -> list[str]:
    """Return the names of the attributes of all groups that a dataset is in, from the root."""
    found: list[str] = []
    group = dataset
    try:
        while group.name and group.name != "/":
            group = group.parent
            found = [f"{name} of {group.name}" for name in islice(group.attrs, MOST)] + found
    except ERRORS:
        found.append("the attributes of its groups")
    return found


def attributes(metadata: Metadata) -> tuple[dict[str, tuple[Any, Any]], list[str]]:
    """The attributes that say the same, each a value and h5py's dtype, and what they cannot."""
    own = _metadata.own(metadata, "hdf5")
    found, lost = {}, []
    for name, field in own.items():
        value = _value(field)
        if value is None or not 0 < len(name) < LARGEST or "\0" in name:
            lost.append(name)
        else:
            found[name] = value
    place = _metadata.geometry_of(metadata)
    if place is not None and place != geometry(own):
        found = {n: v for n, v in found.items() if n not in _metadata.PLACED["hdf5"]}
        found |= render(place)
    return found, lost + _metadata.foreign(metadata, "hdf5")


def geometry(fields: dict[str, Any]) -> Geometry | None:
    """What ``resolution`` and ``offset`` say, [z, y, x] as CREMI has them; None where they do not.

    ``units``, ``directions`` and ``world`` are what :func:`render` writes beside them;
    ``element_size_um`` is ilastik's.
    """
    size, unit = _row(fields, "resolution"), unit_of(_plain(fields, "units"))
    if size is None and (micrometres := _row(fields, "element_size_um")):
        size, unit = micrometres, "um"
    offset = _row(fields, "offset")
    place = offset and (offset[2], offset[1], offset[0])
    world = _plain(fields, "world")
    try:
        flat = Geometry.along_axes(size or (None, None, None), place, unit)
        turned = np.array(_plain(fields, "directions"), float)
        z, y, x = flat.steps
        if turned.shape == (3, 3):
            rows = (turned[:, ::-1] * np.array(flat.spacing, float)[:, None]).tolist()
            z, y, x = (step and tuple(row) for step, row in zip(flat.steps, rows, strict=True))
        return Geometry((z, y, x), place, world if world in ("LPS", "RAS") else None, flat.unit)
    except (ValueError, TypeError, OverflowError):
        return None


def render(place: Geometry) -> dict[str, tuple[Any, Any]]:
    """The attributes of a geometry, in nm, as CREMI's files are read."""
    place = place.in_unit("nm")
    texts = {"units": place.unit, "world": place.world}
    rows: dict[str, Any] = {}
    if any(place.steps):
        rows["resolution"] = [math.nan if n is None else n for n in place.spacing]
    if place.origin is not None:
        rows["offset"] = place.origin[::-1]
    if not place.is_plain:
        rows["directions"] = place.directions[:, ::-1]
    found = {name: (np.array(row, "<f8"), np.dtype("<f8")) for name, row in rows.items()}
    return found | {name: (text, _text_type("utf-8")) for name, text in texts.items() if text}


def _to_json(attributes: Any, name: str) -> dict[str, Any]:
    """An attribute as JSON has it; raises one of ``ERRORS`` where it is not to be kept."""
    import h5py

    about = attributes.get_id(name)
    text = h5py.check_string_dtype(about.dtype)
    size = 0 if about.shape is None else math.prod(about.shape) * about.dtype.itemsize
    if not 0 < size <= LARGEST:
        raise ValueError("empty or too large")
    value = attributes[name]
    if text is not None and text.length is None:
        words = np.asarray(value, object)
        if sum(len(word.encode()) for word in words.ravel()) > LARGEST:
            raise ValueError("too large")
        return {"dtype": text.encoding, "value": words.tolist()}
    dtype = about.dtype
    if not DTYPE.fullmatch(dtype.str) or (dtype.itemsize > 8 and dtype.kind != "S"):
        raise TypeError(f"{dtype} is not kept")
    return {"dtype": dtype.str, "value": _listed(np.asarray(value, dtype).tolist())}


def _listed(value: Any) -> Any:
    """Nested lists whose bytes are characters, and whose numbers are finite or words."""
    if isinstance(value, list):
        return [_listed(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _value(field: Any) -> tuple[Any, Any] | None:
    """The value and dtype of an attribute; None where they make no sense."""
    try:
        dtype, value = field["dtype"], field["value"]
        if dtype in TEXTS:
            words = np.array(value, object)
            if not all(isinstance(word, str) and "\0" not in word for word in words.ravel()):
                return None
            "".join(words.ravel()).encode(dtype)
            return (value if isinstance(value, str) else words), _text_type(dtype)
        if not DTYPE.fullmatch(dtype):
            return None
        kind = np.dtype(dtype)
        items = np.array(value, object)
        if kind.kind == "S":
            packed = [item.encode("latin-1") for item in items.ravel()]
        elif kind.kind == "f":
            packed = [float(item) for item in items.ravel()]
        else:
            packed = [int(item) for item in items.ravel()]
        with np.errstate(over="ignore"):
            array = np.array(packed, kind).reshape(items.shape)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None
    return (array, kind) if array.nbytes <= LARGEST else None


def _text_type(encoding: str) -> Any:
    import h5py

    return h5py.string_dtype(encoding)


def _plain(fields: dict[str, Any], name: str) -> Any:
    field = fields.get(name)
    return field.get("value") if isinstance(field, dict) else None


def _row(fields: dict[str, Any], name: str) -> Vector | None:
    """Three numbers of an attribute."""
    value = _plain(fields, name)
    try:
        z, y, x = (float(n) for n in (value if isinstance(value, list) else []))
    except (TypeError, ValueError, OverflowError):
        return None
    return z, y, x
