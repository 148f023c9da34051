"""Codecs that misbehave, for the measurements."""

import os
import signal
import time

import numpy as np

from compresso import Compressor, Encoding, MissingPackageError
from compresso.compressors.zstd import Zstd


class Stored(Encoding):
    name = "stored"

    def encode_volume(self, volume, threads, watch):
        return volume.tobytes()

    def shape_of(self, stream):
        return None

    def decode_volume(self, stream, out, threads, watch):
        out[...] = np.frombuffer(stream, out.dtype).reshape(out.shape)


class Forgetful(Stored):
    name = "forgetful"

    def decode_volume(self, stream, out, threads, watch):
        super().decode_volume(stream, out, threads, watch)
        out.flat[-1] ^= out.dtype.type(1)


class Buggy(Stored):
    """A user's own encoding, not finished."""

    name = "buggy"

    def encode_volume(self, volume, threads, watch):
        return [1, 2][volume.ndim]


class Slow(Stored):
    """Takes 30 s for a volume of more than 2 slices."""

    name = "slow"

    def encode_volume(self, volume, threads, watch):
        time.sleep(30 if len(volume) > 2 else 0)
        return super().encode_volume(volume, threads, watch)


class Compiling(Stored):
    """Takes two seconds before its first volume in a process."""

    name = "compiling"
    ready = []

    def encode_volume(self, volume, threads, watch):
        if not self.ready:
            time.sleep(2)
            self.ready.append(True)
        return super().encode_volume(volume, threads, watch)


class Crashing(Compressor):
    name = "crashing"

    def compress(self, data):
        os.kill(os.getpid(), signal.SIGKILL)

    def decompress_pieces(self, data, piece_bytes):
        yield data


class Absent(Crashing):
    """A compressor without its package."""

    name = "absent"

    def compress(self, data):
        raise MissingPackageError("absent needs the package x; run: pip install x")


class Changed(Zstd):
    """Restores other bytes than it compressed."""

    change = staticmethod(lambda data: data)

    @classmethod
    def by(cls, change):
        codec = cls()
        object.__setattr__(codec, "change", change)
        return codec

    def decompress_pieces(self, data, piece_bytes):
        whole = bytearray().join(super().decompress_pieces(data, piece_bytes))
        changed = bytes(self.change(whole))
        yield changed[:1000]
        yield changed[1000:]
