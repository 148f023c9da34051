"""Convert a volume of any size, box by box, to Zarr v3 with our codec (docs/large-volumes.md).

While a target is written, its metadata are in ``zarr.json.unfinished``, so that no program opens
it; at the end they become ``zarr.json``. They state the source, so that the same conversion
recognises its own target, complete or not, and resumes it. For each finished task, the target has
a record of the hashes of its objects in ``.compresso/``.
"""

import json
import math
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from operator import add
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from xxhash import xxh3_64_hexdigest

from compresso import encodings, volumes
from compresso.arrays import Labels, Shape
from compresso.atomic import STANDARD, Stamp, check_unchanged, is_stream
from compresso.codec import DEFAULT_ENCODING, require
from compresso.errors import CompressoError, EncodeError, FileError, LabelError
from compresso.parallel import Scheduler
from compresso.text import file_size
from compresso.volumes import UNFINISHED, ZARR_METADATA, Folder, Metadata
from compresso.volumes.volume import Box, Volume, around, boxes_of, format_box, shape_of, slices_of
from compresso.volumes.zarr import OWN

#: Where a target records the finished tasks.
RECORDS = ".compresso/"
#: The most voxels of a task: it limits the work that a kill undoes.
LARGEST_TASK = 1 << 24
#: Bytes per voxel of the chunk at work: its labels, its stream, and labels to compare.
CHUNK_BYTES = 24
#: Bytes of the interpreter, libraries and kernels.
BASE = 352 << 20


@dataclass(frozen=True)
class Job:
    """A conversion as the user asks for it; ``memory`` is the limit of a process in bytes."""

    source: str
    target: str
    encoding: str = DEFAULT_ENCODING
    compression: str | None = None
    chunks: Shape = (64, 64, 64)
    shards: Shape | None = None
    memory: int | None = None
    strict: bool = False
    force: bool = False

    @property
    def object_shape(self) -> Shape:
        """The shape of one object of the target."""
        return self.shards or self.chunks


@dataclass(frozen=True)
class Plan:
    """The settings of a conversion, sent to workers with every task."""

    job: Job  # with absolute paths
    head: bytes  # the target's metadata
    shape: Shape  # of the volume
    task: Shape  # of the box that is read, written and checked at a time
    at_once: int  # tasks that fit the memory of a process
    task_nbytes: int  # memory of a task, about
    room: int  # bytes for reading, in addition to a task's own labels
    sources: tuple[Path, ...]  # the source's files
    stamp: Stamp | None  # of these files
    token: str  # distinguishes this conversion from every other one
    whole: bool = False  # one checksum covers the whole source
    notes: tuple[str, ...] = ()  # for the user
    resumed: bool = False  # parts of the target may exist already

    def __len__(self) -> int:
        """The number of tasks."""
        return math.prod(-(-n // by) for n, by in zip(self.shape, self.task, strict=True))

    def tasks(self) -> Iterator[Box]:
        """Yield the box of each task, x fastest."""
        return boxes_of(self.shape, self.task)

    def objects(self, task: Box) -> dict[str, Box]:
        """The objects of the target in a task, by their names."""
        found, unit = {}, self.job.object_shape
        for box in boxes_of(shape_of(task), unit):
            moved = tuple((a + at, b + at) for (a, b), (at, _) in zip(box, task, strict=True))
            numbers = (low // by for (low, _), by in zip(moved, unit, strict=True))
            found["c/" + "/".join(map(str, numbers))] = moved
        return found


class Done(NamedTuple):
    """Numbers of objects of the target, and a line for each that is missing."""

    written: int = 0  # now
    kept: int = 0  # from before
    empty: int = 0  # all labels are 0, so that nothing is stored
    nbytes: int = 0  # of those written
    missing: int = 0
    refused: int = 0  # missing, because the encoding cannot hold the labels
    problems: tuple[str, ...] = ()

    def plus(self, other: "Done") -> "Done":
        """The sums of both, without problems."""
        return Done(*map(add, self[:-1], other[:-1]))


def make_plan(job: Job, at_once: int, fewer: bool = False) -> Plan:
    """Look at the source and divide the work; nothing is written yet.

    ``at_once`` tasks run in a process; with ``fewer``, as many of them as the memory holds.
    """
    for package in ("tensorstore", "zarr"):
        require(package, "tensorstore zarr", "convert")
    for text in (job.source, job.target):
        if text in ("", str(STANDARD)) or is_stream(volumes.split_source(text)[0]):
            raise FileError(
                f"{text!r}: cannot read or write this box by box. Name a file or a folder."
            )
    memory = job.memory or BASE + volumes.available() // 4
    folder = volumes.Folder(job.target)
    _check_apart(job, folder)
    if folder.path and os.path.lexists(folder.path) and not os.path.isdir(folder.path):
        raise FileError(f"{job.target}: not a folder but a file. Choose another target.")
    found = replace(job, source=volumes.absolute(job.source), target=folder.path or job.target)
    with volumes.open(found.source, memory, job.strict) as volume:
        least, room = _task_memory(job.object_shape, volume, job), max(0, memory - BASE)
        if fewer:
            at_once = max(1, min(at_once, room // least))
        if least > room // at_once:
            given = "a quarter of the free memory" if job.memory is None else "--memory"
            enough = -(-(least * at_once + BASE) // 10**6)
            raise FileError(
                f"{job.source}: not enough memory: {given} is {file_size(memory)}, but the "
                f"program takes {file_size(BASE)} and each task {file_size(least)} "
                f"({at_once} at a time). Give --memory {enough}M, or smaller chunks or shards."
            )
        task = _task_shape(volume, job, room // at_once, at_once)
        nbytes = _task_memory(task, volume, job)
        metadata, dropped = volumes.fit(volume.metadata)
        lost = [*volume.lost, *dropped]
        # JSON has no place for a name's bytes that are not UTF-8.
        name = found.source.encode(errors="backslashreplace").decode()
        origin = {"source": name, **({"stamp": volume.stamp} if volume.stamp else {})}
        return Plan(
            job=found,
            head=_head(volume, job, metadata, origin),
            shape=volume.shape,
            task=task,
            at_once=at_once,
            task_nbytes=nbytes,
            room=room // at_once - nbytes + _read_memory(task, volume),
            sources=tuple(volume.paths),
            stamp=volume.stamp,
            token=secrets.token_hex(8),
            whole=volume.whole,
            notes=(
                *volumes.reshaped(job.source, volume.own, volume.shape),
                *volumes.report_lost(job.source, lost, "the target cannot hold"),
            ),
        )


def _check_apart(job: Job, folder: Folder) -> None:
    """Raise FileError if the target is the source, or one of them is in the other."""
    source, target = volumes.local(job.source), folder.path
    if not target:
        apart = job.source.rstrip("/") != job.target.rstrip("/")
    else:
        one = os.path.realpath(source or target)
        apart = source is None or os.path.commonpath([one, target]) not in (one, target)
    if not apart:
        raise FileError(
            f"{job.target}: target and source are the same, or one contains the other. "
            "Choose another target."
        )


def _task_memory(task: Shape, volume: Volume, job: Job) -> int:
    """Bytes that a task takes, about."""
    # Its labels, an object to compare with them, and chunks of the source that cross its border.
    size = volume.dtype.itemsize
    inner = math.prod(job.chunks) * (1 if job.shards is None else 8)
    unit = math.prod(job.object_shape)
    chunk_bytes = CHUNK_BYTES + encodings.parse(job.encoding).working_bytes
    own = size * math.prod(task) + (size + 1) * unit + chunk_bytes * min(inner, unit)
    return own + _read_memory(task, volume)


def _read_memory(task: Shape, volume: Volume) -> int:
    """Bytes of the chunks, or slices, that are read at a time for a task."""
    touched = math.prod(
        min(n, -(-t // c) * c + (c if t % c else 0))
        for n, t, c in zip(volume.shape, task, volume.chunk, strict=True)
    )
    return volume.dtype.itemsize * min(touched, 4 * math.prod(volume.chunk))


def _task_shape(volume: Volume, job: Job, share: int, at_once: int) -> Shape:
    """The shape of a task: whole objects of the target, and of the source if they fit."""
    task = unit = job.object_shape
    most = max(min(LARGEST_TASK, volume.voxels // at_once), math.prod(volume.chunk))
    # First as far as the source's chunks reach, so that each is read once; then all axes.
    for goal in (volume.chunk, volume.shape):
        ends = list(map(min, goal, volume.shape))
        while short := [axis for axis in (2, 1, 0) if task[axis] < ends[axis]]:
            # Twice as long along the axis that is farthest from its goal; x before y before z.
            axis = min(short, key=lambda a: task[a] / ends[a])
            length = min(2 * task[axis], -(-ends[axis] // unit[axis]) * unit[axis])
            larger = (*task[:axis], length, *task[axis + 1 :])
            inside = math.prod(map(min, larger, volume.shape))
            if inside > most or _task_memory(larger, volume, job) > share:
                break
            task = larger
    return task


def begin(plan: Plan) -> Plan:
    """Create the plan's target, or recognise it; raises FileError if it is another array."""
    folder, text = volumes.Folder(plan.job.target), plan.job.target
    complete, begun = folder.read([ZARR_METADATA, UNFINISHED])
    old = begun if complete is None else complete
    if old is not None:
        found, own = _fields(old), _fields(plan.head)
        if found == own:
            return replace(plan, resumed=True)
        if complete is not None and not found:
            raise FileError(
                f"{text}: a group, or damaged metadata, which is not removed. "
                "Choose another target."
            )
        if not plan.job.force:
            names = ", ".join(name for name in own if found and found.get(name) != own[name])
            raise FileError(
                f"{text}: exists, and is another array{names and f' (its {names} differ)'}. Choose "
                "another target, or replace it with --force."
            )
        folder.write({UNFINISHED: old})  # its name until nothing of the old array is left
        for name in (ZARR_METADATA, "c/", RECORDS):
            folder.remove(name)
    elif any(not name.endswith(".__lock") for name in folder.names()):  # TensorStore's lock files
        raise FileError(f"{text}: folder is not empty. Choose another target.")
    folder.write({UNFINISHED: plan.head})
    return plan


def _check_target(folder: Folder, head: bytes) -> tuple[bytes | None, bytes | None]:
    """The metadata of a target, complete and unfinished; raises FileError if it is another's now.

    It is called before each write, so that two conversions do not mix their chunks.
    """
    complete, begun = folder.read([ZARR_METADATA, UNFINISHED])
    current = begun if complete is None else complete
    if current is None:
        raise FileError(f"{folder.text}: removed while it was written. Run the command again.")
    if _fields(current) != _fields(head):
        raise FileError(f"{folder.text}: another conversion replaced it. Run one at a time.")
    return complete, begun


def _fields(head: bytes) -> dict[str, object]:
    """The fields of an array's metadata, and those of its source; none if it is not an array."""
    with suppress(ValueError, TypeError, AttributeError, KeyError):
        fields = dict(json.loads(head))
        attributes = fields.pop("attributes", {})
        origin = dict(attributes.pop(OWN, {}))
        if "stamp" in origin:
            origin["source's size or time"] = origin.pop("stamp")
        if fields["node_type"] == "array":
            return {**fields, **attributes, **origin}
    return {}


def convert(plan: Plan, scheduler: Scheduler) -> Iterator[Done]:
    """Do the tasks of a plan that is begun.

    At the end, the target becomes complete, unless the source is a file that changed meanwhile, or
    one that is damaged and has no checksum but that of all labels. Raises FileError and
    SchedulerError.
    """
    unread = 0
    try:
        for answer in scheduler.map(partial(work, plan), plan.tasks()):
            unread += answer.value.missing - answer.value.refused
            yield answer.value
    except BaseException:
        _stopped.add(plan.token)
        raise
    finally:
        _source.cache_clear()
    if plan.whole and unread:
        raise FileError(
            f"{plan.job.source}: damaged, so any of its labels may be wrong. {plan.job.target} "
            "stays unfinished. Convert an undamaged file with --force."
        )
    if plan.stamp:
        check_unchanged(plan.sources, plan.stamp, "run it again with --force")
    folder = volumes.Folder(plan.job.target)
    complete, begun = _check_target(folder, plan.head)
    if complete is None:
        folder.write({ZARR_METADATA: plan.head})
    if begun is not None:
        folder.remove(UNFINISHED)


def work(plan: Plan, task: Box) -> Done:
    """Convert a box: objects that exist already and are undamaged are left alone.

    Each object is decoded and compared with the source before it is written, and read back. The
    task is recorded unless objects are missing, so that a resumed conversion does it again.
    """
    folder, encoder = _folder(plan.job.target), Encoder(plan.head)
    objects, record = plan.objects(task), f"{RECORDS}{format_box(task)}"
    hashes, recorded = _undamaged(folder, encoder, objects, record) if plan.resumed else ({}, False)
    missing = {name: box for name, box in objects.items() if name not in hashes}
    kept = sum(map(bool, hashes.values()))
    with _opening:
        source = _source(plan)[0]
    whole = around([*missing.values()] or [task])
    labels = None
    with suppress(CompressoError):  # each object is read on its own then
        labels = source.read_box(whole) if missing else None
    problems, refused = [], 0
    made: dict[str, bytes | None] = {}
    for name, box in missing.items():
        if plan.token in _stopped:
            return Done()
        try:
            part = source.read_box(box) if labels is None else labels[slices_of(box, whole)]
            made[name] = encoder.encode(name, box, part)
        except CompressoError as error:
            if isinstance(error, LabelError):
                error = error.moved([low for low, _ in box])
                refused += 1
            text = "" if isinstance(error, FileError) else f"{plan.job.source}: "
            problems.append(f"{name} is missing, voxels {format_box(box)}: {text}{error}")
    full = {name: data for name, data in made.items() if data is not None}
    if made:
        _check_target(folder, plan.head)
    folder.write(full)
    for name in made.keys() - full.keys() if plan.resumed else ():
        folder.remove(name)
    for (name, data), found in zip(full.items(), folder.read(full), strict=True):
        if data != found:
            raise FileError(f"{folder.text}: {name} is read back with other bytes")
    hashes |= {name: _hash(data) for name, data in made.items()}
    if not problems and (missing or not recorded):
        folder.write({record: json.dumps(hashes).encode()})
    empty, nbytes = len(hashes) - kept - len(full), sum(map(len, full.values()))
    return Done(len(full), kept, empty, nbytes, len(problems), refused, tuple(problems))


def _undamaged(
    folder: Folder, encoder: "Encoder", objects: dict[str, Box], record: str
) -> tuple[dict[str, str], bool]:
    """The hashes of the undamaged objects of a task, and whether it is recorded."""
    *found, recorded = folder.read([*objects, record])
    old, hashes = {}, {}
    with suppress(ValueError, TypeError):
        old = dict(json.loads(recorded or b"{}"))
    for (name, box), data in zip(objects.items(), found, strict=True):
        value = _hash(data)
        if name in old:
            undamaged = old[name] == value
        else:  # it was written, and the task was interrupted before its record
            undamaged = data is not None and encoder.decodes(name, data, box)
        if undamaged:
            hashes[name] = value
    return hashes, bool(old)


def _hash(data: bytes | None) -> str:
    """The hash of an object; empty for one that does not exist."""
    return "" if data is None else xxh3_64_hexdigest(data)


#: Tokens of conversions that ended early: running tasks give up their remaining objects.
_stopped: set[str] = set()
#: Two threads that open a source would keep one of the two, and close the other while it is read.
_opening = Lock()
_folder = lru_cache(maxsize=4)(Folder)


@lru_cache(maxsize=4)
def _source(plan: Plan) -> tuple[Volume, ExitStack]:
    """The source, and the stack that keeps it open."""
    opened = ExitStack()
    volume = volumes.open(plan.job.source, plan.room, plan.job.strict)
    return opened.enter_context(volume), opened


class Encoder:
    """Encodes and decodes an array's objects in memory by Zarr, for one thread."""

    def __init__(self, head: bytes) -> None:
        zarr = require("zarr", "zarr", "a Zarr store")
        import compresso.adapters.zarr  # noqa: F401  (registers the codec)

        self._buffer = zarr.core.buffer.default_buffer_prototype().buffer
        self._objects = {ZARR_METADATA: self._buffer.from_bytes(head)}
        store = zarr.storage.MemoryStore(self._objects)
        self._array = zarr.open_array(store, mode="r+", config={"write_empty_chunks": False})

    def encode(self, name: str, unit: Box, labels: Labels) -> bytes | None:
        """The bytes of an object, which were decoded and compared; None if all labels are 0."""
        self._array[slices_of(unit)] = labels
        equal = np.array_equal(self._array[slices_of(unit)], labels)
        data = self._objects.pop(name, None)
        if not equal:
            raise EncodeError("it decodes to other labels; this is a bug of its codec")
        return None if data is None else bytes(data.to_bytes())

    def decodes(self, name: str, data: bytes, unit: Box) -> bool:
        """Whether the bytes of an object are undamaged, according to their hashes."""
        self._objects[name] = self._buffer.from_bytes(data)
        try:
            self._array[slices_of(unit)]
        except Exception:  # whatever a damaged shard makes Zarr raise
            return False
        finally:
            del self._objects[name]
        return True


def _head(volume: Volume, job: Job, metadata: Metadata, origin: dict[str, Any]) -> bytes:
    """The array's metadata; raises SpecError, and EncodeError for chunks that do not fit."""
    zarr = require("zarr", "zarr", "a Zarr store")
    from compresso.adapters.zarr import CompressoCodec

    attributes: dict[str, Any] = {OWN: {"metadata": metadata, **origin}}
    geometry = volumes.geometry_of(metadata)
    if geometry and any(geometry.spacing):  # also as TensorStore reads it
        length = geometry.length or ""
        attributes["dimension_units"] = [n and f"{n!r} {length}".strip() for n in geometry.spacing]
    objects: dict[str, Any] = {}
    serializer = CompressoCodec(job.encoding, job.compression)
    try:
        zarr.create_array(
            zarr.storage.MemoryStore(objects),
            shape=volume.shape,
            dtype=volume.dtype.newbyteorder("="),
            chunks=job.chunks,
            shards=job.shards,
            serializer=serializer,
            compressors=None,
            fill_value=0,
            dimension_names=("z", "y", "x"),
            attributes=attributes,
        )
    except ValueError as error:
        raise EncodeError(f"chunks of {job.chunks} in shards of {job.shards}: {error}") from None
    data: bytes = objects[ZARR_METADATA].to_bytes()
    return data
