"""How much faster archives are made and read with several threads.

    python -m experiments.bench.threads pinky40.h5 --threads 2

One thread and several are timed in turn, round after round, on frames in the memory. No codec can
gain more than threads do that share nothing, which is measured too.
"""

import os
from functools import partial
from pathlib import Path

import click
import numpy as np

from compresso import frame
from compresso.arrays import Labels
from experiments import datasets
from experiments.bench.depths import PAIRS
from experiments.bench.kernels import scaling
from experiments.errors import HarnessError
from experiments.measure import Clock
from experiments.program import Program
from experiments.records.intervals import interval


def gains(labels: Labels, pair: tuple[str, str], threads: int) -> tuple[float, float]:
    """One round: the time of one thread by that of several, to compress and to decompress."""
    clock = Clock()
    pack = partial(frame.dumps, labels, *pair)
    data = clock.time("compress", pack)
    same = clock.time("compress_together", partial(pack, threads=threads))
    clock.time("decompress", frame.loads, data)
    back = clock.time("decompress_together", partial(frame.loads, data, threads=threads))
    if data != same or not np.array_equal(back, labels):
        raise HarnessError(f"{' + '.join(pair)}: {threads} threads make other bytes or labels")
    ns = clock.ns
    compress, decompress = (ns[s] / ns[f"{s}_together"] for s in ("compress", "decompress"))
    return compress, decompress


@click.command(cls=Program)
@click.argument("name", metavar="DATASET")
@click.option("--threads", type=click.IntRange(2), default=2, show_default=True)
@click.option("-r", "--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("-d", "--directory", type=click.Path(path_type=Path), default=Path("data"))
def main(name: str, threads: int, rounds: int, directory: Path) -> None:
    """Print a table: medians over the rounds, and their 95% intervals."""
    chosen = datasets.choose_one(name, directory, "this table")
    labels = chosen.load().labels.astype(np.uint64)
    click.echo(f"| {threads} threads by one | compress | decompress |\n|---|---:|---:|")
    for pair in PAIRS:
        frame.loads(frame.dumps(labels[:2], *pair))  # compiled
        found = zip(*(gains(labels, pair, threads) for _ in range(rounds)), strict=True)
        what = " + ".join(codec for codec in pair if codec != "none")
        told = [interval(ratios).spelled() for ratios in found]
        click.echo(f"| {what} | {' | '.join(told)} |")
    click.echo(
        f"\nThreads that share nothing: {scaling(threads).spelled()}; "
        f"load {os.getloadavg()[0]:.1f}."
    )


if __name__ == "__main__":
    main()
