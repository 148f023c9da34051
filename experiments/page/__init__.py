"""The page of a run: one HTML file with its best results, charts, tables, figures and data.

It needs no other file: pictures are inside, and without JavaScript only sorting, filtering and
copying are missing.
"""

import base64
import math
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape
from matplotlib.markers import MarkerStyle
from matplotlib.ticker import LogLocator

from compresso.atomic import replacing
from compresso.text import counted, digits, file_size, ratio_text
from experiments import figures
from experiments.figures import style
from experiments.figures.results import front, measurable
from experiments.figures.style import marked_name
from experiments.records import METHOD, OK
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
    size_of,
    warn_busy,
)
from experiments.text import DASH, natural

NAME = "report.html"
#: Pixels of a chart, without its margins.
WIDTH, HEIGHT = 400, 260
#: Columns of the newest row of each dataset in the data table, next to computed values.
CONDITIONS = {
    "source": "source",
    "fingerprint": "hash of the labels",
    "cpu": "processor",
    "version": "compresso",
    "python": "Python",
    "numpy": "NumPy",
    "numba": "Numba",
    "zstandard": "zstandard",
}


def write(
    rows: pd.DataFrame,
    drawn: Sequence[Path],
    directory: Path,
    answers: dict[str, Any] | None = None,
) -> Path:
    """Write ``report.html`` next to the figures, whose SVGs it shows; returns its path.

    The rows may include failed ones; the answers are those of ``recommend``, by purpose.
    """
    loader = PackageLoader(__name__, ".")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["breakable"] = _breakable
    environment.globals.update(ratio=ratio_text, method=style.method_name)
    chosen = newest(rows)
    good = derive(chosen)
    methods = intervals(good)
    pictures = {path.stem: path for path in drawn if path.suffix == ".svg"}
    pictures = {name: pictures[name] for name in pictures if not name.startswith("pareto")}
    names = sorted(chosen["dataset"].unique(), key=natural)
    sections = [_section(name, chosen, methods, pictures) for name in names]
    text = environment.get_template("page.html.j2").render(
        headline=_headline(methods),
        command=_command(),
        busy=warn_busy(good),
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


def _breakable(text: str) -> Markup:
    """A name that may be wrapped after its punctuation, and so not inside a word."""
    parts = re.split(r"(?<=[-:/_.,=])(?=\w)", text)
    return Markup("<wbr>").join(map(escape, parts))


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _inline(path: Path) -> str:
    return _uri("image/svg+xml", path.read_bytes())


def _headline(methods: pd.DataFrame) -> str:
    """The best result, for the title of the page."""
    text = counted(len(methods.drop_duplicates(METHOD[1:])), "method")
    ranked = methods[~is_raw(methods)]
    if ranked.empty:
        return text
    first = ranked.loc[best(ranked["ratio"])]
    name = style.dataset_name(first["dataset"], first["group"])
    text = f"{counted(methods['dataset'].nunique(), 'dataset')}, {text}"
    smaller = f"{ratio_text(first['ratio'])}x smaller: {marked_name(first)} on {name} ({text})"
    return smaller if len(methods) == 1 else f"Up to {smaller}"


def _section(
    name: str, rows: pd.DataFrame, methods: pd.DataFrame, pictures: dict[str, Path]
) -> dict[str, Any]:
    """Everything that the page shows of one dataset."""
    own, lines = rows[rows["dataset"] == name], methods[methods["dataset"] == name]
    lines = lines.sort_values("ratio", ascending=False, kind="stable")
    row, ranked, slug = own.iloc[-1], lines[~is_raw(lines)], style.slug(name)
    ids = {i: f"{slug}--{style.slug(f'{e}--{c}')}" for i, e, c in lines[METHOD[1:]].itertuples()}
    fronts = {speed: front(ranked, speed) for speed in BOTH}
    on_front = {index for found in fronts.values() for index in found}
    narrow = row["native_bytes"] != row["raw_bytes"]
    plain = set(lines["encoding"][~lines["encoding"].str.contains(":")])
    cards = []
    titles = {"ratio": "smallest"} | {speed: f"fastest to {verb}" for speed, verb in BOTH.items()}
    for column, label in titles.items():
        if (first := best(ranked[column])) is not None:
            amount = ranked[column][first]
            value = f"{ratio_text(amount)}x" if column == "ratio" else f"{digits(amount)} MB/s"
            cards.append((label, value, ids[first], marked_name(ranked.loc[first])))
    thumbnail = pictures.pop(f"slices_{slug}", None)
    found = {
        "dataset": style.dataset_name(name, row["group"]),
        "size (x, y, z)": f"{size_of(row)} {row['dtype']}",
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
            {
                "id": ids[index],
                "encoding": "raw" if line["encoding"] == "none" else line["encoding"],
                "compression": DASH if line["compression"] == "none" else line["compression"],
                "mark": MARK if line["trained"] else "",
                "numbers": _numbers(line, narrow),
                "front": index in on_front,
                "variant": ":" in line["encoding"] and style.family(line["encoding"]) in plain,
                **_look(line["encoding"]),
            }
            for index, line in lines.iterrows()
        ],
        "thumbnail": _inline(thumbnail) if thumbnail else "",
        "data": found,
    }


def _numbers(line: "pd.Series[Any]", narrow: bool) -> list[tuple[str, float, str]]:
    """The numbers of a line of the table: the text, the value to sort by, and the interval."""
    ratios = ("ratio", "native_ratio") if narrow else ("ratio",)
    numbers = [(ratio_text(line[name]), line[name], "") for name in ratios]
    numbers.append((file_size(int(line["compressed_bytes"])), line["compressed_bytes"], ""))
    for speed in BOTH:
        known = speed_of(line, speed)
        shown = (digits(known.value), known.value, known.span(digits))
        numbers.append((DASH, 0, "") if math.isnan(known.value) else shown)
    return [*numbers, (f"{line['runs']}", line["runs"], "")]


def _look(encoding: str) -> dict[str, str]:
    """The colour of an encoding, and its marker as the path of an SVG, about 10 pixels wide."""
    colour, marker = style.look(encoding)
    shape = MarkerStyle(marker)
    corners = shape.get_path().transformed(shape.get_transform()).to_polygons()[0]
    path = "L".join(f"{10 * x:.1f},{-10 * y:.1f}" for x, y in np.asarray(corners))
    return {"colour": colour, "path": f"M{path}Z"}


def _chart(
    lines: pd.DataFrame, speed: str, label: str, best: Sequence[Any], ids: dict[Any, str]
) -> dict[str, Any]:
    """A scatter chart of ratio against speed, with logarithmic axes, in pixels."""
    known = measurable(lines, speed)
    if known.empty:
        return {}
    (x, across), (y, up) = _axis(known[speed], 0, WIDTH), _axis(known["ratio"], HEIGHT, 0)
    points = []
    for index, line in known.iterrows():
        point = {"x": x(line[speed]), "y": y(line["ratio"]), "id": ids[index]}
        values = f"{ratio_text(line['ratio'])}x, {digits(line[speed])} MB/s"
        point |= {"front": index in best, "text": f"{marked_name(line)}: {values}"}
        points.append(point | _look(line["encoding"]))
    steps = (f"V{y(known['ratio'][index])}H{x(known[speed][index])}" for index in best)
    return {
        "label": label,
        "points": sorted(points, key=lambda point: point["front"]),
        "line": f"M0,{y(known['ratio'][best[0]])}{''.join(steps)}",
        "across": across,
        "up": up,
    }


def _axis(
    values: "pd.Series[float]", start: float, stop: float
) -> tuple[Callable[[float], float], list[tuple[float, str]]]:
    """A function from a value to its pixel on a logarithmic axis, and pixels of round numbers."""
    low, high = values.min() / 1.25, values.max() * 1.25

    def pixel(value: float) -> float:
        return round(start + (stop - start) * math.log(value / low) / math.log(high / low), 1)

    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [t for t in LogLocator(subs=steps).tick_values(low, high) if low <= t <= high]
        if len(ticks) > 1:
            break
    return pixel, [(pixel(tick), f"{tick:,g}") for tick in ticks]


def _failed(rows: pd.DataFrame) -> list[str]:
    """The last status of each run that failed."""
    last = rows.drop_duplicates([*METHOD, "chunk", "run"], keep="last")
    bad = last[(last["status"] != OK) | ~last["lossless"]]
    texts = (
        f"{style.dataset_name(row.dataset, row.group)}: "
        f"{style.method_name(row.encoding, row.compression)}: {row.status}"
        for row in bad.itertuples()
    )
    return list(dict.fromkeys(texts))
