"""The page of a run: one HTML file with its figures, its table, and what was measured on what.

It needs nothing but itself: pictures are inside, and without JavaScript only sorting is missing.
"""

import base64
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from compresso.atomic import replacing
from compresso.cli import digits
from experiments import figures
from experiments.records import OK
from experiments.records.intervals import intervals, speed_of
from experiments.records.results import NOTE, STAGES, derive, describe_skipped, marked, newest
from experiments.records.rows import METHOD
from experiments.text import display_name, natural

if TYPE_CHECKING:
    from markupsafe import Markup

NAME = "report.html"
Spell = Callable[[float], str]
#: The columns of the table: heading, what a line has it from, and how it is spelled, if a number.
COLUMNS: tuple[tuple[str, str, Spell | None], ...] = (
    ("dataset", "dataset", None),
    ("encoding", "encoding", None),
    ("compression", "compression", None),
    ("ratio", "ratio", "{:,.2f}".format),
    ("native ratio", "native_ratio", "{:,.2f}".format),
    ("bytes", "compressed_bytes", "{:,.0f}".format),
    ("compress MB/s", "compress_speed", digits),
    ("decompress MB/s", "decompress_speed", digits),
    ("runs", "runs", "{:,.0f}".format),
)
#: What a volume's rows say of how it was measured.
MEASURED = (
    *("shape", "dtype", "part", "threads", "depth"),
    *("version", "python", "numpy", "numba", "cpu"),
)


def write(
    rows: pd.DataFrame,
    drawn: Sequence[Path],
    directory: Path,
    answers: dict[str, Any] | None = None,
) -> Path:
    """Write the page beside the figures.

    Parameters
    ----------
    rows : DataFrame
        Of :func:`experiments.records.tabulate`, the ones that failed too.
    drawn : sequence of Path
        The figures; of each the PNG is taken.
    directory : Path
    answers : dict, optional
        What ``recommend`` answers, by purpose.

    Returns
    -------
    Path
        ``report.html``, replaced at once where there was one.
    """
    from jinja2 import Environment, PackageLoader, select_autoescape

    figures.check(directory)
    environment = Environment(
        loader=PackageLoader(__name__, "."),
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    shown_rows = newest(rows)
    pictures = sorted({path for path in drawn if path.suffix == ".png"}, key=_first_pareto)
    cells = _cells(derive(shown_rows))
    text = environment.get_template("page.html.j2").render(
        volumes=_volumes(shown_rows),
        columns=[heading for heading, _, _ in COLUMNS],
        lines=_lines(cells),
        note=NOTE if cells["trained"].any() else "",
        left_out=describe_skipped(rows),
        failed=_failed(rows),
        pictures=[(path.stem.replace("_", " "), _inline(path)) for path in pictures],
        answers=answers or {},
    )
    path = directory / NAME
    with replacing(path, force=True) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def _breakable(text: str) -> "Markup":
    """A name that may be wrapped behind its punctuation, and so needs not be inside a word."""
    from markupsafe import Markup, escape

    parts = re.split(r"(?<=[-:/_.,=])(?=\w)", text)
    return Markup("<wbr>").join(map(escape, parts))


def _first_pareto(path: Path) -> tuple[bool, str]:
    return path.stem != "pareto", path.stem


def _inline(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _volumes(rows: pd.DataFrame) -> list[dict[str, str]]:
    """What was measured, a volume each: its newest row tells how."""
    found = []
    for name, part in rows.groupby("dataset", sort=False):
        row = part.iloc[-1]
        told = {"dataset": display_name(str(name), row["group"]), "source": str(row["source"])}
        told |= {column: _plain(row[column]) for column in MEASURED}
        told["runs"] = _plain(part["run"].max())
        told["measured"] = f"{part['time'].min()} to {part['time'].max()}"
        found.append(told)
    return found


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:g}"
    return str(value)


def _cells(good: pd.DataFrame) -> pd.DataFrame:
    """The lines of the table in their order: by dataset, the best ratio first."""
    cells = intervals(good)
    keys = [(natural(cell["dataset"]), -cell["ratio"]) for _, cell in cells.iterrows()]
    return cells.iloc[sorted(range(len(keys)), key=keys.__getitem__)]


def _lines(cells: pd.DataFrame) -> list[list[tuple[str, str, str]]]:
    """The table: the text of each field, what it is sorted by if it is a number, its interval."""
    lines = []
    for _, cell in cells.iterrows():
        texts = {"dataset": display_name(cell["dataset"], cell["group"]), "encoding": marked(cell)}
        line = []
        for _, column, spell in COLUMNS:
            value = cell[column]
            if spell is None:
                line.append((texts.get(column, str(value)), "", ""))
            elif math.isnan(value):
                line.append(("-", "0", ""))  # raw labels are sorted as the slowest
            else:
                span = speed_of(cell, column).span(spell) if column in STAGES else ""
                line.append((spell(value), str(value), span))
        lines.append(line)
    return lines


def _failed(rows: pd.DataFrame) -> list[str]:
    """What became last of each run, where it failed."""
    last = rows.drop_duplicates([*METHOD, "chunk", "run"], keep="last")
    bad = last[(last["status"] != str(OK)) | ~last["lossless"]]
    return list(
        dict.fromkeys(
            f"{display_name(row.dataset, row.group)}: "
            f"{row.encoding} + {row.compression}: {row.status}"
            for row in bad.itertuples()
        )
    )
