"""Makes the golden files of the current version: python tests/golden/make.py

An existing file is never made again: it proves that what was written once stays readable.
"""

import itertools
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent
#: What is written: encoding and compression.
PAIRS = [
    ("compresso", "none"),
    ("compresso", "zlib"),
    ("compresso", "zstd"),
    ("compresso:window=4x4x2", "lzma"),
    ("jpeg2000", "zlib"),
    ("neuroglancer", "none"),
    ("neuroglancer", "lzw"),
    ("neuroglancer", "zlib"),
    ("none", "zlib"),
    ("png", "zlib"),
    ("x264", "zlib"),
]
METADATA = {"spacing": [4.0, 4.0, 30.0], "name": "stripes, 5 µm"}
DEPTH = 2  # slices of a group, three groups


def labels():
    """Slanted stripes of sparse signed labels, 5 x 12 x 70."""
    z, y, x = np.indices((5, 12, 70))
    return ((x + 2 * y + 3 * z) // 11 * 1_000_003 - 2_000_000).astype(np.int64)


def place(version, encoding, compression):
    """The file of a pair of codecs."""
    codec = encoding.replace(":", "-").replace("=", "-").replace(",", "-")
    return FOLDER / f"v{version}-{codec}-{compression}.cps"


def main():
    """Make the missing files."""
    sys.path.insert(0, str(FOLDER.parents[1]))
    import compresso
    from compresso.container.layout import VERSION
    from tests.golden import make_ristretto as ristretto

    for pair in PAIRS:
        make(
            place(VERSION, *pair), compresso.dumps, labels(), *pair, depth=DEPTH, metadata=METADATA
        )
    for spec, kind in itertools.product(ristretto.SPECS, ("deep", "pictures")):
        encode = compresso.encodings.parse(spec).encode
        make(ristretto.place(spec, kind), encode, ristretto.labels(kind))


def make(path, encode, *words, **options):
    """Write a file, unless it exists."""
    if not path.exists():
        path.write_bytes(encode(*words, **options))
        print(path.name)


if __name__ == "__main__":
    main()
