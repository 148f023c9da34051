"""The atlases of the Surgical Planning Laboratory (https://www.openanatomy.org)."""

from experiments.datasets._archives import nrrd_in_zip
from experiments.datasets._base import Published
from experiments.datasets._published import MRI, PublishedSource
from experiments.text import OTHER


class Atlas(PublishedSource):
    """What the atlases share: a zip of a folder with NRRD files."""

    group = OTHER

    def __init_subclass__(cls, archive: str, file: str) -> None:
        cls.layouts = (*MRI, f"{archive}/{file}", f"{archive}.zip")
        cls.archives = {f"{archive}.zip": nrrd_in_zip(file)}
        cls.url = f"https://www.openanatomy.org/atlases/nac/{archive}.zip"
        cls.origin = f"run.py fetch {{0}}, or {cls.url} in the data folder"


class Brain(Atlas, archive="brain-2017-01", file="hncma-atlas.nrrd"):
    """Every public revision gives another ratio than the published one."""

    name = "spl-brain"
    title = "SPL Brain Atlas"
    published = Published(7, "256 x 256 x 256", 636, 85, 254)


class Knee(Atlas, archive="knee-2016-09", file="Data/seg.nrrd"):
    """The paper's own labels."""

    name = "spl-knee"
    title = "SPL Knee Atlas"
    published = Published(8, "512 x 512 x 119", 1553, 136, 244)


class Abdomen(Atlas, archive="abdomen-2016-09", file="Data/seg.nrrd"):
    """The paper's own labels."""

    name = "spl-abdominal"
    title = "SPL Abdominal Atlas"
    published = Published(9, "256 x 256 x 113", 480, 91, 254)
    checksum = "sha256:1cf85dbc820767b7c3095790ff38ae150a085af713061a2f0e950e355e4dc7c8"
