"""Measure other people's packages, in the interpreter that they are installed for.

``run.py bench --peers PYTHON`` runs this script with a volume. It prints the titles of the packages
as a JSON list, and for each title on standard input a JSON object with columns of a row of results.
It imports nothing of this project, whose package ``compresso`` has the name of PyPI's.
"""

import importlib
import importlib.metadata
import json
import sys
from functools import partial
from time import perf_counter

import numpy as np

#: By the name that is imported: the name that pip knows, and the title.
PACKAGES = {
    "compresso": ("compresso", "PyPI compresso"),
    "crackle": ("crackle-codec", "Crackle"),
    "compressed_segmentation": ("compressed-segmentation", "compressed-segmentation"),
}


def codecs(package, shape, dtype):
    """The codecs of a package for [x, y, z] labels: ``{variant: (encode, decode)}``.

    Empty if the package cannot hold labels of this dtype.
    """
    module = importlib.import_module(package)
    if package == "compresso":
        variants = (("4x4x1, index", 4, True), ("4x4x1", 4, False), ("8x8x1", 8, False))
        return {
            name: (
                partial(module.compress, steps=(side, side, 1), random_access_z_index=index),
                module.decompress,
            )
            for name, side, index in variants
        }
    if package == "crackle":
        return {"": (partial(module.compress, parallel=1), partial(module.decompress, parallel=1))}
    if dtype not in (np.uint32, np.uint64):
        return {}
    encode = partial(module.compress, order="F")
    return {"": (encode, partial(module.decompress, volume_size=shape, dtype=dtype, order="F"))}


def find(labels):
    """The codecs of all installed packages, by their titles."""
    found = {}
    for package, (distribution, title) in PACKAGES.items():
        try:
            version = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
        for variant, codec in codecs(package, labels.shape, labels.dtype).items():
            found[f"{title} {version} {variant}".strip()] = codec
    return found


def measure(labels, encode, decode):
    """Encode and decode to a new array, and compare; an error of the package is its result."""
    labels.max(initial=0)  # as much of it as fits is in the processor's caches
    try:
        start = perf_counter()
        stream = encode(labels)
        encoded = perf_counter()
        found = decode(stream)
        decoded = perf_counter()
        lossless = np.array_equal(found, labels)
    except Exception as error:
        return {"status": f"error: {type(error).__name__}: {error}"}
    return {
        "encode_s": encoded - start,
        "decode_new_s": decoded - encoded,
        "encoded_bytes": len(stream),
        "compressed_bytes": len(stream),
        "lossless": lossless,
        "status": "ok" if lossless else "error: decoded labels differ",
    }


def main():
    labels = np.asfortranarray(np.load(sys.argv[1]).T)
    found = find(labels)
    print(json.dumps(list(found)), flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(labels, *found[json.loads(line)])), flush=True)


if __name__ == "__main__":
    main()
