"""Any array of TensorStore's, seen as [z, y, x]."""

from collections.abc import Sequence
from typing import Any, TypeVar

from compresso.arrays import space_axes
from compresso.errors import EncodeError, FileError
from compresso.volumes._geometry import Geometry, common_unit, unit_of
from compresso.volumes._kind import NAMES, SPACE, Found
from compresso.volumes._location import Selection

T = TypeVar("T")


def arrange(
    text: str, array: Any, found: Found, selection: Selection
) -> tuple[Any, Geometry | None]:
    """The part of an array that is selected, and where it lies.

    Parameters
    ----------
    text : str
        The store as the user wrote it, for messages.
    array : TensorStore
    found : Found
    selection : Selection

    Returns
    -------
    TensorStore
        [z, y, x], with coordinates from 0.
    Geometry or None
        Index i of the store lies at i times the spacing; None where the spacing is unknown.

    Raises
    ------
    FileError
        For axes that are not those of a volume, several channels, and a box that lies outside.
    """
    names = axis_names(text, array, found, selection)
    axes = [names.index(name) for name in SPACE if name in names]
    missing = len(SPACE) - len(axes)
    spacing = found.spacing or [_spacing(unit) for unit in array.dimension_units]
    steps = _of_space(spacing, axes, array.rank, (None, None)) or [(None, None)] * 3
    shift = _of_space(found.shift, axes, array.rank, 0.0)
    for axis in reversed(range(array.rank)):
        if names[axis] not in SPACE:
            array = array[
                (slice(None),) * axis + (_pick(text, array, axis, names[axis], selection),)
            ]
    order = sorted(axes)
    array = array.transpose([order.index(axis) for axis in axes])[(None,) * missing]
    if selection.box:
        array = _cut(text, array, selection)
    low = array.domain.inclusive_min
    array = array.translate_to[(0,) * 3]
    if found.geometry and axes == [0, 1, 2]:
        return array, found.geometry.moved(*low)
    at = [
        None if step is None and (n or not shift) else s + n * (step or 0.0)
        for s, n, (step, _) in zip(shift or (0.0,) * 3, low, steps, strict=True)
    ]
    return array, _geometry(steps, at)


def _of_space(values: Sequence[T], axes: Sequence[int], rank: int, unknown: T) -> list[T]:
    """The values for z, y and x, of those for all axes or for these; none for another number."""
    missing = [unknown] * (len(SPACE) - len(axes))
    if len(values) == rank:
        return missing + [values[axis] for axis in axes]
    if len(values) == len(SPACE):
        order = sorted(axes)
        own = values[len(missing) :]
        return [*values[: len(missing)], *(own[order.index(axis)] for axis in axes)]
    return []


def axis_names(text: str, array: Any, found: Found, selection: Selection) -> list[str]:
    """Return a name for each axis; raises FileError.

    Among them are ``z``, ``y`` and ``x``, or only the last of these for an array of fewer axes.
    """
    known = [label.lower() for label in found.names or array.domain.labels]
    given = selection.axes
    if given:
        if len(given) != array.rank:
            raise FileError(f"{text}: has {array.rank} axes, and axes={given} names {len(given)}")
        known = list(given)
    elif not set(SPACE) & set(known):
        known = _usual_names(text, array.shape, found.usual, selection)
    named = [name for name in known if name in SPACE]
    if not named or sorted(named) != sorted(SPACE[-len(named) :]):
        listed = ", ".join(map(repr, known))
        advice = f"; say axes={'tczyx'[-array.rank :]}" if array.rank <= 5 else ""
        raise FileError(f"{text}: has axes {listed}, and not each of x, y and z once{advice}")
    return [NAMES.get(name, name) for name in known]


def _usual_names(text: str, shape: Sequence[int], usual: str, selection: Selection) -> list[str]:
    """Return names for axes that nothing names; axes that are dropped get an empty name."""
    picks = selection.channel >= 0 or selection.time >= 0
    try:
        axes: Sequence[int] = range(len(shape)) if picks else space_axes(shape)
    except EncodeError as error:
        if len(shape) > len(usual):
            raise FileError(f"{text}: {error}") from None
        axes = range(len(shape))
    last = usual.endswith("x")
    names = usual[-len(axes) :] if last else usual[usual.index("x") :][: len(axes)]
    named = dict(zip(axes, names, strict=True))
    return [named.get(axis, "") for axis in range(len(shape))]


def _pick(text: str, array: Any, axis: int, name: str, selection: Selection) -> int:
    """Which index of an axis that is none of space."""
    low = array.domain.inclusive_min[axis]
    high = array.domain.exclusive_max[axis]
    key = "time" if name == "time" else "channel"
    picked = getattr(selection, key)
    if picked < 0 and high - low == 1:
        return int(low)
    if not low <= picked < high:
        raise FileError(
            f"{text}: its axis {name or 'without a name'} has {high - low}, {low} to {high - 1}; "
            f"pick one with :{key}={low}"
        )
    return int(picked)


def _cut(text: str, array: Any, selection: Selection) -> Any:
    low, high = array.domain.inclusive_min, array.domain.exclusive_max
    box = selection.box[::-1]
    if any(a < n or b > m for (a, b), n, m in zip(box, low, high, strict=True)):
        whole = "x".join(f"{a}-{b}" for a, b in reversed(list(zip(low, high, strict=True))))
        raise FileError(f"{text}: box={selection.box} is not inside of it; it is {whole} (x, y, z)")
    return array[tuple(slice(a, b) for a, b in box)]


def _spacing(unit: Any) -> tuple[float | None, str | None]:
    return (None, None) if unit is None else (unit.multiplier, unit.base_unit)


def _geometry(
    steps: Sequence[tuple[float | None, str | None]], at: Sequence[float | None]
) -> Geometry | None:
    """``steps`` and ``at`` are of z, y and x, each in its own unit."""
    last = steps[-1][1]  # an unknown step has any unit
    units = [unit and unit_of(unit) for unit in (last if n is None else u for n, u in steps)]
    spacing, unit = common_unit([step for step, _ in steps], units)
    (z, y, x), _ = common_unit(at, units)
    try:
        origin = None if x is None or y is None or z is None else (x, y, z)
        return Geometry.along_axes(spacing, origin, unit)
    except (ValueError, OverflowError):
        return None
