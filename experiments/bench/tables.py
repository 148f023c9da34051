"""The benchmark of a volume as Markdown tables."""

from collections.abc import Iterator, Sequence

from experiments.records import Row
from experiments.records.intervals import interval
from experiments.records.results import MARK, NOTE, is_trained

#: The rows of each candidate by its title, in the order of the rounds.
Results = dict[str, list[Row]]
#: What is timed, by column: its head in the tables.
STAGES = {"encode_s": "encode", "decode_s": "decode", "decode_new_s": "decode to a new array"}
#: An encoding of ours, and how the title begins and ends of the package that writes the same
#: stream or has the same purpose.
COUNTERPARTS = (
    ("compresso", "PyPI compresso", " 8x8x1"),
    ("compresso:window=4x4x1", "PyPI compresso", " 4x4x1"),
    ("cpso", "PyPI compresso", " 4x4x1, index"),
    ("cpso:index=0", "PyPI compresso", " 4x4x1"),
    ("cpso:window=8x8x1,index=0", "PyPI compresso", " 8x8x1"),
    ("compressed_segmentation", "compressed-segmentation", ""),
    ("neuroglancer", "compressed-segmentation", ""),
    ("compresso", "Crackle", ""),
    ("ristretto", "Crackle", ""),
)


def speeds(voxels: int, results: Results) -> Iterator[str]:
    """One line per candidate: medians with 95% intervals, and the size of its stream."""
    heads = " | ".join(f"{head} MVx/s" for head in STAGES.values())
    yield f"| | {heads} | bits per voxel |"
    yield "|---|---:|---:|---:|---:|"
    for title, rows in results.items():
        found = [
            interval(seconds).over(voxels / 1e6).text("{:,.0f}".format) if seconds else ""
            for seconds in (seconds_of(rows, stage) for stage in STAGES)
        ]
        size = rows[0].get("encoded_bytes")
        found.append(f"{8 * size / voxels:.3f}" if size else "")
        mark = MARK if is_trained(rows[0]) else ""
        yield f"| {title}{mark} | {' | '.join(found)} |"
    if any(is_trained(rows[0]) for rows in results.values()):
        yield from ("", f"{NOTE}.")


def seconds_of(rows: Sequence[Row], stage: str) -> list[float]:
    """The seconds of a stage in each round; empty for one that is not measured."""
    return [row[stage] for row in rows if stage in row]


def ratios(results: Results) -> Iterator[str]:
    """How many times as long another package takes, within each round; empty without any."""
    lines = []
    for title, begin, end in COUNTERPARTS:
        for peer, theirs in results.items():
            if title in results and peer.startswith(f"{begin} ") and peer.endswith(end):
                found = [_ratio(theirs, results[title], s) for s in ("encode_s", "decode_new_s")]
                lines.append(f"| {title} | {peer} | {' | '.join(found)} |")
    if lines:
        yield "| encoding | package | encode: its time / ours | decode to a new array |"
        yield "|---|---|---:|---:|"
        yield from lines


def _ratio(theirs: Sequence[Row], ours: Sequence[Row], stage: str) -> str:
    pairs = zip(seconds_of(theirs, stage), seconds_of(ours, stage), strict=False)
    return interval([a / b for a, b in pairs]).text()
