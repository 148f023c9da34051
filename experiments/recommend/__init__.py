"""Recommend a method for each purpose: sample a volume, measure in stages, estimate, choose."""

import json
import math
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from compresso.arrays import Shape
from compresso.text import digits, extent, ratio_text
from experiments import SEED, HarnessError
from experiments.datasets import Dataset
from experiments.measure import Method
from experiments.recommend.candidates import (
    PURPOSES,
    RANDOM_ACCESS,
    Candidate,
    Purpose,
    Stages,
    methods,
)
from experiments.recommend.estimate import estimate_size
from experiments.recommend.sample import Announce, Sample, draw, plan
from experiments.records import Row
from experiments.records.intervals import LEAST_RUNS, Interval
from experiments.records.results import NOTE, describe_busy, is_trained

__all__ = ["Advice", "Candidate", "as_json", "as_line", "as_text", "choose", "recommend"]


@dataclass(frozen=True)
class Choice:
    """The answer for a purpose."""

    purpose: Purpose
    candidate: Candidate
    boxes: Candidate | None = None  # for random access, the sum over boxes compressed alone


@dataclass(frozen=True)
class Advice:
    """The answers, one per purpose, and what they are based on.

    There is none for random access if every candidate failed on a box.
    """

    sample: Sample
    candidates: Sequence[Candidate]  # those of the last stage
    failed: Sequence[Candidate]
    choices: Sequence[Choice]
    #: The bytes of the whole volume in one piece, by method; empty in the first answer.
    sizes: Mapping[Method, Interval] = field(default_factory=dict)


def recommend(
    dataset: Dataset,
    share: float | None = None,
    chunk: Shape | None = None,
    seed: int = SEED,
    runs: int = 5,
    announce: Announce = lambda _: None,
    record: Callable[[Row], None] = lambda _: None,
) -> Iterator[Advice]:
    """Yield a first answer from small blocks, and then the final one.

    By default, the share of the volume to measure and the shape of its chunks (z, y, x) are those
    of :func:`plan`. ``record`` is called with each row. Raises DatasetError, FileError, and
    HarnessError if every candidate failed or made the labels larger.
    """
    with dataset.open() as volume:
        sample = draw(volume, *plan(volume.shape, share, chunk), seed, announce)
    stages = Stages(sample, dataset, runs, announce, record)
    blocks, left, for_boxes = stages.on_blocks(methods())
    if max(one.native_ratio for one in blocks) < 1:
        raise HarnessError(
            f"{dataset.name}: no method makes the labels smaller than they are as "
            f"{volume.dtype.name}. Are these labels, or a raw image?"
        )
    boxes = stages.on_boxes(for_boxes)
    yield Advice(sample, blocks, stages.failed, choose(blocks, boxes))
    found = stages.on_sample(list(dict.fromkeys([*left, *(one.method for one in boxes[:1])])))
    choices = choose(found, boxes)
    sizes: dict[Method, Interval] = {}
    for one in {choice.candidate.method: choice.candidate for choice in choices}.values():
        announce(f"{one.method}, estimating the whole volume")
        nbytes = one.rows[0]["compressed_bytes"]
        exact = Interval(nbytes, nbytes, nbytes)
        sizes[one.method] = exact if sample.whole else estimate_size(one.method, sample, nbytes)
    yield Advice(sample, found, stages.failed, choices, sizes)


def choose(candidates: Sequence[Candidate], boxes: Sequence[Candidate]) -> list[Choice]:
    """Choose for each purpose; for random access the first of the candidates on boxes."""
    found = [Choice(purpose, purpose.contenders(candidates)[0]) for purpose in PURPOSES]
    by_method = {one.method: one for one in candidates}
    if boxes and boxes[0].method in by_method:
        found.append(Choice(RANDOM_ACCESS, by_method[boxes[0].method], boxes[0]))
    return found


def as_json(advice: Advice, source: str = "") -> dict[str, Any]:
    """One entry per purpose: the method, how to use it, ratio, bytes, speeds and seconds.

    ``ratio``, ``low`` and ``high`` are those of the whole volume in one piece, at 8 bytes per
    voxel, and ``native_ratio`` and its bounds at those of its own ``dtype``. Speeds are MB/s of 8
    bytes per voxel. ``seconds`` are those to compress and decompress the volume once with one
    thread. ``low`` and ``high`` are the bounds of 95% intervals. They are None if unknown: for
    seconds of fewer than ``LEAST_RUNS`` runs, and for the ratio of a sample with one label.
    ``source`` is the user's file or store, for the commands.
    """
    return {choice.purpose.name: _entry(advice, choice, source) for choice in advice.choices}


def _entry(advice: Advice, choice: Choice, source: str) -> dict[str, Any]:
    one, sample = choice.candidate, advice.sample
    size, voxels, dtype = advice.sizes[one.method], sample.volume.voxels, sample.volume.dtype
    ratio, native = size.over(8 * voxels), size.over(dtype.itemsize * voxels)
    there, back = one.compress, one.decompress
    if len(one.rows) < LEAST_RUNS:
        there, back = (replace(each, low=math.nan, high=math.nan) for each in (there, back))
    command, python = _usage(choice, sample, source)
    entry = {
        "encoding": one.method.encoding.spec,
        "compression": one.method.compressor.spec,
        "command": command,
        "python": python,
        "ratio": ratio.value,
        "low": ratio.low,
        "high": ratio.high,
        "dtype": dtype.name,
        "native_ratio": native.value,
        "native_low": native.low,
        "native_high": native.high,
        "compress_speed": one.speeds[0],
        "decompress_speed": one.speeds[1],
        "bytes": round(size.value),
        "bytes_low": None if math.isnan(size.low) else round(size.low),
        "bytes_high": None if math.isnan(size.high) else round(size.high),
        "runs": len(one.rows),
        "seconds": voxels * (there.value + back.value),
        "seconds_low": voxels * (there.low + back.low),
        "seconds_high": voxels * (there.high + back.high),
        "compress_seconds": voxels * there.value,
        "decompress_seconds": voxels * back.value,
        "why": choice.purpose.why(one, size.value),
    }
    if boxes := choice.boxes:
        shape = sample.boxes[0][1].shape
        seconds = boxes.decompress.value * math.prod(shape)
        alone = f"each box of {extent(shape)} compressed alone"
        entry |= {
            "why": f"{alone}, {digits(1e3 * seconds)} ms to decompress one",
            "box_bytes": boxes.rows[0]["compressed_bytes"] / len(sample.boxes),
            "box_seconds": seconds,
            "box_ratio": boxes.ratio,
        }
    return {name: None if value != value else value for name, value in entry.items()}  # NaN


def _usage(choice: Choice, sample: Sample, source: str) -> tuple[str, str]:
    """The shell command and the Python line that use a method."""
    encoding, compression = choice.candidate.method.specs
    name = re.split(r"[.:]", re.split(r"[/|]", source.rstrip("/|:"))[-1])[0] or "labels"
    source = source or "labels.h5"
    codecs = ["--encoding", encoding, "--compression", compression]
    if not choice.boxes:
        words = ["compress", source, f"{name}.cps", *codecs]
        python = f'compresso.dumps(labels, "{encoding}", "{compression}")'
    else:
        shape = sample.boxes[0][1].shape
        settings = json.dumps({"encoding": encoding, "compression": compression})
        words = ["convert", source, f"{name}.zarr", *codecs]
        words += ["--chunks", extent(shape).replace(" ", "")]
        python = (
            f'zarr.create_array("{name}.zarr", data=labels, chunks={shape}, compressors=None, '
            f'serializer={{"name": "compresso", "configuration": {settings}}})'
        )
    return shlex.join(["compresso", *words]), python


def as_line(advice: Advice) -> str:
    """The methods and their ratios on one line."""
    answers = (
        f"{choice.purpose.title}: {choice.candidate.method} "
        f"({ratio_text((choice.boxes or choice.candidate).ratio)}x)"
        for choice in advice.choices
    )
    return f"First answer (still measuring): {'; '.join(answers)}"


def as_text(advice: Advice, source: str = "") -> str:
    """Describe the measured volume, and add a block per purpose."""
    sample, volume = advice.sample, advice.sample.volume
    lines = [f"{extent(volume.shape)} {volume.dtype.name}; measured: {sample.describe()}"]
    lines.append("Ratios compare with 8 bytes per voxel (uint64), and MB/s count these; 1 thread.")
    for choice, entry in zip(advice.choices, as_json(advice, source).values(), strict=True):
        number = entry["box_ratio" if choice.boxes else "ratio"]
        ratio = f"{ratio_text(number)}x smaller"
        if volume.dtype.itemsize < 8:
            own = ratio_text(number * volume.dtype.itemsize / 8)
            ratio += f" ({own}x than {volume.dtype.name})"
        if not choice.boxes and not sample.content.share:
            ratio += f" (no interval, as only one label was found ({sample.content.reason}))"
        elif not choice.boxes and not sample.whole:
            low, high = ratio_text(entry["low"]), ratio_text(entry["high"])
            ratio += f" (95% interval {low}x to {high}x)"
        speeds = [digits(speed) for speed in choice.candidate.speeds]
        lines += [
            "",
            f"For {choice.purpose.title}:  {choice.candidate.method}    {ratio}",
            f"    {entry['why']}",
            f"    compress {speeds[0]} MB/s, decompress {speeds[1]} MB/s",
            f"    use it:  {entry['command']}",
            f"             {entry['python']}",
            *['    It needs:  pip install ".[stores,zarr]"'] * bool(choice.boxes),
        ]
        if is_trained(choice.candidate.rows[0]):
            lines.append(f"    {NOTE}")
    shares = [row.get("other_cpu") for one in advice.candidates for row in one.rows]
    if busy := describe_busy(shares):
        lines += ["", f"{busy}, so the speeds are too low."]
        lines.append("Other methods may be better for general use and interactive viewing.")
    return "\n".join(lines)
