"""Times other label codecs inside their own Python, as a process that answers one line a request.

Run by ``run.py bench --peers PYTHON`` in the environment where the peers are installed. It imports
nothing of this project but the list of adapters beside it. A request is a JSON list
``[name, "encode" | "decode"]`` on standard input, the answer a JSON object with the seconds and the
size of the stream, or the error.
"""

import json
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import adapters


def find_peers(labels):
    """Encode and decode functions by name, of the packages that are installed."""
    peers = {}
    turned = np.asfortranarray(labels.T)  # the peers' order: x, y, z
    for package, title in adapters.TITLES.items():
        if version := adapters.version(package):
            codecs = adapters.find(package, turned.shape, turned.dtype)
            for variant, (encode, decode) in codecs.items():
                name = f"{title} {version} {variant}".strip()
                peers[name] = (lambda encode=encode: encode(turned), decode)
    return peers


def main():
    labels = np.load(sys.argv[1])
    peers = find_peers(labels)
    streams = {}
    print(json.dumps(list(peers)), flush=True)
    for line in sys.stdin:
        name, task = json.loads(line)
        encode, decode = peers[name]
        labels.max(initial=0)  # in the caches as far as they reach, whoever was measured before
        start = perf_counter()
        try:
            if task == "encode":
                streams[name] = encode()
            else:
                decode(streams[name])
            answer = {"seconds": perf_counter() - start, "bytes": len(streams[name])}
        except Exception as error:  # whatever a peer raises is the peer's result
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
