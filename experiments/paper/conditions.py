"""How the numbers of the report were had, and which of the paper's are missing."""

from collections.abc import Iterator

import pandas as pd

from experiments.paper.measured import UNMEASURED, Measured
from experiments.paper.schemes import cells
from experiments.records.intervals import LEAST
from experiments.records.rows import METHOD


def conditions(measured: Measured) -> list[str]:
    """Lines of the report: rounds, machine, what else ran on it, and what is missing."""
    rows = measured.rows
    if rows.empty:
        return []
    runs = rows.groupby(METHOD, sort=False).size()
    usual = int(runs.max())
    machine = " and ".join(filter(None, rows["cpu"].unique())) or "a machine that is not known"
    told = [f"Speeds are of a single run of each cell, on {machine}."]
    if usual > 1:
        brackets = "their 95% intervals" if usual >= LEAST else "how many"
        told = [
            f"Speeds are medians of {usual} runs of each cell, in brackets {brackets},",
            f"on {machine}. The runs of a cell are spread over rounds, in each of which every cell",
            "comes once, in an order that is drawn.",
        ]
    return [
        "## How it was measured",
        "",
        *told,
        "Each codec is warmed up first, and decodes into memory that is already there.",
        _surroundings(rows),
        "",
        *_listed(
            measured,
            "Fewer runs",
            {cell: f"{n} of {usual}" for cell, n in runs.items() if n < usual},
        ),
        *_listed(measured, "Missing", _missing(measured)),
    ]


def _surroundings(rows: pd.DataFrame) -> str:
    others = rows["other_cpu"].dropna()
    if others.empty:
        return "What else the machine did is not known."
    return (
        f"Other processes took {others.median():.0%} of the processors in the median run, "
        f"{others.quantile(0.9):.0%} or more in one run of ten."
    )


def _missing(measured: Measured) -> dict[tuple[str, str, str], str]:
    """Why each of the paper's cells that has no result has none."""
    reasons = dict(measured.statuses())
    done = set(zip(*(measured.rows[name] for name in METHOD), strict=True))
    found = {}
    for name in measured.datasets():
        for cell in cells():
            key = name, cell.encoding.spec, cell.compressor.spec
            if key not in done:
                found[key] = reasons.get(key, UNMEASURED)
    return found


def _listed(
    measured: Measured, title: str, cells: dict[tuple[str, str, str], str]
) -> Iterator[str]:
    """A line a dataset and reason, and what it is the reason of."""
    if not cells:
        return
    lines: dict[tuple[str, str], list[str]] = {}
    for (name, encoding, compression), reason in cells.items():
        lines.setdefault((name, reason), []).append(f"{encoding} + {compression}")
    yield from (f"{title}:", "")
    for (name, reason), found in lines.items():
        yield f"- {measured.title(name)}, {reason}: {', '.join(found)}"
    yield ""
