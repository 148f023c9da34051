"""Rows of results as a grid writes them, with numbers that are easy to compute with."""

from experiments import records
from experiments.measure import Method


def method(encoding, compression="none"):
    """A method by its codec strings."""
    return Method.parse(encoding, compression)


def row(**changes):
    """A successful run of raw labels with zlib: ratio 10, native ratio 5."""
    base = dict.fromkeys(records.COLUMNS, "")
    base |= {"dataset": "d", "encoding": "none", "compression": "zlib", "run": 1, "threads": 1}
    base |= {"raw_bytes": 800, "native_bytes": 400, "encoded_bytes": 200, "compressed_bytes": 80}
    base |= {"encode_s": 0.1, "compress_s": 0.3, "decompress_s": 0.05, "decode_s": 0.15}
    base |= {"lossless": True, "status": "ok", "session": "1", "shape": "1x2x3", "dtype": "u4"}
    return base | changes


def table_of(methods, **changes):
    """A table of runs whose compressing takes the given seconds, by compressor."""
    return records.tabulate(
        row(compression=name, run=run, compress_s=s, decompress_s=s, **zero) | changes
        for zero in [{"encode_s": 0.0, "decode_s": 0.0}]
        for name, seconds in methods.items()
        for run, s in enumerate(seconds, 1)
    )


def shaken(seconds, by=0.01):
    """Five runs that vary by ``by``."""
    return [seconds * (1 + by * n) for n in (-2, -1, 0, 1, 2)]


def results_of(name, group, ratios, **changes):
    """Runs of methods with these ratios on 1 MB of labels, 5 MB/s in both directions."""
    seconds = dict.fromkeys(("encode_s", "compress_s", "decompress_s", "decode_s"), 0.1)
    size = {"raw_bytes": 1_000_000, "native_bytes": 500_000, "encoded_bytes": 100_000}
    size |= {"shape": "1x1x1", "cpu": "a cpu", "time": "2026-01-02T03:04:05"}
    given = {"dataset": name, "group": group, "source": f"/data/{name}"} | seconds | size | changes
    return [
        row(encoding=e, compression=c, compressed_bytes=1_000_000 / ratio, **given)
        for (e, c), ratio in ratios.items()
    ]
