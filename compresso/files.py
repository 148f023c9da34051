"""Whole files: from a label volume to a frame and back, a group of slices at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from compresso import formats, frame, stores
from compresso.arrays import LIMIT, Labels
from compresso.errors import DecodeError, EncodeError, FileError
from compresso.targets import STANDARD, replacing, seekable

Announce = Callable[[str], None]
#: Memory that a slice of a group needs, in slices: it is read, encoded, decoded, and compared.
COPIES = 6


class Written(NamedTuple):
    """A frame that was written, and its bytes."""

    description: frame.Description
    nbytes: int


def quietly(text: str) -> None:
    """Tell nobody."""


def compress_file(
    source: str,
    target: Path,
    encoding: str,
    compression: str,
    threads: int,
    memory: int | None,
    force: bool,
    announce: Announce = quietly,
    form: str = "",
) -> Written:
    """Compress a volume's file to a frame's, group by group.

    Parameters
    ----------
    source : str
        A file of a known format, ``my.h5:/labels``, or a store, ``gs://bucket/seg|zarr3:``;
        ``-`` is the standard input.
    target : Path
        ``-`` is the standard output.
    encoding, compression : str
        Spec strings.
    threads : int
    memory : int, optional
        Bytes that a group may take, all its copies together.
    force : bool
        Overwrite ``target``.
    announce : callable
        Told of what the source says beside its labels, and the frame cannot hold.
    form : str
        The ending of the source's format, where its name does not tell.

    Raises FileError where a file cannot be read or written, and what
    :class:`compresso.frame.Writer` raises.
    """
    if stores.holds(source, target):
        raise FileError(f"{target}: is in the source itself; choose another name")
    with (
        _volume(source, form, memory) as volume,
        replacing(target, force, formats.split(source)[0]) as unfinished,
        _named(source),
        open(unfinished, "wb") as frame_file,
    ):
        depth = _depth(volume.shape, memory)
        kept, lost = formats.fit(volume.metadata, frame.METADATA_LIMIT)
        codecs = encoding, compression, threads
        shift = _shift(volume, depth or 64)
        writer = frame.Writer(
            frame_file, volume.shape, volume.dtype, *codecs, depth, shift, kept or None
        )
        while writer.pending:
            writer.write(volume.read(*writer.pending))
        for line in formats.tell(source, [*volume.lost, *lost], "the frame cannot hold"):
            announce(line)
        return Written(writer.description, frame_file.tell())


def decompress_file(
    source: Path,
    target: Path,
    threads: int,
    slices: tuple[int, int | None],
    salvage: bool,
    force: bool,
    announce: Announce,
    form: str = "",
    limit: int = LIMIT,
) -> bool:
    """Restore a frame's file to one of a known format, group by group.

    Parameters
    ----------
    source, target : Path
        ``-`` is the standard input or output.
    threads : int
    slices : (int, int or None)
        Only those from the first to before the second.
    salvage : bool
        Fill damaged slices with 0 and go on.
    force : bool
        Overwrite ``target``.
    announce : callable
        Told of damage, and of what the target cannot hold.
    form : str
        The ending of the target's format, where its name does not tell.
    limit : int
        Refuse groups whose labels are more bytes than this.

    Returns
    -------
    bool
        Whether all of the file is sound.

    Raises FileError where a file cannot be read or written or there are no such slices, and
    DecodeError where the frame is damaged, unless it is to be salvaged.
    """
    name = Path(_ending(target, form) or target)
    write = formats.writer(name)
    with _reader(source, salvage, limit) as reader:
        reader.check_size(reader.description.group_nbytes)
        sound = _check(reader, salvage, announce)
        z0, z1 = _chosen(reader.description.grid[0], slices, source, announce)
        shape: tuple[int, ...] = (z1 - z0, *reader.description.grid[1:])
        if slices == (0, None) and formats.any_shape(name):
            shape = reader.description.shape
        elif slices == (0, None) and shape != reader.description.shape:
            announce(f"{target}: holds the array of shape {reader.description.shape} as {shape}")
        groups = _Groups(reader, z0, z1, threads, announce if salvage else None)
        parts = (group.reshape(shape) if len(shape) < 3 else group for group in groups)
        dtype, metadata = np.dtype(reader.description.dtype), reader.description.metadata or {}
        with replacing(target, force, source, name.name[-50:]) as unfinished:
            lost = write(unfinished, shape, dtype, parts, formats.sliced(metadata, z0))
        for line in formats.tell(target, lost):
            announce(line)
    return sound and not groups.lost


@contextmanager
def _volume(source: str, form: str, memory: int | None) -> Iterator[formats.Reader]:
    """Open a volume, in whatever it is."""
    if stores.names_store(source):
        with stores.open_volume(source, memory) as volume:
            yield volume
        return
    path, inner = formats.split(source)
    if path != STANDARD and not path.exists():
        raise FileError(f"{path}: no such file")
    with (
        seekable(path, _ending(path, form)) as file,
        formats.open_volume(file, inner) as volume,
    ):
        yield volume


@dataclass
class _Groups:
    """Slices z0..z1-1 of a frame, group by group; where it is told, what is lost is 0."""

    reader: frame.Reader
    z0: int
    z1: int
    threads: int
    announce: Announce | None
    lost: int = 0

    def __iter__(self) -> Iterator[Labels]:
        description = self.reader.description
        for number in description.groups_of(self.z0, self.z1):
            start, stop = description.group(number)
            low, high = max(start, self.z0), min(stop, self.z1)
            try:
                group = self.reader.group(number, self.threads)
            except DecodeError as error:
                if self.announce is None:
                    raise
                self.announce(f"{error}; they are filled with 0")
                self.lost += 1
                group = np.zeros((stop - start, *description.grid[1:]), description.dtype)
            yield group[low - start : high - start]


def describe_file(source: Path) -> frame.Description:
    """What a frame's file says of itself; raises FileError and DecodeError."""
    with _reader(source) as reader:
        reader.check_end()
        return reader.description


def verify_file(source: Path, threads: int, limit: int = LIMIT) -> Iterator[frame.Damage]:
    """Decode a frame's file and tell what is damaged; raises FileError and DecodeError."""
    with _reader(source, limit=limit) as reader:
        yield from reader.damage(threads)


def _ending(path: Path, form: str) -> str:
    """The name of a file of a format, where the path's own is not to tell."""
    if path == STANDARD and not form:
        raise FileError("-: what kind of file? Name its format, such as --format npy")
    return f"volume.{form.lstrip('.')}" if form else ""


def _shift(volume: formats.Reader, step: int) -> int:
    """What to add to the labels of a volume, which is read for it only where its dtype needs it."""
    starts = range(0, volume.shape[0], step)
    return frame.shift_of(volume.dtype, (volume.read(z, z + step) for z in starts))


def _depth(shape: tuple[int, ...], memory: int | None) -> int | None:
    """Slices of a group that takes so many bytes; None where nothing is said."""
    plane = 8 * shape[1] * shape[2]
    return max(1, memory // max(1, COPIES * plane)) if memory else None


def _check(reader: frame.Reader, salvage: bool, announce: Announce) -> bool:
    """Whether a frame is whole from its head to its end; raises DecodeError, or tells it."""
    try:
        reader.check_end()
    except DecodeError as error:
        if not salvage:
            raise
        announce(str(error))
        return False
    return True


def _chosen(
    depth: int, slices: tuple[int, int | None], source: Path, announce: Announce
) -> tuple[int, int]:
    """The slices that are meant, of so many; raises FileError where there are none of them."""
    z0, z1 = slices[0], depth if slices[1] is None else slices[1]
    if (z0, z1) != (0, depth) and not 0 <= z0 < min(z1, depth):
        raise FileError(f"{source}: {z0}:{z1} are none of its {depth} slices")
    if z1 > depth:
        announce(f"{source}: has {depth} slices, and is read to its end")
    return z0, min(z1, depth)


@contextmanager
def _reader(source: Path, salvage: bool = False, limit: int = LIMIT) -> Iterator[frame.Reader]:
    """Open a frame's file; raises FileError, and DecodeError that names it."""
    with seekable(source, "frame") as path:
        try:
            file = path.open("rb")
        except OSError as error:
            raise FileError(f"{source}: cannot be read ({error.strerror or error})") from None
        with file, _named(source):
            yield frame.Reader(file, salvage, limit)


@contextmanager
def _named(source: object) -> Iterator[None]:
    """Say whose labels or bytes an error is about."""
    try:
        yield
    except DecodeError as error:
        raise DecodeError(f"{source}: {error}") from error
    except EncodeError as error:
        raise EncodeError(f"{source}: {error}") from error
