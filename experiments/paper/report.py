"""The report: what was measured, beside what the paper published."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from compresso.atomic import replacing
from experiments.paper.claims import claims
from experiments.paper.conditions import conditions
from experiments.paper.coverage import Coverage
from experiments.paper.measured import Measured, in_table
from experiments.paper.tables import figure_4, means_over, table_1
from experiments.paper.today import section
from experiments.text import display_name


def report(
    table: pd.DataFrame, covered: Sequence[Coverage], drawn: Sequence[Path], directory: Path
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
    """
    measured = Measured(table)
    covered = [one._replace(name=in_table(one.name)) for one in covered]
    rows = measured.rows
    lines = [
        "# The paper, measured",
        "",
        "Matejek et al., *Compresso*, MICCAI 2017. Ratios count 8 bytes a voxel; speeds are MB/s",
        "of both stages on that basis, medians over runs, one thread.",
        "",
        *_parts(rows),
        "## Table 1: Compresso + LZMA",
        "",
        *table_1(measured),
        "",
        "AC3, AC4, L. Cylinder and CREMI: the segmentations that the paper compressed were never",
        "published. What is measured here is the public *ground truth*, marked (gt): its ratios",
        "can be compared with the paper's, but need not match them. SPL Brain: no public revision",
        "of the atlas gives the published 636 (463 was measured); unresolved.",
        "",
        "## Figure 4: mean ratio over datasets",
        "",
        "![mean ratio](mean_ratio.png)",
        "",
        "The outlines are the published bars, means over the paper's own datasets. Ours are means",
        *means_over(measured),
        "",
        *figure_4(measured),
        "",
        "## The paper's claims",
        "",
        "| claim | measured | verdict |",
        "|---|---|---|",
        *claims(measured, covered),
        "",
        *section(measured),
        *conditions(measured),
        "## Figures",
        "",
    ]
    for path in sorted(path for path in drawn if path.suffix == ".png"):
        lines += [f"![{path.stem}]({path.name})", ""]
    target = directory / "report.md"
    with replacing(target, force=True) as unfinished:
        unfinished.write_text("\n".join(lines), encoding="utf-8")
    return target


def _parts(rows: pd.DataFrame) -> list[str]:
    """What was measured of the datasets that were not measured whole."""
    parts = rows[rows["part"] != ""].drop_duplicates("dataset")
    if parts.empty:
        return []
    told = "; ".join(
        f"{display_name(row.dataset, row.group)}: {row.part}" for row in parts.itertuples()
    )
    return [
        f"**Only a part was measured of {told}.** The paper's numbers are of whole datasets, so",
        "those of a part are not judged by them.",
        "",
    ]
