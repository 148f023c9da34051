"""BSDS500, human segmentations of photographs (Arbelaez et al. 2011)."""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np

from compresso.arrays import Labels
from compresso.volumes import Metadata
from experiments.datasets._base import Published
from experiments.datasets._published import PublishedSource
from experiments.text import OTHER

SHAPE = (481, 321)


def read(path: Path) -> tuple[Labels, Metadata]:
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
                slices.append(labels if labels.shape == SHAPE else labels.T)
        while file.read(1 << 20):
            pass
    return np.stack(slices), {}


class Bsd500(PublishedSource):
    """Every segmentation is a slice; the paper's own labels."""

    name = "bsd500"
    title = "BSD500"
    group = OTHER
    published = Published(10, "321 x 481, 2696 images", 1188, 110, 187)
    layouts = ("{0}.h5", "BSR_bsds500.tgz", "BSR_bsds500_groundtruth.tgz")
    archives = dict.fromkeys(layouts[1:], read)
    url = "https://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz"
