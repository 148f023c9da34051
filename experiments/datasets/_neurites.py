"""Neurites wandering through a stack of slices, which the phantom is made of."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

REACH = 26.0  # px; a voxel further than this from every disc stays unlabelled
AREA = 1050.0  # px of a slice for each neurite
BODY = 400_000.0  # px of a slice for each cell body
WARPS = (  # cell size in px, amplitude in px, depth of a cell in slices
    (60.0, 14.0, 9.0),
    (16.0, 4.0, 5.0),
    (5.0, 1.0, 2.0),
    (2.0, 0.9, 0.8),
)


@dataclasses.dataclass
class Neurite:
    """One tube, as it is in the slice at hand."""

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


def make_slices(size: tuple[int, int, int], seed: int, bits: int) -> Iterator[NDArray[Any]]:
    """Yield the slices of a phantom one after the other, (y, x), uint32 or uint64.

    Parameters
    ----------
    size : (int, int, int)
        x, y, z in voxels.
    seed, bits : int
    """
    nx, ny, nz = size
    # RandomState, unlike newer generators, promises the same numbers in every release.
    random = np.random.RandomState(seed)
    warp_seed = random.randint(1 << 30)
    wanted = max(1, round(nx * ny / AREA))
    neurites: list[Neurite] = []
    born = 0
    for z in range(nz):
        while len(neurites) < wanted:
            born += 1
            neurites.append(_birth(random, _label(born, bits), nx, ny, started=z > 0))
        table = np.array([n.segment() for n in neurites])
        labels = np.array([n.label for n in neurites], f"u{bits // 8}")
        owner = np.empty((ny, nx), np.int32)
        paint(table, *_warp(nx, ny, z, warp_seed), owner)
        yield np.append(labels, labels.dtype.type(0))[owner]
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


def _warp(nx: int, ny: int, z: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Displacement of every pixel in x and in y."""
    dx, dy = np.zeros((ny, nx), np.float32), np.zeros((ny, nx), np.float32)
    for octave, (cell, amplitude, depth) in enumerate(WARPS):
        for axis, field in enumerate((dx, dy)):
            add_noise(field, cell, amplitude, z / depth, seed + 2 * octave + axis)
    return dx, dy


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
def add_noise(field, cell, amplitude, z, seed):
    """Add smooth value noise of one octave to a (ny, nx) field."""
    ny, nx = field.shape
    k = math.floor(z)
    fz = z - k
    fz = fz * fz * (3 - 2 * fz)
    across, down = int(nx / cell) + 2, int(ny / cell) + 2
    grid = np.empty((down, across), np.float64)
    for j in range(down):
        for i in range(across):
            here, later = _lattice(i, j, k, seed), _lattice(i, j, k + 1, seed)
            grid[j, i] = amplitude * (here + (later - here) * fz)
    for y in range(ny):
        v = y / cell
        j = int(v)
        fy = v - j
        fy = fy * fy * (3 - 2 * fy)
        for x in range(nx):
            u = x / cell
            i = int(u)
            fx = u - i
            fx = fx * fx * (3 - 2 * fx)
            top = grid[j, i] + (grid[j, i + 1] - grid[j, i]) * fx
            bottom = grid[j + 1, i] + (grid[j + 1, i + 1] - grid[j + 1, i]) * fx
            field[y, x] += top + (bottom - top) * fy


@njit(cache=True)
def paint(table, dx, dy, owner):
    """Give every pixel of a slice to the neurite whose disc is nearest.

    Parameters
    ----------
    table : (n, 5) float64
        Ends (x, y, x, y) of each disc's axis, and its radius.
    dx, dy : (ny, nx) float32
        Displacement of each pixel.
    owner : (ny, nx) int32, overwritten
        Row of ``table``, or -1 beyond the reach of all.
    """
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
        for y in range(max(0, int(min(ay, by) - margin)), min(ny, int(max(ay, by) + margin) + 1)):
            for x in range(
                max(0, int(min(ax, bx) - margin)), min(nx, int(max(ax, bx) + margin) + 1)
            ):
                px, py = x + dx[y, x] - ax, y + dy[y, x] - ay
                t = min(1.0, max(0.0, (px * ux + py * uy) / square))
                px -= t * ux
                py -= t * uy
                score = np.float32(math.sqrt(px * px + py * py) - radius)
                if score < best[y, x]:
                    best[y, x] = score
                    owner[y, x] = n
