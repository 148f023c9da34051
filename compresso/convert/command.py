"""What ``python -m compresso convert`` does, and says."""

import sys
from typing import Any

import click

from compresso import volumes
from compresso.cli import complain, left_behind
from compresso.convert.plan import Wanted, begin, make
from compresso.convert.target import Codec
from compresso.convert.work import Done
from compresso.convert.work import convert as convert_all
from compresso.plugins import Extent
from compresso.scheduling import open_scheduler

#: Lines about what is missing that are printed; the others are counted.
TOLD = 20


def run(
    source: str,
    target: str,
    chunks: Extent,
    shards: Extent | None,
    threads: int,
    scheduler: str,
    encoding: str,
    compression: str,
    **options: Any,
) -> int:
    """Convert, and tell it; returns the exit code. Raises CompressoErrors."""
    codec = Codec(encoding, compression, chunks[::-1], shards and shards[::-1])
    wanted = Wanted(source, target, codec, **options)
    problems = 0
    unfinished = f"{target} is unfinished; the same command goes on from there"

    with open_scheduler(scheduler, threads) as workers:
        plan = make(wanted, workers.slots_per_process)
        for line in plan.notes:
            complain(line)
        hidden = not sys.stderr.isatty()
        with (
            left_behind(unfinished),
            click.progressbar(length=len(plan), file=sys.stderr, hidden=hidden) as bar,
        ):

            def tell(done: Done) -> None:
                nonlocal problems
                for line in done.problems[: max(0, TOLD - problems)]:
                    complain(line)
                problems += len(done.problems)
                bar.update(1)

            total = convert_all(begin(wanted, plan), workers, tell)
    for line in volumes.report_lost(source, plan.lost, "the target cannot hold"):
        complain(line)
    click.echo(
        f"{total.written:,} written ({total.nbytes:,} bytes), {total.kept:,} there already, "
        f"{total.empty:,} empty, {problems:,} missing"
    )
    if problems:
        advice = "the same command tries them again"
        if total.refused:
            advice = (
                f"{encoding} cannot hold the labels of {total.refused:,}: give --encoding cpso and "
                "--force"
            )
        complain(
            f"Error: {problems:,} parts of {target} could not be converted, and read as 0; {advice}"
        )
    return 1 if problems else 0
