"""N5: axes x, y, z, the fastest first."""

import re
from dataclasses import replace
from typing import Any

from compresso.errors import FileError
from compresso.volumes._client import Client, child
from compresso.volumes._nodes import Keys, check_keys, fields_of, only_volume, place_of
from compresso.volumes._stores import Chunks, Found, Kind, Location, check_mip, numbers

#: The folder of a scale.
SCALE = re.compile(r"s\d+")
#: Attributes that say how labels are stored, and at which scales.
KNOWN = {"n5", "dimensions", "blockSize", "dataType", "compression", "axes"}
KNOWN |= {"downsamplingFactors", "multiScale"}


class N5(Kind):
    """A folder with ``attributes.json``: an array, or a group whose scales are ``s0``, ``s1``."""

    name = "n5"
    markers = ("attributes.json",)
    inside = "s0/attributes.json"  # a group need not have attributes of its own
    schemes = ("n5",)
    suffixes = (".n5",)
    driver = "n5"

    def find(self, client: Client, location: Location, document: dict[str, Any]) -> Found:
        """Find the array itself, the scale ``mip`` of a group, or its only volume."""
        text, kvstore = location.text, location.kvstore
        if "dimensions" in document:
            check_mip(text, location.selection.mip, ["the only one"])
            if document.get("isLabelMultiset"):
                raise FileError(
                    f"{text}: label multisets, but a volume has one label per voxel. "
                    "Convert it to labels with Paintera"
                )
            keys, chunk = Keys("", "/"), document.get("blockSize")
            check_keys(client, kvstore, keys, document["dimensions"], chunk)
            found = _described(client, kvstore, document)
            return replace(found, chunks=Chunks(kvstore, keys.boxes(chunk)))
        scale = child(text, kvstore, f"s{location.selection.mip}")
        inside = client.optional(scale, "attributes.json")
        if "dimensions" not in inside:
            scale = child(text, kvstore, only_volume(text, kvstore))
            inside = client.optional(scale, "attributes.json")
        only = replace(location.selection, mip=0)
        return self.find(client, replace(location, kvstore=scale, selection=only), inside)


def _described(client: Client, kvstore: dict[str, Any], document: dict[str, Any]) -> Found:
    """Open an array and read its attributes; a scale has those of its group, too.

    ``resolution`` and ``offset`` of a scale are those of ``s0``, whose voxels are smaller by its
    ``downsamplingFactors``. Positions are those of voxel centres, as in Paintera and n5-viewer.
    """
    parent, _, last = kvstore.get("path", "").rstrip("/").rpartition("/")
    attributes = document
    if SCALE.fullmatch(last):
        above = kvstore | {"path": f"{parent}/" if parent else ""}
        group = client.optional(above, "attributes.json")
        attributes = (group if "dimensions" not in group else {}) | document
    dimensions = document["dimensions"]
    rank = len(dimensions) if isinstance(dimensions, list) else 0
    spacing, shift, names = place_of(attributes, rank)
    factors = _factors(document, len(spacing))
    if factors:
        shift = shift if len(shift) == len(spacing) else [0.0] * len(spacing)
        parts = list(zip(spacing, factors, shift, strict=True))
        spacing = [(n and n * by, unit) for (n, unit), by, _ in parts]
        shift = [at + (n or 0.0) * (by - 1) / 2 for (n, _), by, at in parts]
    elif last not in ("s0", "") and SCALE.fullmatch(last) and attributes != document:
        spacing, shift, _ = place_of(document, rank)  # the factors of its voxels are unknown
    fields, lost = fields_of(attributes, {*KNOWN, *names})
    # TensorStore would refuse some forms of the resolution, and JSON with NaN.
    plain = {name: value for name, value in document.items() if name in KNOWN}
    if plain != document:
        kvstore = client.replaced(kvstore, "attributes.json", plain)
    array = N5().open(client, kvstore)
    metadata = {"n5": fields} if fields else {}
    return Found(array, "xyzct", (), spacing, shift, metadata, lost)


def _factors(document: dict[str, Any], count: int) -> list[float]:
    """Return the size of a scale's voxels in voxels of ``s0``; empty if unknown."""
    try:
        return numbers(document.get("downsamplingFactors"), count) if count else []
    except (ValueError, OverflowError):
        return []
