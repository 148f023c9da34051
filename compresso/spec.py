"""Spec strings: ``name:key=value,key=value``, the spelling of a dataclass and its parameters."""

import dataclasses
from typing import Any, Self, TypeVar

from compresso.errors import SpecError

T = TypeVar("T")


class Extent(tuple[int, int, int]):
    """A number of voxels along x, y and z, each at least 1, spelled ``8x8x1``."""

    def __new__(cls, text: str) -> Self:
        try:
            size = [int(part) for part in text.lower().split("x")]
        except ValueError:
            size = []
        if len(size) != 3 or min(size) < 1:
            raise ValueError("expected XxYxZ voxels, each at least 1")
        return super().__new__(cls, size)

    def __str__(self) -> str:
        return "x".join(map(str, self))


def spell(name: str, item: Any) -> str:
    """Canonical spec of a dataclass: its name, and the fields that differ from their defaults."""
    given = [
        f"{f.name}={getattr(item, f.name)}"
        for f in dataclasses.fields(item)
        if getattr(item, f.name) != f.default
    ]
    return name + (":" + ",".join(given) if given else "")


def split(spec: str) -> tuple[str, str]:
    """Name, in lower case, and parameters of a spec string."""
    name, _, parameters = spec.strip().partition(":")
    return name.lower(), parameters


def build(cls: type[T], spec: str) -> T:
    """Make a dataclass from a spec's parameters; raises SpecError, which lists the valid ones."""
    name, parameters = split(spec)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values = {}
    for item in filter(None, parameters.split(",")):
        key, _, text = (part.strip() for part in item.partition("="))
        if key.lower() not in fields:
            known = ", ".join(f"{f.name}={f.default}" for f in fields.values())
            raise SpecError(f"{name} has no parameter {key!r}; it has: {known or 'none'}")
        field = fields[key.lower()]
        try:
            values[field.name] = field.type(text)  # type: ignore[operator]
        except ValueError as error:
            raise SpecError(f"{name}: bad {item}: {error}") from None
    return cls(**values)


def split_list(text: str) -> list[str]:
    """Split a comma-separated list of specs, whose parameters have commas too."""
    specs: list[str] = []
    for part in text.split(","):
        # "key=value" without a name before it goes on with the spec before.
        if specs and "=" in part and ":" not in part.partition("=")[0]:
            specs[-1] += "," + part
        elif part.strip():
            specs.append(part.strip())
    return specs
