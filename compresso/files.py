"""Whole files: a label volume to a compressed file and back, one group of slices at a time.

The functions share these parameters: ``threads``, groups that are processed at once; ``force``, to
overwrite the target; ``ending``, the file ending of the volume's format if its name does not have
it; ``progress``, called with the numbers of finished and of all groups.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np

from compresso import container, volumes
from compresso.arrays import LIMIT, Labels, Shape
from compresso.atomic import CHECKED_BYTES, check_unchanged, replacing, seekable
from compresso.codec import DEFAULT_ENCODING, ignore
from compresso.container.description import Description
from compresso.errors import DecodeError, FileError, naming
from compresso.parallel import Progress, Span

#: Slices from the first to before the second, or to the end.
Slices = tuple[int, int | None]
ALL: Slices = (0, None)
#: Advice for files of unknown format.
FORMAT = ". Name the format, such as --format npy"
STEP = 64  # slices that are copied at a time


@dataclass(frozen=True)
class Result:
    """The array in a file that was written or checked, and the size of the file.

    ``faults`` are the damage found, and ``notes`` are lines about what the target cannot hold.
    ``lost`` slices are filled with 0. ``labels`` are counted on demand.
    """

    description: Description
    size: int
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lost: int = 0
    labels: int | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the array."""
        return np.dtype(self.description.dtype)


def is_cpso(path: Path) -> bool:
    """Whether a file holds a stream of PyPI's package, by its name."""
    return path.name.lower().endswith(".cpso")


def default_target(source: str) -> Path:
    """The compressed file of a source if none is named, ``seg.cps`` for ``seg.h5:/labels``.

    Raises FileError if the source is not a local file or folder.
    """
    path = volumes.split_source(source)[0]
    if source == "-" or "://" in source or "|" in source:
        raise FileError(f"{source}: not a local file. Name the target as well.")
    ending = volumes.known_ending(path) or path.suffix
    return path.with_name(f"{path.name[: len(path.name) - len(ending)]}.cps")


def compress_file(
    source: str,
    target: Path,
    encoding: str = DEFAULT_ENCODING,
    compression: str | None = None,
    memory: int | None = None,
    threads: int = 1,
    force: bool = False,
    ending: str = "",
    progress: Progress = ignore,
    depth: int | None = None,
) -> Result:
    """Compress a volume (docs/stores.md) to a file; to ``.cpso``, as PyPI's package does.

    ``depth`` is the number of slices per group. ``memory`` is an approximate limit in bytes.
    Smaller limits make smaller groups, so the compressed bytes depend on it; they never depend on
    ``threads``. By default the groups at work take at most a quarter of the free memory. Raises
    FileError, and EncodeError if the encoding cannot hold the labels.
    """
    if is_cpso(target):
        return _copy(source, target, ALL, force, ending)
    with (
        _opened(source, target, force, ending, memory) as (volume, unfinished),
        open(unfinished, "wb") as file,
    ):
        shape = volume.own if 0 < len(volume.own) < 3 else volume.shape
        if depth is None and memory is not None:
            depth = container.depth_within(memory, shape, encoding)
        kept, lost = volumes.fit(volume.metadata, container.METADATA_LIMIT)
        parts = _slabs(volume, 0, volume.shape[0], depth or STEP)
        shift = container.shift_of(volume.dtype, parts)  # reads signed 64-bit labels only
        description = container.describe(
            shape, volume.dtype, encoding, compression, depth, shift, kept or None
        )
        room = volumes.available() // 4 if memory is None else memory
        nbytes = container.write(file, description, volume.read, threads, room, progress)
    notes = _notes(source, volume, source, lost, "a compressed file cannot hold")
    return Result(description, nbytes, notes=notes)


def decompress_file(
    source: Path,
    target: Path,
    slices: Slices = ALL,
    salvage: bool = False,
    limit: int = LIMIT,
    threads: int = 1,
    force: bool = False,
    ending: str = "",
    progress: Progress = ignore,
) -> Result:
    """Restore a compressed file, or some of its slices, to a file of a known format.

    With ``salvage``, damaged slices are filled with 0, and the result lists the damage. Files whose
    groups have more bytes of labels than ``limit`` are refused. Raises FileError, and DecodeError
    for damage without ``salvage``.
    """
    if is_cpso(source):
        return _copy(str(source), target, slices, force, target_ending=ending)
    name = volumes.named(target, ending, FORMAT)
    faults: list[container.Damage] = []
    with _reader(source, salvage, limit) as reader:
        description = reader.description
        reader.check_size(description.group_nbytes)
        try:
            reader.check_end()
        except DecodeError as error:
            if not salvage:
                raise
            faults.append(container.Damage(0, 0, str(error)))
        (z0, z1), notes = _chosen(description.shape_zyx[0], slices, source)
        shape: Shape = (z1 - z0, *description.shape_zyx[1:])
        if slices == ALL and volumes.any_shape(name):
            shape = description.shape
        elif len(description.shape) < 3:
            notes.append(f"{target}: array of shape {description.shape} written as {shape}")
        with (
            replacing(target, force, [source], name.name) as unfinished,
            closing(
                _groups(reader, (z0, z1), threads, progress, faults if salvage else None)
            ) as groups,
        ):
            parts = (group.reshape(shape) if len(shape) < 3 else group for group in groups)
            metadata = volumes.sliced(description.metadata or {}, z0, z1, description.shape_zyx[0])
            about = volumes.Volume(shape, np.dtype(description.dtype), metadata=metadata)
            lost = volumes.write(unfinished, about, parts)
            nbytes = unfinished.stat().st_size
    notes += volumes.report_lost(target, lost)
    reasons = tuple(damage.reason for damage in faults)
    zeros = sum(damage.z1 - damage.z0 for damage in faults)
    return Result(replace(description, shape=shape), nbytes, reasons, tuple(notes), zeros)


def verify_file(
    source: Path, threads: int = 1, limit: int = LIMIT, progress: Progress = ignore
) -> Result:
    """Decode a file and check every hash; the result lists the damage.

    Raises FileError if it cannot be read, and DecodeError if nothing of it can be decoded.
    """
    if is_cpso(source) and source.is_file():
        try:
            return describe_file(source, labels=True)
        except FileError as error:
            raise DecodeError(str(error)) from error
    with _reader(source, limit=limit) as reader:
        faults = tuple(damage.reason for damage in reader.damage(threads, progress))
        return Result(reader.description, reader.nbytes, faults)


def describe_file(
    source: Path, labels: bool = False, threads: int = 1, progress: Progress = ignore
) -> Result:
    """Return what a compressed file holds; with ``labels``, decode it to count them."""
    if is_cpso(source):
        with volumes.open(source) as volume:
            count = _distinct(_slabs(volume, 0, volume.shape[0])) if labels else None
        return Result(_as_cpso(volume, volume.shape), source.stat().st_size, labels=count)
    with _reader(source) as reader:
        reader.check_end()
        span = 0, reader.description.shape_zyx[0]
        with closing(_groups(reader, span, threads, progress)) as groups:
            count = _distinct(groups) if labels else None
        return Result(reader.description, reader.nbytes, labels=count)


def _copy(
    source: str,
    target: Path,
    slices: Slices,
    force: bool,
    ending: str = "",
    target_ending: str = "",
) -> Result:
    """Write a volume to a file of another format: to or from a stream of PyPI's package."""
    name = volumes.named(target, target_ending, FORMAT)
    with _opened(source, target, force, ending, name=name.name) as (volume, unfinished):
        (z0, z1), notes = _chosen(volume.shape[0], slices, source)
        shape = (z1 - z0, *volume.shape[1:])
        metadata = volumes.sliced(volume.metadata, z0, z1, volume.shape[0])
        about = volumes.Volume(shape, volume.dtype, metadata=metadata)
        lost = volumes.write(unfinished, about, _slabs(volume, z0, z1))
        nbytes = unfinished.stat().st_size
    notes += _notes(source, volume, target, lost)
    return Result(_as_cpso(volume, shape), nbytes, notes=tuple(notes))


def _as_cpso(volume: volumes.Volume, shape: Shape) -> Description:
    """Describe a stream of PyPI's package."""
    return container.describe(shape, volume.dtype, "cpso", "none", max(1, shape[0]))


def _slabs(volume: volumes.Volume, z0: int, z1: int, step: int = STEP) -> Iterator[Labels]:
    return (volume.read(z, min(z + step, z1)) for z in range(z0, z1, step))


@contextmanager
def _opened(
    source: str, target: Path, force: bool, ending: str, memory: int | None = None, name: str = ""
) -> Iterator[tuple[volumes.Volume, Path]]:
    """Open a volume, and give the temporary path of its target.

    The target appears only if the source has not changed meanwhile.
    """
    with (
        volumes.open(source, memory, False, ending, FORMAT) as volume,
        replacing(target, force, volume.paths, name) as unfinished,
        naming(source),
    ):
        yield volume, unfinished
        check_unchanged(volume.paths, volume.stamp, "nothing was written, run it again")


def _notes(
    source: str, volume: volumes.Volume, where: object, lost: list[str], why: str = "cannot hold"
) -> tuple[str, ...]:
    """Lines about a changed shape, and about metadata that the target cannot hold."""
    return (
        *volumes.reshaped(source, volume.own, volume.shape),
        *volumes.report_lost(where, [*volume.lost, *lost], why),
    )


def _groups(
    reader: container.Reader,
    span: Span,
    threads: int,
    progress: Progress,
    faults: list[container.Damage] | None = None,
) -> Generator[Labels, None, None]:
    """Yield slices group by group; damage is added to ``faults`` and filled with 0, or raised."""
    description = reader.description
    numbers = description.groups.of(*span)
    progress(0, len(numbers))
    with closing(reader.groups(numbers, threads)) as groups:
        for done, (number, group) in enumerate(zip(numbers, groups, strict=True), 1):
            start, stop = description.groups.span(number)
            low, high = max(start, span[0]), min(stop, span[1])
            if not isinstance(group, DecodeError):
                yield group[low - start : high - start]
            elif faults is None:
                raise group
            else:
                faults.append(container.Damage(low, high, f"{group}; they are filled with 0"))
                yield np.zeros((high - low, *description.shape_zyx[1:]), description.dtype)
            progress(done, len(numbers))


def _distinct(parts: Iterable[Labels]) -> int:
    """The number of distinct labels."""
    return len(reduce(np.union1d, parts, np.empty(0, np.uint8)))


def _chosen(depth: int, slices: Slices, source: object) -> tuple[Span, list[str]]:
    """Resolve a range of slices, with a note if it is cut; raises FileError if out of range."""
    z0, z1 = slices[0], depth if slices[1] is None else slices[1]
    if (z0, z1) != (0, depth) and not 0 <= z0 < min(z1, depth):
        text = f"{z0}:{'' if slices[1] is None else z1}"
        raise FileError(f"{source}: slices {text} are out of range (it has {depth} slices)")
    cut = f"{source}: slices {z0}:{z1} requested, only {z0}:{depth} exist; writing these"
    return (z0, min(z1, depth)), [cut] * (z1 > depth)


@contextmanager
def _reader(source: Path, salvage: bool = False, limit: int = LIMIT) -> Iterator[container.Reader]:
    """Open a compressed file; raises FileError, and DecodeError that names it."""
    if source.is_dir():
        raise FileError(f"{source}: {volumes.what_is(source)}")

    with seekable(source, "file", None if salvage else partial(_check_start, source)) as path:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            raise FileError(f"{source}: no such file") from None
        except OSError as error:
            raise FileError(f"{source}: cannot be read ({error.strerror or error})") from None
        with file, naming(source):
            try:
                reader = container.Reader(file, salvage, limit, volumes.available() // 4)
            except DecodeError:
                file.seek(0)
                _check_start(source, file.read(CHECKED_BYTES))
                raise
            yield reader


def _check_start(source: Path, start: bytes) -> None:
    """Raise FileError if a file does not begin as a compressed file does."""
    if start.startswith(container.MAGIC):
        return
    for ending, format in volumes.suffixes().items():
        if source.name.lower().endswith(ending) and format.begins(start):
            raise FileError(
                f"{source}: a volume ({ending}), not a compresso file. To compress it: compresso "
                f"compress {source}"
            )
    raise FileError(
        f"{source}: not a compresso file (its first bytes are not those of a .cps file)"
    )
