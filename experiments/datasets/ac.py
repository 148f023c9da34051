"""AC3 and AC4, mouse cortex (Kasthuri et al. 2015), as the VAST package and SNEMI3D have them."""

from experiments.datasets._archives import tiff_in_zip
from experiments.datasets._base import Published
from experiments.datasets._published import ORIGINAL, PublishedSource
from experiments.text import EM

PACKAGE = "AC3AC4Package.zip"


class Ac3(PublishedSource):
    """1024 x 1024 x 256 in the package; the paper took 150 slices."""

    name = "ac3"
    title = "AC3"
    group = EM
    published = Published(1, "1024 x 1024 x 150", 814, 100, 209, ground_truth=True)
    layouts = (*ORIGINAL, f"{PACKAGE}:AC3")
    archives = {f"{PACKAGE}:AC3": tiff_in_zip("ac3_labels")}
    url = f"https://lichtman.rc.fas.harvard.edu/vast/{PACKAGE}"
    inner = "AC3"


class Ac4(PublishedSource):
    """The training volume of SNEMI3D."""

    name = "ac4"
    title = "AC4"
    group = EM
    published = Published(2, "1024 x 1024 x 100", 701, 105, 218, ground_truth=True)
    layouts = (*ORIGINAL, "snemi.zip", f"{PACKAGE}:AC4")
    archives = {
        "snemi.zip": tiff_in_zip("train-labels"),
        f"{PACKAGE}:AC4": tiff_in_zip("ac4_labels"),
    }
    url = "https://zenodo.org/records/7142003/files/snemi.zip"
    checksum = "md5:3d25a7025f66698f33c7850ace885939"
