"""Numbers, sizes, names of methods and long lines as people read them."""

import math
from collections.abc import Sequence

#: The most characters of a line about an error; the middle of a longer line is left out.
LONGEST_LINE = 300


def extent(shape: Sequence[int]) -> str:
    """Format a shape ``[z, y, x]`` for people, who read x, y, z.

    >>> extent((119, 512, 512))
    '512 x 512 x 119'
    """
    return " x ".join(str(length) for length in reversed(shape))


def digits(number: float) -> str:
    """Format a number with three significant digits.

    >>> digits(1451.6), digits(10.04), digits(0.00061)
    ('1,450', '10.0', '0.000610')
    """
    if number == 0 or not math.isfinite(number):
        return f"{number:.0f}"
    rounded = float(f"{number:.2e}")
    return f"{rounded:,.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"


def ratio_text(ratio: float) -> str:
    """Format a ratio: from 100 on to the unit, below with three significant digits.

    >>> ratio_text(1553.2), ratio_text(71.08)
    ('1,553', '71.1')
    """
    return f"{ratio:,.0f}" if ratio >= 100 else digits(ratio)


def counted(number: int, noun: str) -> str:
    """Format a number of things.

    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"


def file_size(nbytes: int) -> str:
    """Format a number of bytes, in powers of 1000.

    >>> file_size(812), file_size(43920)
    ('812 bytes', '43.9 kB')
    """
    if nbytes < 1000:
        return f"{nbytes} bytes"
    power = min(5, int(math.log10(float(f"{nbytes:.2e}")) // 3))
    return f"{digits(nbytes / 1000**power)} {' kMGTP'[power]}B"


def method_name(encoding: str, compression: str) -> str:
    """Format the codec strings of an encoding and a compressor.

    >>> method_name("compresso", "zstd:level=19"), method_name("none", "none")
    ('compresso + zstd:level=19', 'raw')
    """
    names = ["raw" if encoding == "none" else encoding, compression]
    return " + ".join(names if compression != "none" else names[:1])


def shortened(line: str, most: int = LONGEST_LINE) -> str:
    """Return a line of at most ``most`` characters: its beginning and its end, if it is longer."""
    half = (most - len(" ... ")) // 2
    return line if len(line) <= most else f"{line[:half]} ... {line[-half:]}"
