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
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from compresso import volumes
from compresso.arrays import Labels
from compresso.codec import require
from compresso.errors import FileError, MissingPackageError
from compresso.volumes import Metadata, Volume, of_array

#: Reads the labels of an archive, and its metadata; it may raise anything.
Reader = Callable[[Path], tuple[Labels, Metadata]]
BSDS_SHAPE, VOC_SHAPE = (481, 321), (500, 500)


def tiff_in_zip(ending: str) -> Reader:
    """Return a reader of the TIFF pages in a zip whose names contain ``ending``."""

    def read(path: Path) -> tuple[Labels, Metadata]:
        import tifffile

        with zipfile.ZipFile(path) as archive:
            names = sorted(
                n for n in archive.namelist() if re.search(rf"(?i){ending}.*\.tiff?$", n)
            )
            pages = [tifffile.imread(io.BytesIO(archive.read(name))) for name in names]
        return (pages[0] if len(pages) == 1 and pages[0].ndim == 3 else np.stack(pages)), {}

    return read


def nrrd_in_zip(name: str) -> Reader:
    """Return a reader of one NRRD file in a zip."""

    def read(path: Path) -> tuple[Labels, Metadata]:
        with zipfile.ZipFile(path) as archive:
            member = next(n for n in archive.namelist() if n.endswith(name))
            return _read_file("labels.nrrd", archive.read(member))

    return read


def _read_file(name: str, content: bytes) -> tuple[Labels, Metadata]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, name)
        file.write_bytes(content)
        with volumes.open(str(file)) as volume:
            return volume.read(0, volume.shape[0]), volume.metadata


def bsds(path: Path) -> tuple[Labels, Metadata]:
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
    return np.stack(slices), {}


def voc(path: Path) -> tuple[Labels, Metadata]:
    """Read the class segmentations of VOC 2012's trainval list, zero-padded."""
    image = require("PIL.Image", "pillow", "voc2012")
    root = "VOCdevkit/VOC2012"
    with tarfile.open(path) as archive:
        members = {str(PurePosixPath(m.name)): m for m in archive if m.isfile()}

        def read(name: str) -> bytes:
            return archive.extractfile(members[f"{root}/{name}"]).read()  # type: ignore[union-attr]

        ids = read("ImageSets/Segmentation/trainval.txt").decode().split()
        labels = np.zeros((len(ids), *VOC_SHAPE), np.uint8)
        for target, name in zip(labels, ids, strict=True):
            with image.open(io.BytesIO(read(f"SegmentationClass/{name}.png"))) as file:
                picture = np.asarray(file)  # the index in the palette is the label
            target[: picture.shape[0], : picture.shape[1]] = picture
    return labels, {}


def cpso_in_lzma(path: Path) -> tuple[Labels, Metadata]:
    """Read an LZMA file of a ``cpso`` stream, as the repository of PyPI's compresso has it."""
    with lzma.open(path) as file:
        return _read_file("labels.cpso", file.read())


def bodies_in_gzip(path: Path) -> tuple[Labels, Metadata]:
    """Read the supervoxels ``stack`` of an HDF5 file, mapped to bodies by its ``transforms``."""
    import h5py

    with gzip.open(path) as stream, h5py.File(io.BytesIO(stream.read())) as file:
        stack, transforms = file["stack"][:], file["transforms"][:]
    old, new = transforms[np.argsort(transforms[:, 0])].T
    index = np.searchsorted(old, stack).clip(max=len(old) - 1)
    return np.where(old[index] == stack, new[index], stack.astype(new.dtype)), {}


#: How to read each archive, by its published name and the volume inside.
READERS: dict[str, dict[str, Reader]] = {
    "AC3AC4Package.zip": {"AC3": tiff_in_zip("ac3_labels"), "AC4": tiff_in_zip("ac4_labels")},
    "snemi.zip": {"": tiff_in_zip("train-labels")},
    "brain-2017-01.zip": {"": nrrd_in_zip("hncma-atlas.nrrd")},
    "knee-2016-09.zip": {"": nrrd_in_zip("Data/seg.nrrd")},
    "abdomen-2016-09.zip": {"": nrrd_in_zip("Data/seg.nrrd")},
    "BSR_bsds500.tgz": {"": bsds},
    "BSR_bsds500_groundtruth.tgz": {"": bsds},
    "VOCtrainval_11-May-2012.tar": {"": voc},
    "connectomics.npy.cpso.lzma": {"": cpso_in_lzma},
    "groundtruth.h5.gz": {"": bodies_in_gzip},
}
NAMES = tuple(READERS)


def is_archive(path: Path) -> bool:
    """Whether a file has the name of a published archive, in upper or lower case."""
    return path.name.lower().endswith(tuple(map(str.lower, NAMES)))


def split(text: str) -> tuple[Path, str]:
    """Split ``my.h5:/volumes/labels`` into the file and the path inside it."""
    return volumes.split(text, NAMES)


@contextmanager
def open_volume(text: str) -> Iterator[Volume]:
    """Open a file, a store or a published archive; raises FileError."""
    path, inner = split(text)
    if is_archive(path):
        yield _read(path, inner)
    else:
        with volumes.open(text) as volume:
            yield volume


def _read(path: Path, inner: str) -> Volume:
    """Read an archive into memory; raises FileError."""
    known = next(r for n, r in READERS.items() if path.name.lower().endswith(n.lower()))
    if inner not in known:
        raise FileError(f"{path}: the archive has {', '.join(known)}. Append one after a colon.")
    try:
        labels, metadata = known[inner](path)
    except (MissingPackageError, MemoryError):
        raise
    except Exception as error:  # libraries raise anything for another format
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError(f"{path}: not the archive it is named as, or damaged ({reason})") from None
    if labels.ndim != 3 or labels.dtype.kind not in "uib":
        raise FileError(
            f"{path}: not a label volume ({labels.dtype.name} of shape {labels.shape}; "
            "expected 3-D integers)"
        )
    return replace(of_array(labels), metadata=metadata)
