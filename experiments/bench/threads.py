"""How much faster archives are made and read with several threads.

    python -m experiments.bench.threads pinky40.h5 --threads 2

One thread and several are timed in turn, round after round, on frames in the memory. No codec can
gain more than threads do that share nothing, which is measured too.
"""

import os
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np

from compresso import frame
from compresso.arrays import Labels
from experiments import datasets
from experiments.bench.depths import PAIRS
from experiments.bench.kernels import scaling


def seconds(call: Callable[..., Any], *arguments: Any, **named: Any) -> tuple[float, Any]:
    """How long a call takes, and what it returns."""
    start = perf_counter()
    result = call(*arguments, **named)
    return perf_counter() - start, result


def gains(labels: Labels, pair: tuple[str, str], threads: int) -> tuple[float, float]:
    """One round: the time of one thread by that of several, to compress and to decompress.

    Raises AssertionError where bytes or labels differ.
    """
    one, data = seconds(frame.dumps, labels, *pair)
    many, same = seconds(frame.dumps, labels, *pair, threads=threads)
    assert data == same
    alone, back = seconds(frame.loads, data)
    del back
    together, back = seconds(frame.loads, data, threads=threads)
    assert np.array_equal(back, labels)
    return one / many, alone / together


@click.command()
@click.argument("name", metavar="DATASET")
@click.option("--threads", type=click.IntRange(2), default=2, show_default=True)
@click.option("-r", "--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("-d", "--directory", type=click.Path(path_type=Path), default=Path("data"))
def main(name: str, threads: int, rounds: int, directory: Path) -> None:
    """Print a table: medians over the rounds, and their range."""
    chosen = datasets.choose_one(name, directory, "this table")
    labels = chosen.load().labels.astype(np.uint64)
    click.echo(f"| {threads} threads by one | compress | decompress |\n|---|---:|---:|")
    for pair in PAIRS:
        frame.loads(frame.dumps(labels[:2], *pair))  # compiled
        found = zip(*(gains(labels, pair, threads) for _ in range(rounds)), strict=True)
        what = " + ".join(codec for codec in pair if codec != "none")
        click.echo(f"| {what} | {' | '.join(map(_spell, found))} |")
    click.echo(
        f"\nThreads that share nothing: {scaling(threads).spelled()}; "
        f"load {os.getloadavg()[0]:.1f}."
    )


def _spell(values: tuple[float, ...]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
