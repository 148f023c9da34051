"""Trains the counters that ``ristretto`` begins with: compresso/encodings/ristretto-start-1.xz.

    python -m experiments.checks.train_ristretto pinky40-z000-255.h5:main ristretto-start-1.xz

The volume is slices 0 to 255 of pinky40 from https://github.com/seung-lab/compresso; the other is
this project's synthetic phantom. Both are encoded in small pieces, one after another with the
same counters, then as pictures, every fourth slice.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from compresso import volumes
from compresso.arrays import Labels
from compresso.codec import Extent
from compresso.encodings._ristretto_layout import Tile
from compresso.encodings._ristretto_pieces import choose_3d, encode_box
from compresso.kernels.ristretto import start
from compresso.kernels.ristretto.coder import FRESH
from compresso.volumes.volume import boxes_of
from experiments.checks import Program
from experiments.datasets.synthetic import Phantom

PHANTOM = Phantom(size=Extent("512x512x96"), seed=0)
SIDES = (64, 128)  # of pieces
LEAST_SEEN = 12  # observations of a counter that is kept


def train(volumes: Sequence[Labels]) -> NDArray[np.uint32]:
    """Counters after all pieces of the volumes."""
    counters = np.full(start.COUNTERS, FRESH, np.uint32)
    for volume in volumes:
        pictures = np.ascontiguousarray(volume[::4])
        parts = [(volume, side, choose_3d) for side in SIDES]
        parts.append((pictures, SIDES[-1], lambda group: np.zeros(len(group), np.uint8)))
        for labels, side, choose in parts:
            for box in boxes_of(labels.shape, (side, side, side)):
                tile = Tile(*itertools.chain(*box))
                encode_box(labels, tile, 1, counters, 8 * tile.voxels, choose)
    return counters


@click.command(cls=Program)
@click.argument("file")
@click.argument("target", type=click.Path(dir_okay=False, writable=True, path_type=Path))
def main(file: str, target: Path) -> None:
    """Train the counters on a file and the phantom, and write them to TARGET."""
    with volumes.open(file) as reader:
        pinky = np.ascontiguousarray(reader.read(0, reader.shape[0]))
    packed = start.pack(train([PHANTOM.labels(), pinky]), LEAST_SEEN)
    target.write_bytes(packed)
    known = np.count_nonzero(start.unpack(packed) & np.uint32(1023))
    click.echo(f"{target}: {len(packed)} bytes, {known} counters that know something")


if __name__ == "__main__":
    main()
