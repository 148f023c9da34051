"""The cylinder of Kasthuri et al. 2015, the largest volume of the paper."""

from experiments.datasets._base import Published
from experiments.datasets._published import ORIGINAL, PublishedSource
from experiments.names import EM


class Cylinder(PublishedSource):
    """Published only in Neuroglancer's precomputed format, so ``fetch`` tells what to do."""

    name = "cyl"
    title = "L. Cylinder"
    group = EM
    published = Published(3, "2048 x 2048 x 300", 952, 103, 180, ground_truth=True)
    layouts = ORIGINAL
    origin = "run.py fetch {0} tells how to get it"
    by_hand = (
        "cyl is published only in Neuroglancer's precomputed format, at "
        "gs://neuroglancer-public-data/kasthuri2011/ground_truth; get it so: pip install "
        "cloud-volume, then CloudVolume(that address)[:, :, :] as an array [z, y, x], saved as "
        "dataset main of cyl.h5 in the data folder"
    )
