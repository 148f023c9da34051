"""Label volumes in files and stores: one way to open, read and write all of them.

:func:`open` understands every source that the commands take and returns a :class:`Volume`;
:func:`write` writes one to a file. A file format is one file of this folder with a class derived
from ``Format`` (``_format.py``); a kind of store is one file with a class derived from ``Kind``
(``_stores.py``). No list names them.

Links to other files are not followed, because a file may come from an untrusted source; only NRRD
opens the data file next to its header.
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
from compresso.atomic import STANDARD, file_or_standard, seekable, stamp
from compresso.errors import FileError
from compresso.text import extent, file_size
from compresso.volumes import _metadata, _stores
from compresso.volumes._format import Format, available, formats, reading, volume_shape
from compresso.volumes._metadata import Metadata, fit, geometry_of, report_lost, summary
from compresso.volumes._stores import (
    UNFINISHED,
    ZARR_METADATA,
    Folder,
    absolute,
    names_store,
    short,
    what_is,
)
from compresso.volumes.volume import Box, Volume, of_array, shape_of

__all__ = [
    "UNFINISHED",
    "ZARR_METADATA",
    "Folder",
    "Format",
    "Metadata",
    "Volume",
    "absolute",
    "any_shape",
    "available",
    "fit",
    "geometry_of",
    "known_ending",
    "local",
    "named",
    "names_store",
    "of_array",
    "open",
    "report_lost",
    "reshaped",
    "short",
    "sliced",
    "split_source",
    "suffixes",
    "summary",
    "what_is",
    "write",
]

STEP = 64  # slices that are written at a time


# -- opening --------------------------------------------------------------------------------------


@contextmanager
def open(
    text: str | Path,
    memory: int | None = None,
    strict: bool = False,
    ending: str = "",
    advice: str = "",
) -> Iterator[Volume]:
    """Open a volume, of which any part can be read.

    Parameters
    ----------
    text : str or Path
        A file of a known format, ``my.h5:/labels``, or a store, ``gs://bucket/seg|zarr3:``
        (docs/stores.md); ``-`` is the standard input.
    memory : int, optional
        Approximate memory in bytes for reading, without the returned labels; by default a quarter
        of the free memory.
    strict : bool
        Refuse missing chunks; by default they have the fill value.
    ending : str
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
    text = os.fspath(text)
    if names_store(text):
        with _stores.open_store(text, memory, strict) as volume:
            yield volume
        return
    path, inner = split_source(text)
    if path != STANDARD and not path.exists():
        raise FileError(f"{path}: no such file")
    if not ending and path.suffix.lower() == ".cps":
        restored = path.with_suffix(".h5")
        raise FileError(
            f"{path}: already compressed. To restore it: compresso decompress {path} {restored}"
        )
    format = suffixes()[known_ending(named(path, ending, advice))]
    if inner and not format.holds_several:
        raise FileError(f"{path}: the file has one volume. Remove what follows the colon: {inner}")

    def check(start: bytes) -> None:
        if not format.begins(start):
            raise FileError(f"{path}: not in the {format.name} format")

    with seekable(path, check=check) as file, ExitStack() as opened:
        with reading(file, format.name):
            paths = format.files(file) if file == path else (path,)
            before = stamp(paths)
            volume = opened.enter_context(format.open(file, inner))
        volume_shape(file, volume.shape, volume.dtype)
        if 0 in volume.shape and not format.empty:
            raise FileError(f"{file}: empty volume ({extent(volume.shape)} voxels)")
        room = available() // 4 if memory is None else memory
        found = _with_boxes(text, volume, room, file, format)
        found = replace(found, paths=paths, stamp=before)
        yield _strict(text, found) if strict else found


def _with_boxes(text: str, volume: Volume, memory: int, file: Path, format: Format) -> Volume:
    """Return a volume any box of which can be read, from ``memory`` bytes of slices at a time."""
    lock = threading.RLock()
    last: dict[int, Labels] = {}  # one slice, of which more boxes may be needed
    plane = math.prod(volume.shape[1:]) * volume.dtype.itemsize

    def fetch(start: int, stop: int) -> Labels:
        with lock, reading(file, format.name):
            return volume.read(start, stop)

    def fetch_box(box: Box) -> Labels:
        (z0, z1), (y0, y1), (x0, x1) = box
        if volume.fetch_box:
            with lock, reading(file, format.name):
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
                    last[z0] = fetch(z0, z1)
                return last[z0][:, y0:y1, x0:x1].copy()
            parts = [
                fetch(z, min(z + depth, z1))[:, y0:y1, x0:x1].copy() for z in range(z0, z1, depth)
            ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    chunk = tuple(max(1, n) for n in volume.chunk or (1, *volume.shape[1:]))
    return replace(volume, fetch=fetch, fetch_box=fetch_box, chunk=chunk)


def _strict(text: str, volume: Volume) -> Volume:
    """Return the same volume, but a box with a missing chunk raises FileError."""
    if volume.stored is None:
        return volume
    stored = {tuple(low for low, _ in box) for box in volume.stored()}

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
    """Return every known file ending, with its format."""
    return {suffix: format() for format in formats() for suffix in format.suffixes}


def known_ending(path: Path) -> str:
    """Return the known ending of a file name in lower case; empty if it has none."""
    name = path.name.lower()
    return max(filter(name.endswith, suffixes()), key=len, default="")


def named(path: Path, ending: str = "", advice: str = "") -> Path:
    """Return the path, or a name with this ``ending``; raises FileError for unknown formats."""
    if path.is_dir():
        raise FileError(f"{path}: not a file or a known store (it is a folder)")
    name = Path(f"volume.{ending.lstrip('.')}") if ending else path
    if not known_ending(name):
        known = ", ".join(suffixes())
        if name.suffix.lower() == ".zarr":
            advice = ". To write Zarr, use compresso convert"
        raise FileError(f"{name}: unknown file format (known endings: {known}){advice}")
    return name


def split_source(text: str, more: tuple[str, ...] = ()) -> tuple[Path, str]:
    """Split ``my.h5:/labels`` into the file and the name of a volume inside it.

    The part before the colon exists or has the ending of a format, in upper or lower case.
    ``more`` are further endings of files that can hold several volumes.
    """
    endings = "|".join(map(re.escape, (*suffixes(), *more)))
    ends = [found.end(1) for found in re.finditer(rf"(?i)({endings}):", text)]
    ends += [at for at, sign in enumerate(text) if sign == ":" and os.path.exists(text[:at])]
    if not ends or os.path.exists(text):
        return file_or_standard(text), ""
    return file_or_standard(text[: ends[0]]), text[ends[0] + 1 :]


def local(text: str) -> Path | None:
    """Return the local file of a volume, or the folder of its array; None for other addresses."""
    return _stores.local(text) if names_store(text) else split_source(text)[0]


def reshaped(where: object, own: tuple[int, ...], shape: tuple[int, ...]) -> list[str]:
    """Return one line if an array's own shape is not that of the volume, else none."""
    text = f"{where}: the array of shape {own} is read as {extent(shape)} voxels (x, y, z)"
    return [text] * (own not in ((), shape))


# -- writing --------------------------------------------------------------------------------------


def write(path: Path, volume: Volume, parts: Iterable[Labels] | None = None) -> list[str]:
    """Write a volume to a file; return the names of the metadata that the format cannot hold.

    ``parts`` are its labels, from the first slice to the last, if the volume does not have them.
    Raises FileError for labels that the format cannot hold, and OSError.
    """
    if parts is None:
        parts = (volume.read(z, z + STEP) for z in range(0, volume.shape[0], STEP))
    format = suffixes()[known_ending(named(path))]
    format.check(volume)
    return format.write(path, volume, parts)


def any_shape(path: Path) -> bool:
    """Whether files such as ``path`` hold arrays of one and two dimensions."""
    return suffixes()[known_ending(path)].any_shape


def sliced(metadata: Metadata, z0: int, z1: int, depth: int) -> Metadata:
    """Return the metadata of slices z0..z1-1 of a volume that has ``depth``."""
    if (z0, z1) == (0, depth):
        return metadata
    found = dict(metadata)
    if geometry := geometry_of(metadata):
        del found["geometry"]
        with suppress(ValueError):  # the origin overflows
            found |= _metadata.make("", {}, geometry.moved(z0))
    for format in suffixes().values():
        if fields := _metadata.own(metadata, format.key):
            found = found | {format.key: format.sliced(fields, z0, z1)}
    return found
