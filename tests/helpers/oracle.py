"""Slow and plain implementations of both published streams, from the paper and the format alone.

They share no code with the package.
"""

import itertools

import numpy as np
from scipy import ndimage


def compresso(labels, window=(8, 8, 1)):
    """The MICCAI 2017 stream of a uint64 volume, section by section; ``window`` is x, y, z."""
    nz, ny, nx = labels.shape
    boundary = np.zeros(labels.shape, bool)
    boundary[:, :, :-1] |= labels[:, :, 1:] != labels[:, :, :-1]
    boundary[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    ids = []
    for z in range(nz):
        components, _ = ndimage.label(~boundary[z])
        _, first = np.unique(components, return_index=True)
        ids += [label + 1 for label in labels[z].ravel()[np.sort(first)].tolist()]
    locations = []
    steps = ((0, 0, -1), (0, 0, 1), (0, -1, 0), (0, 1, 0), (-1, 0, 0), (1, 0, 0))
    for z, y, x in np.argwhere(boundary):
        if (x > 0 and not boundary[z, y, x - 1]) or (y > 0 and not boundary[z, y - 1, x]):
            continue
        for code, (dz, dy, dx) in enumerate(steps):
            there = (z + dz, y + dy, x + dx)
            inside = all(0 <= i < n for i, n in zip(there, labels.shape, strict=True))
            if inside and not boundary[there] and labels[there] == labels[z, y, x]:
                locations.append(code)
                break
        else:
            locations.append(labels[z, y, x].item() + 6)
    xs, ys, zs = window
    padded = np.pad(boundary, [(0, -nz % zs), (0, -ny % ys), (0, -nx % xs)])
    words = []
    for z, y, x in itertools.product(range(0, nz, zs), range(0, ny, ys), range(0, nx, xs)):
        block = padded[z : z + zs, y : y + ys, x : x + xs]
        words.append(sum(1 << i for i, bit in enumerate(block.ravel().tolist()) if bit))
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
        for z, y, x in itertools.product(*[range(0, n, 8) for n in padded.shape])
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
