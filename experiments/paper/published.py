"""The methods and results that the paper published, and the methods of its report.

The numbers of Table 1 are with the datasets that they belong to.
"""

from itertools import product

from compresso import compressors, encodings
from experiments.measure import Method, combine

#: The paper's first stages, the methods that it uses alone, and its second stages.
FIRST_STAGES = ("none", "neuroglancer", "compresso")
ALONE = ("png", "jpeg2000", "x264")
#: The method of Table 1.
OURS = ("compresso", "lzma")
SECOND_STAGES = (
    "none",
    "brotli",
    "bz2",
    "lz78",
    "lzf",
    "lzma",
    "lzo",
    "lzw",
    "zlib",
    "zopfli",
    "zstd",
)
#: Windows of Compresso: flat ones from 4x4x1 to 8x8x1, and some that reach into other slices.
WINDOWS = [
    "4x4x1",
    "5x5x1",
    "6x6x1",
    "7x7x1",
    "8x4x1",
    "4x8x1",
    "16x4x1",
    "8x4x2",
    "4x4x4",
    "4x4x2",
]
#: Encodings since the paper and the compressors that follow those that do not stand alone; the
#: paper's methods to compare them with.
CURRENT = (
    "ristretto",
    "ristretto:effort=2",
    "ristretto:effort=3",
    "crackle",
    "crackle:markov=5",
    "cpso",
    "compressed_segmentation",
)
CURRENT_SECOND_STAGES = ("none", "lzma")
REFERENCES = (OURS, ("compresso", "zstd"), ("neuroglancer", "zstd"))

#: Figure 4, mean ratio by group, first stage and second stage: bar heights read off the picture,
#: to 3 either way.
HEIGHTS = {  # raw labels, Neuroglancer and Compresso on EM, and the same on other datasets
    "bz2": (371, 369, 798, 667, 537, 1040),
    "jpeg2000": (7, None, None, 15, None, None),
    "lz78": (55, 194, 461, 164, 227, 590),
    "lzf": (None, 171, 421, None, 208, 600),
    "lzma": (363, 505, 920, 576, 672, 1209),
    "lzo": (None, 163, 450, None, 227, 605),
    "lzw": (None, 171, 357, None, 193, 445),
    "none": (None, 44, 235, None, 68, 295),
    "png": (171, None, None, 276, None, None),
    "x264": (23, None, None, 97, None, None),
    "zlib": (142, 279, 656, 252, 406, 890),
    "zstd": (None, 252, 615, None, 358, 842),
}
FIGURE_4 = {
    (group, first): {second: bars[i] for second, bars in HEIGHTS.items() if bars[i]}
    for i, (group, first) in enumerate(product(("em", "other"), FIRST_STAGES))
}

#: The text: share of the windows that the 100 most frequent ones cover, Compresso's lead on EM.
COVERED_BY_100 = 0.82
LEAD_ON_EM = 0.80


def methods() -> list[Method]:
    """Every method of the paper, and Compresso + LZMA with other windows."""
    first = [encodings.parse(name) for name in (*FIRST_STAGES, *ALONE)]
    found = combine(first, [compressors.parse(name) for name in SECOND_STAGES])
    return found + [Method.parse(f"compresso:window={size}", "lzma") for size in WINDOWS]


def current_methods() -> list[Method]:
    """The methods since the paper whose packages are installed."""
    first = [encoding for encoding in map(encodings.parse, CURRENT) if not encoding.missing()]
    return combine(first, [compressors.parse(name) for name in CURRENT_SECOND_STAGES])


def all_methods() -> list[Method]:
    """Return both: the method of Table 1 comes first, and raw labels, which take longest, last."""
    found = sorted([*methods(), *current_methods()], key=lambda method: method.specs != OURS)
    return sorted(found, key=lambda method: method.specs[0] == "none")
