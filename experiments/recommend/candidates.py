"""The candidates, the stages that measure them, and the purposes that choose among them.

All candidates are measured on a small block, those that a purpose may still choose on a larger one,
and the last few on the whole sample. Boxes for random access are measured one by one.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter
from time import process_time, process_time_ns
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compresso import compressors, encodings
from compresso.text import digits, file_size
from compresso.volumes.volume import format_box
from experiments import HarnessError
from experiments.datasets import Dataset, LoadedVolume
from experiments.measure import Method, combine, measure, rounds, warm_up
from experiments.recommend.estimate import blank, blank_size
from experiments.recommend.sample import Announce, Sample, stack
from experiments.records import BYTES, OK, SECONDS, Row
from experiments.records.intervals import Interval, interval

#: Left out are other windows of Compresso; neuroglancer, which was larger than
#: compressed_segmentation with any compressor on every volume in docs/paper; and images and films,
#: which were larger and slower there than Ristretto.
ENCODINGS = (
    "none compresso compresso:window=4x4x1 cpso compressed_segmentation crackle crackle:markov=5 "
    "ristretto ristretto:effort=2 ristretto:effort=3"
)
#: Each of the others was larger there than one of these that is about as fast.
COMPRESSORS = "none lz4 zstd zstd:level=9 zstd:level=19 bz2 brotli lzma"
#: Raw labels are not a candidate, and two compressors are too slow for them (2 and 8 MB/s).
EXCLUDED = (("none", "none"), ("none", "brotli"), ("none", "zstd:level=19"))

DISK = 500.0  # MB/s, of a SATA disk
LINK = 125.0  # MB/s, of a network of 1 Gbit/s
BOX_SECONDS = 0.05  # seconds that a box may take
#: A candidate counts if the labels take this many times fewer bytes than in their own dtype,
#: unless none does: raw labels are as fast as any disk.
LEAST_RATIO = 2.0
#: Factors that the ratio and the speeds of a candidate may be wrong by after each stage: on
#: either block, and on the sample.
RATIO_MARGINS, SPEED_MARGINS = (1.5, 1.2, 1.0), (1.5, 1.4, 1.25)
#: How much smaller one candidate is than another if boxes are compressed alone, compared with
#: larger parts, and after the first box.
BOX_MARGINS = (2.0, 1.3)
#: Processor seconds after which a candidate is not measured again, on a block and on the sample.
#: Other work on the machine then costs no candidate its runs.
BLOCK_PATIENCE, PATIENCE = 0.15, 1.0
#: Factors that ratios and speeds may be wrong by.
Doubt = tuple[float, float]
#: By which factor a speed of fewer runs than an interval needs may be wrong.
FEW_RUNS = 1.5


def methods() -> list[Method]:
    """The methods that are measured first, as far as their packages are installed."""
    first = [one for one in map(encodings.parse, ENCODINGS.split()) if not one.missing()]
    second = [one for one in map(compressors.parse, COMPRESSORS.split()) if not one.missing()]
    return [one for one in combine(first, second) if one.specs not in EXCLUDED]


class Blank(NamedTuple):
    """The part of the volume that has one label: its share, bytes per voxel, and a run on some."""

    share: float = 0.0
    bytes: float = 0.0
    row: Row | None = None


@dataclass(frozen=True)
class Candidate:
    """A method, and its runs on one part of the volume. Ratios and speeds include the blank part.

    The runs of random access are one row, the sum over the boxes.
    """

    method: Method
    rows: tuple[Row, ...] = ()
    blank: Blank = Blank()

    @property
    def failure(self) -> str:
        """The status of the first run that failed; empty if none did."""
        rows = filter(None, (*self.rows, self.blank.row))
        return next((row["status"] for row in rows if row["status"] != OK), "")

    @property
    def ratio(self) -> float:
        """8 bytes per voxel divided by the compressed bytes."""
        row = self.rows[0]
        nbytes = 8 * row["compressed_bytes"] / row["raw_bytes"]
        return float(8 / self._mixed(nbytes, self.blank.bytes))

    @property
    def native_ratio(self) -> float:
        """The bytes of the labels in their own dtype divided by the compressed bytes."""
        return float(self.ratio * self.rows[0]["native_bytes"] / self.rows[0]["raw_bytes"])

    @cached_property
    def compress(self) -> Interval:
        """Seconds per voxel to encode and compress."""
        return self._seconds("encode_s", "compress_s")

    @cached_property
    def decompress(self) -> Interval:
        """Seconds per voxel to decompress and decode."""
        return self._seconds("decompress_s", "decode_s")

    @property
    def speeds(self) -> tuple[float, float]:
        """MB/s to compress and to decompress, at 8 bytes per voxel."""
        return 8e-6 / self.compress.value, 8e-6 / self.decompress.value

    def _seconds(self, *stages: str) -> Interval:
        def each(row: Row) -> float:
            return float(max(1e-9, sum(row[stage] for stage in stages)) / (row["raw_bytes"] / 8))

        other = each(self.blank.row) if self.blank.row else 0.0
        found = interval([self._mixed(each(row), other) for row in self.rows])
        return found.within(FEW_RUNS) if math.isnan(found.low) else found

    def _mixed(self, content: float, blank: float) -> float:
        return (1 - self.blank.share) * content + self.blank.share * blank


@dataclass(frozen=True)
class Purpose:
    """A use of compressed labels; its answer is the smallest candidate that is fast enough.

    ``seconds`` returns the seconds per voxel that a candidate takes, from the bytes per voxel and
    the seconds to compress and decompress one.
    """

    name: str  # in JSON
    title: str
    seconds: Callable[[Any, Any, Any], Any]
    limit: float  # the seconds that are fast enough
    slower: float = 1.0  # without such a candidate, times the seconds of the fastest one

    def bounds(
        self, candidates: Sequence[Candidate], doubt: Doubt
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], float, float]:
        """The least and the most seconds of each candidate, and the same of the limit."""
        found = [(8 / one.ratio, one.compress.value, one.decompress.value) for one in candidates]
        factors = np.array([*doubt, doubt[1]])  # of the bytes, and of both times
        low = self.seconds(*np.divide(found, factors).T)
        high = self.seconds(*np.multiply(found, factors).T)
        least, most = (max(self.limit, self.slower * float(each.min())) for each in (low, high))
        return low, high, least, most

    def contenders(
        self, candidates: Sequence[Candidate], doubt: Doubt = (1.0, 1.0)
    ) -> list[Candidate]:
        """The candidates that may be the answer, the smallest first."""
        if not candidates:
            return []
        packed = [one for one in candidates if one.native_ratio * doubt[0] >= LEAST_RATIO]
        candidates = packed or candidates
        low, high, least, most = self.bounds(candidates, doubt)
        ratios = np.array([one.ratio for one in candidates])
        small = ratios >= ratios[high <= least].max(initial=0.0) / doubt[0]
        fastest = (self.slower * low <= most) & (most > self.limit)
        found = itertools.compress(candidates, (low <= most) & (small | fastest))
        return sorted(found, key=lambda one: (-one.ratio, one.compress.value))

    def why(self, one: Candidate, nbytes: float) -> str:
        """The reason why a candidate is the answer, on one line."""
        if self is INTERACTIVE:
            seconds = self.seconds(8 / one.ratio, one.compress.value, one.decompress.value)
            link = f"over a {LINK:.0f} MB/s link, decoding included"
            return f"{digits(1e9 * seconds)} s per gigavoxel to load {link}"
        if self is GENERAL:
            if min(one.speeds) < DISK:
                small = "no method that at least halves the labels reaches"
                return f"{small} {DISK:.0f} MB/s both ways; this one comes nearest"
            return f"the smallest that compresses and decompresses at {DISK:.0f} MB/s or more"
        return f"{file_size(round(nbytes))} for the whole volume"


ARCHIVE = Purpose("archive", "the smallest archive", lambda size, c, d: 0 * size, math.inf)
GENERAL = Purpose("general", "general use", lambda size, c, d: np.maximum(c, d), 8e-6 / DISK)
INTERACTIVE = Purpose(
    "interactive", "interactive viewing", lambda size, c, d: 1e-6 * size / LINK + d, 0.0, 1.1
)
PURPOSES = (ARCHIVE, GENERAL, INTERACTIVE)
#: Chosen among boxes that are compressed alone; its limit depends on their size.
RANDOM_ACCESS = Purpose("random_access", "random access", lambda size, c, d: d, BOX_SECONDS)


def still_open(candidates: Sequence[Candidate], doubts: Mapping[Purpose, Doubt]) -> list[Method]:
    """The methods that may be the answer for one of some purposes."""
    found = [purpose.contenders(candidates, doubt) for purpose, doubt in doubts.items()]
    return list(dict.fromkeys(one.method for each in found for one in each))


@dataclass
class Stages:
    """Measures candidates on the parts of a sample of a dataset, on one thread."""

    sample: Sample
    dataset: Dataset
    runs: int  # on the sample, for each candidate that may still be the answer
    announce: Announce = lambda _: None  # is called before each run
    record: Callable[[Row], None] = lambda _: None  # and after it

    def __post_init__(self) -> None:
        limit = BOX_SECONDS / self.sample.boxes[0][1].size
        self.random_access = replace(RANDOM_ACCESS, limit=limit)
        self.failed: list[Candidate] = []
        self._blanks: dict[Method, Blank] = {}

    def measure(self, volume: LoadedVolume, method: Method, run: int = 1) -> Row:
        """Measure one run of a method, after a short one to warm up."""
        self.announce(f"{method}, {volume.labels.size:,} voxels")
        warm_up(volume, method)
        row = measure(volume, method, run, process_time_ns)  # other programs do not count
        self.record(row)
        return row

    def on_blocks(
        self, found: Sequence[Method]
    ) -> tuple[list[Candidate], list[Method], list[Method]]:
        """Measure methods on each block, larger and larger.

        Returns the candidates of the last block, and which of them may be the answer in one piece
        and for random access.
        """
        margins = zip(self.sample.blocks, RATIO_MARGINS, SPEED_MARGINS, strict=False)
        for labels, ratio, speed in margins:
            doubts = dict.fromkeys(PURPOSES, (ratio, speed))
            boxes = {self.random_access: (BOX_MARGINS[0], speed)}
            volume = LoadedVolume(self.dataset, labels, f"{labels.size:,} voxels of it")
            candidates = self._run(volume, found, doubts | boxes, 2, BLOCK_PATIENCE)
            found = still_open(candidates, doubts | boxes)
        return candidates, still_open(candidates, doubts), still_open(candidates, boxes)

    def on_boxes(self, found: Sequence[Method]) -> list[Candidate]:
        """Measure methods on boxes, each compressed alone; returns the best one first."""
        candidates = [Candidate(method) for method in found]
        for box, labels in self.sample.boxes:
            volume = LoadedVolume(self.dataset, labels, chunk=format_box(box))
            measured = [(one, self.measure(volume, one.method)) for one in candidates]
            good = self._good([replace(one, rows=(*one.rows, row)) for one, row in measured])
            totals = [replace(one, rows=(_total(one.rows),)) for one in good]
            doubt = BOX_MARGINS[1], SPEED_MARGINS[0]
            candidates = self.random_access.contenders(totals, doubt)
        return self.random_access.contenders(candidates)

    def on_sample(self, found: Sequence[Method]) -> list[Candidate]:
        """Measure methods on the whole sample."""
        doubt = RATIO_MARGINS[-1], SPEED_MARGINS[-1]
        volume = LoadedVolume(self.dataset, stack(self.sample.chunks), self.sample.part)
        return self._run(volume, found, dict.fromkeys(PURPOSES, doubt), self.runs, PATIENCE)

    def _run(
        self,
        volume: LoadedVolume,
        found: Sequence[Method],
        doubts: Mapping[Purpose, Doubt],
        runs: int,
        patience: float,
    ) -> list[Candidate]:
        """Measure methods in rounds, after the first only those that may still be an answer."""
        reached = {method: Candidate(method, (), self._blank(method)) for method in found}
        spent, left = dict.fromkeys(found, 0.0), list(found)
        for run, order in itertools.groupby(rounds(found, runs), itemgetter(0)):
            for _, method in order:
                if method in left and spent[method] <= patience:
                    start, one = process_time(), reached[method]
                    row = self.measure(volume, method, run)
                    reached[method] = replace(one, rows=(*one.rows, row))
                    spent[method] += process_time() - start
            good = [one for one in reached.values() if not one.failure]
            surer = {p: (ratio, s ** (1 / math.sqrt(run))) for p, (ratio, s) in doubts.items()}
            left = still_open(good, surer)
        good = self._good(list(reached.values()))
        if not good:
            last = f"{self.failed[-1].method}: {self.failed[-1].failure}"
            raise HarnessError(f"{self.dataset.name}: every method failed; {last}")
        return good

    def _good(self, candidates: list[Candidate]) -> list[Candidate]:
        """Set those that failed aside."""
        self.failed += [one for one in candidates if one.failure]
        return [one for one in candidates if not one.failure]

    def _blank(self, method: Method) -> Blank:
        """The size and the row of a method on the part that has one label, measured once."""
        share = 1 - self.sample.content.share
        if share and method not in self._blanks:
            part = f"a piece of label {self.sample.content.label}"
            piece = LoadedVolume(self.dataset, blank(self.sample), part)
            row = self.measure(piece, method)
            size = blank_size(method, self.sample).value if row["status"] == OK else math.nan
            self._blanks[method] = Blank(share, size / (share * self.sample.volume.voxels), row)
        return self._blanks.get(method, Blank())


def _total(rows: Sequence[Row]) -> Row:
    """The sum of the rows of several boxes."""
    return {**rows[0], **{name: sum(row[name] for row in rows) for name in (*BYTES, *SECONDS)}}
