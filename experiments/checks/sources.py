"""Source files of every format, compressed and protected in all the ways that it knows."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compresso.arrays import Labels

Spans = list[tuple[int, int]]


@dataclass(frozen=True)
class Source:
    """One kind of file.

    Parameters
    ----------
    ending : str
        The end of the file name.
    write : callable
        Writes labels to a path.
    checked : callable, optional
        Returns the ranges of bytes that are under a checksum; by default none is.
    """

    ending: str
    write: Callable[[Path, Labels], object]
    checked: Callable[[Path], Spans] | None = None


def _npy(order: Any) -> Callable[[Path, Labels], object]:
    return lambda path, labels: np.save(path, np.asarray(labels, order=order))


def _nrrd(encoding: str) -> Callable[[Path, Labels], object]:
    def write(path: Path, labels: Labels) -> None:
        import nrrd

        nrrd.write(str(path), labels, {"encoding": encoding}, index_order="C")

    return write


def _after_header(path: Path) -> Spans:
    data = path.read_bytes()
    return [(data.index(b"\n\n") + 2, len(data))]


def _nifti(path: Path, labels: Labels) -> None:
    nibabel: Any = importlib.import_module("nibabel")
    nibabel.Nifti1Image(labels.T, np.eye(4), dtype=labels.dtype).to_filename(path)


def _after_gzip_header(path: Path) -> Spans:
    return [(10, path.stat().st_size)]


def _h5(version: str = "earliest", **packing: Any) -> Callable[[Path, Labels], object]:
    def write(path: Path, labels: Labels) -> None:
        import h5py

        chunks = (1, *labels.shape[1:]) if packing else None
        with h5py.File(path, "w", libver=version) as file:
            file.create_dataset("main", data=labels, chunks=chunks, **packing)

    return write


def _h5_chunks(path: Path) -> Spans:
    import h5py

    spans: Spans = []
    with h5py.File(path) as file:
        file["main"].id.chunk_iter(
            lambda chunk: spans.append((chunk.byte_offset, chunk.byte_offset + chunk.size))
        )
    return spans


def _tiff(**options: Any) -> Callable[[Path, Labels], object]:
    def write(path: Path, labels: Labels) -> None:
        import tifffile

        tifffile.imwrite(path, labels, photometric="minisblack", **options)

    return write


def _tiff_strips(path: Path) -> Spans:
    import tifffile

    with tifffile.TiffFile(path) as file:
        return [
            (at, at + size)
            for page in file.pages
            for at, size in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]


def _own(path: Path, labels: Labels) -> None:
    from compresso import volumes

    volumes.write(path, volumes.of_array(labels))


ZYX = {"axes": "ZYX"}
SOURCES = {
    "npy": Source(".npy", _npy("C")),
    "npy-fortran": Source(".npy", _npy("F")),
    "nrrd-raw": Source(".nrrd", _nrrd("raw")),
    "nrrd-text": Source(".nrrd", _nrrd("text")),
    "nrrd-gzip": Source(".nrrd", _nrrd("gzip"), _after_header),
    "nrrd-bz2": Source(".nrrd", _nrrd("bz2"), _after_header),
    "nii": Source(".nii", _nifti),
    "nii-gz": Source(".nii.gz", _nifti, _after_gzip_header),
    "h5": Source(".h5", _h5()),
    "h5-lzf": Source(".h5", _h5(compression="lzf")),
    "h5-gzip": Source(".h5", _h5(compression="gzip", shuffle=True), _h5_chunks),
    "h5-fletcher32": Source(".h5", _h5(fletcher32=True), _h5_chunks),
    "h5-latest-gzip": Source(".h5", _h5("latest", compression="gzip"), _h5_chunks),
    "tif": Source(".tif", _tiff(metadata=None)),
    "tif-imagej": Source(".tif", _tiff(imagej=True, metadata=ZYX)),
    "tif-ome": Source(".ome.tif", _tiff(ome=True, metadata=ZYX)),
    "tif-lzw": Source(".tif", _tiff(ome=True, metadata=ZYX, compression="lzw")),
    "tif-packbits": Source(".tif", _tiff(compression="packbits", rowsperstrip=5)),
    "tif-zlib": Source(".tif", _tiff(metadata=None, compression="zlib"), _tiff_strips),
    "tif-tiles-zlib": Source(".tif", _tiff(compression="zlib", tile=(16, 16)), _tiff_strips),
    "tif-imagej-zlib": Source(
        ".tif", _tiff(imagej=True, metadata=ZYX, compression="zlib"), _tiff_strips
    ),
    "tif-ome-zlib": Source(
        ".ome.tif", _tiff(ome=True, metadata=ZYX, compression="zlib"), _tiff_strips
    ),
    "tif-own": Source(".tif", _own, _tiff_strips),
}
