"""Files that hold label volumes: which format a file has, and opening and writing it.

No file leads to another, because it may come from an untrusted source.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import cache
from os.path import exists
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.atomic import file_or_standard
from compresso.errors import CompressoError, FileError
from compresso.plugins import Registry
from compresso.volumes import _metadata, _tiff, nrrd
from compresso.volumes._format import Format, reading, volume_shape
from compresso.volumes._metadata import Metadata
from compresso.volumes.volume import Box, Volume

Writer = Callable[
    [Path, tuple[int, ...], np.dtype[Any], Iterable[NDArray[Any]], Metadata], list[str]
]


_registry = Registry("compresso.volumes", Format, "format")  # type: ignore[type-abstract]


@cache
def suffixes() -> dict[str, Format]:
    """Every known file ending, with its format."""
    formats = [make() for make in _registry.classes.values()]
    return {suffix: form for form in formats for suffix in form.suffixes}


def split(text: str, more: tuple[str, ...] = ()) -> tuple[Path, str]:
    """Split ``my.h5:/volumes/labels`` into the file and what is inside it.

    The part before the colon ends as the files of a format do, in upper or lower case, or exists.
    ``more`` are further endings of files that have an inside.
    """
    endings = "|".join(map(re.escape, (*suffixes(), *more)))
    ends = [found.end(1) for found in re.finditer(rf"(?i)({endings}):", text)]
    ends += [found.start() for found in re.finditer(":", text) if exists(text[: found.start()])]
    if not ends or exists(text):
        return file_or_standard(text), ""
    return file_or_standard(text[: ends[0]]), text[ends[0] + 1 :]


@contextmanager
def open_file(path: Path, inner: str = "", name: Path | None = None) -> Iterator[Volume]:
    """Open a file of any known format; opening and reading raise FileError.

    Parameters
    ----------
    path : Path
    inner : str
        Which of its volumes, if the format holds several.
    name : Path, optional
        A file name whose ending is that of the format; by default the path.
    """
    form = _readable(path, name)
    with ExitStack() as opened:
        with reading(path, form.name):
            if not path.is_file():
                raise FileError(f"{path}: {'is not a file' if path.exists() else 'no such file'}")
            if inner and not form.several:
                raise FileError(f"{path}: holds one volume; leave out what follows: {inner}")
            reader = opened.enter_context(form.open(path, inner))
        volume_shape(path, reader.shape, reader.dtype)
        if 0 in reader.shape and not form.empty:
            raise FileError(f"{path}: holds no voxels; its shape is {reader.shape}")

        def fetch(start: int, stop: int) -> NDArray[Any]:
            with reading(path, form.name):
                return reader.read(start, stop)

        def fetch_box(box: Box) -> NDArray[Any]:
            with reading(path, form.name):
                return reader.read_box(box)

        yield replace(reader, fetch=fetch, fetch_box=fetch_box if reader.fetch_box else None)


def head(path: Path, name: Path | None = None) -> Callable[[bytes], None]:
    """Return the check of a stream's first bytes, which raises FileError as this does.

    The parameters are those of :func:`open_file`.
    """
    form = _readable(path, name)

    def check(start: bytes) -> None:
        if not form.begins(start):
            raise FileError(f"{path}: not in the {form.name} format")

    return check


def _readable(path: Path, name: Path | None) -> Format:
    if path.is_dir():
        raise FileError(f"{path}: is a folder, and no known store; name a file or a store")
    return find_format(name or path)


def files(text: str) -> tuple[Path, ...]:
    """All files that hold a volume, the one that was named first; whoever opens it tells errors."""
    path, _ = split(text)
    with suppress(CompressoError):
        form = find_format(path)
        with reading(path, form.name):
            return form.files(path) if path.is_file() else (path,)
    return (path,)


def sliced(metadata: Metadata, z0: int, z1: int, depth: int) -> Metadata:
    """Return the metadata of slices z0..z1-1 of a volume that has ``depth``.

    Their place differs, and so do fields about single slices. NIfTI's own fields are moved by its
    writer.
    """
    if (z0, z1) == (0, depth):
        return metadata
    cuts = {"nrrd": nrrd.sliced, "tiff": _tiff.sliced}
    found = _metadata.sliced(metadata, z0)
    return found | {
        name: cut(_metadata.own(found, name), z0, z1)
        for name, cut in cuts.items()
        if _metadata.own(found, name)
    }


def writer(path: Path) -> Writer:
    """The function that writes files such as ``path``; raises FileError for an unknown ending.

    It takes a path, the shape (z, y, x), the dtype, all slices in parts, from the first to the
    last, and the metadata of a reader. It returns the names of what of these the format cannot
    hold; it raises FileError for labels that it cannot hold, and OSError.
    """
    return find_format(path).write


def any_shape(path: Path) -> bool:
    """Whether files such as ``path`` hold arrays of one and two dimensions; raises FileError."""
    return find_format(path).any_shape


def find_format(path: Path, advice: str = "") -> Format:
    """Return the format of files such as ``path``, by its ending.

    Raises FileError for an unknown ending; ``advice`` ends its text.
    """
    for suffix, form in suffixes().items():
        if path.name.lower().endswith(suffix):
            return form
    known = ", ".join(suffixes())
    raise FileError(f"{path}: unknown kind of file; known are {known}{advice}")
