"""What the harness itself costs in each timed stage, beside the bare library calls.

    python -m experiments.trust.overhead --size 512M --size 1536M

Raw labels go through :func:`experiments.measure.measure` and through the library's own functions in
turn, round after round, in one process. A ratio of 1 is a harness that costs nothing. The sizes
are on both sides of what the harness restores at once.
"""

import bz2
import lzma
import statistics
import zlib
from collections.abc import Callable
from time import perf_counter
from typing import Any

import click
import numpy as np

from compresso import compressors, encodings
from compresso.__main__ import Size
from compresso.codec import Buffer
from experiments.datasets import SYNTHETIC, Volume
from experiments.datasets.phantom import Phantom
from experiments.measure import Cell, measure

Call = Callable[[Any], Any]


def bare_calls(name: str) -> tuple[Call, Call]:
    """The library's own functions to compress and to restore, at the library's defaults."""
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
    return found[name]


def seconds(call: Call, data: Buffer) -> tuple[float, Any]:
    """How long a call takes, and what it returns."""
    start = perf_counter()
    result = call(data)
    return perf_counter() - start, result


def ratios(volume: Volume, name: str, rounds: int) -> dict[str, float]:
    """The harness's seconds by the bare calls', the median over rounds, for both directions."""
    pack, unpack = bare_calls(name)
    raw = volume.labels.reshape(-1).view(np.uint8).data
    found: dict[str, list[float]] = {"compress": [], "decompress": []}
    encoding, compressor = encodings.parse("none"), compressors.parse(name)
    for run in range(1, rounds + 1):
        row = measure(volume, Cell(encoding, compressor), run)
        if row["status"] != "ok":
            raise click.ClickException(f"{name}: {row['status']}")
        packing, packed = seconds(pack, raw)
        unpacking, restored = seconds(unpack, packed)
        del packed, restored
        found["compress"].append((row["encode_s"] + row["compress_s"]) / packing)
        found["decompress"].append((row["decompress_s"] + row["decode_s"]) / unpacking)
    return {stage: statistics.median(values) for stage, values in found.items()}


@click.command()
@click.option("--size", "sizes", type=Size(), multiple=True, default=("512M", "1536M"))
@click.option("--compressor", "names", multiple=True, default=("zstd", "zlib"))
@click.option("--rounds", type=click.IntRange(1), default=3)
def main(sizes: tuple[int, ...], names: tuple[str, ...], rounds: int) -> None:
    """Print the ratios as a Markdown table."""
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
            cells = " | ".join(f"{ratio:.2f}" for ratio in found.values())
            click.echo(f"| {labels.nbytes / (1 << 20):,.0f} MiB | {name} | {cells} |")


if __name__ == "__main__":
    main()
