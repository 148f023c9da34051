"""Figures, one a file: each module has ``draw(rows)``, which makes a figure of the derived rows.

``draw`` returns None where the rows hold nothing to show. The file's name is the figure's.
"""

import importlib
import os
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import pandas as pd

from experiments import results
from experiments.errors import ResultsError

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
    "figure.dpi": 100,
    "savefig.dpi": 150,
}


def draw_all(table: pd.DataFrame, directory: Path) -> Iterator[Path]:
    """Draw every figure from a table of results, as PNG and PDF; yield the files.

    Raises ResultsError where the table has no row to draw.
    """
    rows = results.derive(results.newest(table))
    if rows.empty:
        raise ResultsError("no successful row to draw; run a grid first")
    directory.mkdir(parents=True, exist_ok=True)
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        if not hasattr(module, "draw"):
            continue
        with plt.rc_context(STYLE):
            figure = module.draw(rows)
            if figure is None:
                continue
            for suffix in ("png", "pdf"):
                path = directory / f"{info.name}.{suffix}"
                # Into place at once: a figure is the old one or the new one.
                unfinished = path.with_name(f".{path.name}.{os.getpid()}")
                figure.savefig(unfinished, format=suffix)
                os.replace(unfinished, path)
                yield path
            plt.close(figure)
