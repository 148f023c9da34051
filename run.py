#!/usr/bin/env python3
"""Compress label volumes with every encoding x compressor, and see which to use.

    python run.py ENCODING COMPRESSION DATASET [--runs N] [--slices N] [--directory PATH]

See `python run.py --help`, and the README for the library and the paper.
"""

import io
import math
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # whichever folder it is called from, its own packages come first

BANNER = r"""
      ___________________________________________
    .'  /   /   /   /   /   /   /   /   /   /   /'.
   (   /   /   /   B O C K W U R S T   /   /   /   )   ~ 1177 x smaller than the pig
    '._/___/___/___/___/___/___/___/___/___/___/_.'
"""


class Harness(click.Group):
    """A group whose default command is the grid, so that it needs no name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help", "--version"):
            args.insert(0, "grid")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what the user can mend is told in one line."""
        from compresso.errors import CompressoError, SpecError
        from experiments.errors import HarnessError

        signal.signal(signal.SIGTERM, _terminate)  # so that what is unfinished is cleared away
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a file's name may be anything
        try:
            return super().invoke(ctx)
        except (CompressoError, HarnessError) as error:
            if ctx.meta.get("verbose"):
                raise
            click.echo(f"Error: {error}", err=True)
            ctx.exit(2 if isinstance(error, SpecError) else 1)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except ModuleNotFoundError as error:
            click.echo(
                f"Error: {error.name} is not installed; run: pip install -r requirements.txt",
                err=True,
            )
            ctx.exit(1)
        except Exception as error:
            if ctx.meta.get("verbose"):
                raise
            click.echo(
                f"Internal error: {type(error).__name__}: {error}; this is a bug, run again with "
                "--verbose for the traceback",
                err=True,
            )
            ctx.exit(70)


def _terminate(number: int, _: Any) -> None:
    sys.exit(128 + number)


def show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        import compresso

        click.echo(f"compresso {compresso.__version__}")
        ctx.exit()


class Seconds(click.ParamType[float]):
    """A time limit; inf is none at all."""

    name = "seconds"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse the text."""
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = 0.0
        if not seconds > 0:
            self.fail(f"{value!r} is no number of seconds above 0", param, ctx)
        return seconds


def limit(_: click.Context, __: click.Parameter, seconds: float | None) -> float | None:
    """No limit is None."""
    return None if seconds == math.inf else seconds


class Slices(click.ParamType[int]):
    """A number of slices, at least 1, or -1 for all, as the original program has it."""

    name = "integer"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Parse the text."""
        try:
            slices = int(str(value))
        except ValueError:
            slices = 0
        if slices < 1 and slices != -1:
            self.fail(f"{value!r} is no number of slices: at least 1, or -1 for all", param, ctx)
        return slices


@click.group(
    cls=Harness,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    },
    epilog="Without a command: run.py ENCODING COMPRESSION DATASET, see run.py grid --help.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Encode, compress, time and plot label volumes of connectomics.

    \b
      python run.py compresso lzma phantom          one cell, on synthetic data
      python run.py all all my.h5:/labels --runs 3  every pair, on your volume
      python run.py COMPRESSO LZMA ac3 -r 1 -s 1    as in the original program
    """


def show_bockwurst(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Keep an old promise."""
    if wanted:
        click.echo(BANNER)


RUNS = click.option(
    "-r", "--runs", type=click.IntRange(1), default=1, help="Repetitions of each cell."
)
SLICES = click.option(
    "-s",
    "--slices",
    type=Slices(),
    default=-1,
    callback=lambda _, __, slices: None if slices == -1 else slices,
    help="Only the first so many slices; -1 is all.",
)
DIRECTORY = click.option(
    "-d",
    "--directory",
    type=click.Path(path_type=Path),
    default=ROOT / "data",
    show_default="data/",
    help="Folder of the named datasets.",
)
OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=ROOT / "experiments" / "results" / "results.csv",
    show_default="experiments/results/results.csv",
    help="CSV of the results.",
)
FIGURES = click.option(
    "--figures",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / "figures",
    show_default="figures/",
    help="Folder for the figures.",
)
KEEP_FAILED = click.option(
    "--keep-failed", is_flag=True, help="Resuming, leave out the runs that failed, too."
)


@main.command()
@click.argument("encoding")
@click.argument("compression")
@click.argument("dataset", default="phantom")
@RUNS
@SLICES
@DIRECTORY
@OUTPUT
@FIGURES
@click.option(
    "--group",
    type=click.Choice(["em", "other"]),
    default="em",
    help="Panel of the mean figure for datasets given as files.",
)
@click.option("--threads", type=click.IntRange(1), default=1, help="Threads of the encodings.")
@click.option(
    "--timeout",
    type=Seconds(),
    callback=limit,
    help="Seconds that one run may take, once its kernels are compiled.",
)
@click.option("--isolate", is_flag=True, help="Run each cell in a process of its own.")
@click.option("--resume", is_flag=True, help="Leave out what the CSV has of the same labels.")
@KEEP_FAILED
@click.option("--plot/--no-plot", default=True, help="Draw the figures at the end.")
@click.option("-v", "--verbose", is_flag=True, help="Show each run, and tracebacks of errors.")
@click.option(
    "-b",
    "--bockwurst",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_bockwurst,
    help="Show me some bockwurst.",
)
@click.pass_context
def grid(
    ctx: click.Context,
    encoding: str,
    compression: str,
    dataset: str,
    runs: int,
    slices: int | None,
    directory: Path,
    output: Path,
    figures: Path,
    group: str,
    threads: int,
    timeout: float | None,
    isolate: bool,
    resume: bool,
    keep_failed: bool,
    plot: bool,
    verbose: bool,
) -> None:
    """Measure encodings x compressors on datasets (the default command).

    ENCODING, COMPRESSION and DATASET are each a name, a comma-separated list, or all; parameters
    follow a colon: compresso:window=4x4x1, zstd:level=19. A DATASET may be a file:
    my.h5:/volumes/labels, labels.npy, atlas.nrrd. The default is the phantom, synthetic data.

    Every run is checked bit for bit and becomes a row of the CSV at once; the table and the
    figures come at the end. The exit code is 0 only if every cell ran and was lossless.
    """
    ctx.meta["verbose"] = verbose
    from compresso import compressors, encodings
    from experiments import datasets
    from experiments.grid import Grid, pairs

    plan = Grid(
        pairs(
            _each("ENCODING", encoding, encodings),
            _each("COMPRESSION", compression, compressors),
        ),
        datasets.choose(dataset, directory, group),
        runs,
        slices,
        threads,
        output,
        timeout,
        isolate,
        resume,
        keep_failed,
    )
    rows = _run(plan, verbose, figures if plot else None)
    if plot and _succeeded(rows):
        _draw(output, figures)
    _finish(ctx, rows)


def _succeeded(rows: list[dict[str, Any]]) -> int:
    from experiments.status import OK

    return sum(row["status"] == str(OK) for row in rows)


def _finish(ctx: click.Context, rows: list[dict[str, Any]]) -> None:
    """End with 1 where a run failed."""
    failed = len(rows) - _succeeded(rows)
    if failed:
        click.echo(f"Error: {failed} of {len(rows)} runs failed; see ! above", err=True)
        ctx.exit(1)


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


def _run(plan: Any, verbose: bool, figures: Path | None) -> list[dict[str, Any]]:
    """Run a grid under a progress bar and show its table; Ctrl-C ends it with what is done."""
    from tqdm import tqdm

    from experiments import results, table

    if figures:
        from experiments.figures import check

        check(figures)
    tqdm.monitor_interval = 0  # no thread of its own, which a forked process would lack
    rows: list[dict[str, Any]] = []
    added = 0
    with tqdm(total=len(plan), unit="run", disable=not sys.stderr.isatty(), leave=False) as bar:
        try:
            with _ticking(bar):
                for row, new in plan.run(bar.set_description_str):
                    bar.update()
                    rows.append(row)
                    added += new
                    if verbose and new:
                        bar.write(_line(row))
        except KeyboardInterrupt:
            bar.close()
            click.echo(f"Interrupted; {added} rows are safe in {plan.output}", err=True)
            sys.exit(130)
    click.echo("\n" + table.render(results.tabulate(rows)))
    click.echo(f"\n{added} rows added to {plan.output}")
    return rows


@contextmanager
def _ticking(bar: Any) -> Iterator[None]:
    """Let the bar's clock go on while a long cell is measured."""
    ended = threading.Event()

    def tick() -> None:
        while not ended.wait(1):
            bar.refresh()

    if bar.disable:
        yield
        return
    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        ended.set()
        ticker.join()


def _line(row: dict[str, Any]) -> str:
    cell: str = f"{row['dataset']} {row['encoding']} {row['compression']} run {row['run']}: "
    if not _succeeded([row]):
        return f"{cell}{row['status']}"
    return (
        cell
        + f"{row['raw_bytes'] / row['compressed_bytes']:.2f} x; encode {row['encode_s']:.4f} s, "
        f"compress {row['compress_s']:.4f} s, decompress {row['decompress_s']:.4f} s, "
        f"decode {row['decode_s']:.4f} s"
    )


def _draw(output: Path, directory: Path) -> None:
    from experiments import figures, results

    paths = list(figures.draw_all(results.read(output), directory))
    click.echo(f"{len(paths)} figures in {directory}")


@main.command()
@OUTPUT
@FIGURES
def plot(output: Path, figures: Path) -> None:
    """Draw the figures from the CSV alone."""
    _draw(output, figures)


@main.command("datasets")
@DIRECTORY
def list_datasets(directory: Path) -> None:
    """List the datasets, and what is here of them."""
    from experiments import datasets

    for dataset in datasets.known(directory):
        title = datasets.shown(dataset.title, dataset.group)
        click.echo(f"{dataset.name:14} {title:20} {dataset.status()}")


@main.command()
@click.argument("dataset", default="all")
@RUNS
@SLICES
@DIRECTORY
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=ROOT / "experiments" / "results" / "paper.csv",
    show_default="experiments/results/paper.csv",
    help="CSV of the results.",
)
@FIGURES
@click.option(
    "--timeout",
    type=Seconds(),
    default=600.0,
    callback=limit,
    help="Seconds that one run may take, once its kernels are compiled.",
)
@click.option(
    "--resume/--again",
    default=True,
    help="Leave out what the CSV has of the same labels, or measure it again.",
)
@KEEP_FAILED
@click.option("-v", "--verbose", is_flag=True, help="Show each run, and tracebacks of errors.")
@click.pass_context
def paper(
    ctx: click.Context,
    dataset: str,
    runs: int,
    slices: int | None,
    directory: Path,
    output: Path,
    figures: Path,
    timeout: float | None,
    resume: bool,
    keep_failed: bool,
    verbose: bool,
) -> None:
    """Reproduce the paper: every scheme on every dataset that is here, and a report.

    Writes Table 1, Figures 1, 3 and 4, the figures of each dataset, a sweep of window sizes, and
    the paper's claims beside the measured numbers, to report.md among the figures. Stopped at any
    moment, it goes on from there when called again.
    """
    ctx.meta["verbose"] = verbose
    from experiments import datasets, isolate
    from experiments import paper as whole
    from experiments.grid import Grid

    chosen = datasets.choose(dataset, directory)
    most = timeout if isolate.available() else None
    plan = Grid(whole.cells(), chosen, runs, slices, 1, output, most, False, resume, keep_failed)
    rows = _run(plan, verbose, figures)
    _report(chosen, slices, rows, figures)
    _finish(ctx, rows)


def _report(
    chosen: list[Any], slices: int | None, rows: list[dict[str, Any]], directory: Path
) -> None:
    """Draw the figures of what was asked for, and write the report of the paper."""
    from experiments import figures, results
    from experiments import paper as whole

    table = results.tabulate(rows)
    drawn = list(figures.draw_all(table, directory)) if _succeeded(rows) else []
    covered = []
    for dataset in chosen:
        if not any(row["dataset"] == dataset.name and row["fingerprint"] for row in rows):
            continue  # it could not be loaded, as its rows tell
        volume = dataset.load(slices)
        covered.append(whole.coverage(volume))
        drawn += figures.draw_volume(volume, directory)
    click.echo(f"{len(drawn)} figures in {directory}")
    click.echo(f"report in {whole.report(table, covered, drawn, directory)}")


@main.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--mirror", metavar="URL", help="Take the files from another host.")
@DIRECTORY
@click.pass_context
def fetch(ctx: click.Context, names: tuple[str, ...], mirror: str | None, directory: Path) -> None:
    """Download datasets of the paper (or all), check them, and convert them to HDF5."""
    from compresso import CompressoError
    from experiments.errors import DatasetError
    from experiments.fetch import SOURCES
    from experiments.fetch import fetch as fetch_one

    failed = False
    for name in SOURCES if "all" in names else names:
        try:
            click.echo(f"{name}: {fetch_one(name.lower(), directory, mirror)}")
        except (DatasetError, CompressoError) as error:
            failed = True
            click.echo(f"Error: {error}", err=True)
    ctx.exit(1 if failed else 0)


@main.command()
@click.argument("dataset", default="phantom:size=512x512x128")
@click.option("-r", "--rounds", type=click.IntRange(1), default=5, help="Rounds.")
@SLICES
@click.option("--dtype", type=click.Choice(["uint32", "uint64"]), help="Convert the volume first.")
@click.option("--threads", type=click.IntRange(1), default=2, help="Also with so many threads.")
@click.option("--peers", metavar="PYTHON", help="Interpreter that has other codecs installed.")
@DIRECTORY
@FIGURES
@click.option("-v", "--verbose", is_flag=True, help="Show tracebacks of errors.")
@click.pass_context
def bench(
    ctx: click.Context,
    dataset: str,
    rounds: int,
    slices: int | None,
    dtype: str | None,
    threads: int,
    peers: str | None,
    directory: Path,
    figures: Path,
    verbose: bool,
) -> None:
    """Time the encodings beside a memory copy and, with --peers, beside other codecs.

    The peers are measured in a Python of their own, for PyPI's compresso has our package's name:

    \b
      python3 -m venv peers
      peers/bin/pip install compresso crackle-codec compressed-segmentation
      python run.py bench --peers peers/bin/python
    """
    ctx.meta["verbose"] = verbose
    import numpy as np

    from compresso.arrays import as_volume
    from experiments import bench, datasets, results
    from experiments import figures as drawing
    from experiments.errors import HarnessError

    (chosen, *more) = datasets.choose(dataset, directory)
    if more:
        raise HarnessError(f"bench takes one dataset, and {dataset} is {len(more) + 1}")
    drawing.check(figures)
    volume = chosen.load(slices)
    labels = as_volume(volume.labels)
    if labels.size == 0:
        raise HarnessError(f"{dataset} is empty: nothing to time")
    wanted = np.dtype(dtype or labels.dtype.newbyteorder("="))
    if labels.max() > np.iinfo(wanted).max:
        raise HarnessError(f"--dtype {dtype}: label {labels.max()} does not fit; use uint64")
    labels = np.ascontiguousarray(labels, wanted)
    entries = bench.run(labels, rounds, threads, peers, lambda text: click.echo(text, err=True))
    size = " x ".join(map(str, labels.shape[::-1]))
    title = f"{datasets.shown(volume.name, volume.group)}, {size} {labels.dtype}, {results.cpu()}"
    click.echo(f"{title}; median of {rounds} rounds\n")
    click.echo(bench.report(labels, entries, bench.stages(labels, rounds), threads))
    bench.draw(labels, entries, title, figures / f"bench_{labels.dtype}")
    click.echo(f"\nfigure in {figures / f'bench_{labels.dtype}.png'}")


if __name__ == "__main__":
    main()
