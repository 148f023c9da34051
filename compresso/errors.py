"""The base class of errors, and the common ones; others are in the modules that raise them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class CompressoError(Exception):
    """Base of the errors raised on purpose. The text is one line that says what to do."""


class SpecError(CompressoError, ValueError):
    """A codec string names an unknown codec, or a parameter that is unknown or out of range."""


class EncodeError(CompressoError, ValueError):
    """The array cannot be encoded: its dtype, its shape, or a label the stream cannot hold."""


class LabelError(EncodeError):
    """A label that the stream cannot hold, at ``voxel`` (z, y, x)."""

    def __init__(self, label: int, voxel: tuple[int, int, int], reason: str) -> None:
        super().__init__(label, voxel, reason)
        self.label, self.voxel, self.reason = label, voxel, reason

    def __str__(self) -> str:
        return f"label {self.label} at voxel (z, y, x) = {self.voxel} does not fit {self.reason}"

    def moved(self, by: Sequence[int]) -> "LabelError":
        """Return the error for a larger volume, in which this part begins at ``by``."""
        z, y, x = (at + low for at, low in zip(self.voxel, by, strict=True))
        return LabelError(self.label, (z, y, x), self.reason)

    def as_in(self, dtype: "np.dtype[Any]") -> "LabelError":
        """Return the error with the label of this dtype that has the same bits."""
        label, bits = int(self.label), 8 * dtype.itemsize
        if dtype.kind == "i" and label >> (bits - 1):
            label -= 1 << bits
        return LabelError(label, self.voxel, self.reason)


class DecodeError(CompressoError, ValueError):
    """The bytes are not of the requested format, or are damaged."""


class FileError(CompressoError):
    """A file cannot be read or written, or is not a volume of labels."""


class MissingPackageError(CompressoError, ImportError):
    """An optional package that a codec or a file format needs is not installed."""


@contextmanager
def naming(source: object) -> Iterator[None]:
    """Put a file's name in front of an error about its labels or bytes."""
    try:
        yield
    except (DecodeError, EncodeError) as error:
        kind = DecodeError if isinstance(error, DecodeError) else EncodeError
        raise kind(f"{source}: {error}") from error


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the end of an error about an unknown name: the most similar known one, or nothing."""
    similar = get_close_matches(name.lower(), names, n=1)
    return f' Did you mean "{similar[0]}"?' if similar else ""
