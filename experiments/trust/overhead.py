"""What the harness itself costs in each timed stage, beside the bare library calls.

    python -m experiments.trust.overhead --size 512M --size 1536M

Raw labels go through :func:`experiments.measure.measure` and through the library's own functions in
turn, round after round, in one process. A ratio of 1 is a harness that costs nothing. The sizes
are on both sides of what the harness restores at once.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

import click
import numpy as np

from compresso import compressors, encodings
from compresso.__main__ import Size
from experiments.datasets import SYNTHETIC, Volume
from experiments.datasets.phantom import Phantom
from experiments.errors import HarnessError
from experiments.measure import Cell, Clock, measure
from experiments.program import Program
from experiments.records import OK
from experiments.records.intervals import Interval, interval

Call = Callable[[Any], Any]


def bare_calls(name: str) -> tuple[Call, Call]:
    """The library's own functions to compress and to restore, at the library's defaults.

    Raises HarnessError for a compressor that none are known of.
    """
    import brotli
    import imagecodecs
    import zstandard

    found: dict[str, tuple[Call, Call]] = {
        "zstd": (zstandard.ZstdCompressor().compress, zstandard.ZstdDecompressor().decompress),
        "zlib": (zlib.compress, zlib.decompress),
        "bz2": (bz2.compress, bz2.decompress),
        "lzma": (lzma.compress, lzma.decompress),
        "brotli": (brotli.compress, brotli.decompress),
        "zopfli": (imagecodecs.zopfli_encode, zlib.decompress),
    }
    if name not in found:
        raise HarnessError(f"--compressor {name}: no bare calls; choose from: {', '.join(found)}")
    return found[name]


def ratios(volume: Volume, name: str, rounds: int) -> dict[str, Interval]:
    """The harness's seconds by the bare calls', over the rounds, for both directions."""
    pack, unpack = bare_calls(name)
    raw = volume.labels.reshape(-1).view(np.uint8).data
    found: dict[str, list[float]] = {"compress": [], "decompress": []}
    cell = Cell(encodings.parse("none"), compressors.parse(name))
    for run in range(1, rounds + 1):
        row = measure(volume, cell, run)
        if row["status"] != str(OK):
            raise HarnessError(f"{name}: {row['status']}")
        clock = Clock()
        packed = clock.time("compress", pack, raw)
        clock.time("decompress", unpack, packed)
        bare = clock.seconds
        found["compress"].append((row["encode_s"] + row["compress_s"]) / bare["compress_s"])
        found["decompress"].append((row["decompress_s"] + row["decode_s"]) / bare["decompress_s"])
    return {stage: interval(values) for stage, values in found.items()}


@click.command(cls=Program)
@click.option("--size", "sizes", type=Size(), multiple=True, default=("512M", "1536M"))
@click.option("--compressor", "names", multiple=True, default=("zstd", "zlib"))
@click.option("--rounds", type=click.IntRange(1), default=3)
def main(sizes: tuple[int, ...], names: tuple[str, ...], rounds: int) -> None:
    """Print the ratios as a Markdown table: medians of the rounds, with 95% intervals."""
    click.echo(
        "| raw labels | compressor | compress: harness / bare | decompress: harness / bare |"
    )
    click.echo("|---:|---|---:|---:|")
    tile = Phantom().load().labels
    for size in sizes:
        labels = np.tile(tile, (max(1, size // tile.nbytes), 1, 1))
        volume = Volume("phantom", "synthetic", SYNTHETIC, labels)
        for name in names:
            found = ratios(volume, name, rounds)
            cells = " | ".join(ratio.spelled() for ratio in found.values())
            click.echo(f"| {labels.nbytes / (1 << 20):,.0f} MiB | {name} | {cells} |")


if __name__ == "__main__":
    main()
