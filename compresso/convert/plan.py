"""What is to be converted, and in which parts."""

import math
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from compresso import volumes
from compresso.atomic import STANDARD, Stamp, check_unchanged, is_stream, stamp
from compresso.convert.claim import claim
from compresso.convert.target import Codec, attributes, head
from compresso.errors import FileError
from compresso.volumes.volume import Box, Shape, Volume, grid

#: Voxels of a task, at most: what a kill may cost, and what progress is counted in.
LARGEST = 1 << 24
#: Bytes that a codec needs for a voxel of the chunk at hand, about.
CODEC_BYTES = 64
#: Bytes that are always there: the interpreter, libraries and kernels.
BASE = 352 << 20


@dataclass(frozen=True)
class Wanted:
    """What somebody asks for.

    Parameters
    ----------
    source, target : str
    codec : Codec
    memory : int, optional
        Bytes that all tasks at work in a process may take together, about; half of what is free.
    strict : bool
        A chunk that the source's store lacks is damage, and not its fill value.
    force : bool
        Remove another array that is the target.
    """

    source: str
    target: str
    codec: Codec = field(default_factory=Codec)
    memory: int | None = None
    strict: bool = False
    force: bool = False


@dataclass(frozen=True)
class Plan:
    """All that a worker must know; it is sent with every task.

    Parameters
    ----------
    source, target : str
    head : bytes
        The target's metadata.
    shape, unit, task : (int, int, int)
        Of the volume, of one object of the target, and of what is read, written and checked at a
        time.
    room : int
        Bytes for reading, beside a task's own labels.
    strict : bool
    stamp : tuple of int, optional
        Of the source, where it is in files.
    token : str
        Tells this conversion from every other.
    lost : sequence of str
        The names of what the source says, and the target cannot hold.
    notes : tuple of str
        Lines that the user should see first.
    resumed : bool
        Some of it may be there already.
    """

    source: str
    target: str
    head: bytes
    shape: Shape
    unit: Shape
    task: Shape
    room: int
    strict: bool
    stamp: Stamp | None
    token: str
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    resumed: bool = False

    def __len__(self) -> int:
        """How many tasks."""
        return math.prod(-(-n // by) for n, by in zip(self.shape, self.task, strict=True))

    def tasks(self) -> Iterator[Box]:
        """Their boxes, slices first."""
        return grid(self.shape, self.task)

    def check_source(self) -> None:
        """Raise FileError where the source is a file that changed since the plan was made."""
        if self.stamp:
            sources = volumes.files(self.source)
            check_unchanged(sources, self.stamp, "run it again with --force")

    def units(self, task: Box) -> dict[str, Box]:
        """The objects of the target that a task is made of, by their names."""
        found = {}
        for box in grid(tuple(b - a for a, b in task), self.unit):
            moved = tuple((a + at, b + at) for (a, b), (at, _) in zip(box, task, strict=True))
            numbers = (a // by for (a, _), by in zip(moved, self.unit, strict=True))
            found["c/" + "/".join(map(str, numbers))] = moved
        return found


def make(wanted: Wanted, at_once: int) -> Plan:
    """Look at the source, and divide the work; nothing is written yet.

    ``at_once`` is how many tasks are at work in a process. Raises FileError and its like.
    """
    for text in (wanted.source, wanted.target):
        if text in ("", str(STANDARD)) or is_stream(volumes.split(text)[0]):
            raise FileError(
                f"{text!r}: cannot be read or written box by box; name a file or a folder"
            )
    memory = wanted.memory or volumes.available() // 2
    source = volumes.absolute(wanted.source)
    folder = volumes.folder(wanted.target)
    _check_apart(wanted, folder)
    if folder.path and os.path.lexists(folder.path) and not os.path.isdir(folder.path):
        raise FileError(f"{wanted.target}: is a file, and a store is a folder; choose another name")
    before = None if volumes.names_store(source) else stamp(volumes.files(source))
    with volumes.open(source, memory, wanted.strict) as volume:
        share = max(0, memory - BASE) // at_once
        task = _task(volume, wanted, memory, at_once)
        room = share - needs(task, volume, wanted.codec) + _across(task, volume)
        fields, dropped = volumes.fit(volume.metadata)
        # JSON has no place for a name's bytes that are no UTF-8.
        name = source.encode(errors="backslashreplace").decode()
        origin = {"source": name, **({"stamp": before} if before else {})}
        said = attributes(fields, origin)
        metadata = head(volume.shape, volume.dtype, wanted.codec, said)
        shape, lost = volume.shape, (*volume.lost, *dropped)
        notes = tuple(volumes.reshaped(wanted.source, volume.own, shape))
    return Plan(
        source=source,
        target=folder.path or wanted.target,
        head=metadata,
        shape=shape,
        unit=wanted.codec.unit,
        task=task,
        room=room,
        strict=wanted.strict,
        stamp=before,
        token=secrets.token_hex(8),
        lost=lost,
        notes=notes,
    )


def begin(wanted: Wanted, plan: Plan) -> Plan:
    """Create the plan's target, or recognise it; raises FileError where it is another's."""
    return replace(plan, resumed=claim(volumes.folder(wanted.target), plan.head, wanted.force))


def needs(task: Shape, volume: Volume, codec: Codec) -> int:
    """Bytes that a task takes, about."""
    # Its labels, the target's to compare with them, and chunks of the source that lie across.
    size = volume.dtype.itemsize
    inner = math.prod(codec.chunks) * (1 if codec.shards is None else 8)
    unit = math.prod(codec.unit)
    own = size * math.prod(task) + (size + 1) * unit + CODEC_BYTES * min(inner, unit)
    return own + _across(task, volume)


def _across(task: Shape, volume: Volume) -> int:
    """Bytes of the chunks, or slices, that are read at a time for a task."""
    touched = math.prod(
        min(n, -(-t // c) * c + (c if t % c else 0))
        for n, t, c in zip(volume.shape, task, volume.chunk, strict=True)
    )
    return volume.dtype.itemsize * min(touched, 4 * math.prod(volume.chunk))


def _task(volume: Volume, wanted: Wanted, memory: int, at_once: int) -> Shape:
    """The shape of a task: whole objects of the target, and of the source as far as that goes."""
    unit = wanted.codec.unit
    share = max(0, memory - BASE) // at_once
    least = needs(unit, volume, wanted.codec)
    if least > share:
        given = f"--memory is {volumes.format_size(memory)}"
        if wanted.memory is None:
            given = f"half of the free memory is {volumes.format_size(memory)}"
        enough = -(-(least * at_once + BASE) >> 20)
        raise FileError(
            f"{wanted.source}: {given}, but the program takes {volumes.format_size(BASE)}, and a "
            f"task {volumes.format_size(least)} ({at_once} at a time); give --memory {enough}M, "
            f"{'fewer threads, ' if at_once > 1 else ''}or smaller chunks or shards"
        )
    task = unit
    # First as far as the source's chunks reach, so that each is read once; then all axes.
    for goal in (volume.chunk, volume.shape):
        while True:
            larger = _grown(task, unit, goal, volume.shape)
            if larger is None or math.prod(larger) > max(LARGEST, math.prod(volume.chunk)):
                break
            if needs(larger, volume, wanted.codec) > share:
                break
            task = larger
    return task


def _grown(task: Shape, unit: Shape, goal: Shape, shape: Shape) -> Shape | None:
    """Twice as long along the axis that has the farthest to go; x before y before z."""
    ends = [min(g, n) for g, n in zip(goal, shape, strict=True)]
    short = [axis for axis in (2, 1, 0) if task[axis] < ends[axis]]
    if not short:
        return None
    axis = min(short, key=lambda a: task[a] / ends[a])
    length = min(2 * task[axis], -(-ends[axis] // unit[axis]) * unit[axis])
    return (*task[:axis], length, *task[axis + 1 :])


def _check_apart(wanted: Wanted, folder: volumes.Folder) -> None:
    """Raise FileError where the target is the source, or is in it, or the other way round."""
    if not folder.path:
        if wanted.source.rstrip("/") == wanted.target.rstrip("/"):
            raise FileError(f"{wanted.target}: is the source itself; choose another name")
        return
    store = volumes.names_store(wanted.source)
    source = volumes.local(wanted.source) if store else volumes.split(wanted.source)[0]
    if source is None:
        return
    one, other = Path(os.path.realpath(source)), Path(folder.path)
    if one == other or one in other.parents or other in one.parents:
        raise FileError(f"{wanted.target}: is the source itself, or in it; choose another name")
