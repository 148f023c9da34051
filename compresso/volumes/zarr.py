"""Zarr, versions 2 and 3, and the multiscale images that OME puts into it."""

import json
import re
from abc import abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

from compresso.errors import FileError
from compresso.volumes._attributes import Place, fields_of, place_of
from compresso.volumes._client import Client, child
from compresso.volumes._keys import Chunks, Keys, check_keys, numbered
from compresso.volumes._kind import SPACE, Found, Kind, check_mip, numbers
from compresso.volumes._location import MARKERS, Location
from compresso.volumes._metadata import geometry_of
from compresso.volumes._own import open_own
from compresso.volumes._tree import choices, multiscales, volumes

#: The axes of an array that does not name them: as NumPy indexes it, and OME's first versions did.
USUAL = "tczyx"
#: Attributes with the size of a voxel in the order of the array's axes.
NUMPY_ORDER = ("resolution", "voxel_size", "element_size_um")
#: Settings of numcodecs' codecs that only encoding needs, and TensorStore does not know.
ENCODING = {"checksum", "typesize"}
INTEGER = re.compile(r"-?\d{1,20}", re.ASCII)


class _Zarr(Kind):
    driver: ClassVar[str]

    def find(self, client: Client, location: Location, document: dict[str, Any]) -> Found:
        """The array itself, the scale ``mip`` of a group, or the only volume in it."""
        text, kvstore = location.text, location.kvstore
        attributes = self._attributes(client, location, document)
        if not self._is_group(document):
            check_mip(text, location.selection.mip, ["the only one"])
            spec, array, chunks = self._array(client, kvstore, document)
            return _described(Found(spec, USUAL, array=array, chunks=chunks), attributes, document)
        image = multiscales({"attributes": attributes})
        if image is not None:
            scale = _scale(location, image)
            folder = scale.spec["kvstore"]
            head = client.optional(folder, MARKERS[self.name][0])
            spec, array, chunks = self._array(client, folder, head)
            fields, lost = fields_of(attributes, ("multiscales",))
            said: dict[str, Any] = {"zarr": fields} if fields else {}
            return replace(scale, spec=spec, array=array, metadata=said, lost=lost, chunks=chunks)
        found = volumes(kvstore, self._consolidated(client, location, document))
        if found is None or len(found) != 1:
            raise FileError(f"{text}: is a group; {choices(text, found)}")
        inside = replace(location, kvstore=child(text, kvstore, found[0]))
        _, document = client.first(inside.kvstore, MARKERS[self.name])
        if document is None:
            raise FileError(f"{text}: has no {found[0]}, which it lists")
        return self.find(client, inside, document)

    def _array(
        self, client: Client, kvstore: dict[str, Any], document: dict[str, Any]
    ) -> tuple[dict[str, Any], Any, Chunks]:
        """How TensorStore opens an array, the array if its chunks are decoded here, and its files.

        The files may be shards, of some chunks or all.
        """
        chunk = document.get("chunks")
        grid = _object(document.get("chunk_grid"))
        if grid is not None:
            chunk = (_object(grid.get("configuration")) or {}).get("chunk_shape")
        keys = Keys.of(document)
        check_keys(client, kvstore, document, keys, document.get("shape"), chunk)
        shards = "sharding_indexed" in json.dumps(document.get("codecs"))
        chunks = Chunks(kvstore, numbered(keys, chunk), not shards)
        understood = _understood(document)
        array = open_own(client, kvstore, understood)
        if json.dumps(understood) != json.dumps(document):  # 0 and False are not the same
            kvstore = client.replaced(kvstore, MARKERS[self.name][0], understood)
        return {"driver": self.driver, "kvstore": kvstore}, array, chunks

    @abstractmethod
    def _is_group(self, document: dict[str, Any]) -> bool:
        """Whether this is a group's."""

    @abstractmethod
    def _attributes(
        self, client: Client, location: Location, document: dict[str, Any]
    ) -> dict[str, Any]:
        """The user's attributes."""

    @abstractmethod
    def _consolidated(
        self, client: Client, location: Location, document: dict[str, Any]
    ) -> dict[str, Any] | None:
        """The metadata of all that is inside, by path."""


class Zarr3(_Zarr):
    """A folder with ``zarr.json``, which may name the axes."""

    name = "zarr3"
    driver = "zarr3"

    def _is_group(self, document: dict[str, Any]) -> bool:
        return document.get("node_type") == "group"

    def _attributes(
        self, client: Client, location: Location, document: dict[str, Any]
    ) -> dict[str, Any]:
        return _object(document.get("attributes")) or {}

    def _consolidated(
        self, client: Client, location: Location, document: dict[str, Any]
    ) -> dict[str, Any] | None:
        listed = _object(document.get("consolidated_metadata"))
        return _object(listed.get("metadata")) if listed else None


class Zarr2(_Zarr):
    """A folder with ``.zarray`` or ``.zgroup``; xarray names the axes in ``.zattrs``."""

    name = "zarr2"
    driver = "zarr"

    def _is_group(self, document: dict[str, Any]) -> bool:
        return set(document) <= {"zarr_format"}

    def _attributes(
        self, client: Client, location: Location, document: dict[str, Any]
    ) -> dict[str, Any]:
        return client.optional(location.kvstore, ".zattrs")

    def _consolidated(
        self, client: Client, location: Location, document: dict[str, Any]
    ) -> dict[str, Any] | None:
        return _object(client.optional(location.kvstore, ".zmetadata").get("metadata"))


def _described(found: Found, attributes: dict[str, Any], document: dict[str, Any]) -> Found:
    """An array with what its attributes say: ours, TensorStore's, xarray's and funlib's.

    A converted array has the metadata of its source, as long as its axes are z, y and x.
    """
    known = {"compresso", "dimension_units", "_ARRAY_DIMENSIONS", "axis_names"}
    shape = document.get("shape")
    rank = len(shape) if isinstance(shape, list) else 0
    named = attributes.get("_ARRAY_DIMENSIONS")
    funlib = attributes.get("axis_names")
    if not isinstance(named, list) and isinstance(funlib, list) and len(funlib) == rank:
        named = [str(name).rstrip("^") for name in funlib]  # which marks channels
    names: tuple[str, ...] = ()
    if isinstance(named, list) and not document.get("dimension_names"):
        names = tuple(map(str, named))
    place = Place([], [], ())
    if "dimension_units" not in attributes:
        place = place_of(attributes, rank, NUMPY_ORDER)
    fields, lost = fields_of(attributes, {*known, *place.names})
    ours = (_object(attributes.get("compresso")) or {}).get("metadata")
    if document.get("dimension_names") != [*SPACE] or not isinstance(ours, dict):
        ours = {}
    geometry = geometry_of(ours)
    said, unknown = fields_of(ours, ("geometry",))
    if fields:
        said["zarr"] = (_object(said.get("zarr")) or {}) | fields
    return replace(
        found,
        names=names,
        spacing=place.spacing,
        shift=place.shift,
        metadata=said,
        lost=[*lost, *unknown],
        geometry=geometry,
    )


def _object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _understood(document: dict[str, Any]) -> dict[str, Any]:
    """An array's metadata as TensorStore takes them, where other writers have another form."""
    changed = dict(document)
    fill, compressor = document.get("fill_value"), _object(document.get("compressor"))
    if isinstance(fill, str) and INTEGER.fullmatch(fill):  # n5-zarr and others
        changed["fill_value"] = fill = int(fill)
    of_bool = document.get("dtype", document.get("data_type")) in ("|b1", "bool")
    if type(fill) in (bool, int) and fill in (0, 1):
        changed["fill_value"] = bool(fill) if of_bool else int(fill)
    if compressor and ENCODING & compressor.keys():
        changed["compressor"] = {n: v for n, v in compressor.items() if n not in ENCODING}
    attributes = _object(document.get("attributes")) or {}
    fields, lost = fields_of(attributes, ())
    if lost:  # TensorStore refuses JSON with NaN
        changed["attributes"] = fields
    return changed


def _scale(location: Location, image: Any) -> Found:
    """The scale ``mip`` of a multiscale image, with its axes, spacing and position."""
    text, mip = location.text, location.selection.mip
    try:
        paths = [str(scale["path"]) for scale in image["datasets"]]
        check_mip(text, mip, paths)
        axes = [
            axis if isinstance(axis, dict) else {"name": axis} for axis in image.get("axes", ())
        ]
        names = tuple(str(axis["name"]) for axis in axes)
        steps: list[float | None] = [None] * len(axes)
        shift = [0.0] * len(axes)
        for part in (image["datasets"][mip], image):
            for change in part.get("coordinateTransformations", ()):
                values = numbers(change.get(change["type"], [0.0] * len(axes)), len(axes))
                if change["type"] == "scale":
                    steps = [(a or 1.0) * b for a, b in zip(steps, values, strict=True)]
                    shift = [a * b for a, b in zip(shift, values, strict=True)]
                elif change["type"] == "translation":
                    shift = [a + b for a, b in zip(shift, values, strict=True)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise FileError(f"{text}: its multiscales metadata is damaged ({reason})") from None
    units = [axis.get("unit") for axis in axes]
    return Found(
        {"kvstore": child(text, location.kvstore, paths[mip])},
        USUAL,
        names,
        [(step, unit and str(unit)) for step, unit in zip(steps, units, strict=True)],
        shift if any(steps) or any(shift) else (),
    )
