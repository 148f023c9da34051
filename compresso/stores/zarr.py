"""Zarr, versions 2 and 3, and the multiscale images that OME puts into it."""

import re
from abc import abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

from compresso.errors import FileError
from compresso.formats._metadata import geometry_of
from compresso.stores._client import Client, child
from compresso.stores._keys import Keys, check_keys
from compresso.stores._kind import Found, Kind, check_mip, numbers
from compresso.stores._location import MARKERS, Location
from compresso.stores._own import open_own
from compresso.stores._tree import choices, multiscales, volumes

#: The axes of an array that does not name them: as NumPy indexes it, and OME's first versions did.
USUAL = "tczyx"
INTEGER = re.compile(r"-?\d{1,20}", re.ASCII)


class _Zarr(Kind):
    driver: ClassVar[str]

    def find(self, client: Client, location: Location, document: dict[str, Any]) -> Found:
        """The array itself, the scale ``mip`` of a group, or the only volume in it."""
        text, kvstore = location.text, location.kvstore
        attributes = self._attributes(client, location, document)
        if not self._is_group(document):
            check_mip(text, location.selection.mip, ["the only one"])
            named = attributes.get("_ARRAY_DIMENSIONS")  # xarray's
            names = tuple(map(str, named)) if isinstance(named, list) else ()
            spec, array = self._array(client, kvstore, document)
            return Found(spec, USUAL, names, shift=_origin(attributes, document), array=array)
        image = multiscales({"attributes": attributes})
        if image is not None:
            scale = _scale(location, image)
            folder = scale.spec["kvstore"]
            head = client.optional(folder, MARKERS[self.name][0])
            spec, array = self._array(client, folder, head)
            return replace(scale, spec=spec, array=array)
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
    ) -> tuple[dict[str, Any], Any]:
        """How TensorStore opens an array, and the array if its chunks are decoded here."""
        chunk = document.get("chunks")
        grid = _object(document.get("chunk_grid"))
        if grid is not None:
            chunk = (_object(grid.get("configuration")) or {}).get("chunk_shape")
        check_keys(client, kvstore, document, Keys.of(document), document.get("shape"), chunk)
        understood = _understood(document)
        array = open_own(client, kvstore, understood)
        if understood != document:
            kvstore = client.replaced(kvstore, MARKERS[self.name][0], understood)
        return {"driver": self.driver, "kvstore": kvstore}, array

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


def _origin(attributes: dict[str, Any], document: dict[str, Any]) -> list[float]:
    """Position of the first voxel of an array that was converted; empty for any other."""
    ours = _object(attributes.get("compresso")) or {}
    geometry = geometry_of(_object(ours.get("metadata")) or {})
    if geometry is None or geometry.origin is None or not geometry.is_plain:
        return []
    if document.get("dimension_names") != ["z", "y", "x"]:
        return []
    return list(reversed(geometry.origin))


def _object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _understood(document: dict[str, Any]) -> dict[str, Any]:
    """An array's metadata as TensorStore takes them, where other writers have another form."""
    changed = dict(document)
    fill, compressor = document.get("fill_value"), _object(document.get("compressor"))
    if isinstance(fill, str) and INTEGER.fullmatch(fill):  # n5-zarr and others
        changed["fill_value"] = int(fill)
    if compressor and compressor.get("id") == "zstd":  # decoding does not depend on the checksum
        changed["compressor"] = {n: v for n, v in compressor.items() if n != "checksum"}
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
        shift,
    )
