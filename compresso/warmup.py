"""The first run on a machine compiles kernels: announce it, or do it ahead.

The machine code is kept for later runs, see :mod:`compresso.kernels`.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from compresso.codec import Encoding

#: Called before the next kernel is compiled.
_announcements: list[Callable[[], object]] = []


def announce_compilation(announce: Callable[[], object]) -> None:
    """Call ``announce()`` once, before the first kernel is compiled; never if none has to be.

    Parameters
    ----------
    announce : callable
        It is called in the thread that needs the kernel.

    Examples
    --------
    >>> announce_compilation(lambda: print("compiling kernels (first run only)"))
    """
    _announcements[:] = [announce]


def compiling() -> None:
    """Announce that a kernel is going to be compiled; only the first one is announced."""
    while _announcements:
        _announcements.pop()()


def warm(
    encodings: "Iterable[Encoding]",
    dtypes: "Iterable[DTypeLike]" = ("uint8", "uint16", "uint32", "uint64"),
) -> None:
    """Compile the kernels of encodings that are not compiled yet, by encoding small volumes.

    Parameters
    ----------
    encodings : iterable of Encoding
        Effort 1 of ``ristretto`` has other kernels than efforts 2 and 3, which share theirs.
    dtypes : iterable of unsigned dtypes
        Types of labels. Some kernels are compiled for each.

    Examples
    --------
    >>> from compresso import encodings
    >>> warm([encodings.parse("none")], ["uint8"])
    """
    import numpy as np

    z, y, x = np.indices((6, 40, 150))
    cells = 1 + (x + y + z) // 30  # similar slices
    cells[3] = 1 + x[3] // 9  # labels are numbered by columns
    cells[4] = x[4] * 41 % 150 + 150 * y[4]  # many labels
    for dtype in dtypes:
        labels = cells.astype(dtype)
        for codec in encodings:
            codec.decode_slices(codec.encode(labels), 0, 6, labels.shape, dtype)
