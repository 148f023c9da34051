"""The paper's numbers of Figure 4 and the text, to set beside the measured ones.

Those of Table 1 are with the datasets that they are of.
"""

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

#: The text: share of the windows that the 100 most frequent ones cover, Compresso's lead on EM.
COVERED_BY_100 = 0.82
LEAD_ON_EM = 0.80
