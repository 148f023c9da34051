"""Slow and plain implementations of both published streams, from the paper and the format alone.

They share no code with the package: loops and dictionaries, one voxel at a time.
"""

import numpy as np


def compresso(labels, window=(8, 8, 1)):
    """The MICCAI 2017 stream of a uint64 volume, section by section; ``window`` is x, y, z."""
    nz, ny, nx = labels.shape
    labels = labels.tolist()
    boundary = np.zeros((nz, ny, nx), bool)
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                here = labels[z][y][x]
                right = x + 1 < nx and labels[z][y][x + 1] != here
                below = y + 1 < ny and labels[z][y + 1][x] != here
                boundary[z, y, x] = right or below
    ids = []
    for z in range(nz):
        seen = {}
        component = flood(boundary[z])
        for y in range(ny):
            for x in range(nx):
                if component[y][x] not in seen:
                    seen[component[y][x]] = labels[z][y][x]
        ids += [label + 1 for label in seen.values()]
    locations = []
    steps = ((0, 0, -1), (0, 0, 1), (0, -1, 0), (0, 1, 0), (-1, 0, 0), (1, 0, 0))
    for z, y, x in np.argwhere(boundary):
        if (x > 0 and not boundary[z, y, x - 1]) or (y > 0 and not boundary[z, y - 1, x]):
            continue
        for code, (dz, dy, dx) in enumerate(steps):
            there = (z + dz, y + dy, x + dx)
            inside = all(0 <= i < n for i, n in zip(there, (nz, ny, nx), strict=True))
            if inside and not boundary[there]:
                same = labels[there[0]][there[1]][there[2]] == labels[z][y][x]
                if same:
                    locations.append(code)
                    break
        else:
            locations.append(labels[z][y][x] + 6)
    xs, ys, zs = window
    words = []
    for z0 in range(0, nz, zs):
        for y0 in range(0, ny, ys):
            for x0 in range(0, nx, xs):
                word = 0
                for z, y, x in np.ndindex(zs, ys, xs):
                    at = (z0 + z, y0 + y, x0 + x)
                    if at[0] < nz and at[1] < ny and at[2] < nx and boundary[at]:
                        word |= 1 << (z * ys * xs + y * xs + x)
                words.append(word)
    values = sorted(set(words))
    entries, zeros = [], 0
    for word in words:
        index = values.index(word)
        if index == 0:
            zeros += 1
            continue
        if zeros:
            entries.append(2 * zeros + 1)
            zeros = 0
        entries.append(2 * index)
    header = [nz, ny, nx, len(ids), len(values), len(locations), zs, ys, xs]
    numbers = np.array(header + ids + values + locations, "<u8")
    return numbers.tobytes() + np.array(entries, "<u4").tobytes()


def flood(boundary):
    """Component numbers of one slice by flood fill, from 1 in raster order; boundary voxels 0."""
    ny, nx = boundary.shape
    component = [[0] * nx for _ in range(ny)]
    number = 0
    for y in range(ny):
        for x in range(nx):
            if boundary[y, x] or component[y][x]:
                continue
            number += 1
            stack = [(y, x)]
            while stack:
                v, u = stack.pop()
                if not (0 <= v < ny and 0 <= u < nx) or boundary[v, u] or component[v][u]:
                    continue
                component[v][u] = number
                stack += [(v - 1, u), (v + 1, u), (v, u - 1), (v, u + 1)]
    return component


def neuroglancer(labels):
    """The paper's Neuroglancer stream of a uint64 volume."""
    words = list(labels.shape)
    if labels.size:
        for z, y, x in np.ndindex(*[-(-n // 64) for n in labels.shape]):
            words += _chunk(labels[64 * z :, 64 * y :, 64 * x :][:64, :64, :64])
    return np.array(words, "<u8").tobytes()


def _chunk(chunk):
    padded = np.pad(chunk, [(0, -n % 8) for n in chunk.shape], mode="reflect")
    blocks = [
        padded[z : z + 8, y : y + 8, x : x + 8].ravel().tolist()
        for z in range(0, padded.shape[0], 8)
        for y in range(0, padded.shape[1], 8)
        for x in range(0, padded.shape[2], 8)
    ]
    headers, body = [], []
    start = 7 + len(blocks)
    for block in blocks:
        table = sorted(set(block))
        bits = next(b for b in (0, 1, 2, 4, 8, 16, 32) if 2**b >= len(table))
        values_at = start + len(body)
        per_word = 64 // max(bits, 1)
        for first in range(0, 512 if bits else 0, per_word):
            word = 0
            for label in block[first : first + per_word]:
                word = word << bits | table.index(label)
            body.append(word)
        headers.append((start + len(body)) << 40 | bits << 32 | values_at)
        body += table
    chunk_words = [*padded.shape, *chunk.shape, *headers, *body, 0]
    return [1 + len(chunk_words), *chunk_words]
