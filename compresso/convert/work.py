"""The work: one task, and all of them on whatever runs them."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import lru_cache, partial
from typing import NamedTuple

from xxhash import xxh3_64_hexdigest

from compresso import volumes
from compresso.arrays import Labels
from compresso.convert.claim import MARKS, check, finish
from compresso.convert.plan import Plan
from compresso.convert.target import Target
from compresso.errors import CompressoError, FileError, LabelError
from compresso.scheduling import Scheduler
from compresso.volumes.volume import Box, Volume, around, format_box, slices_of

#: Objects of the target by their names, and a hash of each.
Hashes = dict[str, str]


class Done(NamedTuple):
    """What became of a task.

    Parameters
    ----------
    written, kept, empty : int
        Objects that were written now, that were there already, and that hold nothing but 0.
    nbytes : int
        Of those written.
    problems : tuple of str
        A line for each object that is not there.
    refused : int
        How many of these have labels that the encoding cannot hold.
    """

    written: int = 0
    kept: int = 0
    empty: int = 0
    nbytes: int = 0
    problems: tuple[str, ...] = ()
    refused: int = 0

    def plus(self, other: "Done") -> "Done":
        """Both together."""
        return Done(
            self.written + other.written,
            self.kept + other.kept,
            self.empty + other.empty,
            self.nbytes + other.nbytes,
            self.problems + other.problems,
            self.refused + other.refused,
        )


def convert(plan: Plan, scheduler: Scheduler, tell: Callable[[Done], None]) -> Done:
    """Do all tasks of a plan; ``tell`` is told of each. Raises FileError and SchedulerError.

    Behind the last one the target gets its metadata, and opens from then on, unless the source is
    a file that changed meanwhile.
    """
    total = Done()
    try:
        for answer in scheduler.map(partial(work, plan), plan.tasks()):
            total = total.plus(answer.value._replace(problems=()))
            tell(answer.value)
    finally:
        _source.cache_clear()
    plan.check_source()
    finish(volumes.folder(plan.target), plan.head)
    return total


def work(plan: Plan, task: Box) -> Done:
    """Convert a box: what of it is there and whole already is left alone.

    Each object is proved to decode to the labels of the source before it is written, and read back
    afterwards; then the task is marked as done. What cannot be read of the source is told, and
    called again, the task is tried again. Raises FileError where the target cannot be written,
    or is another's by now.
    """
    folder, target = _folder(plan.target), Target(plan.head)
    units, mark = plan.units(task), f"{MARKS}{format_box(task)}"
    hashes, marked = _found(folder, target, units, mark) if plan.resumed else ({}, False)
    missing = {name: box for name, box in units.items() if name not in hashes}
    kept = sum(map(bool, hashes.values()))
    problems, refused = [], 0
    made: dict[str, bytes | None] = {}
    for name, labels in _read(plan, missing):
        try:
            if isinstance(labels, CompressoError):
                raise labels
            made[name] = target.encode(name, missing[name], labels)
        except CompressoError as error:
            box = missing[name]
            if isinstance(error, LabelError):
                error = error.moved([low for low, _ in box])
                refused += 1
            source = "" if isinstance(error, FileError) else f"{plan.source}: "
            where = f"{name} is left out, voxels {format_box(box)}"
            problems.append(f"{where}: {source}{error}")
    if made:
        check(folder, plan.head)
    _write(folder, made, plan.resumed)
    hashes |= {name: _hash(data) for name, data in made.items()}
    if not problems and (missing or not marked):
        folder.write({mark: json.dumps(hashes).encode()})
    written = [len(data) for data in made.values() if data]
    empty = len(hashes) - kept - len(written)
    return Done(len(written), kept, empty, sum(written), tuple(problems), refused)


def _read(plan: Plan, units: dict[str, Box]) -> Iterator[tuple[str, Labels | CompressoError]]:
    """The labels of each unit, or why they cannot be read; at once, unless something is wrong."""
    source = _source(plan)[0]
    whole = around(list(units.values())) if units else ()
    try:
        labels = source.read_box(whole) if units else None
    except CompressoError:
        labels = None
    for name, box in units.items():
        if labels is not None:
            yield name, labels[slices_of(box, whole)]
            continue
        try:
            yield name, source.read_box(box)
        except CompressoError as error:
            yield name, error


def _found(
    folder: volumes.Folder, target: Target, units: dict[str, Box], mark: str
) -> tuple[Hashes, bool]:
    """What of a task is there, and whole, and whether it is marked."""
    *found, marked = folder.read([*units, mark])
    try:
        old = dict(json.loads(marked or b"{}"))
    except (ValueError, TypeError):
        old = {}
    hashes = {}
    for (name, box), data in zip(units.items(), found, strict=True):
        value = _hash(data)
        if name in old:
            whole = old[name] == value
        else:  # it was written, and then the task was cut off before its mark
            whole = data is not None and target.decodes(name, data, box)
        if whole:
            hashes[name] = value
    return hashes, bool(old)


def _hash(data: bytes | None) -> str:
    """The hash of an object; empty for one that is not there."""
    return "" if data is None else xxh3_64_hexdigest(data)


def _write(folder: volumes.Folder, objects: dict[str, bytes | None], resumed: bool) -> None:
    """Write objects and read them back; what is empty is not there. Raises FileError."""
    full = {name: data for name, data in objects.items() if data is not None}
    folder.write(full)
    for name in objects.keys() - full.keys() if resumed else ():
        folder.remove(name)
    for (name, data), found in zip(full.items(), folder.read(full), strict=True):
        if data != found:
            raise FileError(f"{folder.text}: {name} is not what was written a moment ago")


@lru_cache(maxsize=4)
def _source(plan: Plan) -> tuple[Volume, ExitStack]:
    """The source, and what keeps it open, as long as it is kept here."""
    opened = ExitStack()
    return opened.enter_context(volumes.open(plan.source, plan.room, plan.strict)), opened


@lru_cache(maxsize=4)
def _folder(text: str) -> volumes.Folder:
    return volumes.folder(text)
