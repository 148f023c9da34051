"""The volumes that Ristretto was trained on: its ratios there say little about other volumes."""

import re
from collections.abc import Mapping
from typing import Any

#: Follows the name of an encoding wherever its result on such a volume is shown.
MARK = "\u2020"
NOTE = (
    f"{MARK} trained on this volume: Ristretto's starting counters come from pinky40, slices 0 to "
    "255, and from the phantom of 512x512x96 voxels"
)
#: Of pinky40-z000-255.h5 as it was published, whatever its name.
PINKY40 = "a7224fd85413dfe2"
SLICES = 256


def is_trained(row: Mapping[str, Any]) -> bool:
    """Whether a row is a result of Ristretto on a volume that it was trained on.

    Parameters
    ----------
    row : Mapping
        A row of results, of which ``dataset``, ``fingerprint``, ``encoding`` and ``compression``
        are used. In figures an encoding that stands alone is a second stage.
    """
    codecs = (str(row.get(stage, "")).partition(":")[0] for stage in ("encoding", "compression"))
    if "ristretto" not in codecs:
        return False
    name = str(row.get("dataset", ""))
    return row.get("fingerprint") == PINKY40 or _is_pinky40(name) or _is_phantom(name)


def _is_pinky40(name: str) -> bool:
    """Whether a file is pinky40 by its name, and not of later slices only (``z256-511``)."""
    found = re.search(r"pinky40(?!\d)(?:.*?z_?(\d+))?", name, re.IGNORECASE)
    return found is not None and int(found[1] or 0) < SLICES


def _is_phantom(spec: str) -> bool:
    """Whether a spec is of slices of the phantom that was used, in any dtype."""
    name, _, parameters = spec.partition(":")
    size, seed = re.search(r"size=(\d+x\d+)x", parameters), re.search(r"seed=(\d+)", parameters)
    return (
        name == "phantom"
        and (size is None or size[1] == "512x512")
        and (seed is None or int(seed[1]) == 0)
    )


def marked(line: Mapping[str, Any]) -> str:
    """The encoding of a line of :func:`experiments.records.intervals.intervals`, with its mark."""
    return f"{line['encoding']}{MARK if line['trained'] else ''}"
