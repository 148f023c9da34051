"""The report: measurements compared with the numbers of the paper."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader

from compresso.atomic import replacing
from compresso.text import digits, method_name
from experiments import datasets
from experiments.paper.claims import UNMEASURED, Claim, Coverage, Measured, claims, summary
from experiments.paper.published import (
    ALONE,
    CURRENT,
    CURRENT_SECOND_STAGES,
    FIGURE_4,
    FIRST_STAGES,
    REFERENCES,
    SECOND_STAGES,
    methods,
)
from experiments.records import METHOD
from experiments.records.intervals import LEAST_RUNS, intervals, ranks, speed_of
from experiments.records.results import BOTH, MARK, NOTE, describe_busy, size_of
from experiments.text import EM, OTHER, markdown

TABLE_1 = (
    "dataset | size | ratio, paper | ratio, measured | difference | com/dec MB/s, paper | "
    "com/dec MB/s, measured | Neuroglancer + LZMA | LZMA alone"
)
CLAIMS = "claim | measured | verdict"
MEANS = "group | second stage | none | Neuroglancer | Compresso"
CURRENT_METHODS = "dataset | method | ratio | compress MB/s | rank | decompress MB/s | rank"


def report(
    table: pd.DataFrame,
    covered: Sequence[Coverage],
    drawn: Sequence[Path],
    directory: Path,
    caption: Callable[[Path], str] = lambda _: "",
    incomplete: str = "",
) -> Path:
    """Write ``report.md`` about all rows of a table, next to its figures; returns its path."""
    measured = Measured(table)
    judged = sorted(claims(measured, covered), key=lambda claim: not claim.measured)
    pictures: dict[str, list[Path]] = {}  # by caption
    for path in sorted(path for path in drawn if path.suffix == ".svg"):
        pictures.setdefault(caption(path), []).append(path)
    groups = {group: measured.datasets(group) for group in (EM, OTHER)}
    loader = PackageLoader("experiments.paper", ".")
    environment = Environment(loader=loader, trim_blocks=True, lstrip_blocks=True)
    text = environment.get_template("report.md.j2").render(
        incomplete=incomplete,
        summary=summary(judged, measured),
        parts=[f"{measured.titles[name]}: {part}" for name, part in measured.parts.items() if part],
        table_1=_table(TABLE_1, _table_1(measured)),
        claims=_table(CLAIMS, map(_claim, judged), left=3),
        means_over=[f"{len(n)} {group} ({', '.join(n)})" for group, n in groups.items() if n],
        means=_table(MEANS, _means(measured, groups)),
        pictures=pictures,
        **_current(measured),
        **_conditions(measured),
    )
    target = directory / "report.md"
    with replacing(target, force=True) as unfinished:
        unfinished.write_text(f"{text.rstrip()}\n", encoding="utf-8")
    return target


def _table(heads: str, rows: Iterable[Sequence[object]], left: int = 2) -> str:
    return "\n".join(markdown(heads.split(" | "), rows, left))


def _claim(claim: Claim) -> list[str]:
    changed = f" ({claim.difference:+.1%})" if claim.difference else ""
    return [claim.text, claim.measured, claim.verdict + changed]


def _table_1(measured: Measured) -> Iterator[Sequence[object]]:
    """A line per dataset, of the paper and others, measured ones first."""
    published = datasets.published()
    names = dict.fromkeys([*published, *measured.titles])
    for name in sorted(names, key=lambda name: (name, "compresso") not in measured.lzma):
        paper, method = published.get(name), measured.lzma.get((name, "compresso"))
        speeds = f"{paper.compress} / {paper.decompress}" if paper else ""
        if method is None:
            if paper:
                why = measured.untested(name)
                yield (name, paper.size, paper.ratio, why, "", speeds, "", "", "")
            continue
        row = measured.volumes.loc[name]
        difference = f"{method['ratio'] / paper.ratio - 1:+.1%}" if paper else ""
        others = (measured.lzma.get((name, encoding)) for encoding in ("neuroglancer", "none"))
        yield (
            f"{name} (gt)" if paper and paper.ground_truth else measured.titles[name],
            size_of(row),
            paper.ratio if paper else "",
            f"{method['ratio']:,.1f}",
            "a part" if paper and row["part"] else difference,
            speeds,
            " / ".join(speed_of(method, speed).text(digits) for speed in BOTH),
            *("" if other is None else f"{other['ratio']:,.1f}" for other in others),
        )


def _means(measured: Measured, groups: dict[str, list[str]]) -> Iterator[list[str]]:
    """A line of Figure 4 per group and second stage, published means in brackets."""
    for group, names in groups.items():
        rows = measured.rows[measured.rows["group"] == group]
        ratios = rows.groupby([*METHOD[1:], "dataset"])["ratio"].mean()
        for second in (*SECOND_STAGES, *ALONE):
            found = []
            for first in FIRST_STAGES:
                pair = (second, "none") if second in ALONE else (first, second)
                no_bar = pair not in ratios.index or (second in ALONE and first != "none")
                paper = FIGURE_4[group, first].get(second)
                few = "" if no_bar or len(ratios[pair]) == len(names) else "\\*"
                ours = "-" if no_bar else f"{ratios[pair].mean():,.0f}{few}"
                found.append(ours + (f" ({paper:,})" if paper else ""))
            if any(text != "-" for text in found):
                yield [group, second, *found]


def _current(measured: Measured) -> dict[str, Any]:
    """The methods since the paper, which no verdict depends on; empty if none was measured."""
    rows = measured.rows
    current = rows["encoding"].isin(CURRENT) & rows["compression"].isin(CURRENT_SECOND_STAGES)
    shown = current | pd.MultiIndex.from_frame(rows[METHOD[1:]]).isin(REFERENCES)
    found = intervals(rows[shown & current.groupby(rows["dataset"]).transform("any")])
    lines = []
    for name, own in found.groupby("dataset", sort=False):
        placed = {speed: ranks(own, speed) for speed in BOTH}
        for index, line in own.sort_values("ratio", ascending=False, kind="stable").iterrows():
            called = method_name(line["encoding"], line["compression"]) + MARK * line["trained"]
            lines.append([measured.titles[name], called, f"{line['ratio']:,.1f}"])
            for speed in BOTH:
                lines[-1] += [speed_of(line, speed).text(digits), placed[speed][index]]
    return {
        "current": _table(CURRENT_METHODS, lines) if lines else "",
        "trained": NOTE if found["trained"].any() else "",
        "absent": [
            f"{spec}: {UNMEASURED}" for spec in CURRENT if spec not in set(rows["encoding"])
        ],
    }


def _conditions(measured: Measured) -> dict[str, Any]:
    """How the numbers were measured, and which of the paper's methods are missing."""
    rows = measured.rows
    if rows.empty:
        return {}
    runs = rows.groupby(METHOD, sort=False).size()
    usual = int(runs.max())
    missing = {
        key: measured.statuses.get(key, UNMEASURED)
        for name in measured.titles
        for one in methods()
        if (key := (name, *one.specs)) not in runs.index
    }
    fewer = {key: f"{n} of {usual}" for key, n in runs.items() if n < usual}
    return {
        "usual": usual,
        "brackets": "their 95% intervals" if usual >= LEAST_RUNS else "the number of runs",
        "machine": " and ".join(filter(None, rows["cpu"].unique())) or "an unknown machine",
        "busy": describe_busy(rows["other_cpu"], least=0.005),
        "lists": {
            "Fewer runs": _listed(measured, fewer, Counter(name for name, *_ in runs.index)),
            "Missing": _listed(measured, missing, Counter()),
        },
    }


def _listed(measured: Measured, reasons: dict[Any, str], whole: Counter[str]) -> list[str]:
    """A line per dataset and reason, with its methods; ``whole`` counts all of each dataset."""
    lines: dict[tuple[str, str], list[str]] = {}
    for (name, *codecs), reason in reasons.items():
        lines.setdefault((name, reason), []).append(method_name(*codecs))
    return [
        f"{measured.titles[name]}, {reason}: "
        f"{'all methods' if len(names) == whole[name] else ', '.join(names)}"
        for (name, reason), names in lines.items()
    ]
