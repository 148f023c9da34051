"""bench: time the encodings beside a memory copy and other codecs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from experiments.commands._options import DIRECTORY, FIGURES, SLICES, VERBOSE
from experiments.commands._options import threads as threads_option

if TYPE_CHECKING:
    from experiments.datasets import Volume


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    dataset: str
    directory: Path
    slices: int | None
    dtypes: tuple[str, ...]
    rounds: int
    threads: int
    peers: str | None
    figures: Path
    markdown: Path | None
    commands: bool
    verbose: bool


@click.command()
@click.argument("dataset", default="phantom:size=512x512x128")
@click.option("-r", "--rounds", type=click.IntRange(1), default=7, help="Rounds.")
@SLICES
@click.option(
    "--dtype",
    "dtypes",
    type=click.Choice(["uint32", "uint64"]),
    multiple=True,
    help="Convert the volume first; given twice, measure both.",
)
@threads_option(2, "Also with so many threads")
@click.option("--peers", metavar="PYTHON", help="Interpreter that has other codecs installed.")
@click.option(
    "--markdown",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Page to write to, in this machine's section, in place of what it says there.",
)
@click.option(
    "--commands/--no-commands",
    default=True,
    help="Time whole commands too; their first time, they compile kernels.",
)
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
    from experiments import bench, datasets, figures

    settings = Settings(**options)
    chosen = datasets.choose_one(settings.dataset, settings.directory, "bench")
    for line in chosen.notes():
        click.echo(line, err=True)
    figures.check(settings.figures)
    volume = chosen.load(settings.slices)
    sections = [
        _measure(_converted(volume, dtype), settings) for dtype in settings.dtypes or [None]
    ]
    if settings.markdown:
        bench.page.write(settings.markdown, "\n\n".join(sections))
        click.echo(f"\n{bench.page.machine()}: section in {settings.markdown}")


def _measure(volume: "Volume", settings: Settings) -> str:
    """Measure a volume and tell of it; returns its part of a machine's section."""
    from experiments import bench
    from experiments.names import shown

    labels, rounds, threads = volume.labels, settings.rounds, settings.threads
    entries = bench.run(
        volume, rounds, threads, settings.peers, lambda text: click.echo(text, err=True)
    )
    size = " x ".join(map(str, labels.shape[::-1]))
    title = f"{shown(volume.name, volume.group)}, {size} {labels.dtype}"
    told = f"Medians of {rounds} rounds, in brackets their 95% intervals."
    lines = [told, "", bench.report(volume, entries, rounds, threads)]
    if settings.commands:
        lines += ["", *bench.commands(labels, rounds)]
    text = "\n".join(lines)
    click.echo(f"{title}, {bench.page.machine()}\n\n{text}")
    path = bench.draw(labels, entries, f"{title}, {bench.page.machine()}", settings.figures)
    click.echo(f"\nfigure in {path}")
    return f"### {title}\n\n{text}"


def _converted(volume: "Volume", dtype: str | None) -> "Volume":
    """The volume in C order, as unsigned integers of a dtype that holds all its labels."""
    from dataclasses import replace

    import numpy as np

    from compresso.arrays import as_volume
    from experiments.errors import HarnessError

    labels = as_volume(volume.labels)
    if labels.size == 0:
        raise HarnessError(f"{volume.name} is empty: nothing to time")
    wanted = np.dtype(dtype or labels.dtype.newbyteorder("="))
    if labels.max() > np.iinfo(wanted).max:
        raise HarnessError(f"--dtype {dtype}: label {labels.max()} does not fit; use uint64")
    return replace(volume, labels=np.ascontiguousarray(labels, wanted))
