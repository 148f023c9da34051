"""grid: measure encodings x compressors on datasets."""

from pathlib import Path
from typing import Any

import click

from experiments.commands._options import (
    DIRECTORY,
    FIGURES,
    KEEP_FAILED,
    SEED,
    SLICES,
    VERBOSE,
    Voxels,
    codecs,
)
from experiments.commands._options import output as output_option
from experiments.commands._options import runs as runs_option
from experiments.commands._options import threads as threads_option
from experiments.commands._options import timeout as timeout_option

BANNER = r"""
      ___________________________________________
    .'  /   /   /   /   /   /   /   /   /   /   /'.
   (   /   /   /   B O C K W U R S T   /   /   /   )   ~ 1177 x smaller than the pig
    '._/___/___/___/___/___/___/___/___/___/___/_.'
"""


def _show_bockwurst(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Keep an old promise."""
    if wanted:
        click.echo(BANNER)


@click.command()
@click.argument("encoding")
@click.argument("compression")
@click.argument("dataset", default="phantom")
@runs_option(1)
@SEED
@SLICES
@DIRECTORY
@output_option("results.csv")
@FIGURES
@click.option(
    "--group",
    type=click.Choice(["em", "other"]),
    default="em",
    help="Panel of the mean figure for datasets given as files.",
)
@threads_option(1, "Threads; with more than 1, the volume is cut into groups of slices")
@timeout_option(None)
@click.option(
    "--isolate", "isolated", is_flag=True, help="Run each method in a process of its own."
)
@click.option(
    "--scheduler",
    default="",
    help="Measure on threads:4, processes:4 or tcp://host:8786, by Dask.",
)
@click.option(
    "--chunks",
    type=Voxels(),
    help="Measure chunk by chunk, 512x512x64 voxels (x, y, z), and add up.",
)
@click.option("--resume", is_flag=True, help="Skip runs that the CSV already has for this data.")
@KEEP_FAILED
@click.option("--plot/--no-plot", default=True, help="Draw the figures at the end.")
@VERBOSE
@click.option(
    "-b",
    "--bockwurst",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_bockwurst,
    help="Show me some bockwurst.",
)
def command(
    encoding: str,
    compression: str,
    dataset: str,
    directory: Path,
    group: str,
    threads: int,
    figures: Path,
    plot: bool,
    verbose: bool,
    **settings: Any,
) -> None:
    """Measure encodings x compressors on datasets (the default command).

    ENCODING, COMPRESSION and DATASET are each a name, a comma-separated list, or all; parameters
    follow a colon: compresso:window=4x4x1, zstd:level=19. A DATASET may be a file:
    my.h5:/volumes/labels, labels.npy, atlas.nrrd. Put one with a comma in it in double quotes:
    '"my.h5:/old,new"'. The default is the phantom, synthetic data.

    Every run is checked bit for bit and becomes a row of the CSV at once; the table and the
    figures come at the end. The exit code is 0 only if every run succeeded and was lossless.
    """
    from compresso import compressors, encodings
    from experiments import datasets
    from experiments.commands import _progress
    from experiments.measure import Grid, combine

    apart = settings["timeout"] or settings["isolated"]
    if apart and (settings["scheduler"] or settings["chunks"]):
        raise click.UsageError(
            "--timeout and --isolate cannot be combined with --scheduler or --chunks"
        )
    chosen = datasets.choose(dataset, directory, group)
    # A chunk fits into memory even if the whole volume does not.
    for line in datasets.checked(chosen, 1 if settings["chunks"] else settings["slices"]):
        click.echo(line, err=True)
    first = codecs("ENCODING", encoding, encodings)
    second = codecs("COMPRESSION", compression, compressors)
    grid = Grid(combine(first, second, threads), chosen, **settings)
    rows = _progress.run(grid, verbose, figures if plot else None)
    if plot and _progress.succeeded(rows):
        _progress.draw(grid.output, figures)
    _progress.finish(rows)
