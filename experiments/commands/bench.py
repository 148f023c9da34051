"""bench: time the encodings beside a memory copy and other codecs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from experiments.commands._options import DIRECTORY, FIGURES, SLICES, VERBOSE
from experiments.commands._options import threads as threads_option

if TYPE_CHECKING:
    from compresso.arrays import Labels
    from experiments.datasets import Volume


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    dataset: str
    directory: Path
    slices: int | None
    dtype: str | None
    rounds: int
    threads: int
    peers: str | None
    figures: Path
    verbose: bool


@click.command()
@click.argument("dataset", default="phantom:size=512x512x128")
@click.option("-r", "--rounds", type=click.IntRange(1), default=5, help="Rounds.")
@SLICES
@click.option("--dtype", type=click.Choice(["uint32", "uint64"]), help="Convert the volume first.")
@threads_option(2, "Also with so many threads")
@click.option("--peers", metavar="PYTHON", help="Interpreter that has other codecs installed.")
@DIRECTORY
@FIGURES
@VERBOSE
def command(**options: Any) -> None:
    """Time the encodings beside a memory copy and, with --peers, beside other codecs.

    The peers are measured in a Python of their own, for PyPI's compresso has our package's name:

    \b
      python3 -m venv peers
      peers/bin/pip install compresso crackle-codec compressed-segmentation
      python run.py bench --peers peers/bin/python
    """
    from experiments import bench, datasets, figures, records
    from experiments.errors import HarnessError
    from experiments.names import shown

    settings = Settings(**options)
    (chosen, *more) = datasets.choose(settings.dataset, settings.directory)
    if more:
        raise HarnessError(f"bench takes one dataset, and {settings.dataset} is {len(more) + 1}")
    figures.check(settings.figures)
    volume = chosen.load(settings.slices)
    labels = _converted(volume, settings.dtype)
    rounds, threads = settings.rounds, settings.threads
    entries = bench.run(
        labels, rounds, threads, settings.peers, lambda text: click.echo(text, err=True)
    )
    size = " x ".join(map(str, labels.shape[::-1]))
    title = f"{shown(volume.name, volume.group)}, {size} {labels.dtype}, {records.cpu()}"
    click.echo(f"{title}; median of {rounds} rounds\n")
    click.echo(bench.report(labels, entries, bench.stages(labels, rounds), threads))
    path = bench.draw(labels, entries, title, settings.figures)
    click.echo(f"\nfigure in {path}")


def _converted(volume: "Volume", dtype: str | None) -> "Labels":
    """The labels in C order, as unsigned integers of a dtype that holds them all."""
    import numpy as np

    from compresso.arrays import as_volume
    from experiments.errors import HarnessError

    labels = as_volume(volume.labels)
    if labels.size == 0:
        raise HarnessError(f"{volume.name} is empty: nothing to time")
    wanted = np.dtype(dtype or labels.dtype.newbyteorder("="))
    if labels.max() > np.iinfo(wanted).max:
        raise HarnessError(f"--dtype {dtype}: label {labels.max()} does not fit; use uint64")
    return np.ascontiguousarray(labels, wanted)
