"""Zarr, versions 2 and 3, and OME's multiscale images in it."""

import json
import re
from dataclasses import replace
from operator import floordiv
from typing import Any

from compresso.codec import require
from compresso.errors import FileError
from compresso.volumes._client import Node, as_file_error, decoded, tensorstore
from compresso.volumes._metadata import INVALID, geometry_of
from compresso.volumes._stores import SPACE, Kind, Selection, StoredArray, check_mip
from compresso.volumes._zarr_n5 import (
    Keys,
    check_keys,
    fields_of,
    multiscales,
    numbers,
    object_of,
    only_volume,
    place_of,
)

#: Attributes with the voxel size in the order of the array's axes.
NUMPY_ORDER = ("resolution", "voxel_size", "element_size_um")
#: Settings of numcodecs' codecs that only encoding needs, and TensorStore does not know.
ENCODING = {"checksum", "typesize"}
INTEGER = re.compile(r"-?\d{1,20}", re.ASCII)
#: Our own codec, which zarr-python decodes, and our attribute.
OWN = "compresso"
#: Attributes about the axes, and our own.
KNOWN = {OWN, "dimension_units", "_ARRAY_DIMENSIONS", "axis_names"}


class _Zarr(Kind):
    suffixes = (".zarr",)

    def find(self, node: Node, selection: Selection, document: dict[str, Any]) -> StoredArray:
        """Find the array itself, the scale ``mip`` of an image, or the only volume of a group."""
        is_2 = self.name == "zarr2"
        attributes = node.optional(".zattrs") if is_2 else object_of(document.get("attributes"))
        if "shape" in document or document.get("node_type") == "array":
            check_mip(node, selection.mip, ["the only one"])
            return _described(self._open(node, document), attributes, document)
        image = multiscales(attributes)
        if image is not None:
            path, axes = _scale(node, image, selection.mip)
            folder = node.child(path)
            array = self._open(folder, folder.optional(self.markers[0]))
            fields, lost = fields_of(attributes, ("multiscales",))
            return replace(array, metadata={"zarr": fields} if fields else {}, lost=lost, **axes)
        listed = node.optional(".zmetadata") if is_2 else document.get("consolidated_metadata")
        path = only_volume(node, object_of(listed).get("metadata"))
        inside = node.child(path)
        _, document = inside.first(self.markers)
        if document is None:
            raise FileError(f"{node.text}: its metadata list {path}, which does not exist")
        return self.find(inside, selection, document)

    def _open(self, node: Node, document: dict[str, Any]) -> StoredArray:
        """Open an array; its files may be shards."""
        codecs = json.dumps([document.get("codecs"), document.get("compressor")])
        if f'"{OWN}"' in codecs:
            array, chunk = _read_by_zarr(node, document)
        else:
            array = self.open(node, _understood(document))
            chunk = array.chunk_layout.write_chunk.shape
        box_of = check_keys(node, Keys.of(document), array.shape, chunk)
        return StoredArray(array, "tczyx", path=node.path, box_of=box_of)


class Zarr3(_Zarr):
    """A folder with ``zarr.json``, which may name the axes."""

    name = "zarr3"
    priority = 3
    markers = ("zarr.json",)
    schemes = ("zarr", "zarr3")
    driver = "zarr3"


class Zarr2(_Zarr):
    """A folder with ``.zarray`` or ``.zgroup``; xarray names the axes in ``.zattrs``."""

    name = "zarr2"
    priority = 2
    markers = (".zarray", ".zgroup")
    schemes = ("zarr", "zarr2")
    driver = "zarr"


def _read_by_zarr(node: Node, document: dict[str, Any]) -> tuple[Any, tuple[int, ...]]:
    """Open an array with zarr-python, which knows our own codec.

    Returns a TensorStore and the shape of the voxels in a file.
    """
    zarr = require("zarr", "zarr", "a Zarr array in the codec compresso")
    import compresso.adapters.numcodecs
    import compresso.adapters.zarr  # noqa: F401  (both register the codec)

    with as_file_error(node.text):
        folder = node.store()

        class Store(zarr.storage.MemoryStore):  # type: ignore[misc,name-defined]
            """The objects of a folder, wherever TensorStore can read it."""

            async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
                start = getattr(byte_range, "start", getattr(byte_range, "offset", None))
                if hasattr(byte_range, "suffix"):
                    start = -byte_range.suffix
                span = slice(start, getattr(byte_range, "end", None))
                found = await folder.read(key, byte_range=span)
                if found.state == "value":
                    return prototype.buffer.from_bytes(found.value)
                if node.strict and not key.rpartition("/")[2].startswith((".z", "zarr.json")):
                    raise FileNotFoundError(f"NOT_FOUND: chunk {key} is missing")
                return None

        array = zarr.open_array(Store(read_only=True), mode="r")
        names = document.get("dimension_names")
        domain = tensorstore().IndexDomain(shape=array.shape, labels=names)
        units = array.attrs.get("dimension_units")
        chunk = array.shards or array.chunks

        def read(low: Any, high: Any) -> Any:
            try:
                return array[tuple(map(slice, low, high))]
            except Exception as error:
                name = Keys.of(document).name(map(floordiv, low, chunk))
                raise ValueError(f"Error reading {name}: {error}") from error

        dtype = array.dtype.newbyteorder("=")
        return decoded(node, domain, dtype, array.chunks, units, read), chunk


def _described(
    found: StoredArray, attributes: dict[str, Any], document: dict[str, Any]
) -> StoredArray:
    """Add the attributes of an array: ours, TensorStore's, xarray's and funlib's.

    A converted array has the metadata of its source if its axes are z, y and x.
    """
    rank, labels = found.array.rank, document.get("dimension_names")
    names: list[str] = []
    for given in (attributes.get("_ARRAY_DIMENSIONS"), attributes.get("axis_names")):
        if not labels and not names and isinstance(given, list) and len(given) == rank:
            names = [str(name).rstrip("^") for name in given]  # funlib marks channels with ^
    sized = {} if "dimension_units" in attributes else attributes
    spacing, shift, used = place_of(sized, rank, NUMPY_ORDER)
    fields, lost = fields_of(attributes, {*KNOWN, *used})
    ours = object_of(object_of(attributes.get(OWN)).get("metadata")) if labels == [*SPACE] else {}
    metadata, unknown = fields_of(ours, ("geometry",))
    if fields:
        metadata["zarr"] = object_of(metadata.get("zarr")) | fields
    return replace(
        found,
        names=names,
        spacing=spacing,
        shift=shift,
        metadata=metadata,
        lost=[*lost, *unknown],
        geometry=geometry_of(ours),
    )


def _understood(document: dict[str, Any]) -> dict[str, Any]:
    """Return an array's metadata as TensorStore understands them; other writers differ."""
    changed = dict(document)
    fill, compressor = document.get("fill_value"), object_of(document.get("compressor"))
    of_bool = document.get("dtype", document.get("data_type")) in ("|b1", "bool")
    if isinstance(fill, str) and INTEGER.fullmatch(fill):  # n5-zarr and others
        fill = int(fill)
    if isinstance(fill, int):  # in JSON, 0 and false differ
        changed["fill_value"] = bool(fill) if of_bool and fill in (0, 1) else int(fill)
    if compressor:
        changed["compressor"] = {n: v for n, v in compressor.items() if n not in ENCODING}
    if "attributes" in document:  # TensorStore refuses JSON with NaN
        changed["attributes"] = fields_of(object_of(document["attributes"]), ())[0]
    return changed


def _scale(node: Node, image: Any, mip: int) -> tuple[str, dict[str, Any]]:
    """Return the path, and the names, spacing and shift, of a scale of a multiscale image."""
    try:
        paths = [str(scale["path"]) for scale in image["datasets"]]
        check_mip(node, mip, paths)
        given = image.get("axes", ())
        axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in given]
        names = [str(axis["name"]) for axis in axes]
        steps: list[float | None] = [None] * len(axes)
        shift = [0.0] * len(axes)
        for part in (image["datasets"][mip], image):
            for change in part.get("coordinateTransformations", ()):
                values = numbers(change.get(change["type"], [0.0] * len(axes)), len(axes))
                if len(values) != len(axes):
                    raise ValueError(f"expected {len(axes)} numbers")
                if change["type"] == "scale":
                    steps = [(a or 1.0) * b for a, b in zip(steps, values, strict=True)]
                    shift = [a * b for a, b in zip(shift, values, strict=True)]
                elif change["type"] == "translation":
                    shift = [a + b for a, b in zip(shift, values, strict=True)]
    except INVALID as error:
        reason = f"{type(error).__name__}: {error}"
        raise FileError(f"{node.text}: its multiscales metadata is damaged ({reason})") from None
    spacing = [(step, axis.get("unit")) for step, axis in zip(steps, axes, strict=True)]
    known = any(steps) or any(shift)
    return paths[mip], {"names": names, "spacing": spacing, "shift": shift if known else ()}
