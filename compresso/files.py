"""Whole files: from a label volume to a compressed file and back, one group of slices at a time."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from compresso import container, volumes
from compresso.arrays import LIMIT, Labels
from compresso.atomic import check_unchanged, replacing, seekable, stamp
from compresso.errors import DecodeError, EncodeError, FileError
from compresso.parallel import Span

Announce = Callable[[str], None]
#: Slices from the first to before the second, or to the end.
Slices = tuple[int, int | None]
ALL: Slices = (0, None)
#: Advice for files of unknown format.
FORMAT = "; or name the format, such as --format npy"
STEP = 64  # slices that are copied at a time


class Written(NamedTuple):
    """The description of a written file, and its size in bytes."""

    description: container.Description
    nbytes: int


def quietly(text: str) -> None:
    """Discard a message (the default ``announce`` callback)."""


@dataclass(frozen=True)
class Work:
    """Settings that compressing and decompressing a file share.

    Parameters
    ----------
    threads : int
        Groups that are processed at once; if there are fewer, each uses several threads. 0: all
        cores.
    force : bool
        Overwrite the target.
    announce : callable
        Called with each message about damage, or about metadata that the target cannot hold.
    form : str
        The file ending of the volume's format, if the file's name does not have it.
    limit : int
        Refuse files whose groups have more bytes of labels than this; also bounds the groups in
        memory.
    """

    threads: int = 1
    force: bool = False
    announce: Announce = quietly
    form: str = ""
    limit: int = LIMIT


WORK = Work()


def compress_file(
    source: str,
    target: Path,
    encoding: str = container.ENCODING,
    compression: str = container.COMPRESSION,
    memory: int | None = None,
    work: Work = WORK,
) -> Written:
    """Compress a volume to a file, group by group.

    Parameters
    ----------
    source : str
        A file of a known format, ``my.h5:/labels``, or a store, ``gs://bucket/seg|zarr3:``;
        ``-`` is the standard input.
    target : Path
        ``-`` is the standard output.
    encoding, compression : str
        Codec strings, such as ``zstd:level=19``.
    memory : int, optional
        Approximate memory limit in bytes. Smaller limits make smaller groups, so the compressed
        bytes depend on it; they never depend on ``threads``.
    work : Work

    Raises
    ------
    FileError
        If a file cannot be read or written, or the source changes meanwhile.
    EncodeError
        If the encoding cannot hold the labels.
    """
    with (
        _opened(source, target, work, memory) as (volume, unfinished),
        open(unfinished, "wb") as file,
    ):
        shape = volume.own if 0 < len(volume.own) < 3 else volume.shape
        depth = None if memory is None else container.depth_within(memory, shape)
        kept, lost = volumes.fit(volume.metadata, container.METADATA_LIMIT)
        shift = _shift(volume, depth or 64)
        description = container.describe(
            shape, volume.dtype, encoding, compression, depth, shift, kept or None
        )
        nbytes = container.write(file, description, volume.read, work.threads, memory)
        lines = volumes.report_lost(source, [*volume.lost, *lost], "the frame cannot hold")
        for line in [*volumes.reshaped(source, volume.own, volume.shape), *lines]:
            work.announce(line)
        return Written(description, nbytes)


def is_stream(path: Path) -> bool:
    """Whether a file holds a stream of PyPI's package, by its name."""
    return path.name.lower().endswith(".cpso")


def describe_stream(path: Path, decode: bool = False) -> str:
    """Shape and dtype of a stream of PyPI's package, which is decoded first if ``decode`` is set.

    Raises
    ------
    FileError
        If the file cannot be read, or is not a whole stream.
    """
    with volumes.open_file(path) as volume:
        if decode:
            volume.read(0, volume.shape[0])
        return (
            f"{' x '.join(map(str, volume.shape))} {volume.dtype.name}, stream of PyPI's compresso"
        )


def copy_volume(source: str, target: Path, slices: Slices = ALL, work: Work = WORK) -> None:
    """Write a volume to a file of another format: to or from a stream of PyPI's package.

    Parameters
    ----------
    source : str
        As :func:`compress_file` takes it.
    target : Path
        As :func:`decompress_file` takes it.
    slices : (int, int or None)
        Only the slices from the first to before the second.
    work : Work

    Raises
    ------
    FileError
        If a file cannot be read or written, or there are no such slices.
    """
    name = Path(volumes.named(target, work.form, FORMAT) or target)
    write = volumes.writer(name)
    with _opened(source, target, work, ending=name.name[-50:]) as (volume, unfinished):
        z0, z1 = _chosen(volume.shape[0], slices, Path(source), work.announce)
        parts = (volume.read(z, min(z + STEP, z1)) for z in range(z0, z1, STEP))
        metadata = volumes.sliced(volume.metadata, z0, z1, volume.shape[0])
        lost = write(unfinished, (z1 - z0, *volume.shape[1:]), volume.dtype, parts, metadata)
        lines = volumes.report_lost(target, [*volume.lost, *lost])
        for line in [*volumes.reshaped(source, volume.own, volume.shape), *lines]:
            work.announce(line)


@contextmanager
def _opened(
    source: str, target: Path, work: Work, memory: int | None = None, ending: str = ""
) -> Iterator[tuple[volumes.Volume, Path]]:
    """Open a volume, and give the temporary name of what is made of it.

    The target appears only if the source has not changed meanwhile.
    """
    if volumes.holds(source, target):
        raise FileError(f"{target}: is in the source itself; choose another name")
    sources = volumes.files(source)
    before = stamp(sources)
    with (
        volumes.open(source, memory, False, "" if ending else work.form, FORMAT) as volume,
        replacing(target, work.force, sources, ending) as unfinished,
        _named(source),
    ):
        yield volume, unfinished
        check_unchanged(sources, before, "nothing was written, run it again")


def decompress_file(
    source: Path,
    target: Path,
    slices: Slices = ALL,
    salvage: bool = False,
    work: Work = WORK,
) -> bool:
    """Restore a compressed file to a file of a known format, group by group.

    Parameters
    ----------
    source, target : Path
        ``-`` is the standard input or output.
    slices : (int, int or None)
        Only the slices from the first to before the second.
    salvage : bool
        Fill damaged slices with 0 and go on.
    work : Work

    Returns
    -------
    bool
        Whether the whole file is undamaged.

    Raises
    ------
    FileError
        If a file cannot be read or written, or there are no such slices.
    DecodeError
        If the file is damaged and ``salvage`` is not set.
    """
    name = Path(volumes.named(target, work.form, FORMAT) or target)
    write = volumes.writer(name)
    with _reader(source, salvage, work.limit) as reader:
        held = reader.description
        reader.check_size(held.group_nbytes)

        def announce(damage: str) -> None:
            work.announce(f"{source}: {damage}")

        lost = []

        def lose(error: DecodeError) -> None:
            announce(f"{error}; they are filled with 0")
            lost.append(error)

        sound = _check(reader, salvage, announce)
        span = _chosen(held.grid[0], slices, source, work.announce)
        shape: tuple[int, ...] = (span[1] - span[0], *held.grid[1:])
        if slices == ALL and volumes.any_shape(name):
            shape = held.shape
        elif len(held.shape) < 3:
            work.announce(f"{target}: holds the array of shape {held.shape} as {shape}")
        with (
            replacing(target, work.force, [source], name.name[-50:]) as unfinished,
            closing(_parts(reader, span, work.threads, lose if salvage else None)) as parts,
        ):
            fitted = (part.reshape(shape) if len(shape) < 3 else part for part in parts)
            metadata = volumes.sliced(held.metadata or {}, *span, held.grid[0])
            unheld = write(unfinished, shape, np.dtype(held.dtype), fitted, metadata)
        for line in volumes.report_lost(target, unheld):
            work.announce(line)
    return sound and not lost


def _parts(
    reader: container.Reader, span: Span, threads: int, lose: Callable[[DecodeError], None] | None
) -> Generator[Labels, None, None]:
    """Yield slices group by group; ``lose`` is called for a damaged group, which is then zeros.

    Without ``lose``, a damaged group raises DecodeError.
    """
    description = reader.description
    numbers = description.groups_of(*span)
    with closing(reader.groups(numbers, threads)) as groups:
        for number, group in zip(numbers, groups, strict=True):
            start, stop = description.group(number)
            low, high = max(start, span[0]), min(stop, span[1])
            if not isinstance(group, DecodeError):
                yield group[low - start : high - start]
                continue
            if lose is None:
                raise group
            lose(group)
            yield np.zeros((high - low, *description.grid[1:]), description.dtype)


def describe_file(source: Path) -> container.Description:
    """Return the description of a compressed file; raises FileError and DecodeError."""
    with _reader(source) as reader:
        reader.check_end()
        return reader.description


def verify_file(source: Path, threads: int, limit: int = LIMIT) -> Iterator[container.Damage]:
    """Decode a compressed file and yield its damage; raises FileError and DecodeError."""
    with _reader(source, limit=limit) as reader:
        yield from reader.damage(threads)


def _shift(volume: volumes.Volume, step: int) -> int:
    """Return the shift of a volume's labels; reads it only if its dtype needs one."""
    starts = range(0, volume.shape[0], step)
    return container.shift_of(volume.dtype, (volume.read(z, z + step) for z in starts))


def _check(reader: container.Reader, salvage: bool, announce: Announce) -> bool:
    """Whether head and end are undamaged; raises DecodeError, or announces it with ``salvage``."""
    try:
        reader.check_end()
    except DecodeError as error:
        if not salvage:
            raise
        announce(str(error))
        return False
    return True


def _chosen(depth: int, slices: Slices, source: Path, announce: Announce) -> Span:
    """Resolve a range of slices; raises FileError if it is outside the volume."""
    z0, z1 = slices[0], depth if slices[1] is None else slices[1]
    if (z0, z1) != (0, depth) and not 0 <= z0 < min(z1, depth):
        asked = f"{z0}:{'' if slices[1] is None else z1}"
        raise FileError(f"{source}: {asked} are none of its {depth} slices")
    if z1 > depth:
        announce(f"{source}: has {depth} slices, and is read to its end")
    return z0, min(z1, depth)


@contextmanager
def _reader(source: Path, salvage: bool = False, limit: int = LIMIT) -> Iterator[container.Reader]:
    """Open a compressed file; raises FileError, and DecodeError that names it."""
    if source.is_dir():
        raise FileError(f"{source}: {volumes.what_is(source)}")

    def check(start: bytes) -> None:
        with _named(source):
            container.check_magic(start)

    with seekable(source, "frame", None if salvage else check) as path:
        try:
            file = path.open("rb")
        except OSError as error:
            raise FileError(f"{source}: cannot be read ({error.strerror or error})") from None
        with file, _named(source):
            yield container.Reader(file, salvage, limit)


@contextmanager
def _named(source: object) -> Iterator[None]:
    """Put the source's name in front of an error about its labels or bytes."""
    try:
        yield
    except DecodeError as error:
        raise DecodeError(f"{source}: {error}") from error
    except EncodeError as error:
        raise EncodeError(f"{source}: {error}") from error
