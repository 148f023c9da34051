"""The recommendation as text for people and as JSON for programs."""

from collections.abc import Sequence
from typing import Any

from compresso.cli import digits
from experiments.recommend.purposes import Choice
from experiments.recommend.sample import Sample
from experiments.recommend.standing import Standing
from experiments.records.intervals import LEAST
from experiments.records.results import MARK, NOTE, is_trained, pareto_front

Choices = dict[str, Choice]


def as_json(choices: Choices, sample: Sample) -> dict[str, Any]:
    """One entry per purpose: the cell, the whole volume's ratio, bytes and seconds, and why.

    ``ratio``, ``low`` and ``high`` are of the whole volume in one piece, at 8 bytes per voxel, and
    ``native_ratio`` and its bounds at those of its own ``dtype``. ``bytes`` are its bytes. Speeds
    are MB/s of 8 bytes per voxel. ``seconds`` are to compress and decompress it once, one thread.
    ``low`` and ``high`` are the bounds of 95% intervals, None if they are not known: of seconds
    from fewer than ``LEAST`` runs, and of a ratio without a sample that has several labels. So are
    the speeds of raw labels.
    """
    return {purpose: _entry(choice, sample) for purpose, choice in choices.items()}


def _entry(choice: Choice, sample: Sample) -> dict[str, Any]:
    one, size, dtype = choice.standing, choice.size, sample.volume.dtype
    voxels, known, timed = sample.volume.voxels, not sample.unknown, len(one.rows) >= LEAST
    there, back = one.compress_s, one.decompress_s
    note = f"; {NOTE}" if is_trained(one.rows[0]) else ""
    entry = {
        "encoding": one.cell.encoding.spec,
        "compression": one.cell.compressor.spec,
        "ratio": 8 * voxels / size.expected,
        "low": 8 * voxels / size.high if known else None,
        "high": 8 * voxels / size.low if known else None,
        "dtype": dtype.name,
        "native_ratio": dtype.itemsize * voxels / size.expected,
        "native_low": dtype.itemsize * voxels / size.high if known else None,
        "native_high": dtype.itemsize * voxels / size.low if known else None,
        "compress_speed": None if one.raw else one.compress_speed,
        "decompress_speed": None if one.raw else one.decompress_speed,
        "bytes": round(size.expected),
        "bytes_low": round(size.low) if known else None,
        "bytes_high": round(size.high) if known else None,
        "runs": len(one.rows),
        "seconds": voxels * (there.median + back.median),
        "seconds_low": voxels * (there.low + back.low) if timed else None,
        "seconds_high": voxels * (there.high + back.high) if timed else None,
        "compress_seconds": voxels * there.median,
        "decompress_seconds": voxels * back.median,
        "why": f"{choice.why}{note}",
    }
    if choice.alone:
        entry["box_bytes"] = choice.alone.bytes
        entry["box_seconds"] = choice.alone.seconds
        entry["box_ratio"] = choice.alone.ratio
    return entry


def as_text(title: str, standing: Sequence[Standing], choices: Choices, sample: Sample) -> str:
    """What was read, the front, and the four answers."""
    lines = [title, f"Measured: {sample.told()}; one thread.", "", *_table(standing, sample), ""]
    for purpose, entry in as_json(choices, sample).items():
        lines.append(f"{purpose.replace('_', ' ')}: {choices[purpose].standing.cell.title}")
        lines.append(f"    {entry['why']}.")
        span = ""
        if not sample.whole and not sample.unknown:
            span = f" ({spelled(entry['bytes_low'])} to {spelled(entry['bytes_high'])})"
        lines.append(
            f"    The whole: {spelled(entry['bytes'])}{span}; {_seconds(entry['compress_seconds'])}"
            f" to compress, {_seconds(entry['decompress_seconds'])} to decompress"
            f" ({_both(entry)})."
        )
    return "\n".join(lines)


def _both(entry: dict[str, Any]) -> str:
    """The interval of the seconds, or if it is not known how many runs there are."""
    if entry["seconds_low"] is None:
        return f"n = {entry['runs']}"
    return f"{_seconds(entry['seconds_low'])} to {_seconds(entry['seconds_high'])} for both"


def _table(standing: Sequence[Standing], sample: Sample) -> list[str]:
    def ratio(one: Standing) -> float:
        return one.ratio

    at_work = [one for one in standing if not one.raw]
    there = pareto_front(at_work, ratio, lambda one: one.compress_speed)
    back = pareto_front(at_work, ratio, lambda one: one.decompress_speed)
    dtype = sample.volume.dtype
    narrow = dtype.itemsize < 8
    bases = [f"vs {dtype.name} (file)", *(["vs uint64"] if narrow else [])]
    rows = [("front", "encoding", "compression", *bases, "compress MB/s", "decompress MB/s")]
    for one in sorted(standing, key=ratio, reverse=True):
        marks = ("c" if one in there else "") + ("d" if one in back else "")
        if marks:
            rows.append(
                (
                    marks,
                    one.cell.encoding.spec + (MARK if is_trained(one.rows[0]) else ""),
                    one.cell.compressor.spec,
                    f"{one.native_ratio:,.1f}",
                    *([f"{one.ratio:,.1f}"] if narrow else []),
                    digits(one.compress_speed),
                    digits(one.decompress_speed),
                )
            )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    told = []
    for row in rows:
        padded = [
            text.ljust(width) if i < 3 else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        told.append("  ".join(padded).rstrip())
    return [
        "Pareto front of ratio against compression (c) and decompression speed (d), on what was "
        "measured. MB/s count 8 bytes per voxel:",
        *told,
    ]


def spelled(size: float) -> str:
    """Bytes for people, in powers of 1000."""
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if size < 1000:
            return f"{size:,.4g} {unit}" if unit != "bytes" else f"{size:,.0f} bytes"
        size /= 1000
    return f"{size:,.4g} EB"


def _seconds(seconds: float) -> str:
    for name, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{digits(seconds / length)} {name}"
    return f"{digits(seconds)} s"
