"""For the day of the move only: the old names of plugins."""

from typing import Any

from compresso.plugins import Extent as Extent
from compresso.plugins import build as build
from compresso.plugins import split as split
from compresso.plugins import split_list as split_list


def spell(name: str, item: Any) -> str:
    """The spec of a plug-in."""
    import dataclasses

    given = [
        f"{f.name}={getattr(item, f.name)}"
        for f in dataclasses.fields(item)
        if getattr(item, f.name) != f.default
    ]
    return name + (":" + ",".join(given) if given else "")
