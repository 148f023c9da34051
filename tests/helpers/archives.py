"""Small archives of the layouts that datasets are published in."""

import gzip
import io
import lzma
import tarfile
import zipfile

import h5py
import nrrd
import numpy as np
import tifffile
from PIL import Image
from scipy.io import savemat

from compresso import encodings

LABELS = np.random.default_rng(0).integers(99, size=(3, 32, 30)).astype(np.uint16)


def add(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _mat(*segmentations):
    cells = np.empty((1, len(segmentations)), object)
    for i, labels in enumerate(segmentations):
        cells[0, i] = {"Segmentation": labels, "Boundaries": labels > 1}
    file = io.BytesIO()
    savemat(file, {"groundTruth": cells}, do_compression=True)
    return file.getvalue()


def bsds(path):
    """Two images, one portrait and one landscape, of two and one segmentations, out of order."""
    random = np.random.default_rng(0)
    portrait = [random.integers(9, size=(481, 321)).astype(np.uint16) for _ in range(2)]
    landscape = random.integers(9, size=(321, 481)).astype(np.uint16)
    root = "BSR/BSDS500/data/groundTruth"
    with tarfile.open(path, "w:gz") as archive:
        add(archive, f"{root}/train/200.mat", _mat(*portrait))
        add(archive, f"{root}/test/100.mat", _mat(landscape))
        add(archive, "BSR/BSDS500/data/images/train/200.jpg", b"no labels")
        add(archive, "../../escaped.mat", b"never read")
    return np.stack([landscape.T, *portrait])


def voc(path):
    """Two images of different sizes, one with the label 255."""
    pictures = {"b": np.full((333, 500), 15, np.uint8), "a": np.zeros((500, 20), np.uint8)}
    pictures["b"][5, 5] = 255
    root = "VOCdevkit/VOC2012"
    expected = np.zeros((2, 500, 500), np.uint8)
    with tarfile.open(path, "w") as archive:
        add(archive, f"{root}/ImageSets/Segmentation/trainval.txt", b"b\na\n")
        for target, (name, pixels) in zip(expected, pictures.items(), strict=True):
            image = Image.new("P", pixels.shape[::-1])
            image.putdata(pixels.ravel().tolist())
            image.putpalette(list(range(256)) * 3)
            file = io.BytesIO()
            image.save(file, "PNG")
            add(archive, f"{root}/SegmentationClass/{name}.png", file.getvalue())
            target[: pixels.shape[0], : pixels.shape[1]] = pixels
    return expected


def tiff_zip(path, inner="train-labels", pages=1):
    """One TIFF of all pages, or one per page."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, part in enumerate(np.split(LABELS, pages)):
            file = io.BytesIO()
            tifffile.imwrite(file, part.squeeze(), photometric="minisblack")
            archive.writestr(f"seg/{inner}{number}.tif", file.getvalue())
        archive.writestr("image/train-input.tif", b"no labels")
    return LABELS


def nrrd_zip(path, member="atlas/Data/seg.nrrd", header=None):
    file = path.with_name("temporary.nrrd")
    nrrd.write(str(file), LABELS, header, index_order="C")
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(file, "x")
        archive.writestr(member, file.read_bytes())
    file.unlink()
    return LABELS


def pinky40(path):
    labels = LABELS.astype(np.uint32) // 20
    stream = encodings.parse("cpso").encode(labels)
    path.write_bytes(lzma.compress(stream, lzma.FORMAT_ALONE))
    return labels


def fib25(path):
    """Supervoxels and the body of each, HDF5 in gzip."""
    stack = LABELS.astype(np.int32)
    bodies = np.random.default_rng(1).permutation(99).astype(np.uint64) << np.uint64(33)
    transforms = np.stack([np.arange(99, dtype=np.uint64), bodies], axis=1)[::-1]
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["stack"], file["transforms"] = stack, transforms
    path.write_bytes(gzip.compress(content.getvalue()))
    return bodies[stack]


#: The name of a dataset, its published archive, and a function that writes a small one.
ARCHIVES = {
    "ac4": ("snemi.zip", tiff_zip),
    "spl-knee": ("knee-2016-09.zip", nrrd_zip),
    "bsd500": ("BSR_bsds500.tgz", bsds),
    "voc2012": ("VOCtrainval_11-May-2012.tar", voc),
    "pinky40": ("connectomics.npy.cpso.lzma", pinky40),
    "fib25": ("groundtruth.h5.gz", fib25),
}
