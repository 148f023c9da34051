"""The metadata of a file as JSON: its geometry, and the fields of its own format.

No content of a file makes this fail: invalid fields are left out and named.
"""

import json
import math
import operator
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.text import counted

Metadata = dict[str, Any]
Path = tuple[str, ...]
Vector = tuple[float, float, float]
#: The errors of invalid JSON, and of the libraries for damaged tags and attributes.
INVALID = (
    *(ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError),
    struct.error,
)

# -- the metadata of all formats ------------------------------------------------------------------

#: The most that is kept by default, in bytes of JSON.
LIMIT = 48 << 10
#: Names that a message lists.
MOST_LISTED = 6


def make(name: str, fields: dict[str, Any], geometry: "Geometry | None") -> Metadata:
    """Return the metadata of a file of the format ``name``; empty parts are left out."""
    place = {"geometry": geometry.to_json()} if geometry and geometry.is_sane else {}
    return place | ({name: fields} if fields else {})


def own(metadata: Metadata, name: str) -> dict[str, Any]:
    """Return the fields of the format ``name``; empty if the source has another format."""
    fields = metadata.get(name)
    return fields if isinstance(fields, dict) else {}


def geometry_of(metadata: Metadata) -> "Geometry | None":
    """Return the geometry; None if it is missing or invalid."""
    try:
        geometry = Geometry.from_json(metadata.get("geometry"))
    except INVALID:
        return None
    return geometry if geometry.is_sane else None


def fit(metadata: Metadata, limit: int = LIMIT) -> tuple[Metadata, list[str]]:
    """Leave out the largest fields beyond ``limit`` bytes of JSON; return their names."""
    kept, lost = json.loads(json.dumps(metadata)), []
    excess = _size(kept) - limit
    for (*parents, name), value in sorted(leaves(metadata), key=lambda leaf: -_size(leaf[1])):
        if excess <= 0:
            break
        del reduce(dict.__getitem__, parents, kept)[name]
        lost.append(name)
        excess -= _size(name) + _size(value) + len(": ")
    return kept, lost


def summary(metadata: Metadata) -> str:
    """Return one line about the geometry and the number of other fields; it may be empty."""
    geometry = geometry_of(metadata)
    numbers = {name: sum(1 for _ in leaves(own(metadata, name))) for name in metadata}
    numbers.pop("geometry", None)
    parts = [f"{_printable(name)}: {counted(number, 'field')}" for name, number in numbers.items()]
    return "; ".join([str(geometry), *parts] if geometry else parts)


def report_lost(where: object, lost: Iterable[str], why: str = "cannot hold") -> list[str]:
    """Return one line about lost metadata; an empty list if nothing is lost."""
    names = list(dict.fromkeys(map(_printable, lost)))
    return [f"{where}: {why} {listed(names)}"] if names else []


@contextmanager
def lost_if_invalid(lost: list[str], name: str) -> Iterator[None]:
    """Add a name to the lost ones if the value of its field is invalid."""
    try:
        yield
    except INVALID:
        lost.append(name)


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many there are more."""
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more


def _printable(text: str) -> str:
    """Return an untrusted name for a terminal."""
    return text.encode("unicode_escape").decode()[:80]


def _size(value: Any) -> int:
    return len(json.dumps(value))


def to_json(value: Any) -> Any:
    """Return NumPy's values as JSON: bytes as Latin-1, numbers that are not finite as words."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def from_json(value: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the array for such JSON; raises one of ``INVALID``."""
    convert: Any = {"S": lambda text: text.encode("latin-1"), "f": float}
    convert = convert.get(dtype.kind, operator.index)
    items = np.array(value, object)
    with np.errstate(over="ignore"):
        found = np.array([convert(item) for item in items.ravel()], dtype).reshape(items.shape)
    if dtype.kind == "S" and to_json(found) != value:
        raise ValueError("the text is too long")
    return found


def leaves(metadata: Metadata, parents: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield each field: the names that lead to it, and its value."""
    for name, value in metadata.items():
        if isinstance(value, dict) and name != "geometry" and len(parents) < 2 and value:
            yield from leaves(value, (*parents, name))
        elif name != "geometry":
            yield (*parents, name), value


# -- the geometry ---------------------------------------------------------------------------------

#: The largest sane length in metres; its inverse is the smallest.
LARGEST_LENGTH = 1e18
#: Directions that differ by less are equal; 32-bit floats are not more precise.
TOLERANCE = 1e-5
#: The known units of length, in metres.
POWERS = {"m": 0, "dm": -1, "cm": -2, "mm": -3, "um": -6, "nm": -9, "angstrom": -10, "pm": -12}
METRES = {unit: Fraction(10) ** n for unit, n in POWERS.items()} | {"inch": Fraction("0.0254")}
#: Other names of the units, in lower case; those of the metre are made with prefixes.
SYNONYMS = {"\u00b5m": "um", "\u03bcm": "um", "\\u00b5m": "um", "micron": "um", "in": "inch"}
SYNONYMS |= {"\u00e5": "angstrom", "a": "angstrom"}
PREFIXES = {"": "m", "deci": "dm", "centi": "cm", "milli": "mm", "micro": "um"}
PREFIXES |= {"nano": "nm", "pico": "pm"}
SYNONYMS |= {f"{p}met{end}": unit for p, unit in PREFIXES.items() for end in ("er", "re")}


@dataclass(frozen=True)
class Geometry:
    """The positions of a volume's voxel centres, the same for every format (docs/formats.md).

    Raises ValueError for invalid positions, steps of 0, and if everything is unknown.
    """

    #: From a voxel to the next one along z, y and x, as x, y and z of the world.
    steps: tuple[Vector | None, Vector | None, Vector | None]
    #: Centre of voxel [0, 0, 0]: x, y and z of the world.
    origin: Vector | None = None
    #: ``LPS`` or ``RAS``: x, y and z grow to the patient's left (right), posterior (anterior) and
    #: superior. Formats that need a world take an unknown one for ``LPS``, as ITK does.
    world: str | None = None
    #: A key of ``METRES``.
    unit: str | None = None

    def __post_init__(self) -> None:
        if not self._numbers or not all(map(math.isfinite, self._numbers)) or 0.0 in self.spacing:
            raise ValueError("positions must be finite, and steps must not be 0")
        if self.world not in (None, "LPS", "RAS") or self.unit not in (None, *METRES):
            raise ValueError(f"unknown world {self.world!r} or unit {self.unit!r}")

    @property
    def _numbers(self) -> list[float]:
        return [n for vector in (*self.steps, self.origin) for n in vector or ()]

    @classmethod
    def along_axes(
        cls, spacing: Sequence[float | None], origin: Vector | None = None, unit: str | None = None
    ) -> "Geometry":
        """Make a geometry with the axes of an unknown world; ``spacing`` is along z, y and x."""
        z, y, x = (n if n and math.isfinite(n) else None for n in spacing)
        steps: Any = (z and (0.0, 0.0, z), y and (0.0, y, 0.0), x and (x, 0.0, 0.0))
        return cls(steps, origin, None, unit)

    @classmethod
    def from_json(cls, value: Any) -> "Geometry":
        """Make a geometry from the result of ``to_json``; raises one of ``INVALID``."""
        z, y, x = map(_vector, value["steps"])
        return cls(**value | {"steps": (z, y, x), "origin": _vector(value.get("origin"))})

    def to_json(self) -> dict[str, Any]:
        """Return the geometry as a JSON object."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return found

    @property
    def length(self) -> str | None:
        """The unit; by default mm in the worlds ``LPS`` and ``RAS``, as in ITK."""
        return self.unit or (self.world and "mm")

    @property
    def spacing(self) -> tuple[float | None, float | None, float | None]:
        """The lengths of the steps along z, y and x."""
        z, y, x = (step and math.hypot(*step) for step in self.steps)
        return z, y, x

    @property
    def directions(self) -> NDArray[np.float64]:
        """A unit vector (x, y, z) for each of z, y and x; an unknown step's is its own axis."""
        pairs = zip(self.steps, np.eye(3)[::-1], strict=True)
        return np.array([np.array(s) / math.hypot(*s) if s else axis for s, axis in pairs])

    @property
    def is_sane(self) -> bool:
        """Whether every format's numbers can hold all lengths in any unit."""
        metres = float(METRES[self.length or "m"])
        steps = [step for step in self.spacing if step is not None]
        return max(map(abs, self._numbers)) * metres <= LARGEST_LENGTH and all(
            step * metres >= 1 / LARGEST_LENGTH for step in steps
        )

    @property
    def is_plain(self) -> bool:
        """Whether z, y and x are those of the world, in the same direction."""
        return bool(np.abs(self.directions - np.eye(3)[::-1]).max() < TOLERANCE)

    @property
    def is_solid(self) -> bool:
        """Whether the axes span the world."""
        with np.errstate(all="ignore"):
            return bool(abs(np.linalg.det(self.directions)) > TOLERANCE)

    def moved(self, z: int, y: int = 0, x: int = 0) -> "Geometry":
        """Return that of the box from voxel [z, y, x] on; unchanged if a step is unknown."""
        moves = [(n, step) for n, step in zip((z, y, x), self.steps, strict=True) if n]
        origin = self.origin or (0.0, 0.0, 0.0)
        for number, step in moves:
            if step is None:
                return self
            a, b, c = (at + number * by for at, by in zip(origin, step, strict=True))
            origin = a, b, c
        return replace(self, origin=origin) if moves else self

    def scaled(self, scales: Sequence[Fraction | int], **fields: Any) -> "Geometry":
        """Return the geometry with x, y and z multiplied by these, and other fields replaced."""
        vectors: list[Any] = [
            vector and tuple(_times(n, scale) for n, scale in zip(vector, scales, strict=True))
            for vector in (*self.steps, self.origin)
        ]
        return replace(self, steps=tuple(vectors[:3]), origin=vectors[3], **fields)

    def in_unit(self, unit: str) -> "Geometry":
        """Return the same positions in another unit; unchanged if the unit is unknown."""
        if self.length is None:
            return self
        return self.scaled([METRES[self.length] / METRES[unit]] * 3, unit=unit)

    def in_world(self, world: str) -> "Geometry":
        """Return the same positions in ``LPS`` or ``RAS``; an unknown world is ``LPS``."""
        sign = 1 if world == (self.world or "LPS") else -1
        return self.scaled((sign, sign, 1), world=world)

    def affine(self) -> NDArray[np.float64]:
        """Return the 4 x 4 matrix from a voxel (x, y, z, 1) to the world; unknown steps are 1."""
        affine = np.eye(4)
        for axis, step in enumerate(self.steps):
            if step is not None:
                affine[:3, 2 - axis] = step
        affine[:3, 3] = self.origin or (0.0, 0.0, 0.0)
        return affine

    def __str__(self) -> str:
        spacing = " x ".join("?" if n is None else f"{n:.6g}" for n in self.spacing[::-1])
        text = f"voxel size {spacing} {self.length or '(unit unknown)'}"
        if self.origin is not None:
            text += f", origin ({', '.join(f'{n:.6g}' for n in self.origin)})"
        if self.world:
            text += f" {self.world}"
        return text if self.is_plain else f"{text}, {'turned' if self.is_solid else 'flat'} axes"


def unit_of(text: object) -> str | None:
    """Return the unit of length of a word; None for any other word."""
    word = str(text).strip().strip('"').strip().lower()
    found = SYNONYMS.get(word) or SYNONYMS.get(word.removesuffix("s"))
    return found or (word if word in METRES else None)


def common_unit(
    spacing: Sequence[float | None], units: Sequence[str | None]
) -> tuple[list[float | None], str | None]:
    """Return spacings in one unit, the last axis's; it is unknown if any unit is unknown."""
    unit = units[-1]
    if unit is None or None in units:
        return list(spacing), None
    scales = [METRES[u or unit] / METRES[unit] for u in units]
    return [n and _times(n, scale) for n, scale in zip(spacing, scales, strict=True)], unit


def _times(number: float, scale: Fraction | int) -> float:
    """Return the number that is nearest to the exact product."""
    return float(Fraction(number) * scale) if math.isfinite(number) else number


def _vector(value: Any) -> Vector | None:
    if value is None:
        return None
    x, y, z = map(float, value)
    return x, y, z
