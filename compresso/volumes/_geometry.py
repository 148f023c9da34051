"""Where a volume lies in the world, the same for every format (docs/formats.md, Metadata)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = tuple[float, float, float]
#: Beyond this, or below its inverse, no length in metres makes sense.
LARGEST = 1e18
#: Directions that differ by less are the same; 32-bit floats keep no more.
TOLERANCE = 1e-5
#: The lengths that are known, in metres.
METRES = {
    "m": Fraction(1),
    "dm": Fraction(1, 10),
    "cm": Fraction(1, 100),
    "mm": Fraction(1, 10**3),
    "um": Fraction(1, 10**6),
    "nm": Fraction(1, 10**9),
    "angstrom": Fraction(1, 10**10),
    "pm": Fraction(1, 10**12),
    "inch": Fraction(254, 10**4),
}
#: Other spellings; a metre's are made of the prefixes.
SPELLINGS = {"\u00b5m": "um", "\u03bcm": "um", "\\u00b5m": "um", "micron": "um", "in": "inch"}
SPELLINGS |= {"\u00c5": "angstrom", "\u212b": "angstrom", "a": "angstrom", "centimeter": "cm"}
PREFIXES = {"": "m", "deci": "dm", "centi": "cm", "milli": "mm", "micro": "um"}
PREFIXES |= {"nano": "nm", "pico": "pm"}
SPELLINGS |= {f"{p}met{end}": unit for p, unit in PREFIXES.items() for end in ("er", "re")}


@dataclass(frozen=True)
class Geometry:
    """Where the centres of a volume's voxels are.

    Parameters
    ----------
    steps : three of (float, float, float) or None
        From a voxel to the next one along z, y and x: x, y and z of the world. None is unknown.
    origin : (float, float, float), optional
        Centre of voxel [0, 0, 0]: x, y and z of the world.
    world : str, optional
        ``LPS`` or ``RAS``: x, y and z grow to the patient's left (right), posterior (anterior) and
        superior. None is unknown; where a format needs to know, ``LPS`` is taken, as ITK does.
    unit : str, optional
        A length of ``METRES``; None is unknown.

    Raises
    ------
    ValueError
        For numbers that are not finite, steps of 0, or nothing known at all.
    """

    steps: tuple[Vector | None, Vector | None, Vector | None]
    origin: Vector | None = None
    world: str | None = None
    unit: str | None = None

    def __post_init__(self) -> None:
        numbers = [n for vector in (*self.steps, self.origin) for n in vector or ()]
        if not numbers or not all(map(math.isfinite, numbers)):
            raise ValueError("positions must be finite")
        if 0.0 in self.spacing:
            raise ValueError("steps must not be 0")

    @classmethod
    def along_axes(
        cls,
        spacing: Sequence[float | None],
        origin: Vector | None = None,
        unit: str | None = None,
    ) -> "Geometry":
        """The axes lie along those of an unknown world; ``spacing`` is of z, y and x."""
        z, y, x = (n if n and math.isfinite(n) else None for n in spacing)
        steps = (z and (0.0, 0.0, z), y and (0.0, y, 0.0), x and (x, 0.0, 0.0))
        return cls(tuple(step or None for step in steps), origin, None, unit)  # type: ignore[arg-type]

    @classmethod
    def from_json(cls, value: Any) -> "Geometry":
        """What ``to_json`` made; raises ValueError for anything else."""
        if not isinstance(value, dict) or not set(value) <= {"steps", "origin", "world", "unit"}:
            raise ValueError("no geometry")
        steps, unit, world = value.get("steps"), value.get("unit"), value.get("world")
        if not isinstance(steps, list) or len(steps) != 3:
            raise ValueError("steps are those of three axes")
        if world not in (None, "LPS", "RAS") or not (unit is None or unit in list(METRES)):
            raise ValueError(f"unknown world {world!r} or unit {unit!r}")
        z, y, x = (_vector(step) for step in steps)
        return cls((z, y, x), _vector(value.get("origin")), world, unit)

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        origin = self.origin and list(self.origin)
        steps = [step and list(step) for step in self.steps]
        return {"steps": steps, "origin": origin, "world": self.world, "unit": self.unit}

    @property
    def length(self) -> str | None:
        """The unit; without one, ``LPS`` and ``RAS`` are in mm, as ITK takes them."""
        return self.unit or (self.world and "mm")

    @property
    def spacing(self) -> tuple[float | None, float | None, float | None]:
        """The lengths of the steps along z, y and x."""
        z, y, x = (step and math.hypot(*step) for step in self.steps)
        return z, y, x

    @property
    def directions(self) -> NDArray[np.float64]:
        """A unit vector (x, y, z) for each of z, y and x; an unknown step's is its own axis."""
        own = np.eye(3)[::-1]
        steps = [step and np.array(step) / math.hypot(*step) for step in self.steps]
        return np.array([own[i] if step is None else step for i, step in enumerate(steps)])

    @property
    def is_sane(self) -> bool:
        """Whether all lengths are such that every format's numbers can hold them in any unit."""
        metres = float(METRES[self.length or "m"])
        numbers = [n for vector in (*self.steps, self.origin) for n in vector or ()]
        steps = [step for step in self.spacing if step is not None]
        return all(abs(n) * metres <= LARGEST for n in numbers) and all(
            step * metres >= 1 / LARGEST for step in steps
        )

    @property
    def is_plain(self) -> bool:
        """Whether z, y and x are those of the world, and grow as they do."""
        return bool(np.abs(self.directions - np.eye(3)[::-1]).max() < TOLERANCE)

    @property
    def is_orthogonal(self) -> bool:
        """Whether the axes are at right angles."""
        products = self.directions @ self.directions.T
        return bool(np.abs(products - np.eye(3)).max() < TOLERANCE)

    @property
    def is_solid(self) -> bool:
        """Whether the axes span the world: no two are the same."""
        with np.errstate(all="ignore"):
            return bool(abs(np.linalg.det(self.directions)) > TOLERANCE)

    def moved(self, z: int, y: int = 0, x: int = 0) -> "Geometry":
        """That of the box from voxel [z, y, x] on; its origin is unknown if a step is."""
        moves = [(n, step) for n, step in zip((z, y, x), self.steps, strict=True) if n]
        origin = self.origin or (0.0, 0.0, 0.0)
        for number, step in moves:
            if step is None:
                return self
            a, b, c = (at + number * by for at, by in zip(origin, step, strict=True))
            origin = a, b, c
        return replace(self, origin=origin) if moves else self

    def in_unit(self, unit: str) -> "Geometry":
        """The same place in another unit; nothing changes where the unit is unknown."""
        if self.length is None:
            return self
        scale = METRES[self.length] / METRES[unit]
        z, y, x = (_scaled(step, scale) for step in self.steps)
        return Geometry((z, y, x), _scaled(self.origin, scale), self.world, unit)

    def in_world(self, world: str) -> "Geometry":
        """The same place in ``LPS`` or ``RAS``; an unknown world is taken for ``LPS``."""
        if world == (self.world or "LPS"):
            return replace(self, world=world)
        z, y, x = (_turned(step) for step in self.steps)
        return Geometry((z, y, x), _turned(self.origin), world, self.unit)

    def affine(self) -> NDArray[np.float64]:
        """4 x 4: from (x, y, z, 1) of a voxel to the world's; unknown steps are 1."""
        affine = np.eye(4)
        lengths = [1.0 if n is None else n for n in self.spacing]
        for axis, (direction, length, step) in enumerate(
            zip(self.directions, lengths, self.steps, strict=True)
        ):
            affine[:3, 2 - axis] = direction * length if step is None else step
        affine[:3, 3] = self.origin or (0.0, 0.0, 0.0)
        return affine

    def __str__(self) -> str:
        spacing = " x ".join("?" if n is None else f"{n:.6g}" for n in self.spacing)
        text = f"spacing {spacing} {self.length or '(unit unknown)'}"
        if self.origin is not None:
            text += f", origin ({', '.join(f'{n:.6g}' for n in self.origin)})"
        if self.world:
            text += f" {self.world}"
        return text if self.is_plain else f"{text}, {'turned' if self.is_solid else 'flat'} axes"


def unit_of(text: object) -> str | None:
    """The length that a format's word means; None for any other word."""
    word = str(text).strip().strip('"').strip()
    if word in METRES:
        return word
    word = word.lower()
    found = SPELLINGS.get(word) or SPELLINGS.get(word.removesuffix("s"))
    return found or (word if word in METRES else None)


def common_unit(
    spacing: Sequence[float | None], units: Sequence[str | None]
) -> tuple[list[float | None], str | None]:
    """Spacings in one unit, the last axis's; where any unit is unknown, that of all is."""
    unit = units[-1]
    if unit is None or None in units:
        return list(spacing), None
    scales = [METRES[u or unit] / METRES[unit] for u in units]
    pairs = zip(spacing, scales, strict=True)
    return [n if n is None else _times(n, scale) for n, scale in pairs], unit


def _times(number: float, scale: Fraction) -> float:
    """The nearest number to the exact product."""
    return float(Fraction(number) * scale) if math.isfinite(number) else number


def _scaled(vector: Vector | None, scale: Fraction) -> Vector | None:
    if vector is None:
        return None
    x, y, z = (_times(n, scale) for n in vector)
    return x, y, z


def _turned(vector: Vector | None) -> Vector | None:
    """From LPS to RAS, or back."""
    return vector and (0.0 - vector[0], 0.0 - vector[1], vector[2])


def _vector(value: Any) -> Vector | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 3:
        raise ValueError("positions are lists of three numbers")
    if not all(type(n) in (int, float) for n in value):
        raise ValueError("positions are numbers")
    try:
        x, y, z = map(float, value)
    except OverflowError:
        raise ValueError("positions must be finite") from None
    return x, y, z
