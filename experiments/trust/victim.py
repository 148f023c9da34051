"""Decodes what it is sent, a line of hexadecimal each, and says what came of it.

The other end of experiments/trust/corruption.py; it also runs in the environment of other codecs,
and then imports nothing of this project.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np


def ours(kind, encoding, compression, labels):
    """Encode and decode functions, and the one error that decoding may raise."""
    sys.path.insert(0, ".")
    import compresso

    first = compresso.encodings.parse(encoding)
    if kind == "frame":

        def encode():
            return compresso.dumps(labels, encoding, compression)

        return encode, compresso.loads, compresso.DecodeError
    return (
        lambda: first.encode(labels),
        lambda data: first.decode(data, labels.shape, labels.dtype),
        compresso.DecodeError,
    )


def source(name, labels):
    """The same for a source file, which is read a few slices at a time."""
    sys.path.insert(0, ".")
    import compresso
    from compresso import formats
    from experiments.trust.sources import SOURCES

    path = Path(tempfile.mkdtemp(dir=Path(sys.argv[2]).parent)) / f"x{SOURCES[name].ending}"

    def encode():
        SOURCES[name].write(path, labels)
        return path.read_bytes()

    def decode(data):
        path.write_bytes(data)
        with formats.open_volume(path) as reader:
            depth = min(reader.shape[0], 99)  # a header may claim millions
            return np.concatenate([reader.read(z, z + 3) for z in range(0, depth, 3)])

    return encode, decode, compresso.FileError


def peer(name, labels):
    """The same for another codec, which may raise whatever it likes."""
    sys.path.append(str(Path(__file__).parents[1] / "bench"))
    import adapters

    turned = np.asfortranarray(labels.T)
    encode, decode = next(iter(adapters.find(name, turned.shape, turned.dtype).values()))
    return lambda: encode(turned), lambda data: decode(data).T, Exception


def main():
    import resource

    sys.path.pop(0)  # this folder, where a module may have a library's name
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))  # a bomb is a crash, not a swap
    labels = np.load(sys.argv[2])
    kind, *names = sys.argv[1].split()
    if kind in ("file", "peer"):
        encode, decode, refusal = {"file": source, "peer": peer}[kind](*names, labels)
    else:
        encode, decode, refusal = ours(kind, *names, labels)
    stream = encode()
    decode(stream)
    print(json.dumps({"stream": bytes(stream).hex()}), flush=True)
    for line in sys.stdin:
        try:
            found = decode(bytes.fromhex(line))
            print("same" if np.array_equal(found, labels) else "wrong", flush=True)
        except refusal:
            print("refused", flush=True)


if __name__ == "__main__":
    main()
