"""How often the interval of ``recommend`` holds: many seeds, and the whole volume beside them.

    python -m experiments.checks.interval_holds DATASET ... [--seeds N] [--cells CELL,...]

Each seed draws another sample. The whole volume's ratio is measured once, in one piece, as the grid
has it. A 95% interval should hold it in 19 of 20.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from compresso import compressors, encodings
from experiments import datasets
from experiments.checks import Program
from experiments.measure import Cell
from experiments.recommend.estimate import Bytes, estimate, size
from experiments.recommend.sample import draw, opened, plan

CELLS = "ristretto,ristretto:effort=3,crackle+lzma,cpso+zstd,compressed_segmentation+zstd:level=9"


@dataclass(frozen=True)
class Coverage:
    """What came of one cell on one volume.

    Parameters
    ----------
    truth : int
        Bytes of the whole volume.
    found : sequence of Bytes
        The estimate of each seed.
    """

    truth: int
    found: Sequence[Bytes]

    @property
    def held(self) -> int:
        """How many of the intervals hold the truth."""
        return sum(one.low <= self.truth <= one.high for one in self.found)

    @property
    def width(self) -> float:
        """Half of the interval, relative to the estimate; the median."""
        return float(np.median([(one.high - one.low) / 2 / one.expected for one in self.found]))

    @property
    def error(self) -> tuple[float, float]:
        """The estimate by the truth: mean and deviation."""
        ratios = [one.expected / self.truth for one in self.found]
        return float(np.mean(ratios)), float(np.std(ratios))


def cover(cells: Sequence[Cell], dataset: datasets.Dataset, seeds: int) -> dict[Cell, Coverage]:
    """Estimate cells from a sample for each seed; none where the volume is measured whole."""
    found: dict[Cell, list[Bytes]] = {cell: [] for cell in cells}
    with opened(dataset) as (_, volume):
        for seed in range(seeds):
            wanted = plan(volume.shape, None, None, seed)
            if not wanted.count:
                return {}
            sample = draw(volume, wanted, lambda _: None)
            for cell in cells:
                found[cell].append(estimate(cell, sample))
        labels = volume.fetch(volume.box)
    return {cell: Coverage(size(cell, labels), found[cell]) for cell in cells}


def _parse(text: str) -> Cell:
    encoding, _, compressor = text.partition("+")
    return Cell(encodings.parse(encoding), compressors.parse(compressor or "none"))


@click.command(cls=Program)
@click.argument("names", nargs=-1, required=True, metavar="DATASET...")
@click.option("--seeds", type=click.IntRange(1), default=20)
@click.option("--cells", default=CELLS)
@click.option("-d", "--directory", type=click.Path(path_type=Path), default=Path("data"))
def main(names: tuple[str, ...], seeds: int, cells: str, directory: Path) -> None:
    """Count, and print a line of Markdown a cell and volume."""
    click.echo("| volume | cell | held | half width | estimate / truth |")
    click.echo("|---|---|---:|---:|---:|")
    for dataset in (d for name in names for d in datasets.choose(name, directory)):
        found = cover([*map(_parse, cells.split(","))], dataset, seeds)
        if not found:
            click.echo(f"| {dataset.name} | measured whole: exact | | | |")
        for cell, one in found.items():
            mean, deviation = one.error
            click.echo(
                f"| {dataset.name} | {cell} | {one.held} of {seeds} | {one.width:.0%} | "
                f"{mean:.3f} ± {deviation:.3f} |"
            )


if __name__ == "__main__":
    main()
