"""PASCAL VOC 2012, class segmentations of photographs."""

import io
import tarfile
from pathlib import Path, PurePosixPath

import numpy as np

from compresso.arrays import Labels
from compresso.plugins import require
from compresso.volumes import Metadata
from experiments.datasets._base import Published
from experiments.datasets._published import PublishedSource
from experiments.text import OTHER

SHAPE = (500, 500)
ARCHIVE = "VOCtrainval_11-May-2012.tar"


def read_images(path: Path) -> tuple[Labels, Metadata]:
    """The class segmentations of VOC 2012's trainval list, zero-padded, palette index as label."""
    image = require("PIL.Image", "pillow", "voc2012")
    root = "VOCdevkit/VOC2012"
    with tarfile.open(path) as archive:
        members = {str(PurePosixPath(m.name)): m for m in archive if m.isfile()}

        def read(name: str) -> bytes:
            content = archive.extractfile(members[f"{root}/{name}"])
            assert content is not None  # it is a file
            return content.read()

        ids = read("ImageSets/Segmentation/trainval.txt").decode().split()
        labels = np.zeros((len(ids), *SHAPE), np.uint8)
        for target, name in zip(labels, ids, strict=True):
            with image.open(io.BytesIO(read(f"SegmentationClass/{name}.png"))) as file:
                picture = np.asarray(file)
            target[: picture.shape[0], : picture.shape[1]] = picture
    return labels, {}


class Voc2012(PublishedSource):
    """Every image of the list is a slice."""

    name = "voc2012"
    title = "PASCAL VOC 2012"
    group = OTHER
    published = Published(11, "varying, 2913 images", 2217, 146, 222)
    layouts = ("{0}.h5", ARCHIVE)
    archives = {ARCHIVE: read_images}
    url = f"http://host.robots.ox.ac.uk/pascal/VOC/voc2012/{ARCHIVE}"
    checksum = "md5:6cd6e144f989b92b3379bac3b3de84fd"
