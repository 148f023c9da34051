"""Hashes of labels, which do not depend on how an array lies in memory. XXH3-64."""

import numpy as np
from xxhash import xxh3_64_intdigest

from compresso.arrays import Labels, little


class SliceHashes:
    """Hashes the slices of a volume, less ``shift``, one by one while they are in the cache."""

    def __init__(self, volume: Labels, shift: int = 0) -> None:
        self._volume, self._shift = volume, np.uint64(shift)
        self._hashes = np.zeros(volume.shape[0], "<u8")
        self._missing = np.ones(volume.shape[0], bool)
        little_endian = volume.dtype == volume.dtype.newbyteorder("<")
        # Slices that lie in memory as they are hashed: to find that out takes longer than to hash.
        self._plain = volume.flags.c_contiguous and little_endian and not shift

    def add(self, z0: int, z1: int) -> None:
        """Hash slices z0..z1-1."""
        for z in range(z0, z1):
            labels = self._volume[z]
            if self._plain:
                self._hashes[z] = xxh3_64_intdigest(labels)
            else:
                self._hashes[z] = hash_labels(labels - self._shift if self._shift else labels)
            self._missing[z] = False

    def digest(self) -> int:
        """The hash of the hashes of all slices; those that nobody told of are hashed now."""
        for z in np.flatnonzero(self._missing).tolist():
            self.add(z, z + 1)
        return xxh3_64_intdigest(self._hashes.data)


def hash_labels(labels: Labels) -> int:
    """The hash of labels, little-endian and in C order: a slice's, or in version 1 a group's."""
    return xxh3_64_intdigest(little(labels))
