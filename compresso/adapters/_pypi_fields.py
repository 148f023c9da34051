"""What a ``cpso`` stream says of itself, by the names of PyPI's ``compresso``."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compresso.arrays import Labels
from compresso.codec import Buffer
from compresso.encodings._cpso import LAYOUT, MAGIC, Header, index_type, parse, window_type
from compresso.errors import DecodeError


def header(buf: Buffer) -> dict[str, Any]:
    """The fields of a stream's header by name."""
    found = Header.unpack(buf)
    (sz, sy, sx), (zstep, ystep, xstep) = found.shape, found.step
    return {
        "magic": MAGIC,
        "format_version": found.version,
        "data_width": found.data_width,
        "sx": sx,
        "sy": sy,
        "sz": sz,
        "xstep": xstep,
        "ystep": ystep,
        "zstep": zstep,
        "id_size": found.n_ids,
        "value_size": found.n_values,
        "location_size": found.n_locations,
        "connectivity": found.connectivity,
    }


def valid(buf: Buffer) -> bool:
    """Whether header and length are those of a stream; the labels are not decoded."""
    try:
        parse(buf)
    except DecodeError:
        return False
    return True


def nbytes(buf: Buffer) -> int:
    """Bytes of the decoded array."""
    found = Header.unpack(buf)
    z, y, x = found.shape
    return x * y * z * found.data_width


def raw_header(buf: Buffer) -> Labels:
    """The bytes of the header."""
    parse(buf)
    return np.frombuffer(buf, np.uint8, LAYOUT.size)


def raw_ids(buf: Buffer) -> Labels:
    """The label of each component."""
    return parse(buf).ids


def raw_labels(buf: Buffer) -> Labels:
    """:func:`raw_ids`, by its other name."""
    return raw_ids(buf)


def raw_values(buf: Buffer) -> Labels:
    """The distinct windows."""
    return parse(buf).values


def raw_locations(buf: Buffer) -> Labels:
    """The entries for boundary voxels whose label their neighbours do not tell."""
    return parse(buf).locations


def raw_windows(buf: Buffer) -> Labels:
    """The run-length coded windows, without the index that may follow them."""
    return parse(buf).windows


def raw_z_index(buf: Buffer) -> Labels | None:
    """The index, (2, sz): for each slice its ids, and the locations of the one before it."""
    index = parse(buf).index
    return None if index is None else index.astype(np.uint64)


def label_dtype(info: Mapping[str, Any]) -> type[np.unsignedinteger[Any]]:
    """The type of a stream's labels, given its header."""
    return np.dtype(f"u{info['data_width']}").type


def window_dtype(info: Mapping[str, Any]) -> type[np.unsignedinteger[Any]]:
    """The type of a stream's windows, given its header."""
    found: type[np.unsignedinteger[Any]] = window_type(
        [info["zstep"], info["ystep"], info["xstep"]]
    ).type
    return found


def zindex_byte_width(sx: int, sy: int) -> int:
    """Bytes of a number of the index."""
    return index_type((1, sy, sx)).itemsize


def check_compatibility(buf: Buffer) -> None:
    """Raise DecodeError where a stream is none that can be read."""
    Header.unpack(buf)


def clamp(val: float, low: float, high: float) -> float:
    """The number of low..high that is nearest."""
    return max(low, min(val, high))


def check_bounds(val: float, low: float, high: float) -> float:
    """Return a number; raises ValueError where it is not in low..high."""
    if not low <= val <= high:
        raise ValueError(f"{val} is not in {low}..{high}")
    return val
