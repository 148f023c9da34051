"""Files of label volumes: those of ``compresso.formats``, and the paper's archives."""

import os
import tempfile
from collections.abc import Iterable
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


def printable(text: str) -> str:
    """A file's name as text that can be shown and stored: what is no character is escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def source(path: Path, inner: str = "") -> str:
    """What tells a volume's file from every other: its whole path, and what is inside it."""
    return printable(os.path.abspath(path) + (f":{inner}" if inner else ""))


def told_apart(sources: Iterable[str]) -> dict[str, str]:
    """A name for each source: the end of its path, as far back as no other has the same."""
    split_sources = {source: split(source) for source in sources}
    parts = {path: path.parts for path, _ in split_sources.values()}

    def name(path: Path) -> str:
        for size in range(1, len(path.parts)):
            tail = path.parts[-size:]
            if sum(other[-size:] == tail for other in parts.values()) == 1:
                return "/".join(tail)
        return str(path)

    return {
        source: name(path) + (f":{inner}" if inner else "")
        for source, (path, inner) in split_sources.items()
    }


def check_writable(folder: Path) -> None:
    """Make a folder, and find out whether files can be written to it; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(1 << 12))
        file.flush()
        os.fsync(file.fileno())
