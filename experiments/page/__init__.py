"""The page of a run: one HTML file with its best results, charts, tables, figures and data.

It needs no other file: pictures are inside, and without JavaScript only sorting, filtering and
copying are missing.
"""

import base64
import math
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.markers import MarkerStyle
from matplotlib.ticker import LogLocator

from compresso.atomic import replacing
from compresso.text import digits, extent, file_size
from experiments import figures
from experiments.figures import style
from experiments.figures.results import front, measurable
from experiments.records import OK
from experiments.records.intervals import intervals, speed_of
from experiments.records.results import (
    BOTH,
    MARK,
    NOTE,
    best,
    derive,
    describe_skipped,
    describe_threads,
    is_raw,
    newest,
)
from experiments.records.rows import METHOD
from experiments.text import DASH, natural

if TYPE_CHECKING:
    from markupsafe import Markup

NAME = "report.html"
#: Pixels of a chart, without its margins.
WIDTH, HEIGHT = 400, 260
#: What the data table shows of the newest row of each dataset, next to computed values.
CONDITIONS = {
    **{"source": "source", "fingerprint": "hash of the labels", "cpu": "processor"},
    **{"version": "compresso", "python": "Python", "numpy": "NumPy", "numba": "Numba"},
    "zstandard": "zstandard",
}


def write(
    rows: pd.DataFrame,
    drawn: Sequence[Path],
    directory: Path,
    answers: dict[str, Any] | None = None,
) -> Path:
    """Write the page next to the figures.

    Parameters
    ----------
    rows : DataFrame
        Of :func:`experiments.records.tabulate`, including failed rows.
    drawn : sequence of Path
        The figures; their SVGs are shown.
    directory : Path
    answers : dict, optional
        The answers of ``recommend``, by purpose.

    Returns
    -------
    Path
        ``report.html``, which is replaced if it exists.
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
    environment.globals.update(digits=digits, size=file_size, method=style.method_name)
    chosen = newest(rows)
    methods = intervals(derive(chosen))
    pictures = {path.stem: path for path in drawn if path.suffix == ".svg"}
    pictures = {name: pictures[name] for name in pictures if not name.startswith("pareto")}
    names = sorted(chosen["dataset"].unique(), key=natural)
    sections = [_section(name, chosen, methods, pictures) for name in names]
    text = environment.get_template("page.html.j2").render(
        headline=_headline(methods),
        command=_command(),
        times=sorted({time[:10] for time in chosen["time"]}),
        sections=sections,
        note=NOTE if methods["trained"].any() else "",
        skipped=describe_skipped(rows),
        failed=_failed(rows),
        keys=[key for key in sections[0]["data"] if any(one["data"][key] for one in sections)],
        pictures=[(path.stem, _inline(path), figures.caption(path)) for path in pictures.values()],
        answers=answers or {},
        csv=_uri("text/csv", chosen.to_csv(index=False).encode("utf-8", "backslashreplace")),
    )
    path = directory / NAME
    with replacing(path, force=True) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def _command() -> str:
    """The command line that writes the page, if it is run.py."""
    script = Path(sys.argv[0])
    return shlex.join(["python", script.name, *sys.argv[1:]]) if script.name == "run.py" else ""


def _breakable(text: str) -> "Markup":
    """A name that may be wrapped after its punctuation, and so not inside a word."""
    from markupsafe import Markup, escape

    parts = re.split(r"(?<=[-:/_.,=])(?=\w)", text)
    return Markup("<wbr>").join(map(escape, parts))


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _inline(path: Path) -> str:
    return _uri("image/svg+xml", path.read_bytes())


def _ranked(methods: pd.DataFrame) -> pd.DataFrame:
    """Methods without raw labels, which have no speed and are never the best."""
    return methods[~is_raw(methods["encoding"], methods["compression"])]


def _headline(methods: pd.DataFrame) -> str:
    """The best result, for the title of the page."""
    ranked = _ranked(methods)
    names = methods["dataset"].unique()
    count = len(methods.drop_duplicates(["encoding", "compression"]))
    text = f"{count} method{'s' * (count != 1)}"
    if ranked.empty:
        return text
    first = ranked.loc[best(ranked["ratio"])]
    name = style.dataset_name(first["dataset"], first["group"])
    winner = f"{_method(first)}, {digits(first['ratio'])}x smaller"
    if len(names) == 1:
        return f"{name}: {winner} ({text})"
    return f"{len(names)} datasets, {text}: up to {winner} ({name})"


def _method(line: "pd.Series[Any]") -> str:
    name = style.method_name(line["encoding"], line["compression"])
    return name + (MARK if line["trained"] else "")


def _section(
    name: str, rows: pd.DataFrame, methods: pd.DataFrame, pictures: dict[str, Path]
) -> dict[str, Any]:
    """Everything that the page shows of one dataset."""
    own, lines = rows[rows["dataset"] == name], methods[methods["dataset"] == name]
    lines = lines.sort_values("ratio", ascending=False, kind="stable")
    row, ranked, slug = own.iloc[-1], _ranked(lines), style.slug(name)
    ids = {i: f"{slug}--{style.slug(f'{e}--{c}')}" for i, e, c in lines[METHOD[1:]].itertuples()}
    fronts = {speed: front(ranked, speed) for speed in BOTH}
    on_front = {index for found in fronts.values() for index in found}
    narrow = row["native_bytes"] != row["raw_bytes"]
    plain = set(lines["encoding"][~lines["encoding"].str.contains(":")])
    cards = []
    for column, label in {"ratio": "smallest", **BOTH}.items():
        if (first := best(ranked[column])) is not None:
            value = digits(ranked[column][first]) + ("x" if column == "ratio" else " MB/s")
            verb = label if column == "ratio" else f"fastest to {label}"
            card = {"label": verb, "value": value, "method": _method(ranked.loc[first])}
            cards.append(card | {"id": ids[first]})
    shape = [int(n) for n in row["shape"].split("x")]
    thumbnail = pictures.pop(f"slices_{slug}", None)
    found = {
        "dataset": style.dataset_name(name, row["group"]),
        "size (x, y, z)": f"{extent(shape)} {row['dtype']}",
        "part": row["part"],
        "threads": describe_threads(row) or "1",
        "runs": f"{own['run'].max():.0f}",
        "load": f"{own['load'].median():.1f}".replace("nan", ""),
        "other processes": f"{own['other_cpu'].median():.0%}".replace("nan%", ""),
        "measured": f"{own['time'].min()[:16]} to {own['time'].max()[:16]}",
    }
    found |= {label: str(row[column]) for column, label in CONDITIONS.items()}
    return {
        "id": slug,
        "name": found["dataset"],
        "about": ", ".join(filter(None, (found["size (x, y, z)"], row["part"]))),
        "dtype": row["dtype"],
        "narrow": narrow,
        "cards": cards,
        "charts": [_chart(ranked, s, f"{BOTH[s]} [MB/s]", f, ids) for s, f in fronts.items()],
        "lines": [
            _line(
                line,
                ids[index],
                narrow,
                index in on_front,
                ":" in line["encoding"] and style.family(line["encoding"]) in plain,
            )
            for index, line in lines.iterrows()
        ],
        "thumbnail": _inline(thumbnail) if thumbnail else "",
        "data": found,
    }


def _line(
    line: "pd.Series[Any]", anchor: str, narrow: bool, front: bool, variant: bool
) -> dict[str, Any]:
    """A line of the table: texts, and the numbers that it is sorted by."""
    ratios = ("ratio", "native_ratio") if narrow else ("ratio",)
    numbers = [(digits(line[name]), line[name], "") for name in ratios]
    numbers.append((file_size(int(line["compressed_bytes"])), line["compressed_bytes"], ""))
    for speed in BOTH:
        known = speed_of(line, speed)
        text = DASH if math.isnan(known.median) else digits(known.median)
        numbers.append((text, 0 if text == DASH else known.median, known.span(digits)))
    colour, marker = style.look(line["encoding"])
    return {
        "id": anchor,
        "encoding": "raw" if line["encoding"] == "none" else line["encoding"],
        "compression": DASH if line["compression"] == "none" else line["compression"],
        "mark": MARK if line["trained"] else "",
        "numbers": [*numbers, (f"{line['runs']}", line["runs"], "")],
        "front": front,
        "variant": variant,
        "colour": colour,
        "path": _path(marker),
    }


def _path(marker: str) -> str:
    """A marker as the path of an SVG, about 10 pixels wide."""
    shape = MarkerStyle(marker)
    corners = shape.get_path().transformed(shape.get_transform()).to_polygons()
    return "M" + "L".join(f"{10 * x:.1f},{-10 * y:.1f}" for x, y in np.asarray(corners[0])) + "Z"


def _chart(
    lines: pd.DataFrame, speed: str, label: str, best: Sequence[Any], ids: dict[Any, str]
) -> dict[str, Any]:
    """A scatter chart of ratio against speed, with logarithmic axes, in pixels."""
    known = measurable(lines, speed)
    if known.empty:
        return {}
    x, y = _axis(known[speed], WIDTH), _axis(known["ratio"], HEIGHT)
    points = [
        {
            "x": round(x(line[speed]), 1),
            "y": round(HEIGHT - y(line["ratio"]), 1),
            "id": ids[index],
            "front": index in best,
            "colour": style.look(line["encoding"])[0],
            "path": _path(style.look(line["encoding"])[1]),
            "text": f"{_method(line)}: {digits(line['ratio'])}x, {digits(line[speed])} MB/s",
        }
        for index, line in known.iterrows()
    ]
    steps = [f"M0,{HEIGHT - y(known['ratio'][best[0]]):.1f}"]
    for index in best:
        steps.append(f"V{HEIGHT - y(known['ratio'][index]):.1f}H{x(known[speed][index]):.1f}")
    return {
        "label": label,
        "points": sorted(points, key=lambda point: point["front"]),
        "line": "".join(steps),
        "across": [(round(x(tick), 1), f"{tick:,g}") for tick in _ticks(known[speed])],
        "up": [(round(HEIGHT - y(tick), 1), f"{tick:,g}") for tick in _ticks(known["ratio"])],
    }


def _axis(values: "pd.Series[float]", length: float) -> Any:
    """A function from a value to its place on a logarithmic axis."""
    low, high = math.log10(values.min() / 1.25), math.log10(values.max() * 1.25)
    return lambda value: length * (math.log10(value) - low) / (high - low)


def _ticks(values: "pd.Series[float]") -> list[float]:
    """Round numbers in the range of some values: powers of ten, if there are several."""
    low, high = values.min() / 1.25, values.max() * 1.25
    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        found = [t for t in LogLocator(subs=steps).tick_values(low, high) if low <= t <= high]
        if len(found) > 1:
            break
    return found


def _failed(rows: pd.DataFrame) -> list[str]:
    """The last status of each run that failed."""
    last = rows.drop_duplicates([*METHOD, "chunk", "run"], keep="last")
    bad = last[(last["status"] != OK) | ~last["lossless"]]
    return list(
        dict.fromkeys(
            f"{style.dataset_name(row.dataset, row.group)}: "
            f"{style.method_name(row.encoding, row.compression)}: {row.status}"
            for row in bad.itertuples()
        )
    )
