"""Check how often the interval of ``recommend`` contains the ratio of the whole volume.

    python -m experiments.checks.interval_holds DATASET ... [--seeds N] [--methods METHOD,...]

Each seed draws another sample. The whole volume is measured once, in one piece, as in the grid.
A 95% interval should contain its ratio in 19 of 20 cases.
"""

from pathlib import Path

import click
import numpy as np

from compresso import compressors, encodings
from compresso.plugins import split_list
from experiments import datasets
from experiments.checks import Program
from experiments.measure import Method
from experiments.recommend.estimate import Estimate, estimate_size, size
from experiments.recommend.sample import draw, plan, stack

METHODS = "ristretto,ristretto:effort=3,crackle+lzma,cpso+zstd,compressed_segmentation+zstd:level=9"


def estimates(
    methods: list[Method], dataset: datasets.Dataset, seeds: int
) -> dict[Method, tuple[list[Estimate], int]]:
    """The estimate of each seed, and the bytes of the whole volume; none if all of it is read."""
    found: dict[Method, list[Estimate]] = {method: [] for method in methods}
    with dataset.open() as volume:
        chunk, count = plan(volume.shape)
        if not count:
            return {}
        for seed in range(seeds):
            sample = draw(volume, chunk, count, seed)
            for method in methods:
                stacked = size(method, stack(sample.chunks))
                found[method].append(estimate_size(method, sample, stacked))
        labels = volume.read_box(volume.box)
    return {method: (found[method], size(method, labels)) for method in methods}


def _parse(text: str) -> Method:
    encoding, _, compressor = text.partition("+")
    return Method(encodings.parse(encoding), compressors.parse(compressor or "none"))


@click.command(cls=Program)
@click.argument("names", nargs=-1, required=True, metavar="DATASET...")
@click.option("--seeds", type=click.IntRange(1), default=20, help="Number of samples.")
@click.option("--methods", default=METHODS, help="Encodings and compressors, joined by +.")
@click.option("-d", "--directory", type=click.Path(path_type=Path), default=Path("data"))
def main(names: tuple[str, ...], seeds: int, methods: str, directory: Path) -> None:
    """Print a table with a line per volume and method."""
    click.echo("| volume | method | contained | half width | estimate / truth |")
    click.echo("|---|---|---:|---:|---:|")
    chosen = [_parse(text) for text in split_list(methods)]
    for dataset in (d for name in names for d in datasets.choose(name, directory)):
        found = estimates(chosen, dataset, seeds)
        if not found:
            click.echo(f"| {dataset.name} | measured whole: exact | | | |")
        for method, (sizes, truth) in found.items():
            contained = sum(one.low <= truth <= one.high for one in sizes)
            width = np.median([(one.high - one.low) / 2 / one.expected for one in sizes])
            error = np.array([one.expected for one in sizes]) / truth
            click.echo(
                f"| {dataset.name} | {method} | {contained} of {seeds} | {width:.0%} | "
                f"{error.mean():.3f} ± {error.std():.3f} |"
            )


if __name__ == "__main__":
    main()
