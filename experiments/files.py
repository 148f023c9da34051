"""Files of label volumes: those of ``compresso.formats``, and the paper's archives."""

from contextlib import AbstractContextManager
from pathlib import Path

from compresso import formats
from compresso.formats import Reader


def split(text: str) -> tuple[Path, str]:
    """Split ``my.h5:/volumes/labels`` into the file and what is inside it."""
    from experiments import archives

    return formats.split(text, archives.SUFFIXES)


def open_volume(path: Path, inner: str = "") -> AbstractContextManager[Reader]:
    """Open a file of any known kind; raises FileError."""
    from experiments import archives

    if path.name.lower().endswith(tuple(s.lower() for s in archives.SUFFIXES)):
        return archives.open_volume(path, inner)
    return formats.open_volume(path, inner)
