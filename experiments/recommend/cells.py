"""The cells that may be an answer: what is installed, but for what has never been one.

Raw labels without a compressor are not an answer: nothing is compressed, and nothing takes time.
"""

from experiments.measure import Method, combine
from experiments.records.results import is_raw

#: First stages that a compressor follows.
ENCODINGS = (
    *("none", "compresso", "compresso:window=4x4x1", "neuroglancer", "cpso"),
    *("compressed_segmentation", "crackle", "crackle:markov=5"),
)
#: The compressors. gzip is zlib with another head; Zopfli, LZ78, LZW and LZO were slower and larger
#: than one of these on every volume that was measured.
COMPRESSORS = (
    *("none", "lz4", "lzf", "zstd", "zstd:level=9", "zstd:level=19"),
    *("zlib", "bz2", "brotli", "lzma"),
)
#: Schemes of their own. JPEG 2000 and x264 were slower and larger than PNG on every volume.
ALONE = ("ristretto", "ristretto:effort=2", "ristretto:effort=3", "png")


def sensible() -> list[Method]:
    """Every cell that takes part, of the codecs that are installed."""
    from compresso import compressors, encodings

    def here(specs: tuple[str, ...], installed: list[str]) -> list[str]:
        return [spec for spec in specs if spec.partition(":")[0] in installed]

    cells = combine(
        [encodings.parse(spec) for spec in here((*ENCODINGS, *ALONE), encodings.installed())],
        [compressors.parse(spec) for spec in here(COMPRESSORS, compressors.installed())],
    )
    return [cell for cell in cells if not is_raw(cell.encoding.spec, cell.compressor.spec)]
