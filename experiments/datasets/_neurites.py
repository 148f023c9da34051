"""The neurites of the phantom, which wander through a stack of slices."""

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compresso.arrays import Labels
from compresso.volumes.volume import Box, shape_of

#: One disc per neurite, the ends (x, y, x, y) of its axis and its radius; and their labels, with a
#: 0 at the end.
Discs = tuple[NDArray[np.float64], NDArray[Any]]
REACH = 26.0  # px; a voxel further than this from every disc stays unlabelled
AREA = 1050.0  # px of a slice per neurite
BODY = 400_000.0  # px of a slice per neuron body
WARPS = (  # grid step in px, amplitude in px, grid step in slices
    (60.0, 14.0, 9.0),
    (16.0, 4.0, 5.0),
    (5.0, 1.0, 2.0),
    (2.0, 0.9, 0.8),
)


@dataclass
class Neurite:
    """One tube, as it is in the current slice."""

    label: int
    position: NDArray[np.float64]  # px, x and y
    velocity: NDArray[np.float64]  # px a slice
    radius: float  # px
    stretch: NDArray[np.float64]  # px, the disc's longer axis beyond its radius
    slices_left: int
    age: int = 0

    def segment(self) -> tuple[float, float, float, float, float]:
        """Ends and radius of the disc in this slice; tubes taper where they appear and end."""
        taper = min(1.0, 0.4 + 0.3 * min(self.age, self.slices_left))
        start = self.position - self.stretch / 2
        return (*start, *(start + self.stretch + self.velocity), self.radius * taper)


class Neurites:
    """A phantom, size x, y, z, of which any box is painted when it is read; threads may share it.

    The neurites wander from the first slice to the last one that was read. Their positions in each
    slice are kept, which take less than a hundredth of the labels.
    """

    def __init__(self, size: tuple[int, int, int], seed: int, bits: int) -> None:
        self.dtype = np.dtype(f"u{bits // 8}")
        # RandomState, unlike newer generators, promises the same numbers in every release.
        random = np.random.RandomState(seed)
        self._warp_seed = random.randint(1 << 30)
        self._wandering = _wander(random, size, self.dtype)
        self._slices: list[Discs] = []
        self._lock = threading.Lock()

    def fetch(self, box: Box) -> Labels:
        """The labels of a box."""
        (z0, _), (y0, _), (x0, _) = box
        made = np.empty(shape_of(box), self.dtype)
        owner = np.empty(made.shape[1:], np.int32)
        for z, target in enumerate(made, z0):
            table, labels = self._discs(z)
            dx, dy = np.zeros((2, *owner.shape), np.float32)  # displacement of every pixel
            for octave, (cell, amplitude, depth) in enumerate(WARPS):
                for seed, field in enumerate((dx, dy), self._warp_seed + 2 * octave):
                    add_noise(field, cell, amplitude, z / depth, seed, (y0, x0))
            paint(table, dx, dy, owner, (y0, x0))
            target[:] = labels[owner]
        return made

    def _discs(self, z: int) -> Discs:
        with self._lock:
            while len(self._slices) <= z:
                self._slices.append(next(self._wandering))
        return self._slices[z]


def _wander(random: Any, size: tuple[int, int, int], dtype: np.dtype[Any]) -> Iterator[Discs]:
    """Yield the discs of every slice."""
    nx, ny, nz = size
    wanted = max(1, round(nx * ny / AREA))
    neurites: list[Neurite] = []
    born = 0
    for z in range(nz):
        while len(neurites) < wanted:
            born += 1
            label = _label(born, 8 * dtype.itemsize)
            neurites.append(_birth(random, label, nx, ny, started=z > 0))
        yield (
            np.array([n.segment() for n in neurites]),
            np.array([*(n.label for n in neurites), 0], dtype),
        )
        for neurite in list(neurites):
            if random.uniform() < 0.006 and neurite.radius > 6:
                neurites.append(_branch(random, neurite))
            _move(random, neurite)
        neurites = [n for n in neurites if n.slices_left > 0 and _inside(n, nx, ny)]


def _label(index: int, bits: int) -> int:
    """A sparse id, never 0: the splitmix64 hash of a running number, without its top bit."""
    mask = (1 << 64) - 1
    z = index * 0x9E3779B97F4A7C15 & mask
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
    return (z ^ z >> 31) >> (65 - bits) or 1


def _birth(random: Any, label: int, nx: int, ny: int, started: bool) -> Neurite:
    body = random.uniform() < AREA / BODY
    radius = random.uniform(60, 130) if body else float(np.exp(random.normal(1.55, 0.75)))
    speed = random.exponential(1.0) + (random.exponential(8) if random.uniform() < 0.1 else 0)
    return Neurite(
        label=label,
        position=random.uniform(0, 1, 2) * (nx, ny),
        velocity=(0.2 if body else speed) * _direction(random.uniform(0, 2)),
        radius=float(np.clip(radius, 1.5, 130)),
        stretch=random.exponential(2.2) * min(radius, 12) * _direction(random.normal(0.1, 0.25)),
        slices_left=8 + int(random.exponential(130)),
        age=0 if started else 99,
    )


def _direction(half_turns: float) -> NDArray[np.float64]:
    return np.array([math.cos(math.pi * half_turns), math.sin(math.pi * half_turns)])


def _branch(random: Any, parent: Neurite) -> Neurite:
    away = _direction(random.uniform(0, 2))
    return Neurite(
        label=parent.label,
        position=parent.position + away * parent.radius * 0.7,
        velocity=parent.velocity + away * random.uniform(1, 5),
        radius=min(12.0, parent.radius * random.uniform(0.35, 0.8)),
        stretch=parent.stretch * 0.5,
        slices_left=6 + int(random.exponential(60)),
    )


def _move(random: Any, neurite: Neurite) -> None:
    neurite.position = neurite.position + neurite.velocity
    speed = float(np.hypot(*neurite.velocity))
    neurite.velocity = neurite.velocity * 0.95 + random.normal(0, 0.15 + 0.06 * speed, 2)
    neurite.radius = float(np.clip(neurite.radius * math.exp(random.normal(0, 0.04)), 1.5, 130))
    neurite.slices_left -= 1
    neurite.age += 1


def _inside(neurite: Neurite, nx: int, ny: int) -> bool:
    x, y = neurite.position
    margin = neurite.radius
    return bool(-margin < x < nx + margin and -margin < y < ny + margin)


@njit(cache=True)
def _lattice(i, j, k, seed):
    """A pseudo-random number in -1..1 at a lattice point."""
    h = np.uint64(i) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(j) * np.uint64(0xC2B2AE3D27D4EB4F)
    h += np.uint64(k) * np.uint64(0x165667B19E3779F9) + np.uint64(seed) * np.uint64(
        0xD6E8FEB86659FD93
    )
    h = (h ^ (h >> np.uint64(32))) * np.uint64(0xBF58476D1CE4E5B9)
    h ^= h >> np.uint64(29)
    return np.float64(h >> np.uint64(11)) * 2.0**-52 - 1.0


@njit(cache=True)
def add_noise(field, cell, amplitude, z, seed, start):
    """Add smooth value noise of one octave to a (ny, nx) field that begins at y, x = start."""
    y0, x0 = start
    ny, nx = field.shape
    k = math.floor(z)
    fz = z - k
    fz = fz * fz * (3 - 2 * fz)
    i0, j0 = int(x0 / cell), int(y0 / cell)
    across, down = int((x0 + nx) / cell) + 2 - i0, int((y0 + ny) / cell) + 2 - j0
    grid = np.empty((down, across), np.float64)
    for j in range(down):
        for i in range(across):
            here, later = _lattice(i0 + i, j0 + j, k, seed), _lattice(i0 + i, j0 + j, k + 1, seed)
            grid[j, i] = amplitude * (here + (later - here) * fz)
    for y in range(ny):
        v = (y0 + y) / cell
        j = int(v)
        fy = v - j
        fy = fy * fy * (3 - 2 * fy)
        j -= j0
        for x in range(nx):
            u = (x0 + x) / cell
            i = int(u)
            fx = u - i
            fx = fx * fx * (3 - 2 * fx)
            i -= i0
            top = grid[j, i] + (grid[j, i + 1] - grid[j, i]) * fx
            bottom = grid[j + 1, i] + (grid[j + 1, i + 1] - grid[j + 1, i]) * fx
            field[y, x] += top + (bottom - top) * fy


@njit(cache=True)
def paint(table, dx, dy, owner, start):
    """Give every pixel of a part of a slice, from y, x = start on, to the neurite that is nearest.

    ``owner`` gets its row in ``table`` (:data:`Discs`), or -1 beyond the reach of all; ``dx`` and
    ``dy`` displace the pixels.
    """
    y0, x0 = start
    ny, nx = owner.shape
    best = np.full((ny, nx), np.float32(REACH))
    owner[:] = -1
    bend = 0.0
    for _, amplitude, _ in WARPS:
        bend += amplitude
    for n in range(table.shape[0]):
        ax, ay, bx, by, radius = table[n]
        margin = radius + REACH + bend
        ux, uy = bx - ax, by - ay
        square = max(ux * ux + uy * uy, 1e-9)
        top, bottom = int(min(ay, by) - margin) - y0, int(max(ay, by) + margin) + 1 - y0
        left, right = int(min(ax, bx) - margin) - x0, int(max(ax, bx) + margin) + 1 - x0
        for y in range(max(0, top), min(ny, bottom)):
            for x in range(max(0, left), min(nx, right)):
                px, py = x0 + x + dx[y, x] - ax, y0 + y + dy[y, x] - ay
                t = min(1.0, max(0.0, (px * ux + py * uy) / square))
                px -= t * ux
                py -= t * uy
                score = np.float32(math.sqrt(px * px + py * py) - radius)
                if score < best[y, x]:
                    best[y, x] = score
                    owner[y, x] = n
