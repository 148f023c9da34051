"""Label volumes in files and stores: one way to open, read and write all of them.

:func:`open` understands every source that the commands take and returns a :class:`Volume`;
:func:`write` writes one to a file. A file format is one file of this folder with a class derived
from ``Format`` (``_format.py``); a kind of store is one file with a class derived from ``Kind``
(``_stores.py``). No list names them.

No file leads to another, because it may come from an untrusted source.
"""

import itertools
import math
import os
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from compresso.arrays import Labels
from compresso.atomic import STANDARD, file_or_standard, seekable
from compresso.errors import CompressoError, FileError
from compresso.text import extent, file_size
from compresso.volumes import _metadata
from compresso.volumes._format import Format, available, formats, reading, volume_shape
from compresso.volumes._location import UNFINISHED, holds, local, names_store, short, what_is
from compresso.volumes._metadata import Metadata, fit, geometry_of, report_lost, summary
from compresso.volumes._stores import Folder, folder, open_store
from compresso.volumes.volume import Box, Volume, of_array, shape_of

__all__ = [
    "UNFINISHED",
    "Folder",
    "Format",
    "Metadata",
    "Volume",
    "absolute",
    "any_shape",
    "available",
    "files",
    "fit",
    "folder",
    "geometry_of",
    "holds",
    "local",
    "named",
    "names_store",
    "of_array",
    "open",
    "open_file",
    "report_lost",
    "reshaped",
    "short",
    "sliced",
    "split",
    "suffixes",
    "summary",
    "what_is",
    "write",
]

STEP = 64  # slices that are written at a time


# -- opening --------------------------------------------------------------------------------------


@contextmanager
def open(
    text: str, memory: int | None = None, strict: bool = False, form: str = "", advice: str = ""
) -> Iterator[Volume]:
    """Open a volume, of which any part can be read.

    Parameters
    ----------
    text : str
        A file of a known format, ``my.h5:/labels``, or a store, ``gs://bucket/seg|zarr3:``
        (docs/stores.md); ``-`` is the standard input.
    memory : int, optional
        Approximate memory in bytes for reading, without the returned labels; by default a quarter
        of the free memory.
    strict : bool
        Refuse missing chunks; by default they have the fill value.
    form : str
        The file ending of the format, such as ``nii.gz``, if the file's name does not have it.
    advice : str
        The end of the error message for a file of unknown format.

    Raises
    ------
    FileError, SpecError, MissingPackageError
        If there is no such file or store, or it is not a volume of labels.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     np.save(f"{parent}/a.npy", np.ones((4, 5, 6), np.uint16))
    ...     with open(f"{parent}/a.npy") as volume:
    ...         volume.shape, volume.read_box(((1, 2), (0, 5), (2, 4))).shape
    ((4, 5, 6), (1, 5, 2))
    """
    if names_store(text):
        with open_store(text, memory, strict) as volume:
            yield volume
        return
    path, inner = split(text)
    if path != STANDARD and not path.exists():
        raise FileError(f"{path}: no such file")
    ending = named(path, form, advice)
    name = Path(ending or path)
    first = _readable(path, name)

    def check(start: bytes) -> None:
        if not first.begins(start):
            raise FileError(f"{path}: not in the {first.name} format")

    with seekable(path, ending, check) as file, open_file(file, inner, name) as volume:
        room = available() // 4 if memory is None else memory
        found = _with_boxes(text, volume, room)
        yield _strict(text, found) if strict else found


@contextmanager
def open_file(path: Path, inner: str = "", name: Path | None = None) -> Iterator[Volume]:
    """Open a file of a known format; opening and reading raise FileError.

    Parameters
    ----------
    path : Path
    inner : str
        The name of one of its volumes, if the format can hold several.
    name : Path, optional
        A file name with the ending of the format; by default the path.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     np.save(f"{parent}/a.npy", np.ones((4, 5, 6), np.uint16))
    ...     with open_file(Path(parent, "a.npy")) as volume:
    ...         volume.read(2, 9).shape
    (2, 5, 6)
    """
    form = _readable(path, name)
    with ExitStack() as opened:
        with reading(path, form.name):
            if not path.is_file():
                raise FileError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
            if inner and not form.several:
                raise FileError(
                    f"{path}: the file has one volume. Remove the name after the colon: {inner}"
                )
            volume = opened.enter_context(form.open(path, inner))
        volume_shape(path, volume.shape, volume.dtype)
        if 0 in volume.shape and not form.empty:
            raise FileError(f"{path}: empty volume ({extent(volume.shape)} voxels)")

        def fetch(start: int, stop: int) -> Labels:
            with reading(path, form.name):
                return volume.read(start, stop)

        def fetch_box(box: Box) -> Labels:
            with reading(path, form.name):
                return volume.read_box(box)

        yield replace(volume, fetch=fetch, fetch_box=fetch_box if volume.fetch_box else None)


def _with_boxes(text: str, volume: Volume, memory: int) -> Volume:
    """Return a volume any box of which can be read, even if its format has only whole slices.

    At most ``memory`` bytes of slices are read at a time.
    """
    lock = threading.Lock()
    last: dict[int, Labels] = {}  # one slice, of which more boxes may be needed
    plane = math.prod(volume.shape[1:]) * volume.dtype.itemsize

    def fetch(box: Box) -> Labels:
        (z0, z1), (y0, y1), (x0, x1) = box
        if volume.fetch_box:
            with lock:
                return volume.read_box(box)
        whole = shape_of(box)[1:] == volume.shape[1:]
        depth = z1 - z0 if whole else memory // max(1, plane)
        if depth < 1:
            raise FileError(
                f"{text}: a slice of {file_size(plane)} does not fit the "
                f"{file_size(memory)} for reading. Raise --memory."
            )
        with lock:
            if z1 - z0 == 1:
                if z0 not in last:
                    last.clear()
                    last[z0] = volume.read(z0, z1)
                return last[z0][:, y0:y1, x0:x1].copy()
            parts = [
                volume.read(z, min(z + depth, z1))[:, y0:y1, x0:x1].copy()
                for z in range(z0, z1, depth)
            ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    chunk = tuple(max(1, n) for n in volume.chunk or (1, *volume.shape[1:]))
    return replace(volume, fetch_box=fetch, chunk=chunk)


def _strict(text: str, volume: Volume) -> Volume:
    """Return the same volume, but a box with a missing chunk raises FileError."""
    if volume.stored is None:
        return volume
    stored = {tuple(low for low, _ in box) for box, _ in volume.stored()}

    def fetch(box: Box) -> Labels:
        steps = zip(box, volume.chunk, strict=True)
        for at in itertools.product(*(range(a - a % by, b, by) for (a, b), by in steps)):
            if at not in stored:
                raise FileError(f"{text}: its chunk at voxel (z, y, x) = {at} is missing")
        return volume.read_box(box)

    return replace(volume, fetch=None, fetch_box=fetch)


# -- names ----------------------------------------------------------------------------------------


@cache
def suffixes() -> dict[str, Format]:
    """Return every known file ending, with its format.

    Examples
    --------
    >>> suffixes()[".nii.gz"].name
    'NIfTI'
    """
    return {suffix: form() for form in formats.classes.values() for suffix in form.suffixes}


def find_format(path: Path, advice: str = "") -> Format:
    """Return the format of a file name.

    Raises FileError for an unknown ending; ``advice`` ends its text.
    """
    for suffix, form in suffixes().items():
        if path.name.lower().endswith(suffix):
            return form
    known = ", ".join(suffixes())
    raise FileError(f"{path}: unknown file format (known endings: {known}){advice}")


def named(path: Path, form: str, advice: str = "") -> str:
    """Return a file name with the ending ``form``; empty if the path's own name decides.

    Raises FileError if the format is unknown.

    Examples
    --------
    >>> named(Path("pipe"), "npy")
    'volume.npy'
    """
    name = f"volume.{form.lstrip('.')}" if form else ""
    if name or not path.is_dir():
        find_format(Path(name or path), advice)
    return name


def _readable(path: Path, name: Path | None) -> Format:
    if path.is_dir():
        raise FileError(f"{path}: not a file or a known store (it is a folder)")
    return find_format(name or path)


def split(text: str, more: tuple[str, ...] = ()) -> tuple[Path, str]:
    """Split a name into the file and the name of a volume inside it.

    The part before the colon exists or has the ending of a format, in upper or lower case.
    ``more`` are further endings of files that can hold several volumes.

    Examples
    --------
    >>> path, inner = split("my.h5:/volumes/labels")
    >>> str(path), inner
    ('my.h5', '/volumes/labels')
    """
    endings = "|".join(map(re.escape, (*suffixes(), *more)))
    ends = [found.end(1) for found in re.finditer(rf"(?i)({endings}):", text)]
    ends += [at for at, sign in enumerate(text) if sign == ":" and os.path.exists(text[:at])]
    if not ends or os.path.exists(text):
        return file_or_standard(text), ""
    return file_or_standard(text[: ends[0]]), text[ends[0] + 1 :]


def files(text: str) -> tuple[Path, ...]:
    """Return all files that hold a volume, first the named one, whose errors opening reports."""
    path, _ = split(text)
    with suppress(CompressoError):
        form = find_format(path)
        with reading(path, form.name):
            return form.files(path) if path.is_file() else (path,)
    return (path,)


def absolute(text: str) -> str:
    """Return a volume's name that means the same in another working directory."""
    if "://" in text or "|" in text:
        return text
    return os.path.abspath(text)


def reshaped(where: object, own: tuple[int, ...], shape: tuple[int, ...]) -> list[str]:
    """Return one line if an array's own shape is not that of the volume, else none."""
    text = f"{where}: the array of shape {own} is read as {extent(shape)} voxels (x, y, z)"
    return [text] * (own not in ((), shape))


# -- writing --------------------------------------------------------------------------------------


def write(
    path: Path,
    volume: Volume,
    parts: Iterable[Labels] | None = None,
    name: Path | None = None,
) -> list[str]:
    """Write a volume to a file.

    Parameters
    ----------
    path : Path
    volume : Volume
        Its shape, dtype and metadata are written, and its labels without ``parts``.
    parts : iterable of array, optional
        All labels in parts, from the first slice to the last.
    name : Path, optional
        A file name with the ending of the format; by default the path.

    Returns
    -------
    list of str
        The names of the metadata that the format cannot hold.

    Raises
    ------
    FileError, OSError
        For an unknown file ending, for labels that the format cannot hold, and if it cannot be
        written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     path = Path(parent, "a.nrrd")
    ...     lost = write(path, of_array(np.ones((4, 5, 6), np.uint16)))
    ...     with open_file(path) as volume:
    ...         lost, volume.shape
    ([], (4, 5, 6))
    """
    if parts is None:
        parts = (volume.read(z, z + STEP) for z in range(0, volume.shape[0], STEP))
    return find_format(name or path).write(path, volume, parts)


def any_shape(path: Path) -> bool:
    """Whether files such as ``path`` hold arrays of one and two dimensions; raises FileError.

    Examples
    --------
    >>> any_shape(Path("a.npy")), any_shape(Path("a.nrrd"))
    (True, False)
    """
    return find_format(path).any_shape


def sliced(metadata: Metadata, z0: int, z1: int, depth: int) -> Metadata:
    """Return the metadata of slices z0..z1-1 of a volume that has ``depth``.

    Their origin differs, and so do fields about single slices.
    """
    if (z0, z1) == (0, depth):
        return metadata
    found = _metadata.sliced(metadata, z0)
    for form in suffixes().values():
        fields = _metadata.own(metadata, form.key)
        if fields:
            found = found | {form.key: form.sliced(fields, z0, z1)}
    return found
