"""The benchmark of a volume as a Markdown table and as a figure."""

import fnmatch
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from compresso.arrays import Labels
from compresso.text import counted
from experiments import figures
from experiments.figures.style import Panel, dots
from experiments.records import Row
from experiments.records.intervals import Interval, interval
from experiments.records.results import MARK, NOTE, is_trained
from experiments.text import markdown

#: The rows of each candidate by its title, in the order of the rounds.
Results = dict[str, list[Row]]
COPY = "memory copy"
#: The head of each column of times in the table.
STAGES = {"encode_s": "encode", "decode_s": "decode", "decode_new_s": "decode to a new array"}
#: The titles of other packages that write the same stream as an encoding or have its purpose.
COUNTERPARTS = {
    "compresso": ("PyPI compresso * 8x8x1", "Crackle *"),
    "compresso:window=4x4x1": ("PyPI compresso * 4x4x1",),
    "cpso": ("PyPI compresso * 4x4x1, index",),
    "cpso:index=0": ("PyPI compresso * 4x4x1",),
    "cpso:window=8x8x1,index=0": ("PyPI compresso * 8x8x1",),
    "compressed_segmentation": ("compressed-segmentation *",),
    "neuroglancer": ("compressed-segmentation *",),
    "ristretto": ("Crackle *",),
}
#: The encodings whose colours other packages have; by default that of their counterpart.
FAMILIES = {"Crackle": "crackle", "compressed-segmentation": "compressed_segmentation"}


def order(results: Results) -> Iterator[tuple[str, str]]:
    """List the candidates: each is followed by its counterparts, with the name of the candidate."""
    others = [title for title, rows in results.items() if rows[0].get("kind") == "other"]
    seen = set()
    for title in (title for title in results if title not in others):
        yield title, ""
        for pattern in COUNTERPARTS.get(title, ()):
            for other in fnmatch.filter(others, pattern):
                yield other, title
                seen.add(other)
    yield from ((title, "") for title in others if title not in seen)


def table(voxels: int, results: Results) -> Iterator[str]:
    """Lines of Markdown: medians with 95% intervals, and ratios to the codec above."""
    heads = ["codec", *(f"{head}, Mvoxel/s" for head in STAGES.values()), "bits per voxel"]
    pairs = list(order(results))
    if compared := any(above for _, above in pairs):
        yield "Lines with > are other packages. The last two columns say how many times as fast the"
        yield "codec above is, measured in the same rounds."
        yield ""
        heads += ["encode, times", "decode to a new array, times"]
    lines = []
    for title, above in pairs:
        rows, others = results[title], results.get(above, [])
        size = rows[0].get("encoded_bytes")
        name = ("> " if above else "") + title + (MARK if is_trained(rows[0]) else "")
        speeds = [_text(speed(voxels, rows, stage), "{:,.0f}") for stage in STAGES]
        lines.append([name, *speeds, f"{8 * size / voxels:.3f}" if size else ""])
        for stage in ("encode_s", "decode_new_s") if compared else ():
            rounds = zip(rows, others, strict=False)
            lines[-1].append(_text(interval([a[stage] / b[stage] for a, b in rounds])))
    yield from markdown(heads, lines)
    if any(is_trained(rows[0]) for rows in results.values()):
        yield from ("", f"{NOTE}.")


def _text(found: Interval, form: str = "{:.2f}") -> str:
    return "" if math.isnan(found.value) else found.text(form.format)


def speed(voxels: int, rows: Sequence[Row], stage: str) -> Interval:
    """Million voxels per second of a stage; unknown for one that is not measured."""
    return interval([row[stage] for row in rows if stage in row]).over(voxels / 1e6)


def draw(labels: Labels, results: Results, title: str, directory: Path) -> Path:
    """Draw the speeds as dots with 95% intervals; returns the path of the PNG."""
    lines: dict[str, dict[str, Any]] = {}
    for name, above in order(results):
        rows = results[name]
        if name == COPY or name in lines:
            continue
        first, count = rows[0].get("encoding", name), rows[0].get("threads", 1)
        other = rows[0].get("kind") == "other"
        lines[name] = {
            "row": name if other else first,
            "encoding": FAMILIES.get(name.partition(" ")[0], above) if other else first,
            "set": "other package" if other else counted(count, "thread"),
            "hollow": count > 1,
        }
        for stage in ("encode_s", "decode_new_s"):
            found = speed(labels.size, rows, stage)
            ends = (stage, f"{stage}_low", f"{stage}_high")
            lines[name] |= dict(zip(ends, (found.value, found.low, found.high), strict=True))
    copied = speed(labels.size, results[COPY], "decode_new_s").value if COPY in results else None
    panels = {
        "encode_s": Panel("Encode [Mvoxel/s]"),
        "decode_new_s": Panel("Decode to a new array [Mvoxel/s]", line=copied),
    }
    points = pd.DataFrame(lines.values())
    note = "Dashed: a copy of the labels to a new array." if copied else ""
    with figures.drawing():
        figure = dots(points, list(dict.fromkeys(points["row"])), panels, title, note)
        _, png, _ = figures.save(figure, directory, f"bench_{labels.dtype}")
    return png
