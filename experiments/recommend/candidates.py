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
from time import get_clock_info, perf_counter_ns, process_time, process_time_ns
from typing import Any, NamedTuple

from compresso import compressors, encodings
from compresso.volumes.volume import format_box
from experiments import HarnessError
from experiments.datasets import Dataset, LoadedVolume
from experiments.measure import Method, combine, measure, rounds, warm_up
from experiments.recommend.estimate import blank, blank_size
from experiments.recommend.sample import Announce, Sample, stack
from experiments.records import BYTES, OK, SECONDS, Outcome, Row
from experiments.records.intervals import Interval, interval

#: Left out are other windows of Compresso; neuroglancer, which was larger than
#: compressed_segmentation with any compressor on every volume in docs/paper; and images and films,
#: which were larger and slower there than Ristretto.
ENCODINGS = (
    *("none", "compresso", "compresso:window=4x4x1", "cpso", "compressed_segmentation"),
    *("crackle", "crackle:markov=5", "ristretto", "ristretto:effort=2", "ristretto:effort=3"),
)
#: Each of the others was larger there than one of these that is about as fast.
COMPRESSORS = ("none", "lz4", "zstd", "zstd:level=9", "zstd:level=19", "bz2", "brotli", "lzma")
#: Raw labels are not a candidate, and two compressors are too slow for them (2 and 8 MB/s).
EXCLUDED = (("none", "none"), ("none", "brotli"), ("none", "zstd:level=19"))

DISK = 500.0  # MB/s, of a SATA disk
LINK = 125.0  # MB/s, of a network of 1 Gbit/s
BLINK = 0.05  # seconds that a box may take
#: A candidate counts if the labels take this many times fewer bytes than in their own dtype,
#: unless none does: raw labels are as fast as any disk.
LEAST_RATIO = 2.0
#: What the ratio and the speeds of a candidate may be wrong by after each stage, as factors: on
#: either block, and on the sample.
MARGINS, DOUBTS = (1.5, 1.2, 1.0), (1.5, 1.4, 1.25)
#: How much smaller one candidate is than another if boxes are compressed alone, compared with
#: larger parts, and after the first box.
BOX_MARGINS = (2.0, 1.3)
#: Processor seconds after which a candidate is not measured again, on a block and on the sample.
#: Other work on the machine then costs no candidate its runs.
BLOCK_PATIENCE, PATIENCE = 0.15, 1.0
#: The processor time of this process, as all methods use one thread: waiting for other programs
#: does not count. Windows counts it in steps of 16 ms.
CLOCK = process_time_ns if get_clock_info("process_time").resolution < 1e-5 else perf_counter_ns
#: By which factor a speed of fewer runs than an interval needs may be wrong.
FEW_RUNS = 1.5


def methods() -> list[Method]:
    """The methods that are measured first, as far as their packages are installed."""

    def installed(texts: Sequence[str], registry: Any) -> list[Any]:
        names = registry.installed()
        return [registry.parse(text) for text in texts if text.partition(":")[0] in names]

    found = combine(installed(ENCODINGS, encodings), installed(COMPRESSORS, compressors))
    return [m for m in found if (m.encoding.spec, m.compressor.spec) not in EXCLUDED]


@dataclass(frozen=True)
class Measurer:
    """How methods are measured: functions called before and after each run, and the clock."""

    announce: Announce = lambda _: None
    record: Callable[[Row], None] = lambda _: None
    now: Callable[[], int] = CLOCK

    def measure(self, volume: LoadedVolume, method: Method, run: int = 1) -> Row:
        """Measure one run of a method, after a short one to warm up."""
        self.announce(f"{method}, {volume.labels.size:,} voxels")
        warm_up(volume, method)
        row = measure(volume, method, run, self.now)
        self.record(row)
        return row


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
    def refused(self) -> bool:
        """Whether the encoding cannot hold a label of the volume."""
        return self.failure.startswith(f"{Outcome.REFUSED}: ")

    @property
    def ratio(self) -> float:
        """8 bytes per voxel divided by the compressed bytes."""
        row = self.rows[0]
        size = 8 * row["compressed_bytes"] / row["raw_bytes"]
        return float(8 / self._mixed(size, self.blank.bytes))

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
        return 8e-6 / self.compress.median, 8e-6 / self.decompress.median

    def _seconds(self, *stages: str) -> Interval:
        def each(row: Row) -> float:
            return float(max(1e-9, sum(row[stage] for stage in stages)) / (row["raw_bytes"] / 8))

        other = each(self.blank.row) if self.blank.row else 0.0
        found = interval([self._mixed(each(row), other) for row in self.rows])
        return found.within(FEW_RUNS) if math.isnan(found.low) else found

    def _mixed(self, content: float, blank: float) -> float:
        return (1 - self.blank.share) * content + self.blank.share * blank


class Doubt(NamedTuple):
    """Factors that ratios and speeds may be wrong by."""

    ratio: float = 1.0
    speed: float = 1.0


AS_MEASURED = Doubt()


@dataclass(frozen=True)
class Purpose:
    """What people compress labels for: the smallest candidate that is fast enough.

    ``seconds`` returns the seconds per voxel that a candidate takes, from the bytes per voxel and
    the seconds to compress and decompress one.
    """

    name: str  # in JSON
    title: str
    seconds: Callable[[float, float, float], float]
    limit: float  # the seconds that are fast enough
    slower: float = 1.0  # without such a candidate, times the seconds of the fastest one

    def bounds(self, one: Candidate, doubt: Doubt) -> tuple[float, float]:
        """The least and the most seconds that a candidate may take."""

        def seconds(ratio: float, speed: float) -> float:
            ways = one.compress.median * speed, one.decompress.median * speed
            return self.seconds(8 / one.ratio * ratio, *ways)

        return seconds(1 / doubt.ratio, 1 / doubt.speed), seconds(*doubt)

    def limits(self, candidates: Sequence[Candidate], doubt: Doubt) -> tuple[float, float]:
        """The least and the most seconds that may be fast enough."""
        spans = [self.bounds(one, doubt) for one in candidates]
        least, most = (self.slower * min(ends) for ends in zip(*spans, strict=True))
        return max(self.limit, least), max(self.limit, most)

    def contenders(
        self, candidates: Sequence[Candidate], doubt: Doubt = AS_MEASURED
    ) -> list[Candidate]:
        """The candidates that may be the answer, the smallest first."""
        if not candidates:
            return []
        packed = [one for one in candidates if one.native_ratio * doubt.ratio >= LEAST_RATIO]
        candidates = packed or candidates
        least, most = self.limits(candidates, doubt)
        sure = [one.ratio for one in candidates if self.bounds(one, doubt)[1] <= least]
        small = max(sure, default=0.0) / doubt.ratio
        found = []
        for one in candidates:
            low, _ = self.bounds(one, doubt)
            may_be_fastest = most > self.limit and self.slower * low <= most
            if low <= most and (one.ratio >= small or may_be_fastest):
                found.append(one)
        return sorted(found, key=lambda one: (-one.ratio, one.compress.median))


ARCHIVE = Purpose("archive", "the smallest archive", lambda size, c, d: 0.0, math.inf)
GENERAL = Purpose("general", "general use", lambda size, c, d: max(c, d), 8e-6 / DISK)
INTERACTIVE = Purpose(
    "interactive", "interactive viewing", lambda size, c, d: 1e-6 * size / LINK + d, 0.0, 1.1
)
PURPOSES = (ARCHIVE, GENERAL, INTERACTIVE)
#: Chosen among boxes that are compressed alone; its limit depends on their size.
RANDOM_ACCESS = Purpose("random_access", "random access", lambda size, c, d: d, BLINK)


def still_open(candidates: Sequence[Candidate], doubts: Mapping[Purpose, Doubt]) -> list[Method]:
    """The methods that may be the answer for one of some purposes."""
    found = [purpose.contenders(candidates, doubt) for purpose, doubt in doubts.items()]
    return list(dict.fromkeys(one.method for each in found for one in each))


@dataclass
class Stages:
    """Measures candidates on the parts of a sample of a dataset."""

    sample: Sample
    dataset: Dataset
    runs: int  # on the sample, for each candidate that may still be the answer
    measurer: Measurer

    def __post_init__(self) -> None:
        self.random_access = replace(RANDOM_ACCESS, limit=BLINK / self.sample.boxes[0][1].size)
        self.failed: list[Candidate] = []
        self._blanks: dict[Method, Blank] = {}

    def on_blocks(
        self, found: Sequence[Method]
    ) -> tuple[list[Candidate], list[Method], list[Method]]:
        """Measure methods on each block, larger and larger.

        Returns the candidates of the last block, and which of them may be the answer in one piece
        and for random access.
        """
        for labels, margin, doubt in zip(self.sample.blocks, MARGINS, DOUBTS, strict=False):
            doubts = dict.fromkeys(PURPOSES, Doubt(margin, doubt))
            boxes = {self.random_access: Doubt(BOX_MARGINS[0], doubt)}
            volume = LoadedVolume(self.dataset, labels, f"{labels.size:,} voxels of it")
            candidates = self._run(volume, found, doubts | boxes, 2, BLOCK_PATIENCE)
            found = still_open(candidates, doubts | boxes)
        return candidates, still_open(candidates, doubts), still_open(candidates, boxes)

    def on_boxes(self, found: Sequence[Method]) -> list[Candidate]:
        """Measure methods on boxes, each compressed alone; returns the best one first."""
        candidates = [Candidate(method) for method in found]
        for box, labels in self.sample.boxes:
            volume = LoadedVolume(self.dataset, labels, chunk=format_box(box))
            candidates = self._good(
                [
                    replace(one, rows=(*one.rows, self.measurer.measure(volume, one.method)))
                    for one in candidates
                ]
            )
            totals = [replace(one, rows=(_total(one.rows),)) for one in candidates]
            left = self.random_access.contenders(totals, Doubt(BOX_MARGINS[1], DOUBTS[0]))
            candidates = [one for one in candidates if one.method in {each.method for each in left}]
        return self.random_access.contenders(left)

    def on_sample(self, found: Sequence[Method]) -> list[Candidate]:
        """Measure methods on the whole sample."""
        doubt = Doubt(MARGINS[-1], DOUBTS[-1])
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
        spent, left = dict.fromkeys(found, 0.0), set(found)
        for run, order in itertools.groupby(rounds(found, runs), itemgetter(0)):
            for _, method in order:
                if method in left and spent[method] <= patience:
                    start, one = process_time(), reached[method]
                    row = self.measurer.measure(volume, method, run)
                    reached[method] = replace(one, rows=(*one.rows, row))
                    spent[method] += process_time() - start
            good = [one for one in reached.values() if not one.failure]
            surer = {p: Doubt(d.ratio, d.speed ** (1 / math.sqrt(run))) for p, d in doubts.items()}
            left = set(still_open(good, surer))
        good = self._good(list(reached.values()))
        if not good:
            one = self.failed[-1]
            raise HarnessError(
                f"{self.dataset.name}: every method failed; {one.method}: {one.failure}"
            )
        return good

    def _good(self, candidates: list[Candidate]) -> list[Candidate]:
        """Set those that failed aside."""
        self.failed += [one for one in candidates if one.failure]
        return [one for one in candidates if not one.failure]

    def _blank(self, method: Method) -> Blank:
        """What a method makes of the part of the volume that has one label, measured once."""
        share = 1 - self.sample.content.share
        if share and method not in self._blanks:
            part = f"a piece of label {self.sample.content.label}"
            piece = LoadedVolume(self.dataset, blank(self.sample), part)
            row = self.measurer.measure(piece, method)
            good = row["status"] == OK
            size = blank_size(method, self.sample).expected if good else math.nan
            voxels = share * self.sample.volume.voxels
            self._blanks[method] = Blank(share, size / voxels, row)
        return self._blanks.get(method, Blank())


def _total(rows: Sequence[Row]) -> Row:
    """The sum of the rows of several boxes."""
    return {**rows[0], **{name: sum(row[name] for row in rows) for name in (*BYTES, *SECONDS)}}
