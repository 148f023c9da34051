"""grid: measure encodings x compressors on datasets; plot: draw the figures from its CSV."""

from pathlib import Path
from typing import Any

import click

from compresso import cli
from experiments.commands import _options as options

BANNER = r"""
      ___________________________________________
    .'  /   /   /   /   /   /   /   /   /   /   /'.
   (   /   /   /   B O C K W U R S T   /   /   /   )   ~ 1177 x smaller than the pig
    '._/___/___/___/___/___/___/___/___/___/___/_.'
"""


@options.command(
    "compresso lzma phantom",
    "all all my.h5:/labels --runs 3",
    "compresso:window=4x4x1,ristretto zstd:level=19,lzma pinky40 --format md",
)
@click.argument("encoding")
@click.argument("compression")
@click.argument("dataset", default="phantom")
@options.grid_options("results.csv", 1, None)
@cli.threads(
    1,
    "Number of threads (0 = all cores). With several, groups of slices are compressed in parallel.",
)
@click.option("--isolate", "isolated", is_flag=True, help="Run each method in its own process.")
@click.option(
    "--scheduler",
    metavar="WHERE",
    default="",
    show_default=False,
    help="Run on threads:4, or with Dask on processes:4 or tcp://host:8786.",
)
@cli.chunks(None, "Measure chunks of this size in voxels, and add them up, e.g. 512,512,64.")
@click.option(
    "--group",
    type=click.Choice(["em", "other"]),
    default="em",
    help="Category of your own files in the figures.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "md"]),
    default="table",
    help="Format of the printed results.",
)
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
@click.option("-b", "--bockwurst", is_flag=True, help="Show me some bockwurst.")
def grid(
    encoding: str,
    compression: str,
    dataset: str,
    directory: Path,
    group: str,
    threads: int,
    figures: Path,
    plot: bool,
    form: str,
    bockwurst: bool,
    verbose: bool,
    quiet: bool,
    restart: bool,
    **settings: Any,
) -> None:
    """Measure encodings x compressors on datasets (default).

    ENCODING, COMPRESSION and DATASET are each a name, a comma-separated list, or all; parameters
    follow a colon. A DATASET may also be a file, my.h5:/volumes/labels, or a store,
    gs://bucket/seg|zarr3:. Put a name that contains a comma in double quotes. The default is
    `phantom`, a synthetic volume.

    Every run is checked bit for bit and added to the CSV at once. Runs that the CSV already has for
    the same labels are not repeated. The exit code is 0 only if every run succeeded.
    """
    from compresso import compressors, encodings
    from experiments import datasets
    from experiments.commands import _run
    from experiments.measure import Grid, combine

    if bockwurst:
        click.echo(BANNER)
    in_processes = settings["timeout"] or settings["isolated"]
    if in_processes and (settings["scheduler"] or settings["chunks"]):
        raise click.UsageError(
            "--timeout and --isolate cannot be combined with --scheduler or --chunks"
        )
    if compression in datasets.names() and compression not in compressors.names():
        example = f"run.py {encoding} lzma {compression}"
        raise click.UsageError(f"{compression} is a dataset, not a compressor. Try: {example}")
    first = options.codecs("ENCODING", encoding, encodings)
    second = options.codecs("COMPRESSION", compression, compressors)
    chosen = datasets.choose(dataset, directory, group)
    # A chunk fits into memory even if the whole volume does not.
    _run.print_notes(chosen, 0 if settings["chunks"] else settings["slices"])
    alone = [one.spec for one in first if one.alone]
    if alone and not quiet and any(one.spec != "none" for one in second):
        click.echo(f"Measured without a compressor: {', '.join(alone)}", err=True)
    grid = Grid(combine(first, second, threads), chosen, resume=not restart, **settings)
    folder = figures if plot else None
    rows, added = _run.measure(grid, form, verbose, quiet, folder)
    _run.finish(grid, rows, added, quiet, folder, dataset)


@options.command("plot", "plot -o my.csv --figures my-figures")
@options.results("results.csv", "CSV with the runs to draw.")
def plot(output: Path, figures: Path) -> None:
    """Draw the figures and write the report of a CSV."""
    from experiments.commands import _run

    for line in _run.draw(_run.read(output), figures):
        click.echo(line, err=True)
