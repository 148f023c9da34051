"""What it costs to cut a volume into groups: the bytes of frames, by the voxels of a group.

    python -m experiments.bench.depths pinky40.h5 spl-knee.nrrd

The smaller a group, the more cores can work, and the less is decoded to read a slice; but each has
window values, a label table and a dictionary of its own.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from compresso import frame
from compresso.arrays import Labels
from compresso.frame.description import depth_of
from experiments import datasets
from experiments.names import shown
from experiments.program import Program

PAIRS = (
    ("compresso", "lzma"),
    ("compresso", "zstd"),
    ("neuroglancer", "lzma"),
    ("cpso", "lzma"),
    ("ristretto", "none"),
    ("compressed_segmentation", "lzma"),
)


def sizes(labels: Labels, pair: tuple[str, str], megavoxels: tuple[int, ...]) -> Iterator[int]:
    """Bytes of the frame of one group, and of those whose groups are about so large."""
    yield len(frame.dumps(labels, *pair, depth=max(1, labels.shape[0])))
    for number in megavoxels:
        depth = depth_of(None, labels.shape, number << 20)
        yield len(frame.dumps(labels, *pair, depth=depth))


@click.command(cls=Program)
@click.argument("names", nargs=-1, required=True, metavar="DATASET...")
@click.option("--size", "megavoxels", type=click.IntRange(1), multiple=True, default=(4, 8, 16, 32))
@click.option("-d", "--directory", type=click.Path(path_type=Path), default=Path("data"))
def main(names: tuple[str, ...], megavoxels: tuple[int, ...], directory: Path) -> None:
    """Print a table of the bytes lost, in 2**20 voxels a group; one group is no loss."""
    heads = [f"{number} Mvx" for number in megavoxels]
    click.echo(f"| | | one group, bytes | {' | '.join(heads)} |")
    click.echo("|---" * 2 + "|---:" * (1 + len(heads)) + "|")
    for chosen in datasets.choose(",".join(names), directory):
        volume = chosen.load()
        for pair in PAIRS:
            whole, *cut = sizes(volume.labels, pair, megavoxels)
            lost = [f"{size / whole - 1:+.1%}" for size in cut]
            what = " + ".join(name for name in pair if name != "none")
            name = shown(volume.name, volume.group)
            click.echo(f"| {name} | {what} | {whole:,} | {' | '.join(lost)} |")


if __name__ == "__main__":
    main()
