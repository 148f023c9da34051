"""The rows of volumes that are measured chunk by chunk: their chunks' added up."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from xxhash import xxh3_64_hexdigest

from compresso.plugins import Extent
from experiments import records
from experiments.measure.cell import Cell
from experiments.records import OK, Outcome, Row, Status
from experiments.records.columns import BYTES, SECONDS, SURROUNDINGS

#: What is added up.
SUMMED = (*SECONDS, "new_memory_s")


@dataclass
class _Sum:
    row: Row
    fingerprints: dict[str, str] = field(default_factory=dict)
    workers: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    count: int = 0


@dataclass
class Totals:
    """Adds up the rows of one dataset's chunks; seconds too, so that speeds are one task's.

    Parameters
    ----------
    shape : sequence of int
        Of what is measured of the dataset.
    chunks : Extent, optional
        None where it is not measured in chunks.
    """

    shape: Sequence[int]
    chunks: Extent | None
    _sums: dict[tuple[Cell, int], _Sum] = field(default_factory=dict)

    def add(self, cell: Cell, run: int, row: Row) -> None:
        """Add the row of one chunk."""
        one = self._sums.setdefault((cell, run), _Sum(row | dict.fromkeys((*BYTES, *SUMMED), 0)))
        one.count += 1
        one.workers.add(str(row.get("worker", "")))
        if row["status"] != str(OK):
            one.failed.append(row["status"])
            return
        one.fingerprints[row["chunk"]] = row["fingerprint"]
        one.row |= {"source": row["source"], "dtype": row["dtype"], "lossless": True}
        for name in BYTES:
            one.row[name] += int(row[name])
        for name in SUMMED:
            one.row[name] += row[name]

    def rows(self) -> Iterator[Row]:
        """A row a run, which says that it is a total in ``part``."""
        for (cell, run), one in self._sums.items():
            status = OK
            if one.failed:
                count = f"{len(one.failed)} of {one.count} chunks failed"
                status = Status(Outcome.ERROR, f"{count}: {one.failed[0]}")
            prints = sorted(one.fingerprints.items())
            yield one.row | {
                "time": records.now(),
                "shape": "x".join(map(str, self.shape)),
                "encoding": cell.encoding.spec,
                "compression": cell.compressor.spec,
                "run": run,
                "threads": cell.threads,
                "fingerprint": xxh3_64_hexdigest(f"{self.chunks} {prints}".encode()),
                "part": f"in chunks of {self.chunks}",
                "chunk": "",
                "depth": "",
                "worker": f"{len(one.workers)} worker{'s' * (len(one.workers) != 1)}",
                "lossless": not one.failed,
                "status": str(status),
                **dict.fromkeys(SURROUNDINGS, ""),  # each chunk has its own
            }
