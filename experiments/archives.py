"""The archives that the paper's sources publish, read in place: nothing is unpacked to the disk."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.errors import FileError, MissingPackageError
from compresso.formats import Reader
from compresso.formats import open_volume as open_file

Labels = NDArray[Any]
BSDS_SHAPE = (481, 321)
VOC_SHAPE = (500, 500)


def _bsds(path: Path) -> Labels:
    """Every human segmentation of BSDS500, sorted by path; landscape images are transposed."""
    from scipy.io import loadmat

    slices = []
    # Members before the damage may read well, so the file is read to the checksum at its end.
    with gzip.open(path) as file, tarfile.open(fileobj=file) as archive:
        members = [m for m in archive if m.isfile() and m.name.endswith(".mat")]
        wanted = [m for m in members if "/groundTruth/" in m.name]
        for member in sorted(wanted, key=lambda m: m.name):
            content = archive.extractfile(member)
            assert content is not None  # it is a file
            for cell in loadmat(io.BytesIO(content.read()))["groundTruth"].flat:
                labels = cell["Segmentation"][0, 0]
                slices.append(labels if labels.shape == BSDS_SHAPE else labels.T)
        while file.read(1 << 20):
            pass
    return np.stack(slices)


def _voc(path: Path) -> Labels:
    """The class segmentations of VOC 2012's trainval list, zero-padded, palette index as label."""
    from PIL import Image

    root = "VOCdevkit/VOC2012"
    with tarfile.open(path) as archive:
        members = {str(PurePosixPath(m.name)): m for m in archive if m.isfile()}

        def read(name: str) -> bytes:
            content = archive.extractfile(members[f"{root}/{name}"])
            assert content is not None  # it is a file
            return content.read()

        ids = read("ImageSets/Segmentation/trainval.txt").decode().split()
        labels = np.zeros((len(ids), *VOC_SHAPE), np.uint8)
        for target, name in zip(labels, ids, strict=True):
            with Image.open(io.BytesIO(read(f"SegmentationClass/{name}.png"))) as image:
                picture = np.asarray(image)
            target[: picture.shape[0], : picture.shape[1]] = picture
    return labels


def _tiff_in_zip(ending: str) -> Callable[[Path], Labels]:
    """A reader of the TIFF pages in a zip whose names hold ``ending``: one stack, or many pages."""

    def read(path: Path) -> Labels:
        import tifffile

        with zipfile.ZipFile(path) as archive:
            names = sorted(
                n
                for n in archive.namelist()
                if ending.lower() in n.lower() and n.lower().endswith((".tif", ".tiff"))
            )
            pages = [tifffile.imread(io.BytesIO(archive.read(name))) for name in names]
        return pages[0] if len(pages) == 1 and pages[0].ndim == 3 else np.stack(pages)

    return read


def _nrrd_in_zip(name: str) -> Callable[[Path], Labels]:
    """A reader of one NRRD file in a zip."""

    def read(path: Path) -> Labels:
        import tempfile

        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            member = next(n for n in archive.namelist() if n.endswith(name))
            file = Path(folder) / "labels.nrrd"
            file.write_bytes(archive.read(member))
            with open_file(file) as reader:
                return reader.read(0, reader.shape[0])

    return read


#: How to read each archive, by its published name, and by what follows the colon.
READERS: dict[str, dict[str, Callable[[Path], Labels]]] = {
    "BSR_bsds500.tgz": {"": _bsds},
    "BSR_bsds500_groundtruth.tgz": {"": _bsds},
    "VOCtrainval_11-May-2012.tar": {"": _voc},
    "snemi.zip": {"": _tiff_in_zip("train-labels")},
    "AC3AC4Package.zip": {"AC3": _tiff_in_zip("ac3_labels"), "AC4": _tiff_in_zip("ac4_labels")},
    "brain-2017-01.zip": {"": _nrrd_in_zip("hncma-atlas.nrrd")},
    "knee-2016-09.zip": {"": _nrrd_in_zip("Data/seg.nrrd")},
    "abdomen-2016-09.zip": {"": _nrrd_in_zip("Data/seg.nrrd")},
}
SUFFIXES = tuple(READERS)


@contextmanager
def open_volume(path: Path, inner: str) -> Iterator[Reader]:
    """Read an archive whole; it is kept for as long as the same one is asked for."""
    state = path.stat()
    labels = _read(path, inner, (state.st_mtime_ns, state.st_size))
    yield Reader(labels.shape, labels.dtype, lambda start, stop: labels[start:stop])


@lru_cache(maxsize=1)
def _read(path: Path, inner: str, _: tuple[int, int]) -> Labels:
    readers = next(r for n, r in READERS.items() if path.name.lower().endswith(n.lower()))
    if inner not in readers:
        raise FileError(f"{path}: holds {', '.join(readers)}; name one behind a colon")
    try:
        labels = readers[inner](path)
    except (MissingPackageError, MemoryError):
        raise
    except Exception as error:  # six libraries raise what they like on what is not their format
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError(f"{path}: not the archive it is named as, or damaged ({reason})") from None
    if labels.ndim != 3 or labels.dtype.kind not in "uib":
        raise FileError(
            f"{path}: holds {labels.dtype} of shape {labels.shape}, no volume of labels"
        )
    return labels
