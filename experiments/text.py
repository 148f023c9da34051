"""Names of datasets, codecs and sizes for people."""

import re
from collections.abc import Iterable, Iterator, Sequence

#: The groups of datasets: the paper's EM sets, its other sets, and synthetic volumes.
EM, OTHER, SYNTHETIC = "em", "other", "synthetic"
#: For a number that is not known, and for no compressor.
DASH = "\u2013"
NUMBER = re.compile(r"((?<==)-?\d+(?:\.\d+)?|\d+(?:\.\d+)?)")


def display_name(name: str, group: str) -> str:
    """Return a dataset's name or title, marked as synthetic if it is."""
    return f"{name} (synthetic)" if group == SYNTHETIC else name


def markdown(
    heads: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1
) -> Iterator[str]:
    """Yield the lines of a Markdown table, whose columns after the first ``left`` are numbers.

    A ``|``, which names of stores have, is escaped.
    """
    rule = ["---"] * left + ["---:"] * (len(heads) - left)
    yield from (f"| {' | '.join(heads)} |", f"|{'|'.join(rule)}|")
    for row in rows:
        fields = (str(field).replace("|", r"\|") for field in row)
        yield f"| {' | '.join(fields)} |"


def printable(text: str) -> str:
    """Return a file's name as text that can be printed and stored, with escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def distinct(named: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return a different name for each pair of a name and a path.

    Files of one name are preceded by as many of their folders as make them differ.
    """
    pairs = set(named)

    def longer(name: str, source: str) -> str:
        paths = [f"/{path}" for other, path in pairs if other == name]
        folders = source.removesuffix(name).strip("/").split("/")
        for at in range(len(folders), -1, -1):
            found = "/".join([*folders[at:], name])
            if sum(path.endswith(f"/{found}") for path in paths) <= 1:
                return found
        return source

    return {pair: longer(*pair) for pair in pairs}


def natural(text: str) -> list[str | float]:
    """Return a key that sorts codec strings by their numbers: ``level=2`` before ``level=10``."""
    parts = NUMBER.split(text.lower())
    return [float(part) if i % 2 else part for i, part in enumerate(parts)]
