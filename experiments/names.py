"""What datasets are called, and which kind of data they are."""

from collections.abc import Sequence

#: The panels of the mean figure: the paper's EM sets, its other sets, and what is no real data.
EM, OTHER, SYNTHETIC = "em", "other", "synthetic"


def shown(name: str, group: str) -> str:
    """A dataset's name or title for the user; what is no real data says so everywhere."""
    return f"{name} (synthetic)" if group == SYNTHETIC else name


def printable(text: str) -> str:
    """A file's name as text that can be shown and stored: what is no character is escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def told_apart(name: str, sources: Sequence[str]) -> dict[str, str]:
    """A name for each of several files called ``name``, by their whole paths.

    As many of its folders are put before the name as it takes to differ from all others.
    """

    def longer(source: str) -> str:
        folders = source.removesuffix(name).strip("/").split("/")
        for size in range(1, len(folders) + 1):
            found = "/".join([*folders[-size:], name])
            if sum(other.endswith(f"/{found}") for other in sources) == 1:
                return found
        return source

    return {source: longer(source) for source in sources}
