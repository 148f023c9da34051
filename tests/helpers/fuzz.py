"""Coverage-guided fuzzing of every decoder, and of the reader of every format.

    pip install atheris
    python tests/fuzz.py CORPUS [-max_total_time=600]

CORPUS is a folder; where it is empty it is filled with streams to begin with. The first byte of an
input chooses the decoder. Anything but a volume, a DecodeError or a FileError ends the run with the
input saved.
"""

import sys
import tempfile
from pathlib import Path

import atheris
import numpy as np

from tests.helpers.paths import ROOT

sys.path.insert(0, str(ROOT))
with atheris.instrument_imports(include=["compresso"]):
    import compresso as C
    from compresso import compressors, encodings, volumes
from experiments.checks.corruption import SOURCES

LABELS = np.repeat(np.arange(24, dtype=np.uint16).reshape(2, 3, 4) // 5, 3, axis=2)
LIMIT = 1 << 24
SLICES = 64  # of a file; its header may claim millions that were never written


def decoders():
    """Every way to decode bytes, and a stream that it takes."""
    found = []
    for name in encodings.installed():
        codec = encodings.parse(name)
        if codec.robust:
            found.append((codec.encode(LABELS), lambda d, c=codec: c.decode(d, LABELS.shape)))
        frame = C.dumps(LABELS, name, "none")
        found.append((frame, lambda d: C.loads(d, limit=LIMIT)))
    for name in compressors.names():
        codec = compressors.parse(name)
        data = codec.compress(LABELS.tobytes())
        found.append((data, lambda d, c=codec: c.decompress(d, limit=LIMIT)))
    for name, source in SOURCES.items():
        path = FOLDER / f"{name}{source.ending}"
        source.write(path, LABELS)
        found.append((path.read_bytes(), lambda d, p=path: read(p, d)))
    return found


def read(path, data):
    """Read a source file, two slices at a time."""
    path.write_bytes(data)
    with volumes.open(path) as reader:
        if reader.dtype.itemsize * reader.shape[1] * reader.shape[2] <= LIMIT:
            for z in range(0, min(reader.shape[0], SLICES), 2):
                reader.read(z, z + 2)


TEMPORARY = tempfile.TemporaryDirectory()  # goes with the process
FOLDER = Path(TEMPORARY.name)
DECODERS = decoders()


def one_input(data):
    """Decode one input."""
    if data:
        _, decode = DECODERS[data[0] % len(DECODERS)]
        try:
            decode(data[1:])
        except (C.DecodeError, C.FileError):
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
