"""Download a volume from a store, some slices at a time; what is there of it is not read again."""

import hashlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xxhash
from numpy.typing import NDArray
from tqdm import tqdm

import compresso
from compresso import volumes
from compresso.atomic import replacing
from compresso.errors import DecodeError

#: Slices of a part.
DEPTH = 16


def download(url: str, target: Path) -> None:
    """Download a volume as dataset ``main`` of an HDF5 file, a chunk a slice, with its origin.

    Stopped at any moment, it goes on from there when called again: each part is a frame in a folder
    beside ``target``, checked by its hashes, until all are there. A progress bar counts slices.

    Raises
    ------
    FileError
        As :func:`compresso.volumes.open_store` does, or if nothing can be written.
    """
    with volumes.open_store(url) as reader:
        parts = _Parts.of(url, target, reader)
        parts.folder.mkdir(exist_ok=True)
        with tqdm(total=parts.depth, unit="slice", disable=not sys.stderr.isatty()) as bar:
            for start, stop in parts.ranges:
                if parts.load(start) is None:
                    parts.save(start, reader.read(start, stop))
                bar.update(stop - start)
        with replacing(target, force=True) as unfinished:
            digest = hashlib.sha256()
            write = volumes.writer(target)
            write(unfinished, reader.shape, reader.dtype, parts.labels(digest), reader.metadata)
            with h5py.File(unfinished, "r+") as file:
                file["main"].attrs.update({"url": url, "labels_sha256": digest.hexdigest()})
    shutil.rmtree(parts.folder, ignore_errors=True)


@dataclass(frozen=True)
class _Parts:
    """The parts of one volume; another address, shape or dtype has another folder."""

    folder: Path
    depth: int

    @classmethod
    def of(cls, url: str, target: Path, reader: volumes.Volume) -> "_Parts":
        key = xxhash.xxh3_64_hexdigest(f"{url} {reader.shape} {reader.dtype.str}".encode())
        return cls(target.with_name(f".fetching-{target.stem}-{key}"), reader.shape[0])

    @property
    def ranges(self) -> list[tuple[int, int]]:
        return [(z, min(z + DEPTH, self.depth)) for z in range(0, self.depth, DEPTH)]

    def save(self, start: int, labels: NDArray[Any]) -> None:
        with replacing(self._path(start), force=True) as unfinished:
            unfinished.write_bytes(compresso.dumps(labels, "none", "zstd"))

    def load(self, start: int) -> NDArray[Any] | None:
        """None for a part that is missing or damaged."""
        try:
            return compresso.loads(self._path(start).read_bytes())
        except (FileNotFoundError, DecodeError):
            return None

    def labels(self, digest: Any) -> Iterator[NDArray[Any]]:
        """All slices, which the digest is told too."""
        for start, _ in self.ranges:
            labels = self.load(start)
            if labels is None:
                raise OSError(f"slices from {start} on were there, and are damaged now")
            digest.update(np.ascontiguousarray(labels).data)
            yield labels

    def _path(self, start: int) -> Path:
        return self.folder / f"{start}.cps"
