"""Check what ``recommend`` says: its interval, and the methods that it chooses.

    python -m experiments.checks.recommended interval DATASET ... [--seeds N] [--methods METHOD,...]
    python -m experiments.checks.recommended choice DATASET ... [--runs N]

``interval`` checks how often the interval contains the ratio of the whole volume, which is measured
once, in one piece, as in the grid. Each seed draws another sample. A 95% interval should contain
the ratio in 19 of 20 cases.

``choice`` checks that the chosen methods are the best, and compares the cost with that of the grid.
Every method that ``recommend`` starts with is measured on the whole volume in rounds, and the same
rules choose among these rows. If they choose another method, the runs may not distinguish the two.
All seconds are processor time: for ``recommend`` everything that it does, for the grid only the
four stages. Rows are kept in ``--output``, and are not measured again.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from time import process_time

import click
import numpy as np

from compresso.codec import split_list
from experiments import datasets, recommend, records
from experiments.checks import Program
from experiments.datasets import Dataset, LoadedVolume
from experiments.measure import Method, rounds, warm_up
from experiments.measure.method import describe
from experiments.recommend.candidates import Candidate, Purpose, Stages, methods
from experiments.recommend.estimate import estimate_size, size
from experiments.recommend.sample import draw, plan, stack
from experiments.records import SECONDS, Row
from experiments.records.intervals import LEAST_WIDTH, Interval
from experiments.text import markdown

INTERVAL = ("volume", "method", "contained", "half width", "estimate / truth")
CHOICE = ("volume", "purpose", "recommend names", "the grid's best", "", "processor seconds")
METHODS = "ristretto,ristretto:effort=3,crackle+lzma,cpso+zstd,compressed_segmentation+zstd:level=9"


ARGUMENT = click.argument("names", nargs=-1, required=True, metavar="DATASET...")
DIRECTORY = click.option("-d", "--directory", type=click.Path(path_type=Path), default=Path("data"))


@click.group()
def main() -> None:
    """Check what recommend says."""


@main.command(cls=Program)
@ARGUMENT
@click.option("--seeds", type=click.IntRange(1), default=20, help="Number of samples.")
@click.option("--methods", default=METHODS, help="Encodings and compressors, joined by +.")
@DIRECTORY
def interval(names: tuple[str, ...], seeds: int, methods: str, directory: Path) -> None:
    """Print a table with a line per volume and method."""
    parts = (text.partition("+") for text in split_list(methods))
    chosen = [Method.parse(encoding, compressor or "none") for encoding, _, compressor in parts]

    def lines() -> Iterator[list[object]]:
        for dataset in (d for name in names for d in datasets.choose(name, directory)):
            with dataset.open() as volume:
                chunk, count = plan(volume.shape)
                if not count:
                    yield [dataset.name, "measured whole: exact", "", "", ""]
                    continue
                found: dict[Method, list[Interval]] = {method: [] for method in chosen}
                for sample in (draw(volume, chunk, count, seed) for seed in range(seeds)):
                    for method, sizes in found.items():
                        stacked = size(method, stack(sample.chunks))
                        sizes.append(estimate_size(method, sample, stacked))
                labels = volume.read_box(volume.box)
            for method, sizes in found.items():
                truth = size(method, labels)
                contained = sum(one.low <= truth <= one.high for one in sizes)
                width = np.median([(one.high - one.low) / 2 / one.value for one in sizes])
                error = np.array([one.value for one in sizes]) / truth
                spread = f"{error.mean():.3f} ± {error.std():.3f}"
                yield [dataset.name, method, f"{contained} of {seeds}", f"{width:.0%}", spread]

    for line in markdown(INTERVAL, lines(), left=2):
        click.echo(line)


#: The speeds of either run may be wrong by this factor.
DOUBT = (1.0, 1 + LEAST_WIDTH)


def verdict(purpose: Purpose, candidates: list[Candidate], best: Candidate, method: Method) -> str:
    """Compare a method with the best one for a purpose, in a few words."""
    index = {one.method: i for i, one in enumerate(candidates)}
    if method not in index:
        return "failed"
    if method == best.method:
        return "the best"
    low, high, least, most = purpose.bounds(candidates, DOUBT)
    if low[index[method]] > most:
        return "too slow"
    share = candidates[index[method]].ratio / best.ratio
    if share >= 1 or high[index[best.method]] > least:
        return "no difference"
    return f"{share:.1%} of the best one's ratio"


def compare(dataset: Dataset, runs: int, output: Path) -> Iterator[list[object]]:
    """Yield a line of the table per purpose; raises HarnessError if every method failed."""
    with dataset.open() as volume:
        sample = draw(volume, volume.shape, 0)
    loaded = LoadedVolume(dataset, sample.chunks[0])
    for method in methods():  # compiles the kernels, which counts for neither
        warm_up(loaded, method)
    start = process_time()
    *_, advice = recommend.recommend(dataset, runs=runs)
    took = process_time() - start
    past = records.measured(output, failed=True)
    stages = Stages(sample, dataset, runs)
    rows: dict[Method, list[Row]] = {method: [] for method in methods()}
    for run, method in rounds(list(rows), runs):
        row = past.get(records.key(describe(loaded, method, run)))
        if row is None:
            row = stages.measure(loaded, method, run)
            records.append(output, row)
        rows[method].append(row)
    whole = records.tabulate(itertools.chain(*rows.values()))[[*SECONDS]].sum().sum()
    good = [one for m, r in rows.items() if not (one := Candidate(m, tuple(r))).failure]
    boxes = stages.on_boxes([one.method for one in good])
    named = {choice.purpose.name: choice.candidate.method for choice in advice.choices}
    cost = f"{took:,.0f} of {whole:,.0f}, {took / whole:.1%}"
    for choice in recommend.choose(good, boxes):
        purpose, best, among = choice.purpose, choice.candidate, good
        if choice.boxes:
            purpose, best, among = stages.random_access, choice.boxes, boxes
        found = verdict(purpose, among, best, named[purpose.name])
        yield [dataset.name, purpose.title, named[purpose.name], best.method, found, cost]


@main.command(cls=Program)
@ARGUMENT
@click.option("--runs", type=click.IntRange(1), default=5, help="Runs of each method.")
@DIRECTORY
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("recommended.csv"))
def choice(names: tuple[str, ...], runs: int, directory: Path, output: Path) -> None:
    """Print a table with a line per volume and purpose."""
    records.check_csv(output)
    chosen = (dataset for name in names for dataset in datasets.choose(name, directory))
    lines = (line for dataset in chosen for line in compare(dataset, runs, output))
    for line in markdown(CHOICE, lines, left=5):
        click.echo(line)


if __name__ == "__main__":
    main()
