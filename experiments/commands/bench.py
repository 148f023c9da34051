"""bench: compare the encodings with other packages."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from compresso import cli
from compresso.text import extent
from experiments.commands import _options as options

if TYPE_CHECKING:
    from experiments.datasets import LoadedVolume

#: Each has a counterpart in another package.
ENCODINGS = (
    "compresso,compresso:window=4x4x1,cpso,cpso:index=0,cpso:window=8x8x1,index=0,"
    "neuroglancer,compressed_segmentation,ristretto"
)
#: The packages of the example, if they are installed there.
PEERS = options.ROOT / "peers" / "bin" / "python"
#: The defaults of --quick.
QUICK = {
    "dataset": "phantom:size=512x512x32,bits=32,seed=1",
    "dtypes": ["uint32"],
    "encodings": "compresso,cpso,neuroglancer,ristretto",
    "runs": 5,
    "threads": 1,
    "commands": False,
}


def _be_quick(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        ctx.default_map = QUICK | ({"peers": str(PEERS)} if PEERS.exists() else {})


@options.command(
    "bench --quick",
    "bench pinky40 --slices 64 --dtype uint32",
    "bench --peers peers/bin/python --runs 7",
)
@click.argument("dataset", default="phantom:size=512x512x128")
@click.option(
    "--quick",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_be_quick,
    help="Measure a few codecs on a small uint32 volume, within two minutes.",
)
@options.runs(7)
@cli.threads(2, "Measure with 1 and with this number of threads (0 = all cores).")
@click.option("--encodings", metavar="LIST", default=ENCODINGS, help="Encodings to measure.")
@click.option("--peers", metavar="PYTHON", help="Interpreter with the other packages.")
@click.option(
    "--commands/--no-commands",
    default=True,
    help="Also time `python -m compresso`, whose first run compiles kernels.",
)
@options.SLICES
@click.option(
    "--dtype",
    "dtypes",
    type=click.Choice(["uint32", "uint64"]),
    multiple=True,
    help="Convert the volume first; repeat it to measure both.",
)
@options.DIRECTORY
@options.figures()
@options.PLOT
@cli.QUIET
def bench(
    dataset: str,
    runs: int,
    slices: int | None,
    dtypes: tuple[str, ...],
    encodings: str,
    threads: int,
    peers: str | None,
    commands: bool,
    directory: Path,
    figures: Path,
    plot: bool,
    quiet: bool,
) -> None:
    """Compare the encodings with other packages.

    Prints a Markdown table of speeds with 95% intervals, and draws a figure. Each package is listed
    below the encoding with the same stream or purpose. --quick prints the headline numbers within
    two minutes. The packages need a Python of their own, because PyPI's compresso has the same name
    as this package:

    \b
      python3 -m venv peers
      peers/bin/pip install "compresso<4" crackle-codec compressed-segmentation
      python run.py bench --quick --peers peers/bin/python
    """
    import os

    from compresso import encodings as registry
    from experiments import bench, datasets, records
    from experiments.figures import check_folder
    from experiments.records.intervals import LEAST_RUNS
    from experiments.text import display_name

    chosen = datasets.choose_one(dataset, directory, "bench")
    if plot:
        check_folder(figures)
    measured = options.codecs("--encodings", encodings, registry)
    whole = chosen.load(slices)

    def announce(text: str) -> None:
        if not quiet:
            click.echo(text, err=True)

    for dtype in dtypes or [None]:
        volume = _converted(whole, dtype)
        labels = volume.labels
        results = bench.run(volume, measured, runs, threads, peers, announce)
        size = extent(labels.shape)
        title = f"{display_name(volume.dataset.name, volume.dataset.group)}, {size} {labels.dtype}"
        title += f", {records.cpu()}, {os.cpu_count()} cores"
        brackets = "their 95% intervals" if runs >= LEAST_RUNS else "their number"
        click.echo(f"{title}\n\nMedians of {runs} rounds, in brackets {brackets}.\n")
        tables = [bench.report.table(labels.size, results)]
        if commands:
            tables.append(bench.whole_commands(labels, runs))
        for table in tables:
            click.echo("".join(f"{line}\n" for line in table))
        if plot:
            path = bench.report.draw(labels, results, title, figures)
            click.echo(f"Figure: {path}", err=True)


def _converted(volume: "LoadedVolume", dtype: str | None) -> "LoadedVolume":
    """The volume in C order, as unsigned integers of a dtype that holds all its labels."""
    from dataclasses import replace

    import numpy as np

    from compresso.arrays import as_volume
    from experiments import HarnessError

    labels = as_volume(volume.labels)
    if labels.size == 0:
        raise HarnessError(f"{volume.dataset.name}: nothing to measure, the volume is empty")
    target = np.dtype(dtype or labels.dtype.newbyteorder("="))
    if labels.max() > np.iinfo(target).max:
        raise HarnessError(f"--dtype {dtype}: label {labels.max()} does not fit. Use uint64")
    return replace(volume, labels=np.ascontiguousarray(labels, target))
