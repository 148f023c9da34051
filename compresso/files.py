"""Whole files: from a label volume to a frame and back, a group of slices at a time."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from compresso import formats, frame
from compresso.arrays import Labels
from compresso.errors import DecodeError, FileError

Announce = Callable[[str], None]
#: Memory that a slice of a group needs, in slices: it is read, encoded, decoded, and compared.
COPIES = 6


@contextmanager
def replacing(path: Path, force: bool) -> Iterator[Path]:
    """Give a temporary name beside ``path``; what is there at the end takes its place at once.

    Whatever happens, ``path`` is the old file or the whole new one. Raises FileError.
    """
    if path.exists() and not force:
        raise FileError(f"{path}: exists; choose another name, or overwrite it with --force")
    unfinished = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield unfinished
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        unfinished.unlink(missing_ok=True)


def compress_file(
    source: str,
    target: Path,
    encoding: str,
    compression: str,
    threads: int,
    memory: int | None,
    force: bool,
) -> frame.Description:
    """Compress a volume's file to a frame's, group by group.

    Parameters
    ----------
    source : str
        A file of a known format, ``my.h5:/labels``.
    target : Path
    encoding, compression : str
        Spec strings.
    threads : int
    memory : int, optional
        Bytes that a group may take, all its copies together.
    force : bool
        Overwrite ``target``.
    """
    path, inner = formats.split(source)
    if not path.exists():
        raise FileError(f"{path}: no such file")
    with formats.open_volume(path, inner) as volume, replacing(target, force) as unfinished:
        if target.exists() and target.samefile(path):
            raise FileError(f"{target}: is the source itself")
        depth = None
        if memory:
            plane = 8 * volume.shape[1] * volume.shape[2]
            depth = max(1, memory // max(1, COPIES * plane))
        step = depth or 64
        starts = range(0, volume.shape[0], step)
        shift = frame.shift_of(volume.dtype, (volume.read(z, z + step) for z in starts))
        with open(unfinished, "wb") as file:
            writer = frame.Writer(
                file,
                volume.shape,
                volume.dtype,
                encoding,
                compression,
                threads,
                depth,
                shift,
                getattr(volume, "metadata", None),
            )
            while writer.pending:
                writer.write(volume.read(*writer.pending))
        return writer.description


def decompress_file(
    source: Path,
    target: Path,
    threads: int,
    slices: tuple[int, int | None],
    salvage: bool,
    force: bool,
    announce: Announce,
) -> bool:
    """Restore a frame's file to one of a known format, group by group.

    Parameters
    ----------
    source, target : Path
    threads : int
    slices : (int, int or None)
        Only those from the first to before the second.
    salvage : bool
        Fill damaged slices with 0 and go on.
    force : bool
        Overwrite ``target``.
    announce : callable
        Told of damage.

    Returns
    -------
    bool
        Whether all slices are sound.
    """
    sound = True
    write = formats.writer(target)
    with _open(source) as file:
        reader = frame.Reader(file, salvage)
        if not salvage:
            reader.check_end()
        z0, z1, _ = slice(*slices).indices(reader.description.grid[0])
        plane = reader.description.grid[1:]
        dtype = np.dtype(reader.description.dtype)

        def parts() -> Iterator[Labels]:
            nonlocal sound
            for number, (start, stop) in enumerate(reader.description.groups):
                low, high = max(start, z0), min(stop, z1)
                if low >= high:
                    continue
                try:
                    yield reader.group(number, threads)[low - start : high - start]
                except DecodeError as error:
                    if not salvage:
                        raise
                    announce(f"{error}; they are filled with 0")
                    sound = False
                    yield np.zeros((high - low, *plane), dtype)

        if salvage:
            try:
                reader.check_end()
            except DecodeError as error:
                announce(str(error))
                sound = False
        with replacing(target, force) as unfinished:
            write(unfinished, (max(0, z1 - z0), *plane), dtype, parts())
    return sound


def describe_file(source: Path) -> frame.Description:
    """What a frame's file says of itself; raises FileError and DecodeError."""
    with _open(source) as file:
        reader = frame.Reader(file)
        reader.check_end()
        return reader.description


def verify_file(source: Path, threads: int) -> Iterator[frame.Damage]:
    """Decode a frame's file and tell what is damaged."""
    with _open(source) as file:
        yield from frame.Reader(file).damage(threads)


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    try:
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror or error})") from None
