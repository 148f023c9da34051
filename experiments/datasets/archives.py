"""The archives that datasets are published as, read without unpacking them to the disk."""

import gzip
import io
import lzma
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from compresso import volumes
from compresso.codec import require
from compresso.errors import FileError, MissingPackageError
from compresso.volumes import Volume, of_array

BSDS_SHAPE, VOC_SHAPE = (481, 321), (500, 500)


def tiff_in_zip(name: str, path: Path) -> Volume:
    """Read the TIFF pages in a zip whose names contain ``name``."""
    import tifffile

    found = re.compile(rf"(?i){name}.*\.tiff?$").search
    with zipfile.ZipFile(path) as archive:
        names = sorted(filter(found, archive.namelist()))
        pages = [tifffile.imread(io.BytesIO(archive.read(member))) for member in names]
    return of_array(pages[0] if len(pages) == 1 and pages[0].ndim == 3 else np.stack(pages))


def nrrd_in_zip(name: str, path: Path) -> Volume:
    """Read the NRRD file in a zip whose path ends in ``name``."""
    with zipfile.ZipFile(path) as archive:
        member = next(n for n in archive.namelist() if n.endswith(name))
        return _read_file("labels.nrrd", archive.read(member))


def _read_file(name: str, content: bytes) -> Volume:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, name)
        file.write_bytes(content)
        with volumes.open(str(file)) as volume:
            return of_array(volume.read(0, volume.shape[0]), volume.metadata)


def bsds(path: Path) -> Volume:
    """Read every human segmentation of BSDS500, sorted by path, landscape images transposed."""
    from scipy.io import loadmat

    slices = []
    # Members before the damage may read well, so the file is read to the checksum at its end.
    with gzip.open(path) as file, tarfile.open(fileobj=file) as archive:
        members = [m for m in archive if m.isfile() and re.search("/groundTruth/.*[.]mat$", m.name)]
        for member in sorted(members, key=lambda m: m.name):
            content = archive.extractfile(member).read()  # type: ignore[union-attr]
            for cell in loadmat(io.BytesIO(content))["groundTruth"].flat:
                labels = cell["Segmentation"][0, 0]
                slices.append(labels if labels.shape == BSDS_SHAPE else labels.T)
        while file.read(1 << 20):
            pass
    return of_array(np.stack(slices))


def voc(path: Path) -> Volume:
    """Read the class segmentations of VOC 2012's trainval list, zero-padded."""
    image = require("PIL.Image", "pillow", "voc2012")
    with tarfile.open(path) as archive:
        members = {str(PurePosixPath(m.name)): m for m in archive if m.isfile()}

        def read(name: str) -> bytes:
            member = members[f"VOCdevkit/VOC2012/{name}"]
            return archive.extractfile(member).read()  # type: ignore[union-attr]

        ids = read("ImageSets/Segmentation/trainval.txt").decode().split()
        labels = np.zeros((len(ids), *VOC_SHAPE), np.uint8)
        for target, name in zip(labels, ids, strict=True):
            with image.open(io.BytesIO(read(f"SegmentationClass/{name}.png"))) as file:
                picture = np.asarray(file)  # the index in the palette is the label
            target[: picture.shape[0], : picture.shape[1]] = picture
    return of_array(labels)


def cpso_in_lzma(path: Path) -> Volume:
    """Read an LZMA file of a ``cpso`` stream, as the repository of PyPI's compresso has it."""
    with lzma.open(path) as file:
        return _read_file("labels.cpso", file.read())


def bodies_in_gzip(path: Path) -> Volume:
    """Read the supervoxels ``stack`` of an HDF5 file, mapped to bodies by its ``transforms``."""
    import h5py

    with gzip.open(path) as stream, h5py.File(io.BytesIO(stream.read())) as file:
        stack, transforms = file["stack"][:], file["transforms"][:]
    old, new = transforms[np.argsort(transforms[:, 0])].T
    index = np.searchsorted(old, stack).clip(max=len(old) - 1)
    return of_array(np.where(old[index] == stack, new[index], stack.astype(new.dtype)))


#: How to read each archive, by its published name and the volume inside; a reader may raise
#: anything.
READERS: dict[str, dict[str, Callable[[Path], Volume]]] = {
    "AC3AC4Package.zip": {n: partial(tiff_in_zip, f"{n.lower()}_labels") for n in ("AC3", "AC4")},
    "snemi.zip": {"": partial(tiff_in_zip, "train-labels")},
    "brain-2017-01.zip": {"": partial(nrrd_in_zip, "hncma-atlas.nrrd")},
    "knee-2016-09.zip": {"": partial(nrrd_in_zip, "Data/seg.nrrd")},
    "abdomen-2016-09.zip": {"": partial(nrrd_in_zip, "Data/seg.nrrd")},
    "BSR_bsds500.tgz": {"": bsds},
    "BSR_bsds500_groundtruth.tgz": {"": bsds},
    "VOCtrainval_11-May-2012.tar": {"": voc},
    "connectomics.npy.cpso.lzma": {"": cpso_in_lzma},
    "groundtruth.h5.gz": {"": bodies_in_gzip},
}
NAMES = tuple(READERS)


def readers_of(path: Path) -> dict[str, Callable[[Path], Volume]]:
    """The readers of a published archive, named in upper or lower case; {} for other files."""
    name = path.name.lower()
    return next((known for n, known in READERS.items() if name.endswith(n.lower())), {})


def split_source(text: str) -> tuple[Path, str]:
    """Split ``my.h5:/volumes/labels`` into the file and the path inside it."""
    return volumes.split_source(text, NAMES)


@contextmanager
def open_volume(text: str) -> Iterator[Volume]:
    """Open a file, a store or a published archive, which is read into memory; raises FileError."""
    path, inner = split_source(text)
    readers = readers_of(path)
    if not readers:
        with volumes.open(text) as volume:
            yield volume
        return
    if inner not in readers:
        raise FileError(f"{path}: the archive has {', '.join(readers)}. Append one after a colon.")
    try:
        volume = readers[inner](path)
        if len(volume.shape) != 3 or volume.dtype.kind not in "uib":
            raise ValueError(f"{volume.dtype} of shape {volume.shape}, not 3-D integers")
    except (MissingPackageError, MemoryError):
        raise
    except Exception as error:  # libraries raise anything for another format
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError(f"{path}: not the archive it is named as, or damaged ({reason})") from None
    yield volume
