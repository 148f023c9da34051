"""Table 1 and Figure 4 of the paper, with the measured numbers beside the published ones."""

from experiments import datasets
from experiments.datasets import Published
from experiments.paper.measured import Measured
from experiments.paper.published import FIGURE_4
from experiments.paper.schemes import ALONE, FIRST_STAGES, SECOND_STAGES
from experiments.records.intervals import format_speed
from experiments.records.results import BOTH
from experiments.text import EM, OTHER


def table_1(measured: Measured) -> list[str]:
    """A line a dataset: the paper's, and whatever else was measured."""
    lines = [
        "| dataset | size | ratio, paper | ratio, here | difference | com/dec MB/s, paper "
        "| com/dec MB/s, here | Neuroglancer + LZMA | LZMA alone |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    published = datasets.published()
    others = [name for name in measured.datasets() if name not in published]
    for name in [*published, *others]:
        line = _line(measured, name, published.get(name))
        lines += [line] if line else []
    return lines


def _line(measured: Measured, name: str, paper: Published | None) -> str | None:
    cell = measured.cell(name, "compresso")
    paper_speeds = f"{paper.compress} / {paper.decompress}" if paper else ""
    if cell is None:
        if paper is None:
            return None
        untested = measured.untested(name)
        return f"| {name} | {paper.size} | {paper.ratio} | {untested} | | {paper_speeds} | | | |"
    row = measured.of(name).iloc[-1]
    title = f"{name} (gt)" if paper and paper.ground_truth else measured.title(name)
    difference = f"{cell['ratio'] / paper.ratio - 1:+.1%}" if paper else ""
    columns = (
        title,
        " x ".join(reversed(row["shape"].split("x"))),
        paper.ratio if paper else "",
        f"{cell['ratio']:,.1f}",
        "a part" if paper and row["part"] else difference,
        paper_speeds,
        " / ".join(format_speed(cell, speed) for speed in BOTH),
        measured.ratio(name, "neuroglancer"),
        measured.ratio(name, "none"),
    )
    return f"| {' | '.join(map(str, columns))} |"


def means_over(measured: Measured) -> list[str]:
    """Which datasets the means of Figure 4 are over, the rest of a sentence."""
    groups = {"EM": measured.datasets(EM), "other": measured.datasets(OTHER)}
    told = [
        f"{len(names)} {group} ({', '.join(names)})" for group, names in groups.items() if names
    ]
    return [f"over {' and '.join(told) or 'no dataset'}; a star marks those over fewer."]


def figure_4(measured: Measured) -> list[str]:
    """A line a group and second stage, published means in brackets."""
    lines = [
        "| group | second stage | none | Neuroglancer | Compresso |",
        "|---|---|---:|---:|---:|",
    ]
    for group in (EM, OTHER):
        rows = measured.rows[measured.rows["group"] == group]
        names = rows["dataset"].nunique()
        for second in (*SECOND_STAGES, *ALONE):
            found = []
            for first in FIRST_STAGES:
                cell = (second, "none") if second in ALONE else (first, second)
                chosen = rows[(rows["encoding"] == cell[0]) & (rows["compression"] == cell[1])]
                ratios = chosen.groupby("dataset")["ratio"].mean()
                published = FIGURE_4[group, first].get(second)
                once = second in ALONE and first != "none"
                few = "\\*" if len(ratios) < names else ""
                ours = "-" if ratios.empty or once else f"{ratios.mean():,.0f}{few}"
                found.append(ours + (f" ({published})" if published else ""))
            if any(text != "-" for text in found):
                lines.append(f"| {group} | {second} | {' | '.join(found)} |")
    return [*lines, "", "In brackets: published, read off the picture to 3 either way."]
