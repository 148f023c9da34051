"""TIFF stacks, by tifffile."""

import io
import logging
import math
import shlex
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from compresso.errors import FileError
from compresso.plugins import require
from compresso.volumes import _tiff
from compresso.volumes._format import (
    DEFLATE,
    Format,
    bytes_of,
    check_room,
    check_writable,
    volume_shape,
)
from compresso.volumes._metadata import Metadata
from compresso.volumes._stream import Stream, open_file
from compresso.volumes.volume import Volume

#: Bytes that a byte of the data can stand for at most, by the number of the compression.
RATIOS = {1: 1, 5: 2600, 8: DEFLATE, 32773: 64, 32946: DEFLATE}
LARGEST_RATIO = 1 << 16
#: Bytes of a TIFF file, at most, less room for its last tags; a larger one is a BigTIFF.
CLASSIC = (1 << 32) - (1 << 25)
#: Series that an error lists.
SHOWN = 4
#: What OME metadata count pages by.
OME_COUNTS = (
    *(f"{what}{axis}" for what in ("Size", "First") for axis in "ZCT"),
    *("IFD", "NumPlanes", "PlaneCount"),
)


class Tiff(Format):
    """Pages, of which those of one series are the slices, in the series' own order.

    Only deflate has a checksum. Of all others, every strip and tile must be there and whole, and
    the pages as many as the file's metadata say, where it is from ImageJ, OME or tifffile.
    """

    name = "TIFF"
    suffixes = (".tif", ".tiff")
    magic = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    several = True

    @contextmanager
    def open(self, path: Path, inner: str) -> Iterator[Volume]:
        """Open a series of a TIFF file; ``inner`` is its number where there are several."""
        tifffile = require("tifffile", "tifffile", "this file")
        size = path.stat().st_size
        with io.BufferedReader(_Lonely(path)) as disk:
            with _heeding():
                file = tifffile.TiffFile(disk, _multifile=False)
                series = _choose(path, file, inner)
                shape, start = _shape(path, series), series.dataoffset
                said = _tiff.read(series.keyframe.tags, int(inner or 0))
            dtype = np.dtype(series.dtype)
            if start is None:
                pages = _Pages(series, shape, dtype, size)
                yield Volume(shape, dtype, pages.fetch, *said)
                return
            # One run of bytes, of which some programs describe but the first slice.
            dtype = dtype.newbyteorder(file.byteorder)
            check_room(bytes_of(shape, dtype), max(0, size - start), 1)
            stream = Stream(lambda: open_file(path, "raw", start), shape, dtype, last=False)
            try:
                yield Volume(shape, dtype, stream.fetch, *said)
            finally:
                stream.close()

    def write(
        self,
        path: Path,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        parts: Iterable[NDArray[Any]],
        metadata: Metadata,
    ) -> list[str]:
        """Write a TIFF file, one page per slice, compressed with zlib.

        A file that would be larger than 4 GiB becomes a BigTIFF; ImageJ reads only the others.
        """
        check_writable(path, shape, np.dtype("u1") if dtype.kind == "b" else dtype)
        every, first, lost = _tiff.tags(metadata, shape, dtype)
        dtype = dtype.newbyteorder("=")
        options = {"shape": shape[1:], "dtype": dtype, "compression": "zlib", "metadata": None}
        pages = chain.from_iterable(parts)
        big = 3 * bytes_of(shape[1:], dtype) > CLASSIC
        rest = _write_pages(path, pages, options | first, options | every, big)
        if rest is not None:
            with path.open("rb") as disk:
                path.unlink()  # the file is read to its end, but cannot be left over
                with require("tifffile", "tifffile", "this file").TiffFile(disk) as file:
                    pages = chain(map(_strips, file.pages), [rest], pages)
                    _write_pages(path, pages, options | first, options | every, big=True)
        return lost


def _write_pages(
    path: Path,
    pages: Iterator[Any],
    first: dict[str, Any],
    every: dict[str, Any],
    big: bool,
) -> Any:
    """Write pages, labels or compressed strips; return the page for which there is no room."""
    nbytes = bytes_of(every["shape"], every["dtype"])
    with require("tifffile", "tifffile", "this file").TiffWriter(path, bigtiff=big) as file:
        options = first
        for page in pages:
            if not big and path.stat().st_size + 2 * nbytes > CLASSIC:
                return page
            file.write(page, **options)
            options = every
    return None


def _strips(page: Any) -> Iterator[bytes]:
    """The strips of a page as they are in its file."""
    segments = page.parent.filehandle.read_segments
    return (data for data, _ in segments(page.dataoffsets, page.databytecounts, sort=False))


class _Lonely(io.FileIO):
    """A file that does not tell tifffile in which folder it is, with others that it could open."""

    def fileno(self) -> int:
        """There is none."""
        raise io.UnsupportedOperation("fileno")


class _Told(logging.Handler):
    """Keeps what is logged by the thread that made it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        if record.thread == self._thread:
            self.messages.append(record.getMessage())


@contextmanager
def _heeding() -> Iterator[None]:
    """Raise ValueError for what tifffile only logs: damage, and pages taken for zeros."""
    told, log = _Told(), logging.getLogger("tifffile")
    log.addHandler(told)
    try:
        yield
    finally:
        log.removeHandler(told)
    if told.messages:
        raise ValueError(told.messages[0])


def _choose(path: Path, file: Any, inner: str) -> Any:
    """The series to read; raises FileError where there are several, and none is named."""
    _check_chain(file)
    if file.is_ome:
        _check_ome(file)
    series = file.series
    if file.is_ome and series[0].kind != "ome":
        raise FileError(f"{path}: its OME metadata lead to other files, which are not opened")
    levels = [level for each in series for level in each.levels]
    if sum(map(len, levels)) < len(file.pages):
        raise ValueError("its metadata promise less slices than it has pages")
    if not inner and _are_slices(series):
        first, pages = series[0], [each.keyframe for each in series]
        shape = (len(series), *first.shape)
        return type(first)(pages, shape, first.dtype, "ZYX", kind=first.kind)
    if (inner or len(series) > 1) and not (inner.isdecimal() and int(inner) < len(series)):
        what = [f"{i} of {each.dtype.name} {each.shape}" for i, each in enumerate(series[:SHOWN])]
        what += [f"{len(series) - SHOWN} more"] * (len(series) > SHOWN)
        last = shlex.quote(f"{path}:{len(series) - 1}")
        asked = f"has no series {inner}" if inner else "which series?"
        raise FileError(f"{path}: {asked}; it has {', '.join(what)}; name one as {last}")
    return series[int(inner or 0)]


def _are_slices(series: list[Any]) -> bool:
    """Whether series are single pages of one kind, which were appended to the file one by one."""
    return len(series) > 1 and all(
        each.kind in ("shaped", "generic")
        and each.axes == "YX"
        and each.keyframe.hash == series[0].keyframe.hash
        for each in series
    )


def _check_chain(file: Any) -> None:
    """Raise EOFError where the chain of pages is cut, and ValueError where it is a circle.

    tifffile takes the first for the last page, and follows the second for ever.
    """
    disk, form, found = file.filehandle, file.tiff, set()
    offset = file.pages.first.offset
    while offset:
        if offset in found:
            raise ValueError("its pages follow one another in a circle")
        found.add(offset)
        try:
            disk.seek(offset)
            (tags,) = struct.unpack(form.tagnoformat, disk.read(form.tagnosize))
            disk.seek(offset + form.tagnosize + tags * form.tagsize)
            (offset,) = struct.unpack(form.offsetformat, disk.read(form.offsetsize))
        except struct.error:
            raise EOFError("it ends before its last page") from None


def _check_ome(file: Any) -> None:
    """Raise ValueError for more pages than there are; tifffile would make room for them all."""
    most = len(file.pages) * file.pages.first.samplesperpixel
    for element in ElementTree.fromstring(file.ome_metadata).iter():
        said = {name: int(n) for name, n in element.attrib.items() if name in OME_COUNTS}
        planes = math.prod(n for name, n in said.items() if name.startswith("Size"))
        if max(planes, *said.values(), 0) > most:
            raise ValueError(
                f"its OME metadata promise more than {most} pages, maybe in other files"
            )


def _shape(path: Path, series: Any) -> tuple[int, int, int]:
    """The number of slices, rows and columns; raises FileError for what is no volume of labels."""
    page, whole = series.keyframe, series.get_shape(False)
    if page.samplesperpixel != 1:
        raise FileError(f"{path}: its pixels have {page.samplesperpixel} colours; a label is one")
    plane = (page.imagelength, page.imagewidth)
    others = [n for n, axis in zip(whole, series.get_axes(False), strict=True) if axis not in "YX"]
    depth = math.prod(others)
    if sum(n > 1 for n in others) > 1 or page.imagedepth != 1 or series.transform:
        volume_shape(path, series.shape, np.dtype(series.dtype))
        raise FileError(f"{path}: its pages are not the slices of a volume {series.shape}")
    if math.prod(whole) != depth * math.prod(plane):
        raise ValueError(f"its metadata promise {whole}, and its pages are {plane}")
    if len(series) != depth and not series.is_truncated:
        raise ValueError(f"its metadata promise {depth} slices, and it has {len(series)}")
    return (depth, *plane)


class _Pages:
    """Reads slices that are pages of their own; their strips and tiles must all be there."""

    def __init__(
        self, series: Any, shape: tuple[int, ...], dtype: np.dtype[Any], size: int
    ) -> None:
        self._series, self._shape, self._dtype, self._size = series, shape, dtype, size

    def fetch(self, start: int, stop: int) -> NDArray[Any]:
        """Slices start..stop-1."""
        with _heeding():
            pages = [self._page(z) for z in range(start, stop)]
            labels = np.empty((stop - start, *self._shape[1:]), self._dtype)
            for plane, page in zip(labels, pages, strict=True):
                plane[...] = page.asarray().reshape(plane.shape)
        return labels

    def _page(self, z: int) -> Any:
        page = self._series[z]
        if page is None:
            raise EOFError(f"slice {z} is missing")
        if page.is_frame and not page.is_virtual:
            page = page.aspage()  # with all its tags, not those of the first
            if page.hash != self._series.keyframe.hash:
                raise ValueError(f"slice {z} is of another kind than the others")
        count = 1 if page.is_contiguous else math.prod(page.keyframe.chunked)
        sizes = (page.nbytes,) if page.is_contiguous else page.databytecounts[:count]
        offsets = page.dataoffsets[:count]
        whole = len(offsets) == len(sizes) == count
        if not whole or any(
            not at or not n or at + n > self._size for at, n in zip(offsets, sizes, strict=True)
        ):
            raise EOFError(f"slice {z} is not whole")
        packing = max(1, 8 * self._dtype.itemsize // page.keyframe.bitspersample)
        ratio = RATIOS.get(page.keyframe.compression, LARGEST_RATIO)
        check_room(page.nbytes, sum(sizes), ratio * packing)
        return page
