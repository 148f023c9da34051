"""N5: axes x, y, z, the fastest first."""

from dataclasses import replace
from typing import Any

from compresso.errors import FileError
from compresso.stores._client import Client, child
from compresso.stores._keys import Keys, check_keys
from compresso.stores._kind import Found, Kind, check_mip, numbers
from compresso.stores._location import Location
from compresso.stores._tree import choices, volumes


class N5(Kind):
    """A folder with ``attributes.json``: an array, or a group whose scales are ``s0``, ``s1``."""

    name = "n5"

    def find(self, client: Client, location: Location, document: dict[str, Any]) -> Found:
        """The array itself, the scale ``mip`` of a group, or the only volume in it."""
        text, kvstore = location.text, location.kvstore
        if "dimensions" in document:
            check_mip(text, location.selection.mip, ["the only one"])
            sizes = document["dimensions"], document.get("blockSize")
            check_keys(client, kvstore, document, Keys("", "/"), *sizes)
            return Found({"driver": "n5", "kvstore": kvstore}, "xyzct", (), _resolution(document))
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


def _resolution(document: dict[str, Any]) -> list[tuple[float | None, str | None]]:
    """``pixelResolution``, where TensorStore's ``resolution`` is not there."""
    value = document.get("pixelResolution")
    if "resolution" in document or value is None:
        return []
    detailed = value if isinstance(value, dict) else {"dimensions": value}
    unit = detailed.get("unit")
    try:
        steps = numbers(detailed.get("dimensions"), len(document["dimensions"]))
    except (TypeError, ValueError):
        return []
    return [(step, None if unit is None else str(unit)) for step in steps]
