"""The cylinder of Kasthuri et al. 2015, the largest volume of the paper."""

from experiments.datasets._base import Published
from experiments.datasets._published import ORIGINAL, PublishedSource
from experiments.text import EM


class Cylinder(PublishedSource):
    """Its ground truth, which is published in Neuroglancer's precomputed format."""

    name = "cyl"
    title = "L. Cylinder"
    group = EM
    published = Published(3, "2048 x 2048 x 300", 952, 103, 180, ground_truth=True)
    layouts = ORIGINAL
    url = "precomputed://gs://neuroglancer-public-data/kasthuri2011/ground_truth"
