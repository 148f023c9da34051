"""A dataset: a label volume that can be measured, and where it comes from."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from compresso import volumes
from compresso.arrays import Labels
from compresso.errors import CompressoError
from compresso.text import extent, file_size
from compresso.volumes import Volume
from experiments import DatasetError
from experiments.datasets import archives, synthetic
from experiments.records import status_of
from experiments.text import EM, SYNTHETIC, printable

#: Copies of the labels that a measurement needs at least: they are compared with the decoded ones.
COPIES = 2


@dataclass(frozen=True)
class LoadedVolume:
    """A label volume in memory, in its file's own dtype, and its dataset."""

    dataset: "Dataset"
    labels: Labels
    part: str = ""  # of the dataset; empty for all of it
    chunk: str = ""  # the box in the dataset, x, y, z, if it is measured chunk by chunk

    @cached_property
    def fingerprint(self) -> str:
        """A hash of shape, dtype and labels, 16 hexadecimal digits."""
        labels = self.labels
        native = labels.dtype.newbyteorder("=")
        hashed = xxhash.xxh3_64(f"{labels.shape} {native.str}".encode())
        for plane in labels:
            hashed.update(np.ascontiguousarray(plane, native).data)
        return hashed.hexdigest()


@dataclass(frozen=True)
class Published:
    """A line of the paper's Table 1."""

    line: int  # its index in the table
    size: str  # x, y, z as printed there
    ratio: int  # of Compresso + LZMA
    compress: int  # MB/s of encoding and compressor together
    decompress: int
    #: Whether the segmentation that the paper compressed was never made public, so that the
    #: dataset has other labels.
    ground_truth: bool = False


@dataclass(frozen=True)
class Dataset:
    """A label volume; nothing is read before :meth:`load` or :meth:`open`."""

    name: str  # in tables and in the CSV
    #: The source: a file or store as in :func:`compresso.volumes.open`, a published
    #: archive, or a synthetic volume; empty for a dataset that is not downloaded.
    text: str = ""
    title: str = ""
    group: str = EM
    # The rest is for published datasets; catalogue.toml has them.
    url: str = ""  # of the file that ``fetch`` downloads, or ``precomputed://...`` for a store
    layouts: tuple[str, ...] = ()  # ``file[:inner]`` in the data folder; the first one is used
    licence: str = ""  # empty if the origin does not state it
    size: str = ""  # voxels, x, y, z
    download: int = 0  # bytes, if they are known
    checksum: str = ""  # of the download, ``sha256:...`` or ``md5:...``, if one is published
    inner: str = ""  # the volume in the downloaded file, if there are several
    published: Published | None = None  # None for a dataset that the paper did not measure

    @property
    def source(self) -> str:
        """Its identity in the CSV: the whole path or address."""
        if self.group == SYNTHETIC:
            return "synthetic"
        return printable(volumes.absolute(self.text))

    def found(self, directory: Path) -> "Dataset":
        """Return a published dataset with the first file of its layouts that exists."""
        texts = (str(directory / layout) for layout in self.layouts)
        found = (text for text in texts if archives.split_source(text)[0].exists())
        return replace(self, text=next(found, ""))

    @contextmanager
    def open(self) -> Iterator[Volume]:
        """Open it as a volume of which any box can be read; raises DatasetError and FileError."""
        if self.group == SYNTHETIC:
            yield synthetic.parse(self.text).volume()
        elif self.text or not self.url:
            with archives.open_volume(self.text) as volume:
                yield volume
        else:
            raise DatasetError(
                f"{self.name} is not downloaded (searched {', '.join(self.layouts)}). "
                f"Run: python run.py fetch {self.name}"
            )

    def load(self, slices: int | None = None) -> LoadedVolume:
        """Read the first ``slices`` slices, or all; raises DatasetError and FileError."""
        with self.open() as volume:
            depth = self._check_memory(volume, slices)
            part = f"first {depth} of {volume.shape[0]} slices" * (depth < volume.shape[0])
            return LoadedVolume(self, volume.read(0, depth), part)

    def notes(self, slices: int | None) -> list[str]:
        """Check that ``slices`` slices can be loaded, and return lines for the user to see first.

        Raises DatasetError or FileError if the dataset is missing or does not fit into memory, but
        not for a damaged file, which costs only its own rows.
        """
        path, _ = archives.split_source(self.text)
        if self.text and (self.group == SYNTHETIC or archives.readers_of(path)):
            return []
        store = volumes.names_store(self.text)
        try:
            with self.open() as volume:
                self._check_memory(volume, slices)
                size = [f"{self.name}: {_size(volume)}"] * store
                return size + volumes.reshaped(self.text, volume.own, volume.shape)
        except CompressoError:
            if store or not path.exists():
                raise
            return []

    def _check_memory(self, volume: Volume, slices: int | None) -> int:
        """Return how many slices are used, if they fit; raises DatasetError."""
        depth = volume.shape[0] if slices is None else min(slices, volume.shape[0])
        needed = COPIES * math.prod((depth, *volume.shape[1:])) * volume.dtype.itemsize
        room = volumes.available()
        if needed > room:
            raise DatasetError(
                f"{self.name}: {_size(volume)}; {COPIES} copies do not fit into the free memory of "
                f"{file_size(room)}. Use --slices, or :box=X0-X1xY0-Y1xZ0-Z1 for a store"
            )
        return depth

    def describe(self) -> dict[str, Any]:
        """Return what ``run.py datasets`` shows, as JSON."""
        about: dict[str, Any] = {"name": self.name, "title": self.title, "group": self.group}
        about |= {"in_paper": self.published is not None, "size": self.size}
        about |= {"path": None if self.group == SYNTHETIC else self.text or None}
        about |= {"origin": self.url, "licence": self.licence or "see origin"}
        about |= {"download_bytes": self.download or None}
        try:
            if self.text and not archives.readers_of(archives.split_source(self.text)[0]):
                with self.open() as volume:
                    about["size"] = f"{extent(volume.shape)} {volume.dtype.name}"
        except Exception as error:  # a damaged file must not hide the other datasets
            about["error"] = status_of(error).partition(": ")[2]
        return about


def _size(volume: Volume) -> str:
    size = file_size(volume.voxels * volume.dtype.itemsize)
    return f"{extent(volume.shape)} {volume.dtype.name}, {size}"


def of_text(text: str, group: str) -> Dataset:
    """Return the dataset of a file or store; raises DatasetError if there is no such file."""
    if volumes.names_store(text):
        name = printable(volumes.short(text))
        return Dataset(name, text, name, group)
    path, inner = archives.split_source(text)
    if not os.path.exists(path):
        raise DatasetError(f"{path}: no such file")
    name = printable(path.name + (f":{inner}" if inner else ""))
    return Dataset(name, text, path.stem, group)
