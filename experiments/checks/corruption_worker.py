"""Decode the inputs that experiments/checks/corruption.py sends, one line of hexadecimal each.

It first prints the undamaged stream, then an outcome for each input. In the environment of other
codecs it imports nothing of this project but the list of these codecs.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np


def own(kind, encoding, compression, labels):
    """Encode and decode functions of a codec of ours, and the one error that decoding may raise."""
    import compresso

    if kind == "frame":
        return (
            lambda: compresso.dumps(labels, encoding, compression),
            compresso.loads,
            compresso.DecodeError,
        )
    codec = compresso.encodings.parse(encoding)
    return (
        lambda: codec.encode(labels),
        lambda data: codec.decode(data, labels.shape, labels.dtype),
        compresso.DecodeError,
    )


def source(name, labels):
    """The same for a source file, which is read a few slices at a time."""
    import compresso
    from compresso import volumes
    from experiments.checks.sources import SOURCES

    path = Path(tempfile.mkdtemp(dir=Path(sys.argv[2]).parent)) / f"x{SOURCES[name].ending}"

    def encode():
        SOURCES[name].write(path, labels)
        return path.read_bytes()

    def decode(data):
        path.write_bytes(data)
        with volumes.open_file(path) as reader:
            depth = min(reader.shape[0], 99)  # a header may claim millions
            return np.concatenate([reader.read(z, z + 3) for z in range(0, depth, 3)])

    return encode, decode, compresso.FileError


def peer(name, labels):
    """The same for another package, which may raise any error."""
    sys.path.append(str(Path(__file__).parents[1] / "bench"))
    import other_codecs

    turned = np.asfortranarray(labels.T)
    encode, decode = next(iter(other_codecs.codecs(name, turned.shape, turned.dtype).values()))
    return lambda: encode(turned), lambda data: decode(data).T, Exception


def main():
    import resource

    sys.path[0] = "."  # in place of this folder, where a module may have a library's name
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))  # a bomb is a crash, not a swap
    labels = np.load(sys.argv[2])
    kind, *names = sys.argv[1].split()
    if kind == "peer":
        sys.path.pop(0)  # where this project's package hides PyPI's
        encode, decode, refusal = peer(*names, labels)
    elif kind == "file":
        encode, decode, refusal = source(*names, labels)
    else:
        encode, decode, refusal = own(kind, *names, labels)
    stream = encode()
    decode(stream)
    print(bytes(stream).hex(), flush=True)
    for line in sys.stdin:
        try:
            found = decode(bytes.fromhex(line))
            print("same" if np.array_equal(found, labels) else "wrong", flush=True)
        except refusal:
            print("refused", flush=True)


if __name__ == "__main__":
    main()
