"""The figures of measured rows and of volumes, each as SVG, PNG and PDF.

A figure is a function of ``results.py`` or ``volumes.py`` that is listed here.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from compresso import CompressoError, FileError
from compresso.atomic import replacing
from experiments import HarnessError, ResultsError
from experiments.datasets import Dataset, LoadedVolume
from experiments.figures import results, volumes
from experiments.figures.style import INK, STYLE, dataset_name, slug
from experiments.records import check_writable
from experiments.records.intervals import intervals
from experiments.records.results import derive, newest

#: The figures of measured rows. The docstring of each function is its caption.
RESULTS: dict[str, Callable[[pd.DataFrame, pd.DataFrame], results.Figures]] = {
    "figure_4": results.figure_4,
    "current_methods": results.current_methods,
    "pareto": results.pareto,
    "speeds": results.speeds,
    "encoding_only": results.encoding_only,
    "window_sizes": results.window_sizes,
}
#: Lets an SVG follow the reader's colour scheme.
ADAPTIVE = f"svg{{color:{INK}}}@media(prefers-color-scheme:dark){{svg{{color:#e6e6e6}}}}"


def check_folder(directory: Path) -> None:
    """Find out whether figures can be written, before anything is measured; raises FileError."""
    try:
        check_writable(directory)
    except OSError as error:
        raise FileError(
            f"{directory}: cannot write figures ({error.strerror}). Name another folder with "
            "--figures"
        ) from None


def draw_all(table: pd.DataFrame, directory: Path) -> Iterator[Path]:
    """Draw every figure of a table of results; yield the files.

    Raises ResultsError if the table has no successful row.
    """
    rows = derive(newest(table))
    if rows.empty:
        raise ResultsError("no successful row to draw. Run a grid first.")
    methods = intervals(rows)
    for draw in RESULTS.values():
        with drawing():
            for name, figure in draw(rows, methods):
                yield from save(figure, directory, name)


def draw_windows(volume: LoadedVolume, directory: Path) -> Iterator[Path]:
    """Draw the most frequent windows of a volume; yield the files."""
    with drawing():
        if figure := volumes.frequent_windows(volume):
            yield from save(figure, directory, f"frequent_windows_{slug(volume.dataset.name)}")


def draw_slices(dataset: Dataset, depth: int | None, directory: Path) -> Iterator[Path]:
    """Draw some of the first ``depth`` slices of a dataset, or of all, if it can be read."""
    with suppress(CompressoError, HarnessError), dataset.open() as volume, drawing():
        depth = min(depth or volume.shape[0], volume.shape[0])
        if figure := volumes.slices(volume, dataset_name(dataset.name, dataset.group), depth):
            yield from save(figure, directory, f"slices_{slug(dataset.name)}")


def caption(path: Path) -> str:
    """The caption of a figure, by the name of its file."""
    of_volumes = {"slices": volumes.slices, "frequent_windows": volumes.frequent_windows}
    drawings = (RESULTS | of_volumes).items()
    texts = (draw.__doc__ for name, draw in drawings if path.stem.startswith(name))
    return " ".join((next(texts, None) or "").split())


@contextmanager
def drawing() -> Iterator[None]:
    """The style of all figures; letters that its font lacks, as in some file names, are boxes."""
    with plt.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def save(figure: Figure, directory: Path, name: str, *suffixes: str) -> Iterator[Path]:
    """Write a figure, by default as SVG, PNG and PDF; yield the files."""
    check_folder(directory)
    for suffix in suffixes or ("svg", "png", "pdf"):
        path = directory / f"{name}.{suffix}"
        dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix)
        with replacing(path, force=True) as unfinished:
            figure.savefig(unfinished, format=suffix, transparent=suffix == "svg", metadata=dated)
            if suffix == "svg":
                text = unfinished.read_text(encoding="utf-8")
                text = text.replace(INK, "currentColor").replace("*{", f"{ADAPTIVE}*{{", 1)
                unfinished.write_text(text, encoding="utf-8")
        yield path
    plt.close(figure)
