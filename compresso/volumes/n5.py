"""N5: axes x, y, z, the fastest first."""

import re
from dataclasses import replace
from typing import Any

from compresso.errors import FileError
from compresso.volumes._attributes import fields_of, place_of
from compresso.volumes._client import Client, child
from compresso.volumes._keys import Chunks, Keys, check_keys, numbered
from compresso.volumes._kind import Found, Kind, check_mip, numbers
from compresso.volumes._location import Location
from compresso.volumes._tree import choices, volumes

#: The folder of a scale.
SCALE = re.compile(r"s\d+")
#: Attributes that say how labels are stored, and in which scales.
KNOWN = {"n5", "dimensions", "blockSize", "dataType", "compression", "axes"}
KNOWN |= {"downsamplingFactors", "multiScale"}


class N5(Kind):
    """A folder with ``attributes.json``: an array, or a group whose scales are ``s0``, ``s1``."""

    name = "n5"

    def find(self, client: Client, location: Location, document: dict[str, Any]) -> Found:
        """The array itself, the scale ``mip`` of a group, or the only volume in it."""
        text, kvstore = location.text, location.kvstore
        if "dimensions" in document:
            check_mip(text, location.selection.mip, ["the only one"])
            if document.get("isLabelMultiset"):
                raise FileError(
                    f"{text}: holds label multisets, which are not read (only one label per voxel "
                    "is); convert it to labels with Paintera"
                )
            keys, sizes = Keys("", "/"), (document["dimensions"], document.get("blockSize"))
            check_keys(client, kvstore, document, keys, *sizes)
            chunks = Chunks(kvstore, numbered(keys, sizes[1]))
            return replace(_described(client, kvstore, document), chunks=chunks)
        scale = child(text, kvstore, f"s{location.selection.mip}")
        inside = client.optional(scale, "attributes.json")
        if "dimensions" not in inside:
            found = volumes(kvstore, None)
            if found is None or len(found) != 1:
                raise FileError(f"{text}: is a group; {choices(text, found)}")
            scale = child(text, kvstore, found[0])
            inside = client.optional(scale, "attributes.json")
        only = replace(location.selection, mip=0)
        return self.find(client, replace(location, kvstore=scale, selection=only), inside)


def _described(client: Client, kvstore: dict[str, Any], document: dict[str, Any]) -> Found:
    """An array with what its attributes say, and those of its group if it is one of the scales.

    Of a scale, ``resolution`` and ``offset`` are those of ``s0``; ``downsamplingFactors`` say how
    much larger its voxels are. Positions are those of centres, as Paintera and n5-viewer have them.
    """
    parent, _, last = kvstore.get("path", "").rstrip("/").rpartition("/")
    attributes = document
    if SCALE.fullmatch(last):
        above = kvstore | {"path": f"{parent}/" if parent else ""}
        group = client.optional(above, "attributes.json")
        attributes = (group if "dimensions" not in group else {}) | document
    dimensions = document["dimensions"]
    rank = len(dimensions) if isinstance(dimensions, list) else 0
    place = place_of(attributes, rank)
    factors = _factors(document, len(place.spacing))
    spacing, shift = place.spacing, place.shift
    if factors:
        shift = shift if len(shift) == len(spacing) else [0.0] * len(spacing)
        parts = list(zip(spacing, factors, shift, strict=True))
        spacing = [(n and n * by, unit) for (n, unit), by, _ in parts]
        shift = [at + (n or 0.0) * (by - 1) / 2 for (n, _), by, at in parts]
    elif last not in ("s0", "") and SCALE.fullmatch(last) and attributes != document:
        place = place_of(document, rank)  # nobody says how much larger its voxels are
        spacing, shift = place.spacing, place.shift
    fields, lost = fields_of(attributes, {*KNOWN, *place.names})
    # TensorStore would refuse a resolution in any form but its own, and JSON with NaN.
    plain = {name: value for name, value in document.items() if name in KNOWN}
    if plain != document:
        kvstore = client.replaced(kvstore, "attributes.json", plain)
    spec = {"driver": "n5", "kvstore": kvstore}
    said = {"n5": fields} if fields else {}
    return Found(spec, "xyzct", (), spacing, shift, metadata=said, lost=lost)


def _factors(document: dict[str, Any], count: int) -> list[float]:
    """How much larger a scale's voxels are than those of ``s0``; none where it does not say."""
    try:
        return numbers(document.get("downsamplingFactors"), count) if count else []
    except (ValueError, OverflowError):
        return []
