"""Names of datasets and numbers, as people read them."""

import re
from collections.abc import Sequence

import numpy as np

#: The groups of datasets: the paper's EM sets, its other sets, and synthetic volumes.
EM, OTHER, SYNTHETIC = "em", "other", "synthetic"
NUMBER = re.compile(r"((?<==)-?\d+(?:\.\d+)?|\d+(?:\.\d+)?)")


def shown(name: str, group: str) -> str:
    """A dataset's name or title; a synthetic one says so everywhere."""
    return f"{name} (synthetic)" if group == SYNTHETIC else name


def printable(text: str) -> str:
    """A file's name as text that can be shown and stored, with other characters escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def distinct(name: str, sources: Sequence[str]) -> dict[str, str]:
    """A name for each of several files called ``name``, by their whole paths.

    As many of its folders precede the name as it takes to differ from all others.
    """

    def longer(source: str) -> str:
        folders = source.removesuffix(name).strip("/").split("/")
        for size in range(1, len(folders) + 1):
            found = "/".join([*folders[-size:], name])
            if sum(other.endswith(f"/{found}") for other in sources) == 1:
                return found
        return source

    return {source: longer(source) for source in sources}


def plainly(value: float) -> str:
    """A number without exponent: whole from 10 on, and with two digits below."""
    if value >= 9.95:
        return f"{value:,.0f}"
    return np.format_float_positional(value, precision=2, fractional=False, trim="-")


def natural(text: str) -> list[str | float]:
    """The key that sorts specs as people do, by their numbers: ``level=2`` before ``level=10``."""
    parts = NUMBER.split(text.lower())
    return [float(part) if i % 2 else part for i, part in enumerate(parts)]
