"""The methods and results that the paper published, and the methods of its report.

The numbers of Table 1 are with the datasets that they belong to.
"""

from compresso import compressors, encodings
from experiments.measure import Method, combine

#: The paper's first stages, the methods that it uses alone, and its second stages.
FIRST_STAGES = ("none", "neuroglancer", "compresso")
ALONE = ("png", "jpeg2000", "x264")
SECOND_STAGES = (
    *("none", "brotli", "bz2", "lz78", "lzf", "lzma", "lzo", "lzw", "zlib", "zopfli", "zstd"),
)
#: Windows of Compresso: flat ones from 4x4x1 to 8x8x1, and some that reach into other slices.
WINDOWS = (
    *("4x4x1", "5x5x1", "6x6x1", "7x7x1", "8x4x1", "4x8x1", "16x4x1", "8x4x2", "4x4x4", "4x4x2"),
)
#: Encodings since the paper and the compressors that follow those that do not stand alone; the
#: paper's methods to compare them with.
CURRENT = (
    *("ristretto", "ristretto:effort=2", "ristretto:effort=3", "crackle", "crackle:markov=5"),
    *("cpso", "compressed_segmentation"),
)
CURRENT_SECOND_STAGES = ("none", "lzma")
REFERENCES = (("compresso", "lzma"), ("compresso", "zstd"), ("neuroglancer", "zstd"))

#: Figure 4, mean ratio by group, first stage and second stage: bar heights read off the picture,
#: to 3 either way.
FIGURE_4 = {
    ("em", "none"): {
        **{"bz2": 371, "jpeg2000": 7, "lz78": 55, "lzma": 363, "png": 171, "x264": 23, "zlib": 142}
    },
    ("em", "neuroglancer"): {
        **{"bz2": 369, "lz78": 194, "lzf": 171, "lzma": 505, "lzo": 163, "lzw": 171, "none": 44},
        **{"zlib": 279, "zstd": 252},
    },
    ("em", "compresso"): {
        **{"bz2": 798, "lz78": 461, "lzf": 421, "lzma": 920, "lzo": 450, "lzw": 357, "none": 235},
        **{"zlib": 656, "zstd": 615},
    },
    ("other", "none"): {
        **{"bz2": 667, "jpeg2000": 15, "lz78": 164, "lzma": 576, "png": 276, "x264": 97},
        **{"zlib": 252},
    },
    ("other", "neuroglancer"): {
        **{"bz2": 537, "lz78": 227, "lzf": 208, "lzma": 672, "lzo": 227, "lzw": 193, "none": 68},
        **{"zlib": 406, "zstd": 358},
    },
    ("other", "compresso"): {
        **{"bz2": 1040, "lz78": 590, "lzf": 600, "lzma": 1209, "lzo": 605, "lzw": 445, "none": 295},
        **{"zlib": 890, "zstd": 842},
    },
}

#: The text: share of the windows that the 100 most frequent ones cover, Compresso's lead on EM.
COVERED_BY_100 = 0.82
LEAD_ON_EM = 0.80


def methods() -> list[Method]:
    """Every method of the paper, and Compresso + LZMA with other windows."""
    found = combine(
        [encodings.parse(name) for name in (*FIRST_STAGES, *ALONE)],
        [compressors.parse(second) for second in SECOND_STAGES],
    )
    lzma = compressors.parse("lzma")
    windows = [encodings.parse(f"compresso:window={window}") for window in WINDOWS]
    return found + [Method(encoding, lzma) for encoding in windows]


def current_methods() -> list[Method]:
    """The methods since the paper whose packages are installed."""
    found = [encodings.parse(spec) for spec in CURRENT]
    return combine(
        [encoding for encoding in found if not encoding.missing()],
        [compressors.parse(second) for second in CURRENT_SECOND_STAGES],
    )


def all_methods() -> list[Method]:
    """Return both: the method of Table 1 comes first, and raw labels, which take longest, last."""

    def turn(method: Method) -> tuple[bool, bool]:
        return method.specs != ("compresso", "lzma"), method.specs[0] == "none"

    return sorted([*methods(), *current_methods()], key=turn)
