"""Figures, one a file; ``_figure.py`` has what a figure is."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from compresso import FileError, SpecError, encodings
from compresso.atomic import replacing
from compresso.plugins import Registry
from experiments.datasets import LoadedVolume
from experiments.errors import ResultsError
from experiments.figures._figure import ResultsFigure, VolumeFigure
from experiments.records.file import check_writable
from experiments.records.results import derive, newest

of_results = Registry(__name__, ResultsFigure, "figure")  # type: ignore[type-abstract]
of_volumes = Registry(__name__, VolumeFigure, "figure")  # type: ignore[type-abstract]

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "legend.frameon": False,
    "pdf.fonttype": 42,  # text stays text
    "text.parse_math": False,  # a file may be called a$b$c
    "figure.dpi": 100,
    "savefig.dpi": 150,
}


def check(directory: Path) -> None:
    """Find out whether figures can be written, before anything is measured; raises FileError."""
    try:
        check_writable(directory)
    except OSError as error:
        raise FileError(
            f"{directory}: cannot write figures ({error.strerror}); name another folder with "
            "--figures"
        ) from None


def draw_all(table: pd.DataFrame, directory: Path) -> Iterator[Path]:
    """Draw every figure from a table of results, as PNG and PDF; yield the files.

    Raises ResultsError where the table has no row to draw.
    """
    rows = _alone_as_second_stage(derive(newest(table)))
    if rows.empty:
        raise ResultsError("no successful row to draw; run a grid first")
    for name in of_results.names():
        with _drawing():
            yield from save(of_results.parse(name).draw(rows), directory, name)


def draw_volume(volume: LoadedVolume, directory: Path) -> Iterator[Path]:
    """Draw the figures that show a volume itself; yield the files."""
    label = re.sub(r"[^\w-]+", "_", volume.name)
    for name in of_volumes.names():
        with _drawing():
            yield from save(of_volumes.parse(name).draw(volume), directory, f"{name}_{label}")


@contextmanager
def _drawing() -> Iterator[None]:
    """Our style; letters that its font has not, as Chinese ones in a file's name, are boxes."""
    with plt.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def save(figure: Figure | None, directory: Path, name: str) -> Iterator[Path]:
    """Write a figure, if there is one, as PNG and PDF; yield the files."""
    if figure is None:
        return
    check(directory)
    for suffix in ("png", "pdf"):
        path = directory / f"{name}.{suffix}"
        with replacing(path, force=True) as unfinished:
            figure.savefig(unfinished, format=suffix)
        yield path
    plt.close(figure)


def _alone_as_second_stage(rows: pd.DataFrame) -> pd.DataFrame:
    """Schemes that stand alone appear as the paper has them: as second stages without a first."""
    alone = rows["encoding"].map(_is_alone)
    rows.loc[alone, "compression"] = rows.loc[alone, "encoding"]
    rows.loc[alone, "encoding"] = "none"
    return rows


def _is_alone(spec: str) -> bool:
    """Whether an encoding is a scheme of its own; one that is gone since is taken for none."""
    try:
        return encodings.parse(spec).alone
    except SpecError:
        return False
