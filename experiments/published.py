"""The paper's numbers (Table 1, Figure 4 and the text), to set beside the measured ones."""

#: Table 1: dataset, size (x, y, z), Compresso + LZMA ratio, its speeds in MB/s both ways.
TABLE_1 = {
    "ac3": ("1024 x 1024 x 150", 814, 100, 209),
    "ac4": ("1024 x 1024 x 100", 701, 105, 218),
    "cyl": ("2048 x 2048 x 300", 952, 103, 180),
    "cremi-a": ("1250 x 1250 x 125", 857, 110, 218),
    "cremi-b": ("1250 x 1250 x 125", 1239, 118, 243),
    "cremi-c": ("1250 x 1250 x 125", 960, 110, 219),
    "spl-brain": ("256 x 256 x 256", 636, 85, 254),
    "spl-knee": ("512 x 512 x 119", 1553, 136, 244),
    "spl-abdominal": ("256 x 256 x 113", 480, 91, 254),
    "bsd500": ("321 x 481, 2696 images", 1188, 110, 187),
    "voc2012": ("varying, 2913 images", 2217, 146, 222),
}

#: Datasets whose published segmentations were never made public: the labels at hand are others.
GROUND_TRUTH = ("ac3", "ac4", "cyl", "cremi-a", "cremi-b", "cremi-c")

#: Figure 4, bar heights read off the picture, to 3 either way: mean ratio by group, first stage
#: and second stage.
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
        **{
            "bz2": 667,
            "jpeg2000": 15,
            "lz78": 164,
            "lzma": 576,
            "png": 276,
            "x264": 97,
            "zlib": 252,
        }
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

#: First stages of the paper, and schemes that stand alone. Those added since are not in it.
FIRST_STAGES = ("none", "neuroglancer", "compresso", "jpeg2000", "png", "x264")

#: Second stages of the paper; the others that can be measured were never in it.
SECOND_STAGES = (
    *("none", "brotli", "bz2", "lz78", "lzf", "lzma", "lzo", "lzw", "zlib", "zopfli", "zstd"),
)

#: The text: share of the windows that the 100 most frequent ones cover, Compresso's lead on EM.
COVERED_BY_100 = 0.82
LEAD_ON_EM = 0.80
