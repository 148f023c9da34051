"""grid: measure encodings x compressors on datasets."""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    encoding: str
    compression: str
    dataset: str
    directory: Path
    group: str
    runs: int
    seed: int
    slices: int | None
    threads: int
    timeout: float | None
    isolate: bool
    scheduler: str
    chunks: Any
    output: Path
    resume: bool
    keep_failed: bool
    figures: Path
    plot: bool
    verbose: bool


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
@threads_option(1, "Groups of slices worked on at once, as in a file; 1: one stream, not cut")
@timeout_option(None)
@click.option("--isolate", is_flag=True, help="Run each cell in a process of its own.")
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
@click.option("--resume", is_flag=True, help="Leave out what the CSV has of the same labels.")
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
def command(**options: Any) -> None:
    """Measure encodings x compressors on datasets (the default command).

    ENCODING, COMPRESSION and DATASET are each a name, a comma-separated list, or all; parameters
    follow a colon: compresso:window=4x4x1, zstd:level=19. A DATASET may be a file:
    my.h5:/volumes/labels, labels.npy, atlas.nrrd. Put one with a comma in it in double quotes:
    '"my.h5:/old,new"'. The default is the phantom, synthetic data.

    Every run is checked bit for bit and becomes a row of the CSV at once; the table and the
    figures come at the end. The exit code is 0 only if every cell ran and was lossless.
    """
    from compresso import compressors, encodings
    from experiments import datasets
    from experiments.commands import _progress
    from experiments.measure import Conditions, Grid, Skip, Spread, pairs

    settings = Settings(**options)
    chosen = datasets.choose(settings.dataset, settings.directory, settings.group)
    # A chunk of what is measured in chunks fits, whatever the whole does.
    for line in datasets.checked(chosen, 1 if settings.chunks else settings.slices):
        click.echo(line, err=True)
    grid = Grid(
        pairs(
            _each("ENCODING", settings.encoding, encodings),
            _each("COMPRESSION", settings.compression, compressors),
        ),
        chosen,
        settings.output,
        Conditions(
            settings.runs,
            settings.slices,
            settings.threads,
            settings.timeout,
            settings.isolate,
            settings.seed,
        ),
        Skip.of(settings.resume, settings.keep_failed),
    )
    work: Grid | Spread = grid
    if settings.scheduler or settings.chunks:
        if settings.timeout or settings.isolate:
            raise click.UsageError("--timeout and --isolate are for whole volumes, measured here")
        work = Spread(grid, settings.scheduler, settings.chunks)
    rows = _progress.run(work, settings.verbose, settings.figures if settings.plot else None)
    if settings.plot and _progress.succeeded(rows):
        _progress.draw(settings.output, settings.figures)
    _progress.finish(rows)


def _each(what: str, text: str, registry: Any) -> list[Any]:
    """The codecs of a list of specs, each once; raises SpecError where there are none."""
    from compresso.errors import SpecError
    from compresso.plugins import split_list

    given, installed = split_list(text), registry.installed()
    specs = [s for spec in given for s in (installed if spec.lower() == "all" else [spec])]
    if not specs:
        raise SpecError(
            f"{what} names nothing; give all, or some of: {', '.join(registry.names())}"
        )
    for name in registry.names():
        if name not in installed and len(specs) > len(given):
            needed = " ".join(registry.parse(name).missing())
            click.echo(f"all leaves out {name}; to have it: pip install {needed}", err=True)
    return list({codec.spec: codec for codec in map(registry.parse, specs)}.values())
