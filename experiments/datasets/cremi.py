"""The three training volumes of the CREMI challenge, fruit fly (https://cremi.org)."""

from experiments.datasets._base import Published
from experiments.datasets._published import ORIGINAL, PublishedSource
from experiments.text import EM

FILE = "sample_{}_20160501.hdf"
INNER = "volumes/labels/neuron_ids"


class Cremi(PublishedSource):
    """What the three share; the letter tells them apart."""

    group = EM
    inner = INNER

    def __init_subclass__(cls, letter: str) -> None:
        file = FILE.format(letter)
        cls.name = f"cremi-{letter.lower()}"
        cls.title = f"CREMI {letter}"
        cls.layouts = (
            *(f"{file}:{INNER}", f"sample_{letter}.hdf:{INNER}", f"{{0}}.hdf:{INNER}"),
            *ORIGINAL,
        )
        cls.url = f"https://cremi.org/static/data/{file}"
        cls.origin = f"run.py fetch {{0}}, or {cls.url} in the data folder"


class CremiA(Cremi, letter="A"):
    """Sample A."""

    published = Published(4, "1250 x 1250 x 125", 857, 110, 218, ground_truth=True)
    checksum = "sha256:4c563d1b78acb2bcfb3ea958b6fe1533422f7f4a19f3e05b600bfa11430b510d"


class CremiB(Cremi, letter="B"):
    """Sample B."""

    published = Published(5, "1250 x 1250 x 125", 1239, 118, 243, ground_truth=True)
    checksum = "sha256:887e85521e00deead18c94a21ad71f278d88a5214c7edeed943130a1f4bb48b8"


class CremiC(Cremi, letter="C"):
    """Sample C."""

    published = Published(6, "1250 x 1250 x 125", 960, 110, 219, ground_truth=True)
    checksum = "sha256:2874496f224d222ebc29d0e4753e8c458093e1d37bc53acd1b69b19ed1ae7052"
