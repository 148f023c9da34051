"""Boundary maps as words of bits."""

import numpy as np


def bits_of(mask):
    """A (nz, ny, nx) bool array as words of 64 bits, row by row."""
    nz, ny, nx = mask.shape
    padded = np.zeros((nz, ny, -(-nx // 64) * 64), bool)
    padded[:, :, :nx] = mask
    return np.packbits(padded, axis=2, bitorder="little").view(np.uint64)


def random_mask(seed, shape, share=0.3):
    return np.random.default_rng(seed).random(shape) < share
