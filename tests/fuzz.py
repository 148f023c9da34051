"""Coverage-guided fuzzing of every decoder.

    pip install atheris
    python tests/fuzz.py CORPUS [-max_total_time=600]

CORPUS is a folder; where it is empty it is filled with streams to begin with. The first byte of an
input chooses the decoder. Anything but a volume or a DecodeError ends the run with the input saved.
"""

import sys
from pathlib import Path

import atheris
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
with atheris.instrument_imports(include=["compresso"]):
    import compresso as C
    from compresso import compressors, encodings

LABELS = np.repeat(np.arange(24, dtype=np.uint16).reshape(2, 3, 4) // 5, 3, axis=2)
LIMIT = 1 << 24


def decoders():
    """Every way to decode bytes, and a stream that it takes."""
    found = []
    for name in encodings.installed():
        codec = encodings.parse(name)
        if codec.robust:
            found.append((codec.encode(LABELS), lambda d, c=codec: c.decode(d, LABELS.shape)))
        frame = C.compress(LABELS, name, "none")
        found.append((frame, lambda d: C.decompress(d, limit=LIMIT)))
    for name in compressors.names():
        codec = compressors.parse(name)
        data = codec.compress(LABELS.tobytes())
        found.append((data, lambda d, c=codec: c.decompress(d, limit=LIMIT)))
    return found


DECODERS = decoders()


def one_input(data):
    """Decode one input."""
    if data:
        _, decode = DECODERS[data[0] % len(DECODERS)]
        try:
            decode(data[1:])
        except C.DecodeError:
            return


def main():
    folder = next((Path(a) for a in sys.argv[1:] if not a.startswith("-")), None)
    if folder is None:
        sys.exit(__doc__)
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        for number, (stream, _) in enumerate(DECODERS):
            (folder / f"stream-{number}").write_bytes(bytes([number]) + stream)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
