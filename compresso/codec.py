"""The two protocols, spec strings, and the registries that find codecs by file.

An :class:`Encoding` turns an array into bytes, a :class:`Compressor` bytes into fewer bytes. Both
are frozen dataclasses whose fields are their parameters, so that ``lzma:preset=9`` is a codec's
name, its key in a table, and the way to make it. A new codec is one new file in ``encodings/`` or
``compressors/``; nothing else lists it.
"""

import dataclasses
import importlib
import pkgutil
import struct
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from compresso.errors import DecodeError, MissingPackageError, SpecError
from compresso.spec import build, spell, split

Labels = NDArray[Any]
Buffer = bytes | bytearray | memoryview
#: Told of each slice once, as z0..z1-1, in any order and from any thread, when it is about to be
#: read or has just been written, so that to look at it costs little. It must not be changed.
Watch = Callable[[int, int], object]


@dataclasses.dataclass(frozen=True)
class Codec(ABC):
    """What encodings and compressors share: a name, and parameters that spell a spec string."""

    name: ClassVar[str]
    #: Packages outside the requirements that the codec needs, by import name and pip name.
    packages: ClassVar[dict[str, str]] = {}

    @property
    def spec(self) -> str:
        """Canonical spec string: the name, and the parameters that differ from their defaults."""
        return spell(self.name, self)

    def require(self, import_name: str) -> Any:
        """Import an optional package, or say how to install it; raises MissingPackageError."""
        try:
            return importlib.import_module(import_name)
        except ImportError as error:
            pip_name = self.packages[import_name.partition(".")[0]]
            raise MissingPackageError(
                f"{self.name} needs the package {pip_name} ({error}); run: pip install {pip_name}"
            ) from None

    def check_range(self, parameter: str, low: int, high: int) -> None:
        """Raise SpecError where a parameter is not in low..high."""
        value = getattr(self, parameter)
        if not low <= value <= high:
            raise SpecError(f"{self.name}: {parameter}={value} is not in {low}..{high}")

    def __str__(self) -> str:
        return self.spec


class Encoding(Codec):
    """First stage: an array of labels to a stream of bytes, and back, without loss."""

    #: Whether it is a scheme of its own, which gains nothing from a second stage.
    alone: ClassVar[bool] = False

    @abstractmethod
    def encode(self, labels: Labels, threads: int = 1) -> bytes:
        """Encode a 1-, 2- or 3-D integer or bool array ``[z, y, x]`` as a bare stream.

        Signed labels are stored as the unsigned integers of the same bits.
        Raises EncodeError where the stream cannot hold the array.
        """

    @abstractmethod
    def decode(
        self,
        stream: Buffer,
        shape: Sequence[int] | None = None,
        dtype: DTypeLike = np.uint64,
        threads: int = 1,
    ) -> Labels:
        """Decode a bare stream; raises DecodeError where it contradicts itself.

        Parameters
        ----------
        stream : bytes-like
        shape : sequence of int, optional
            The shape to expect (z, y, x). Streams that carry their own are checked against it.
        dtype : unsigned dtype
            Of the labels returned; raises DecodeError where a label does not fit.
        threads : int
        """

    def encode_watched(self, volume: Labels, threads: int, watch: Watch) -> bytes:
        """Encode a volume ``[z, y, x]``, and tell ``watch`` of each slice."""
        watch(0, volume.shape[0])
        return self.encode(volume, threads)

    def decode_into(
        self, stream: Buffer, out: Labels, threads: int = 1, watch: Watch | None = None
    ) -> None:
        """Decode to a volume ``[z, y, x]`` that is there already, whose pages need no clearing.

        Parameters
        ----------
        stream : bytes-like
        out : (nz, ny, nx) unsigned, any layout, overwritten
            Its contents are undefined where DecodeError is raised.
        threads : int
        watch : callable, optional
            Told of each slice that is complete.
        """
        if out.flags.c_contiguous and out.dtype.isnative:
            self._decode_plain(stream, out, threads, watch)
        else:
            Encoding._decode_plain(self, stream, out, threads, watch)

    def _decode_plain(self, stream: Buffer, out: Labels, threads: int, watch: Watch | None) -> None:
        """:meth:`decode_into` for C order and native byte order, where it can do without a copy."""
        out[...] = self.decode(stream, out.shape, out.dtype, threads)
        if watch:
            watch(0, out.shape[0])

    def encode_chunks(self, labels: Labels, threads: int = 1) -> Iterator[Buffer]:
        """Encode piece by piece, for encodings whose stream outgrows the memory."""
        yield self.encode(labels, threads)

    def decode_chunks(
        self, chunks: Iterable[Buffer], shape: Sequence[int], dtype: DTypeLike, threads: int = 1
    ) -> Iterator[Labels]:
        """Decode a stream that comes in pieces to consecutive groups of slices."""
        pieces = list(chunks)
        stream = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        del pieces
        yield self.decode(stream, shape, dtype, threads)

    def compress(self, labels: Labels) -> bytes:
        """Encode, by the name that the published program gave it."""
        return self.encode(labels)

    def decompress(self, stream: Buffer) -> Labels:
        """Decode to uint64, by the name that the published program gave it."""
        return self.decode(stream)


class Compressor(Codec):
    """Second stage: bytes to fewer bytes, and back."""

    @abstractmethod
    def compress(self, data: Buffer) -> bytes:
        """Compress bytes (or any C-contiguous buffer)."""

    @abstractmethod
    def decompress_chunks(self, data: Buffer, chunk_bytes: int) -> Iterator[Buffer]:
        """Restore the bytes in pieces of at most ``chunk_bytes``, where the format can.

        Raises DecodeError where ``data`` is damaged, cut short or followed by other bytes.
        """

    def compress_chunks(self, chunks: Iterable[Buffer]) -> bytes:
        """Compress bytes that come in pieces."""
        pieces = list(chunks)
        return self.compress(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def decompress(self, data: Buffer, limit: int | None = None) -> Buffer:
        """Restore the bytes; raises DecodeError as above, or where they are more than ``limit``."""
        pieces: list[Buffer] = []
        size = 0
        for piece in self.decompress_chunks(data, sys.maxsize if limit is None else limit + 1):
            size += memoryview(piece).nbytes
            if limit is not None and size > limit:
                raise DecodeError(
                    f"{self.name}: the data holds more than the {limit} bytes allowed"
                )
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class StreamCompressor(Compressor):
    """A compressor with the incremental objects of Python's own ``bz2`` and ``lzma``."""

    @abstractmethod
    def compressor(self) -> Any:
        """Make an object with ``compress(data)`` and ``flush()``."""

    @abstractmethod
    def decompressor(self) -> Any:
        """Make an object with ``decompress(data, max_length)``, ``eof`` and ``unused_data``."""

    #: What the decompressor raises on damaged data.
    failures: ClassVar[tuple[type[Exception], ...]] = (OSError, ValueError, EOFError)

    def compress(self, data: Buffer) -> bytes:
        """Compress bytes (or any C-contiguous buffer)."""
        return self.compress_chunks([data])

    def compress_chunks(self, chunks: Iterable[Buffer]) -> bytes:
        """Compress bytes that come in pieces, holding one piece at a time."""
        stream = self.compressor()
        return b"".join([stream.compress(chunk) for chunk in chunks] + [stream.flush()])

    def decompress_chunks(self, data: Buffer, chunk_bytes: int) -> Iterator[Buffer]:
        """Restore the bytes in pieces of at most ``chunk_bytes``."""
        stream = self.decompressor()
        while not stream.eof:
            try:
                piece = stream.decompress(data, chunk_bytes)
            except self.failures as error:
                raise DecodeError(f"{self.name}: damaged data ({error})") from None
            data = getattr(stream, "unconsumed_tail", b"")  # bz2 and lzma keep it themselves
            if not piece and not data and not stream.eof:
                raise DecodeError(f"{self.name}: the data ends too early")
            yield piece
        if stream.unused_data:
            raise DecodeError(f"{self.name}: {len(stream.unused_data)} bytes follow the data's end")


class BlockCompressor(Compressor):
    """A compressor whose library packs whole buffers and does not record how long they were.

    The data is cut into blocks; each is stored as two little-endian uint64, its length and its
    packed length, and the packed bytes, or its own bytes where packing gains nothing.
    """

    block_bytes: ClassVar[int] = 1 << 30
    _lengths: ClassVar[struct.Struct] = struct.Struct("<QQ")

    @abstractmethod
    def pack(self, data: memoryview) -> Buffer | None:
        """Pack a block that is not empty; None where the library cannot make it smaller."""

    @abstractmethod
    def unpack(self, data: memoryview, size: int) -> Buffer:
        """Restore a block of ``size`` bytes; may raise whatever it likes on damaged data."""

    def compress(self, data: Buffer) -> bytes:
        """Compress bytes (or any C-contiguous buffer)."""
        return self.compress_chunks([data])

    def compress_chunks(self, chunks: Iterable[Buffer]) -> bytes:
        """Compress bytes that come in pieces; a block never spans two of them."""
        parts: list[Buffer] = []
        for chunk in chunks:
            view = memoryview(chunk).cast("B")
            for at in range(0, len(view), self.block_bytes):
                block = view[at : at + self.block_bytes]
                packed = self.pack(block)
                if packed is None or len(packed) >= len(block):
                    packed = block
                parts += [self._lengths.pack(len(block), len(packed)), packed]
        return b"".join(parts)

    def decompress(self, data: Buffer, limit: int | None = None) -> Buffer:
        """Restore the bytes; raises DecodeError on damage, or before they exceed ``limit``."""
        size = sum(size for size, _ in self._blocks(data))
        if limit is not None and size > limit:
            raise DecodeError(f"{self.name}: the data holds more than the {limit} bytes allowed")
        return super().decompress(data)

    def decompress_chunks(self, data: Buffer, chunk_bytes: int) -> Iterator[Buffer]:
        """Restore the bytes block by block."""
        for size, packed in self._blocks(data):
            yield packed if len(packed) == size else self._unpack(packed, size)

    def _blocks(self, data: Buffer) -> Iterator[tuple[int, memoryview]]:
        """The length of each block and its packed bytes; raises DecodeError."""
        view = memoryview(data).cast("B")
        while len(view):
            if len(view) < self._lengths.size:
                raise DecodeError(f"{self.name}: the data ends too early")
            size, length = self._lengths.unpack_from(view)
            packed, view = view[16 : 16 + length], view[16 + length :]
            if len(packed) < length or not 0 < length <= size <= self.block_bytes:
                raise DecodeError(f"{self.name}: a block's length does not fit the data")
            yield size, packed

    def _unpack(self, packed: memoryview, size: int) -> Buffer:
        try:
            block = self.unpack(packed, size)
        except (MissingPackageError, MemoryError):
            raise
        except Exception as error:
            raise DecodeError(f"{self.name}: damaged data ({type(error).__name__})") from None
        if len(block) != size:
            raise DecodeError(f"{self.name}: damaged data ({len(block)} bytes, not {size})")
        return block


C = TypeVar("C", bound=Codec)


class Registry(Generic[C]):
    """The codecs found in the modules of a package, one class a file, by name."""

    def __init__(self, package: str, base: type[C], kind: str) -> None:
        self._package, self._base, self._kind = package, base, kind
        self._classes: dict[str, type[C]] = {}

    def _load(self) -> dict[str, type[C]]:
        if not self._classes:
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__):
                found = vars(importlib.import_module(f"{self._package}.{module.name}"))
                for item in found.values():
                    is_codec = isinstance(item, type) and issubclass(item, self._base)
                    if is_codec and "name" in vars(item):
                        self._classes[item.name] = item
        return self._classes

    def names(self) -> list[str]:
        """Registered names in alphabetical order, ``none`` first."""
        return sorted(self._load(), key=lambda name: (name != "none", name))

    def parse(self, spec: str) -> C:
        """Make the codec that a spec string names, ``name[:key=value[,key=value...]]``.

        Raises SpecError, which lists what there is to choose from.
        """
        name, _ = split(spec)
        if name not in self._load():
            choices = ", ".join(self.names())
            raise SpecError(f"unknown {self._kind} {name!r}; choose from: {choices}")
        return build(self._classes[name], spec)
