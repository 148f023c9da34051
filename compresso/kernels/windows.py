"""Windows: blocks of the boundary map as integers, their dictionary, and its run-length code."""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.words import ALL

SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: a multiplicative hash


@kernel
def pack(bits, nx, step, windows):  # type: ignore[no-untyped-def]
    """Cut a boundary map into windows.

    Parameters
    ----------
    bits : (nz, ny, words) uint64
    nx : int
        Row length in voxels.
    step : tuple of 3 int
        Window size (z, y, x), at most 64 voxels.
    windows : (ceil(nz / zstep), ceil(ny / ystep), ceil(nx / xstep)) uint64, overwritten
        Bit ``(zo * ystep + yo) * xstep + xo``; voxels outside the volume are 0.
    """
    zstep, ystep, xstep = step
    nz, ny, words = bits.shape
    mask = ALL >> np.uint64(64 - xstep)
    for bz in range(windows.shape[0]):
        for by in range(windows.shape[1]):
            row = windows[bz, by]
            row[:] = np.uint64(0)
            for z in range(bz * zstep, min((bz + 1) * zstep, nz)):
                for y in range(by * ystep, min((by + 1) * ystep, ny)):
                    line = bits[z, y]
                    place = np.uint64(((z - bz * zstep) * ystep + y - by * ystep) * xstep)
                    if xstep == 8:  # one byte of the row: no shifting, and LLVM vectorises it
                        octets = line.view(np.uint8)
                        for bx in range(row.size):
                            row[bx] |= np.uint64(octets[bx]) << place
                        continue
                    for bx in range(row.size):
                        w = (bx * xstep) >> 6
                        at = np.uint64((bx * xstep) & 63)
                        piece = line[w] >> at
                        if at + np.uint64(xstep) > np.uint64(64) and w + 1 < words:
                            piece |= line[w + 1] << (np.uint64(64) - at)
                        row[bx] |= (piece & mask) << place


@kernel
def unpack(windows, nx, step, bits):  # type: ignore[no-untyped-def]
    """Put windows back together, the inverse of :func:`pack`; ``bits`` is overwritten."""
    zstep, ystep, xstep = step
    nz, ny, words = bits.shape
    mask = ALL >> np.uint64(64 - xstep)
    last = ALL >> np.uint64(64 * words - nx)
    for z in range(nz):
        for y in range(ny):
            row = windows[z // zstep, y // ystep]
            line = bits[z, y]
            place = np.uint64((z % zstep * ystep + y % ystep) * xstep)
            if xstep == 8:
                line[words - 1] = np.uint64(0)
                octets = line.view(np.uint8)
                for bx in range(row.size):
                    octets[bx] = np.uint8((row[bx] >> place) & np.uint64(255))
            else:
                line[:] = np.uint64(0)
                for bx in range(row.size):
                    piece = (row[bx] >> place) & mask
                    w = (bx * xstep) >> 6
                    at = np.uint64((bx * xstep) & 63)
                    line[w] |= piece << at
                    if at + np.uint64(xstep) > np.uint64(64) and w + 1 < words:
                        line[w + 1] |= piece >> (np.uint64(64) - at)
            line[words - 1] &= last


@kernel
def enter(windows, values, count, slots, indices):  # type: ignore[no-untyped-def]
    """Look windows up in a growing dictionary, entering the new ones.

    Parameters
    ----------
    windows : (n,) uint64
    values : (capacity,) uint64
        The distinct windows so far, in order of first appearance.
    count : int
        How many of ``values`` are filled.
    slots : (2**k,) uint32
        Open-addressing hash table of ``index + 1`` into ``values``; 0 is an empty slot.
    indices : (n,) uint32, overwritten
        Index into ``values`` of each window.

    Returns
    -------
    values, count, slots
        The dictionary, in larger arrays where it outgrew the given ones.
    """
    bits = 0
    while 1 << bits < slots.size:
        bits += 1
    shift = np.uint64(64 - bits)
    last = slots.size - 1
    for n in range(windows.size):
        window = windows[n]
        at = np.int64(((window ^ (window >> np.uint64(29))) * SPREAD) >> shift)
        while True:
            found = slots[at]
            if found == 0:
                if count == values.size:
                    longer = np.empty(2 * values.size, np.uint64)
                    longer[:count] = values
                    values = longer
                values[count] = window
                count += 1
                slots[at] = count
                indices[n] = count - 1
                break
            if values[found - 1] == window:
                indices[n] = found - 1
                break
            at = (at + 1) & last
        if 2 * count > slots.size:
            slots = np.zeros(4 * slots.size, np.uint32)
            last = slots.size - 1
            shift -= np.uint64(2)
            for v in range(count):
                at = np.int64(((values[v] ^ (values[v] >> np.uint64(29))) * SPREAD) >> shift)
                while slots[at] != 0:
                    at = (at + 1) & last
                slots[at] = v + 1
    return values, count, slots


@kernel
def remap(indices, rank):  # type: ignore[no-untyped-def]
    """Replace each index by ``rank[index]``, in place."""
    for n in range(indices.size):
        indices[n] = rank[indices[n]]


@kernel
def squeeze(indices, limit):  # type: ignore[no-untyped-def]
    """Run-length code the window indices, in place.

    Index i > 0 becomes ``2 * i``, a run of n zeros ``2 * n + 1``; the trailing run is left out.

    Returns
    -------
    int
        Number of entries written to the front of ``indices``, or -1 where an index or a run is
        ``limit`` (2**31 for 32-bit entries) or more.
    """
    written = 0
    zeros = 0
    for n in range(indices.size):
        index = indices[n]
        if index == 0:
            zeros += 1
            continue
        if index >= limit or zeros >= limit:
            return -1
        if zeros > 0:
            indices[written] = 2 * zeros + 1
            written += 1
            zeros = 0
        indices[written] = 2 * index
        written += 1
    return written


@kernel
def expand(entries, n_values, indices):  # type: ignore[no-untyped-def]
    """Undo :func:`squeeze`; the windows after the last entry have index 0.

    Parameters
    ----------
    entries : (n,) uint32
    n_values : int
        Indices must stay below it.
    indices : (n_windows,) uint32, overwritten

    Returns
    -------
    int
        -1, or the number of the first entry that contradicts the stream: an index out of range,
        a run past the last window, or an entry that no encoder writes (0 and 1).
    """
    at = np.int64(0)
    for n in range(entries.size):
        entry = np.int64(entries[n])
        half = entry >> 1
        if half == 0:
            return n
        if entry & 1:
            if half > indices.size - at:
                return n
            indices[at : at + half] = 0
            at += half
        else:
            if half >= n_values or at == indices.size:
                return n
            indices[at] = half
            at += 1
    indices[at:] = 0
    return -1


@kernel
def spell(indices, values, windows):  # type: ignore[no-untyped-def]
    """Write ``values[indices]`` to ``windows``; every index is below ``values.size``."""
    for n in range(indices.size):
        windows[n] = values[indices[n]]
