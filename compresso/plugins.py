"""Plug-ins: one class per file, found by its folder and made from a codec string.

A *codec string* names a plug-in and its parameters, ``lzma:preset=9``. People write it, and tables
use it as a key. The class is a frozen dataclass whose fields are the parameters. Encodings,
compressors, file formats and kinds of stores are found like this. A new one is a new file in its
folder, and nothing lists it. A file whose name begins with ``_`` is a helper.
"""

import dataclasses
import importlib
import importlib.util
import inspect
import pkgutil
from abc import ABC
from collections.abc import Iterator
from functools import cached_property
from typing import Any, ClassVar, Generic, Self, TypeVar

from compresso.errors import MissingPackageError, SpecError, did_you_mean

#: The codec of every function and command if none is given. An encoding that gains nothing from a
#: compressor, such as ristretto, has none by default.
DEFAULT_ENCODING, DEFAULT_COMPRESSION = "ristretto", "zstd"

T = TypeVar("T")


def require(import_name: str, pip_name: str, who: str) -> Any:
    """Import an optional package that ``who`` needs; raises MissingPackageError."""
    try:
        return importlib.import_module(import_name)
    except ImportError as error:
        raise MissingPackageError(
            f"{who} needs the package {pip_name} ({error}). Run: pip install {pip_name}"
        ) from None


@dataclasses.dataclass(frozen=True)
class Plugin(ABC):
    """The base of all plug-ins: a name and parameters, which a codec string contains."""

    #: The name that people write; a class without one is a base of others.
    name: ClassVar[str]
    #: Optional packages that it needs: the pip name of each import name.
    packages: ClassVar[dict[str, str]] = {}

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

    def check_range(self, parameter: str, low: int, high: int) -> None:
        """Raise SpecError if a parameter is not in low..high."""
        value = getattr(self, parameter)
        if not low <= value <= high:
            raise SpecError(f"{self.name}: {parameter} must be {low} to {high}, not {value}")

    def __str__(self) -> str:
        return self.spec


P = TypeVar("P", bound=Plugin)


class Registry(Generic[P]):
    """The plug-ins of a folder.

    Parameters
    ----------
    package : str
        The folder, as a module's name.
    base : type
        The base of its classes.
    kind : str
        The word for them in error messages.
    """

    def __init__(self, package: str, base: type[P], kind: str) -> None:
        self._package, self._base, self._kind = package, base, kind

    @cached_property
    def classes(self) -> dict[str, type[P]]:
        """Every class by its name, in alphabetical order, ``none`` first."""
        found: dict[str, type[P]] = {}
        for module in self._modules():
            for item in vars(module).values():
                own = inspect.isclass(item) and item.__module__ == module.__name__
                if own and issubclass(item, self._base) and "name" in vars(item):
                    if item.name in found:
                        files = found[item.name].__module__, item.__module__
                        raise SpecError(f"two {self._kind}s are named {item.name!r}: in {files}")
                    found[item.name] = item
        return dict(sorted(found.items(), key=lambda pair: (pair[0] != "none", pair[0])))

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
        name, _ = split(spec)
        if name not in self.classes:
            hint = did_you_mean(name, self.classes) or known
            raise SpecError(f"unknown {self._kind} {name!r}.{hint}")
        return build(self.classes[name], spec)

    def _modules(self) -> Iterator[Any]:
        folder = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(folder.__path__):
            if not module.name.startswith("_"):
                yield importlib.import_module(f"{self._package}.{module.name}")


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

    def __getnewargs__(self) -> tuple[str]:
        return (str(self),)  # how pickle and copy make it again

    def __str__(self) -> str:
        return "x".join(map(str, self))


def split(spec: str) -> tuple[str, str]:
    """Name, in lower case, and parameters of a codec string."""
    name, _, parameters = spec.strip().partition(":")
    return name.lower(), parameters


def build(cls: type[T], spec: str) -> T:
    """Make a dataclass from a codec string; raises SpecError, which lists the valid parameters."""
    name, parameters = split(spec)
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
