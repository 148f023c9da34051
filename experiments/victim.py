"""Decodes what it is sent, a line of hexadecimal each, and says what came of it.

The other end of experiments/corruption.py; it also runs in the environment of other codecs, and
then imports nothing of this project.
"""

import json
import sys

import numpy as np


def ours(kind, encoding, compression, labels):
    """Encode and decode functions, and the one error that decoding may raise."""
    sys.path.insert(0, ".")
    import compresso

    first = compresso.encodings.parse(encoding)
    if kind == "frame":

        def encode():
            return compresso.compress(labels, encoding, compression)

        return encode, compresso.decompress, compresso.DecodeError
    return (
        lambda: first.encode(labels),
        lambda data: first.decode(data, labels.shape, labels.dtype),
        compresso.DecodeError,
    )


def peer(name, labels):
    """The same for another codec, which may raise whatever it likes."""
    turned = np.asfortranarray(labels.T)
    if name == "compresso":
        import compresso

        return (
            lambda: compresso.compress(turned),
            lambda data: compresso.decompress(data).T,
            Exception,
        )
    if name == "crackle":
        import crackle

        return lambda: crackle.compress(turned), lambda data: crackle.decompress(data).T, Exception
    import compressed_segmentation as cseg

    return (
        lambda: cseg.compress(turned, order="F"),
        lambda data: cseg.decompress(data, turned.shape, turned.dtype, order="F").T,
        Exception,
    )


def main():
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))  # a bomb is a crash, not a swap
    labels = np.load(sys.argv[2])
    kind, *names = sys.argv[1].split()
    encode, decode, refusal = peer(*names, labels) if kind == "peer" else ours(kind, *names, labels)
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
