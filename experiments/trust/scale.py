"""What a scheduler costs and gains: a conversion by 1 and 2 workers, and tasks that do nothing.

    python -m experiments.trust.scale labels.h5 --rounds 3

A volume becomes a Zarr store (64 x 64 x 64 voxels a chunk, zstd), twice, one behind the other along
y, so that there are enough tasks. It is then converted by a thread of this process and by
schedulers of 1 and 2 worker processes, in rounds; medians are printed, with their 95% intervals.
docs/scale.md tells what follows from them.
"""

import pickle
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click
import numpy as np

from compresso import convert
from compresso.scheduling import Scheduler, open_scheduler
from compresso.sources import open_boxes
from experiments.measure import Clock
from experiments.measure import rounds as in_rounds
from experiments.program import Program
from experiments.records.intervals import interval

#: How tasks are run, by what the table calls it.
WAYS = {"no scheduler": "", "1 worker": "processes:1", "2 workers": "processes:2"}
#: Tasks that do nothing.
EMPTY = 500


def nothing(number: int) -> int:
    """A task of no work."""
    return number


def make_source(text: str, slices: int | None, folder: Path) -> Path:
    """A Zarr store of a volume, or its first slices, twice along y."""
    import zarr

    with open_boxes(text, 4 << 30) as volume:
        nz, ny, nx = volume.shape
        nz = min(slices or nz, nz)
        labels = np.tile(volume.fetch(((0, nz), (0, ny), (0, nx))), (1, 2, 1))
        zarr.create_array(str(folder), data=labels, chunks=(64, 64, 64))
    return folder


def once(scheduler: Scheduler, source: Path, target: Path) -> tuple[convert.Plan, convert.Done]:
    """Convert a store."""
    codec = convert.Codec("compresso", "zstd")
    wanted = convert.Wanted(str(source), str(target), codec, memory=2 << 30)
    plan = convert.begin(wanted, convert.make(wanted, 1))
    return plan, convert.convert(plan, scheduler, lambda done: None)


def idle(scheduler: Scheduler) -> int:
    """Do tasks of no work; returns how many."""
    return sum(1 for _ in scheduler.answers(nothing, range(EMPTY)))


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@click.command(cls=Program)
@click.argument("source")
@click.option("--slices", type=click.IntRange(1), help="Only the first so many.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
def main(source: str, slices: int | None, rounds: int) -> None:
    """Print the table of docs/scale.md."""
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        store = make_source(source, slices, folder / "source")
        small = make_source(source, 8, folder / "small")
        ways = {name: opened.enter_context(open_scheduler(spec, 1)) for name, spec in WAYS.items()}
        for name, way in ways.items():  # kernels are loaded
            once(way, small, folder / f"{name} small")
            idle(way)
        found: dict[str, list[float]] = {name: [] for name in ways}
        empty: dict[str, list[float]] = {name: [] for name in ways}
        for number, name in in_rounds(list(ways), rounds):
            clock = Clock()
            target = folder / f"{name} {number}"
            plan, done = clock.time("convert", once, ways[name], store, target)
            count = clock.time("idle", idle, ways[name])
            found[name].append(clock.seconds["convert_s"])
            empty[name].append(clock.seconds["idle_s"] / count)
        tell(plan, done, folder_bytes(store), found, empty)


def tell(
    plan: convert.Plan,
    done: convert.Done,
    read: int,
    found: dict[str, list[float]],
    empty: dict[str, list[float]],
) -> None:
    """Print what was measured."""
    voxels = float(np.prod(plan.shape))
    task = next(plan.tasks())
    sent = len(pickle.dumps(partial(convert.work, plan))) + len(pickle.dumps(task))
    click.echo(
        f"{' x '.join(map(str, plan.shape[::-1]))} voxels, {len(plan)} tasks of at most "
        f"{' x '.join(map(str, plan.task[::-1]))}, {done.written} chunks and {done.empty} "
        f"empty; {read:,} bytes read, {done.nbytes:,} written; by the scheduler "
        f"{sent:,} bytes a task there, {len(pickle.dumps(done)):,} back"
    )
    click.echo("\n| | seconds | MVx/s | a task of no work, ms |\n|---|---:|---:|---:|")
    for name, seconds in found.items():
        taken = interval(seconds)
        speed, waiting = taken.over(voxels / 1e6), interval([1e3 * each for each in empty[name]])
        click.echo(
            f"| {name} | {taken.spelled('.1f')} | {speed.spelled('.1f')} | {waiting.spelled()} |"
        )


if __name__ == "__main__":
    main()
