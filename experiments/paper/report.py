"""The report: measurements compared with the numbers of the paper."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from compresso.atomic import replacing
from compresso.text import method_name
from experiments import datasets
from experiments.datasets import Published
from experiments.paper.claims import UNMEASURED, Coverage, Measured, claims, in_table, summary
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
from experiments.records.intervals import (
    LEAST,
    format_speed,
    intervals,
    ranks,
)
from experiments.records.results import BOTH, MARK, NOTE, describe_busy
from experiments.records.rows import METHOD
from experiments.text import EM, OTHER, display_name, markdown

TABLE_1 = (
    *("dataset", "size", "ratio, paper", "ratio, measured", "difference", "com/dec MB/s, paper"),
    *("com/dec MB/s, measured", "Neuroglancer + LZMA", "LZMA alone"),
)
UNPUBLISHED = """\
AC3, AC4, L. Cylinder and CREMI: the segmentations that the paper compressed were never published.
The public *ground truth* is measured instead, marked (gt): its ratios need not match the paper's.
SPL Brain: no public revision of the atlas gives the published 636 (463 was measured); unresolved.
BSD500: every human segmentation is a slice, landscape images transposed.
"""


def report(
    table: pd.DataFrame,
    covered: Sequence[Coverage],
    drawn: Sequence[Path],
    directory: Path,
    caption: Callable[[Path], str] = lambda _: "",
) -> Path:
    """Write ``report.md``; returns its path.

    Parameters
    ----------
    table : DataFrame
        The rows to report, all of them.
    covered : sequence of Coverage
    drawn : sequence of Path
        The figures to show, which are in ``directory``.
    directory : Path
    caption : callable
        Returns the caption of a figure.
    """
    measured = Measured(table)
    judged = claims(measured, [one._replace(name=in_table(one.name)) for one in covered])
    pictures: dict[str, list[str]] = {}  # by caption
    for path in sorted(path for path in drawn if path.suffix == ".svg"):
        picture = f"![{path.stem.replace('_', ' ')}]({path.name})"
        pictures.setdefault(caption(path), []).append(picture)

    def figures(kind: str) -> Iterator[str]:
        for text in [text for text, found in pictures.items() if kind in found[0]]:
            yield from (text, "") if text else ()
            yield from (line for picture in pictures.pop(text) for line in (picture, ""))

    lines = [
        "# The paper, measured",
        "",
        "Matejek et al., *Compresso*, MICCAI 2017.",
        "",
        summary(judged, measured),
        "",
        "Ratios are against uint64, 8 bytes per voxel, as in the paper. MB/s are of both stages",
        "with the same 8 bytes per voxel, from memory to memory: medians over runs, one thread.",
        "",
        *_parts(measured.rows),
        "## Table 1: Compresso + LZMA",
        "",
        *markdown(TABLE_1, _table_1(measured), left=2),
        "",
        UNPUBLISHED,
        "## The paper's claims",
        "",
        *markdown(
            ["claim", "measured", "verdict"],
            (claim.line for claim in sorted(judged, key=lambda claim: not claim.measured)),
            left=3,
        ),
        "",
        "## Figure 4: mean ratio over datasets",
        "",
        *figures("figure_4"),
        *_figure_4(measured),
        "",
        *_current(measured, list(figures("current_methods"))),
        *_conditions(measured),
        "## Figures",
        "",
        *figures(""),
    ]
    target = directory / "report.md"
    with replacing(target, force=True) as unfinished:
        unfinished.write_text("\n".join(lines), encoding="utf-8")
    return target


def _parts(measured: pd.DataFrame) -> list[str]:
    """The datasets that were not measured whole."""
    parts = measured[measured["part"] != ""].drop_duplicates("dataset")
    if parts.empty:
        return []
    listed = "; ".join(
        f"{display_name(row.dataset, row.group)}: {row.part}" for row in parts.itertuples()
    )
    return [
        f"**Only a part was measured of {listed}.** The paper's numbers are of whole datasets, so",
        "those of a part are not judged by them.",
        "",
    ]


def _table_1(measured: Measured) -> Iterator[Sequence[object]]:
    """A line per dataset: measured ones first, of the paper and others."""
    published = datasets.published()
    names = [*published, *(name for name in measured.datasets() if name not in published)]
    for name in sorted(names, key=lambda name: measured.method(name, "compresso") is None):
        yield from _line(measured, name, published.get(name))


def _line(measured: Measured, name: str, paper: Published | None) -> Iterator[Sequence[object]]:
    method = measured.method(name, "compresso")
    speeds = f"{paper.compress} / {paper.decompress}" if paper else ""
    if method is None:
        if paper:
            why = measured.untested(name)
            yield name, paper.size, paper.ratio, why, "", speeds, "", "", ""
        return
    row = measured.of(name).iloc[-1]
    difference = f"{method['ratio'] / paper.ratio - 1:+.1%}" if paper else ""
    others = (measured.method(name, encoding) for encoding in ("neuroglancer", "none"))
    yield (
        f"{name} (gt)" if paper and paper.ground_truth else measured.title(name),
        " x ".join(reversed(row["shape"].split("x"))),
        paper.ratio if paper else "",
        f"{method['ratio']:,.1f}",
        "a part" if paper and row["part"] else difference,
        speeds,
        " / ".join(format_speed(method, speed) for speed in BOTH),
        *("" if other is None else f"{other['ratio']:,.1f}" for other in others),
    )


def _figure_4(measured: Measured) -> Iterator[str]:
    """A line per group and second stage, published means in brackets."""
    groups = {group: measured.datasets(group) for group in (EM, OTHER)}
    over = [
        f"{len(names)} {group} ({', '.join(names)})" for group, names in groups.items() if names
    ]
    yield f"Means over {' and '.join(over) or 'no dataset'}. \\* = mean over fewer datasets."
    yield "In brackets: the published mean over the paper's own datasets, read off to 3 either way."
    yield ""
    heads = ["group", "second stage", "none", "Neuroglancer", "Compresso"]
    yield from markdown(heads, _means(measured, groups), left=2)


def _means(measured: Measured, groups: dict[str, list[str]]) -> Iterator[list[str]]:
    for group, names in groups.items():
        rows = measured.rows[measured.rows["group"] == group]
        for second in (*SECOND_STAGES, *ALONE):
            found = []
            for first in FIRST_STAGES:
                pair = (second, "none") if second in ALONE else (first, second)
                chosen = rows[(rows["encoding"] == pair[0]) & (rows["compression"] == pair[1])]
                ratios = chosen.groupby("dataset")["ratio"].mean()
                paper = FIGURE_4[group, first].get(second)
                no_bar = ratios.empty or (second in ALONE and first != "none")
                few = "\\*" if len(ratios) < len(names) else ""
                ours = "-" if no_bar else f"{ratios.mean():,.0f}{few}"
                found.append(ours + (f" ({paper:,})" if paper else ""))
            if any(text != "-" for text in found):
                yield [group, second, *found]


def _current(measured: Measured, picture: Sequence[str]) -> list[str]:
    """The methods since the paper, which no verdict depends on; empty if none was measured."""
    tables = {name: _current_methods(measured, name) for name in measured.datasets()}
    tables = {name: methods for name, methods in tables.items() if len(methods)}
    if not tables:
        return []
    rows = []
    for name, found in tables.items():
        placed = {speed: ranks(found, speed) for speed in BOTH}
        for index, line in found.iterrows():
            called = method_name(line["encoding"], line["compression"]) + MARK * line["trained"]
            rows.append([measured.title(name), called, f"{line['ratio']:,.1f}"])
            for speed in BOTH:
                rows[-1] += [format_speed(line, speed), placed[speed][index]]
    lines = [
        "## Current methods",
        "",
        "Not in the paper, and in none of its claims. In brackets: 95% intervals of the median",
        "speed, if there are three runs or more. *Rank* orders the methods of a dataset by speed;",
        "= marks ties: the intervals overlap, so the runs show no difference.",
        "",
        *picture,
        *markdown(
            ["dataset", "method", "ratio", "compress MB/s", "rank", "decompress MB/s", "rank"],
            rows,
            left=2,
        ),
    ]
    if any(found["trained"].any() for found in tables.values()):
        lines += ["", f"{NOTE}."]
    absent = [spec for spec in CURRENT if spec not in set(measured.rows["encoding"])]
    return [*lines, "", *(f"- {spec}: {UNMEASURED}" for spec in absent), ""]


def _current_methods(measured: Measured, name: str) -> pd.DataFrame:
    """A line per method of a dataset, the best ratio first; none without a current one."""
    rows = measured.of(name)
    current = rows["encoding"].isin(CURRENT) & rows["compression"].isin(CURRENT_SECOND_STAGES)
    pair = pd.Series(zip(rows["encoding"], rows["compression"], strict=True), index=rows.index)
    found = intervals(rows[(current | pair.isin(REFERENCES)) & current.any()])
    return found.sort_values("ratio", ascending=False, kind="stable", ignore_index=True)


def _conditions(measured: Measured) -> list[str]:
    """How the numbers were measured, and which of the paper's methods are missing."""
    rows = measured.rows
    if rows.empty:
        return []
    runs = rows.groupby(METHOD, sort=False).size()
    usual = int(runs.max())
    machine = " and ".join(filter(None, rows["cpu"].unique())) or "an unknown machine"
    text = [f"Speeds are of a single run of each method, on {machine}."]
    if usual > 1:
        brackets = "their 95% intervals" if usual >= LEAST else "the number of runs"
        text = [
            f"Speeds are medians of {usual} runs of each method, in brackets {brackets},",
            f"on {machine}.",
            "Every method is measured once per round, in an order that is drawn for each round.",
        ]
    if busy := describe_busy(rows["other_cpu"], least=0):
        text.append(
            f"{busy} in the median run, so an idle machine may be faster; ratios do not depend on "
            "it."
        )
    done = set(zip(*(rows[name] for name in METHOD), strict=True))
    reasons = dict(measured.statuses())
    missing = {
        key: reasons.get(key, UNMEASURED)
        for name in measured.datasets()
        for one in methods()
        if (key := (name, one.encoding.spec, one.compressor.spec)) not in done
    }
    fewer = {key: f"{n} of {usual}" for key, n in runs.items() if n < usual}
    return [
        "## How it was measured",
        "",
        *text,
        "Each codec is warmed up first, and decodes into a preallocated array.",
        "",
        *_listed(measured, "Fewer runs", fewer),
        *_listed(measured, "Missing", missing),
    ]


def _listed(
    measured: Measured, title: str, found: dict[tuple[str, str, str], str]
) -> Iterator[str]:
    """A line per dataset and reason, with its methods."""
    if not found:
        return
    lines: dict[tuple[str, str], list[str]] = {}
    for (name, encoding, compression), reason in found.items():
        lines.setdefault((name, reason), []).append(method_name(encoding, compression))
    yield from (f"{title}:", "")
    for (name, reason), texts in lines.items():
        yield f"- {measured.title(name)}, {reason}: {', '.join(texts)}"
    yield ""
