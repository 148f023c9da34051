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
    """A label volume in memory, in its file's own dtype, and its dataset.

    Parameters
    ----------
    dataset : Dataset
    labels : (nz, ny, nx) integer or bool
    part : str
        The part of the dataset; empty for all of it.
    chunk : str
        The box in the dataset, x, y, z, if it is measured chunk by chunk.
    """

    dataset: "Dataset"
    labels: Labels
    part: str = ""
    chunk: str = ""

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
    """A line of the paper's Table 1.

    Parameters
    ----------
    line : int
        Its index in the table.
    size : str
        x, y, z as printed there.
    ratio : int
        Ratio of Compresso + LZMA.
    compress, decompress : int
        MB/s of encoding and compressor together.
    ground_truth : bool
        Whether the segmentation that the paper compressed was never made public, so that the
        dataset has other labels.
    """

    line: int
    size: str
    ratio: int
    compress: int
    decompress: int
    ground_truth: bool = False


@dataclass(frozen=True)
class Origin:
    """Where a published dataset comes from, and where its file may be.

    Parameters
    ----------
    url : str
        Address of the file that ``fetch`` downloads, or ``precomputed://...`` for a store.
    layouts : sequence of str
        Files below the data folder, ``file`` or ``file:inner``; the first existing one is used.
    licence : str
        Empty if the origin does not state it.
    size : str
        Voxels, x, y, z.
    download : int
        Bytes of the download; 0 if they are not known.
    checksum : str
        Checksum of the download, ``sha256:...`` or ``md5:...``; empty if none is published.
    inner : str
        The volume in the downloaded file, if there are several.
    published : Published, optional
        The line in the paper; None for a dataset that the paper did not measure.
    """

    url: str
    layouts: tuple[str, ...]
    licence: str = ""
    size: str = ""
    download: int = 0
    checksum: str = ""
    inner: str = ""
    published: Published | None = None


@dataclass(frozen=True)
class Dataset:
    """A label volume; nothing is read before :meth:`load` or :meth:`open`.

    Parameters
    ----------
    name : str
        Its name in tables and in the CSV.
    text : str
        What it is read from: a file or store as in :func:`compresso.volumes.open`, a published
        archive, or a synthetic volume; empty for a dataset that is not downloaded.
    title, group : str
    origin : Origin, optional
        For a published dataset.
    """

    name: str
    text: str = ""
    title: str = ""
    group: str = EM
    origin: Origin | None = None

    @property
    def source(self) -> str:
        """What identifies it in the CSV: the whole path or address."""
        if self.group == SYNTHETIC:
            return "synthetic"
        return printable(volumes.absolute(self.text))

    @property
    def published(self) -> Published | None:
        """What the paper published about it, if it measured it."""
        return self.origin.published if self.origin else None

    def found(self, directory: Path) -> "Dataset":
        """Return a published dataset with the first file of its layouts that exists."""
        for layout in self.origin.layouts if self.origin else ():
            text = str(directory / layout)
            if split(text)[0].exists():
                return replace(self, text=text)
        return self

    @contextmanager
    def open(self) -> Iterator[Volume]:
        """Open it as a volume of which any box can be read; raises DatasetError and FileError."""
        if not self.text and self.origin:
            raise DatasetError(
                f"{self.name} is not downloaded (searched {', '.join(self.origin.layouts)}). "
                f"Run: python run.py fetch {self.name}"
            )
        if self.group == SYNTHETIC:
            yield synthetic.parse(self.text).volume()
            return
        with open_volume(self.text) as volume:
            yield volume

    def load(self, slices: int | None = None) -> LoadedVolume:
        """Read the first ``slices`` slices, or all; raises DatasetError and FileError."""
        with self.open() as volume:
            self._check_memory(volume, slices)
            depth, part = first(slices, volume.shape[0])
            labels = volume.read(0, depth)
        return LoadedVolume(self, labels, part)

    def check(self, slices: int | None) -> list[str]:
        """Check before anything is measured that ``slices`` slices can be loaded.

        Returns
        -------
        list of str
            Lines that the user should see first: the size of a store, and how axes are read.

        Raises
        ------
        DatasetError, FileError
            If it is missing or does not fit into memory. A damaged file costs only its own rows,
            so it is not an error here.
        """
        path, _ = split(self.text)
        if self.text and (self.group == SYNTHETIC or archives.is_archive(path)):
            return []
        store = volumes.names_store(self.text)
        try:
            with self.open() as volume:
                self._check_memory(volume, slices)
                notes = volumes.reshaped(self.text, volume.own, volume.shape)
                return [*([f"{self.name}: {_size(volume)}"] if store else []), *notes]
        except CompressoError:
            if store or not path.exists():
                raise
            return []

    def _check_memory(self, volume: Volume, slices: int | None) -> None:
        depth, _ = first(slices, volume.shape[0])
        needed = COPIES * math.prod((depth, *volume.shape[1:])) * volume.dtype.itemsize
        room = volumes.available()
        if needed > room:
            raise DatasetError(
                f"{self.name}: {_size(volume)}; {COPIES} copies do not fit into the free memory of "
                f"{file_size(room)}. Use --slices, or :box=X0-X1xY0-Y1xZ0-Z1 for a store"
            )

    def describe(self) -> dict[str, Any]:
        """Return what ``run.py datasets`` shows, as JSON."""
        origin = self.origin or Origin("", ())
        about: dict[str, Any] = {"name": self.name, "title": self.title, "group": self.group}
        about |= {"in_paper": origin.published is not None, "size": origin.size}
        about |= {"path": None if self.group == SYNTHETIC else self.text or None}
        about |= {"origin": origin.url, "licence": origin.licence or "see origin"}
        about |= {"download_bytes": origin.download or None}
        try:
            if self.text and not archives.is_archive(split(self.text)[0]):
                with self.open() as volume:
                    about["size"] = f"{extent(volume.shape)} {volume.dtype.name}"
        except Exception as error:  # a damaged file must not hide the other datasets
            about["error"] = status_of(error).partition(": ")[2]
        return about


def _size(volume: Volume) -> str:
    size = file_size(volume.voxels * volume.dtype.itemsize)
    return f"{extent(volume.shape)} {volume.dtype.name}, {size}"


def first(slices: int | None, depth: int) -> tuple[int, str]:
    """Return how many of ``depth`` slices are used, and which part they are; empty for all."""
    if slices is None or slices >= depth:
        return depth, ""
    return slices, f"first {slices} of {depth} slices"


def split(text: str) -> tuple[Path, str]:
    """Split ``my.h5:/volumes/labels`` into the file and the path inside it."""
    return volumes.split(text, archives.NAMES)


@contextmanager
def open_volume(text: str) -> Iterator[Volume]:
    """Open a file, a store or a published archive; raises FileError."""
    path, inner = split(text)
    if archives.is_archive(path):
        yield archives.read(path, inner)
        return
    with volumes.open(text) as volume:
        yield volume


def of_text(text: str, group: str) -> Dataset:
    """Return the dataset of a file or store; raises DatasetError if there is no such file."""
    if volumes.names_store(text):
        name = printable(volumes.short(text))
        return Dataset(name, text, name, group)
    path, inner = split(text)
    if not os.path.exists(path):
        raise DatasetError(f"{path}: no such file")
    name = printable(path.name + (f":{inner}" if inner else ""))
    return Dataset(name, text, path.stem, group)
