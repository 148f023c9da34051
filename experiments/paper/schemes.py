"""What the paper measured: its own list, which no encoding or compressor added since is on."""

from compresso import compressors, encodings
from experiments.measure import Method, combine

#: First stages.
FIRST_STAGES = ("none", "neuroglancer", "compresso")
#: Schemes of their own, which Figure 4 shows among the second stages.
ALONE = ("png", "jpeg2000", "x264")
SECOND_STAGES = (
    *("none", "brotli", "bz2", "lz78", "lzf", "lzma", "lzo", "lzw", "zlib", "zopfli", "zstd"),
)
#: The sweep: flat windows from 4x4x1 to 8x8x1, and some that reach into other slices.
WINDOWS = (
    *("4x4x1", "5x5x1", "6x6x1", "7x7x1", "8x4x1", "4x8x1", "16x4x1", "8x4x2", "4x4x4", "4x4x2"),
)


def cells() -> list[Method]:
    """Every scheme of the paper, and the sweep of window sizes."""
    schemes = combine(
        [encodings.parse(name) for name in (*FIRST_STAGES, *ALONE)],
        [compressors.parse(second) for second in SECOND_STAGES],
    )
    sweep = [
        Method(encodings.parse(f"compresso:window={window}"), compressors.parse("lzma"))
        for window in WINDOWS
    ]
    return schemes + sweep
