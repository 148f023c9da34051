"""Codecs: an encoding turns labels into bytes, a compressor bytes into fewer bytes.

Both are plug-ins: frozen dataclasses whose fields are their parameters, in files of
``encodings/`` or ``compressors/``. A new one is a new file in its folder, and nothing lists it. A
file whose name begins with ``_`` is a helper. Formats and kinds of stores, which have no
parameters, are found in the same way.

A *codec string* names a plug-in and its parameters, ``lzma:preset=9``. People write it, and tables
use it as a key.

NumPy is imported when an array is encoded or decoded, so that a command's ``--help`` is fast.
"""

import dataclasses
import importlib
import importlib.util
import inspect
import math
import pkgutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from compresso.errors import (
    DecodeError,
    EncodeError,
    LabelError,
    MissingPackageError,
    SpecError,
    did_you_mean,
)

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from compresso.arrays import Labels, Shape

#: The codec of every function and command if none is given. An encoding that gains nothing from a
#: compressor, such as ristretto, has none by default.
DEFAULT_ENCODING, DEFAULT_COMPRESSION = "ristretto", "zstd"

T = TypeVar("T")
Buffer = bytes | bytearray | memoryview
#: Called with the range z0, z1 of each block of slices, once per block, in any order and from any
#: thread. The slices are about to be read or have just been written, so reading them costs little.
#: They must not be changed.
Watch = Callable[[int, int], object]


def require(import_name: str, pip_name: str, who: str) -> Any:
    """Import an optional package that ``who`` needs; raises MissingPackageError."""
    try:
        return importlib.import_module(import_name)
    except ImportError as error:
        raise MissingPackageError(
            f"{who} needs {pip_name.replace(' ', ' and ')} ({error}). Run: pip install {pip_name}"
        ) from None


@dataclasses.dataclass(frozen=True)
class Plugin(ABC):
    """The base of all plug-ins: a name and parameters, which a codec string contains."""

    #: The name that people write; a class without one is a base of others.
    name: ClassVar[str]
    #: Optional packages that it needs: the pip name of each import name.
    packages: ClassVar[dict[str, str]] = {}
    #: Allowed range of a parameter; for an Extent, of its number of voxels. Other values raise
    #: SpecError.
    limits: ClassVar[dict[str, tuple[int, int]]] = {}

    def __post_init__(self) -> None:
        for parameter, (low, high) in self.limits.items():
            value = getattr(self, parameter)
            extent = isinstance(value, Extent)
            size, unit = (math.prod(value), " voxels") if extent else (value, "")
            if not low <= size <= high:
                raise SpecError(
                    f"{self.name}: {parameter} must be {low} to {high}{unit}, not {value}"
                )

    @property
    def spec(self) -> str:
        """Canonical codec string: the name, and the parameters that differ from their defaults."""
        given = [
            f"{field.name}={getattr(self, field.name)}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        ]
        return self.name + (":" + ",".join(given) if given else "")

    def require(self, import_name: str) -> Any:
        """Import one of its ``packages``; raises MissingPackageError."""
        return require(import_name, self.packages[import_name.partition(".")[0]], self.name)

    @classmethod
    def missing(cls) -> list[str]:
        """The pip names of its packages that are not installed."""
        found = importlib.util.find_spec
        return [pip for name, pip in cls.packages.items() if found(name) is None]

    def __str__(self) -> str:
        return self.spec


def find_classes(package: str, base: type[T], kind: str) -> dict[str, type[T]]:
    """Return the classes of a package's files that derive from ``base`` and have a ``name``, by it.

    They are in alphabetical order, ``none`` first. Raises SpecError if two have the same name.
    """
    found: dict[str, type[T]] = {}
    for file in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if file.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package}.{file.name}")
        for item in vars(module).values():
            own = inspect.isclass(item) and item.__module__ == module.__name__
            if own and issubclass(item, base) and "name" in vars(item):
                if item.name in found:
                    files = found[item.name].__module__, item.__module__
                    raise SpecError(f"two {kind}s are named {item.name!r}: in {files}")
                found[item.name] = item
    return dict(sorted(found.items(), key=lambda pair: (pair[0] != "none", pair[0])))


P = TypeVar("P", bound=Plugin)


class Registry(Generic[P]):
    """The codecs of a package, subclasses of ``base``; errors call them ``kind``."""

    def __init__(self, package: str, base: type[P], kind: str) -> None:
        self._package, self._base, self._kind = package, base, kind

    @cached_property
    def classes(self) -> dict[str, type[P]]:
        """Every class by its name."""
        return find_classes(self._package, self._base, self._kind)

    def names(self) -> list[str]:
        """Every name, ``none`` first."""
        return list(self.classes)

    def installed(self) -> list[str]:
        """The names of those that need no missing package."""
        return [name for name, found in self.classes.items() if not found.missing()]

    def parse(self, spec: str) -> P:
        """Make the plug-in that a codec string names, ``name[:key=value[,key=value...]]``.

        Raises SpecError, which lists the names or parameters to choose from.

        Examples
        --------
        >>> import compresso
        >>> compresso.compressors.parse("ZSTD:level=19")
        Zstd(level=19)
        """
        known = f" Choose from: {', '.join(self.classes)}"
        if not isinstance(spec, str):
            raise SpecError(f"{self._kind} must be a codec string, not {spec!r}.{known}")
        name, _ = split_codec(spec)
        if name not in self.classes:
            hint = did_you_mean(name, self.classes) or known
            raise SpecError(f"unknown {self._kind} {name!r}.{hint}")
        return build(self.classes[name], spec)


class Extent(tuple[int, int, int]):
    """A number of voxels along x, y and z, each at least 1, written as ``8x8x1``."""

    def __new__(cls, text: str) -> Self:
        try:
            size = [int(part) for part in text.lower().split("x")]
        except ValueError:
            size = []
        if len(size) != 3 or min(size) < 1:
            raise ValueError("expected XxYxZ voxels, each at least 1")
        return super().__new__(cls, size)

    @property
    def zyx(self) -> tuple[int, int, int]:
        """The number of voxels along z, y and x."""
        x, y, z = self
        return z, y, x

    def __getnewargs__(self) -> tuple[str]:
        return (str(self),)  # how pickle and copy make it again

    def __str__(self) -> str:
        return "x".join(map(str, self))


def split_codec(spec: str) -> tuple[str, str]:
    """Name, in lower case, and parameters of a codec string."""
    name, _, parameters = spec.strip().partition(":")
    return name.lower(), parameters


def build(cls: type[T], spec: str) -> T:
    """Make a dataclass from a codec string; raises SpecError, which lists the valid parameters."""
    name, parameters = split_codec(spec)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values = {}
    for item in filter(None, parameters.split(",")):
        key, _, text = (part.strip() for part in item.partition("="))
        if key.lower() not in fields:
            known = ", ".join(f"{f.name}={f.default}" for f in fields.values()) or "none"
            hint = did_you_mean(key, fields) or f" Its parameters: {known}"
            raise SpecError(f"{name} has no parameter {key!r}.{hint}")
        field = fields[key.lower()]
        try:
            values[field.name] = field.type(text)  # type: ignore[operator]
        except ValueError as error:
            raise SpecError(f"{name}: bad {item}: {error}") from None
    return cls(**values)


def split_list(text: str) -> list[str]:
    """Split a comma-separated list of codec strings, whose parameters have commas too."""
    specs: list[str] = []
    for part in text.split(","):
        # "key=value" without a name continues the codec string before it.
        if specs and "=" in part and ":" not in part.partition("=")[0]:
            specs[-1] += "," + part
        elif part.strip():
            specs.append(part.strip())
    return specs


def ignore(*_: object) -> None:
    """Do nothing: the default of callbacks."""


def _empty(shape: Sequence[int], dtype: "DTypeLike") -> "Labels":
    """An array for decoded labels, in native byte order; raises DecodeError for other dtypes."""
    import numpy as np

    from compresso.arrays import label_dtype

    return np.empty(shape, label_dtype(dtype))


class Encoding(Plugin):
    """Turns an array of labels into a stream of bytes, and back, without loss.

    An encoding is three methods, :meth:`encode_volume`, :meth:`shape_of` and :meth:`decode_volume`;
    the others, which are for its users, follow from them.
    """

    #: True if a compressor does not help.
    alone: ClassVar[bool] = False
    #: Bytes per voxel that encoding or decoding takes next to the labels, measured on segmentations
    #: with 64-bit labels; noise can take several times as many. It decides how many groups fit the
    #: memory.
    working_bytes: ClassVar[int] = 24
    #: Whether any bytes decode to a volume or raise DecodeError, as tests then check; the package
    #: of another project may crash.
    robust: ClassVar[bool] = True

    @abstractmethod
    def encode_volume(self, volume: "Labels", threads: int, watch: Watch) -> Buffer:
        """Encode a volume (nz, ny, nx), unsigned, of any layout and byte order.

        The stream has no container, and does not depend on ``threads``. ``watch`` is called with
        the range of each block of slices before it is read, unless the encoding reads all at once.
        Raises EncodeError if the stream cannot hold the volume.
        """

    @abstractmethod
    def shape_of(self, stream: Buffer) -> "Shape | None":
        """The shape (z, y, x) that a stream claims; None if streams do not state it.

        Raises DecodeError if the stream has no readable header.
        """

    @abstractmethod
    def decode_volume(self, stream: Buffer, out: "Labels", threads: int, watch: Watch) -> None:
        """Decode a stream to ``out`` (nz, ny, nx), unsigned, in C order and native byte order.

        ``out`` has the shape that :meth:`shape_of` returns, unless that is None. ``watch`` may be
        called with the range of each finished block of slices. Raises DecodeError if the stream
        contradicts itself, or a label does not fit the dtype of ``out``, whose contents are
        undefined then.
        """

    def encode(self, labels: "Labels", threads: int = 1) -> bytes:
        """Encode a 1-, 2- or 3-D integer or bool array ``[z, y, x]``, without a container.

        Signed labels are stored as the unsigned integers of the same bits.
        Raises EncodeError if the stream cannot hold the array.
        """
        from compresso.arrays import as_volume, unmasked

        try:
            stream = self.encode_volume(as_volume(labels), threads, ignore)
        except LabelError as error:
            raise error.as_in(unmasked(labels).dtype) from None
        return stream if isinstance(stream, bytes) else bytes(stream)

    def decode(
        self,
        stream: Buffer,
        shape: Sequence[int] | None = None,
        dtype: "DTypeLike" = "uint64",
        threads: int = 1,
    ) -> "Labels":
        """Decode a stream; raises DecodeError if it contradicts itself.

        Parameters
        ----------
        stream : bytes-like
        shape : sequence of int, optional
            The shape to expect, 1 to 3 dimensions; a stream's own is checked against it.
        dtype : integer dtype
            The dtype of the result. Streams hold unsigned labels, negative ones as large ones.
            DecodeError is raised if one does not fit, or the dtype is not an integer type.
        threads : int

        Returns
        -------
        array of ``shape``, or (nz, ny, nx) if none is given
        """
        found = self._shape(stream, shape)
        out = _empty(found, dtype)
        self.decode_volume(stream, out, threads, ignore)
        return out.reshape(found if shape is None else shape).astype(dtype, copy=False)

    def _shape(self, stream: Buffer, shape: Sequence[int] | None) -> "Shape":
        """The shape z, y, x of a stream; raises DecodeError if another one is expected."""
        from compresso.arrays import as_shape, check_shape

        found = self.shape_of(stream)
        if found is None:
            if shape is None:
                raise DecodeError(f"{self.name}: the stream has no shape. Pass shape=")
            found = as_shape(shape)
        check_shape(found, shape)
        return found

    def decode_into(
        self, stream: Buffer, out: "Labels", threads: int = 1, watch: Watch = ignore
    ) -> None:
        """Decode to an existing volume ``[z, y, x]``, unsigned, of any layout and byte order.

        ``watch`` is called with the range of each finished block of slices. If DecodeError is
        raised, the contents of ``out`` are undefined.
        """
        self._shape(stream, out.shape)
        if out.flags.c_contiguous and out.dtype.isnative:
            self.decode_volume(stream, out, threads, watch)
        else:
            plain = _empty(out.shape, out.dtype)
            self.decode_volume(stream, plain, threads, ignore)
            out[...] = plain

    def decode_slices(
        self,
        stream: Buffer,
        z0: int,
        z1: int,
        shape: Sequence[int] | None = None,
        dtype: "DTypeLike" = "uint64",
        threads: int = 1,
    ) -> "Labels":
        """Decode slices z0..z1-1 (clipped as Python clips) of a stream, (n, ny, nx).

        The other arguments are those of :meth:`decode`.
        """
        found = self._shape(stream, shape)
        start, stop, _ = slice(z0, z1).indices(found[0])
        out = _empty((max(0, stop - start), *found[1:]), dtype)
        if out.size:
            self.decode_part(stream, start, out, found, threads)
        return out.astype(dtype, copy=False)

    def decode_part(
        self, stream: Buffer, z0: int, out: "Labels", shape: "Shape", threads: int
    ) -> None:
        """Decode slices z0 and following to ``out``, of a stream of a volume of this shape.

        An encoding whose streams can be entered anywhere overrides it, and decodes no more than it
        must.
        """
        whole = _empty(shape, out.dtype)
        self.decode_volume(stream, whole, threads, ignore)
        out[...] = whole[z0 : z0 + len(out)]

    def __call__(self, labels: "Labels", compress: bool = False) -> bytes:
        """Encode, as the published program's README has it: ``COMPRESSO(array, compress=False)``.

        Raises EncodeError for ``compress=True``, because the caller chooses the compressor.
        """
        if compress:
            raise EncodeError(
                f"{self.name}: the caller chooses the compressor, e.g. "
                f"LZMA.compress({self.name.upper()}(labels))"
            )
        return self.encode(labels)

    def warm(self) -> None:
        """Compile the kernels that are not compiled yet, by encoding small volumes."""
        import numpy as np

        z, y, x = np.indices((6, 40, 150))
        labels = 1 + (x + y + z) // 30  # similar slices
        labels[3] = 1 + x[3] // 9  # labels are numbered by columns
        labels[4] = x[4] * 41 % 150 + 150 * y[4]  # many labels
        for dtype in ("uint16", "uint32", "uint64"):
            self.decode_slices(self.encode(labels.astype(dtype)), 0, 6, labels.shape, dtype)

    def compress(self, labels: "Labels") -> bytes:
        """Encode, by the name that the published program gave it."""
        return self.encode(labels)

    def decompress(self, stream: Buffer) -> "Labels":
        """Decode to uint64, by the name that the published program gave it."""
        return self.decode(stream)


class Compressor(Plugin):
    """Makes bytes smaller, and restores them."""

    @abstractmethod
    def compress(self, data: Buffer) -> Buffer:
        """Compress bytes (or any C-contiguous buffer)."""

    @abstractmethod
    def decompress_pieces(self, data: Buffer, piece_bytes: int) -> Iterator[Buffer]:
        """Restore the bytes in pieces of at most ``piece_bytes``, if the format can.

        Raises DecodeError if ``data`` is damaged, cut short or followed by other bytes.
        """

    def warm(self) -> None:
        """Compile the kernels that are not compiled yet."""
        self.decompress(self.compress(bytes(range(256)) * 16))

    def decompress(self, data: Buffer, limit: int | None = None) -> Buffer:
        """Restore the bytes; raises DecodeError as above, or if they exceed ``limit``."""
        pieces: list[Buffer] = []
        left = sys.maxsize - 1 if limit is None else limit
        for piece in self.decompress_pieces(data, left + 1):
            left -= memoryview(piece).nbytes
            if left < 0:
                raise DecodeError(f"{self.name}: the data holds more than {limit} bytes")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
