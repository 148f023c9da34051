"""Times other label codecs inside their own Python, as a process that answers one line a request.

Run by ``run.py bench --peers PYTHON`` in the environment where the peers are installed (PyPI's
``compresso`` bears the name of this project's package, so the two cannot share one). It imports
nothing of this project. A request is a JSON list ``[name, "encode" | "decode"]`` on standard input,
the answer a JSON object with the seconds, or the error.
"""

import importlib.metadata
import json
import sys
from time import perf_counter

import numpy as np


def find_peers(labels):
    """Encode and decode functions by name, of the packages that are installed."""
    peers = {}
    fortran = np.asfortranarray(labels.T)  # the peers' order: x, y, z
    shape, dtype = fortran.shape, fortran.dtype

    def has(package):
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return None

    if version := has("compresso"):
        import compresso

        for steps in ((8, 8, 1), (4, 4, 1)):
            name = f"PyPI compresso {version} {'x'.join(map(str, steps))}"
            peers[name] = (
                lambda steps=steps: compresso.compress(
                    fortran, steps=steps, random_access_z_index=False
                ),
                compresso.decompress,
            )
    if version := has("crackle-codec"):
        import crackle

        peers[f"Crackle {version}"] = (
            lambda: crackle.compress(fortran, parallel=1),
            lambda stream: crackle.decompress(stream, parallel=1),
        )
    if version := has("compressed-segmentation"):
        import compressed_segmentation

        if dtype in (np.uint32, np.uint64):
            peers[f"compressed-segmentation {version}"] = (
                lambda: compressed_segmentation.compress(fortran, order="F"),
                lambda stream: compressed_segmentation.decompress(stream, shape, dtype, order="F"),
            )
    return peers


def main():
    labels = np.load(sys.argv[1])
    peers = find_peers(labels)
    streams = {}
    print(json.dumps(list(peers)), flush=True)
    for line in sys.stdin:
        name, task = json.loads(line)
        encode, decode = peers[name]
        start = perf_counter()
        try:
            if task == "encode":
                streams[name] = encode()
            else:
                decode(streams[name])
            answer = {"seconds": perf_counter() - start}
        except Exception as error:  # whatever a peer raises is the peer's result
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
