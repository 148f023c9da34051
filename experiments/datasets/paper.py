"""The paper's datasets (its Table 1), and where their files are looked for."""

from pathlib import Path

from experiments import formats
from experiments.datasets.base import EM, OTHER, Dataset, FileDataset, PaperDataset

_ORIGINAL = ("{0}/rhoana/{0}_rhoana.h5", "{0}/gold/{0}_gold.h5", "{0}.h5")
_MRI = ("{0}.h5", "MRI/{0}.h5", "{0}.nrrd", "MRI/{0}.nrrd")
_LICHTMAN = "ground truth at https://lichtman.rc.fas.harvard.edu/vast/AC3AC4Package.zip"
_CREMI = "download https://cremi.org/static/data/{0} to the data folder"
_ATLAS = "unpack https://www.openanatomy.org/atlases/nac/{0}.zip in the data folder"


Entry = tuple[str, str, tuple[str, ...], str]


def _cremi(letter: str) -> Entry:
    file = f"sample_{letter}_20160501.hdf"
    inner = "volumes/labels/neuron_ids"
    layouts = (f"{file}:{inner}", f"sample_{letter}.hdf:{inner}", f"{{0}}.hdf:{inner}", *_ORIGINAL)
    return f"CREMI {letter}", EM, layouts, _CREMI.format(file)


def _atlas(title: str, archive: str, *inside: str) -> Entry:
    layouts = (*_MRI, *(f"{archive}/{name}" for name in inside))
    return title, OTHER, layouts, _ATLAS.format(archive)


#: Title, group, layouts ("{0}" is the name), origin.
TABLE = {
    "ac3": ("AC3", EM, _ORIGINAL, _LICHTMAN),
    "ac4": ("AC4", EM, _ORIGINAL, _LICHTMAN),
    "cyl": (
        "L. Cylinder",
        EM,
        _ORIGINAL,
        "ground truth at gs://neuroglancer-public-data/kasthuri2011/ground_truth",
    ),
    "cremi-a": _cremi("A"),
    "cremi-b": _cremi("B"),
    "cremi-c": _cremi("C"),
    "spl-brain": _atlas("SPL Brain Atlas", "brain-2017-01", "hncma-atlas.nrrd"),
    "spl-knee": _atlas("SPL Knee Atlas", "knee-2016-09", "Data/seg.nrrd"),
    "spl-abdominal": _atlas("SPL Abdominal Atlas", "abdomen-2016-09", "Data/seg.nrrd"),
}


def datasets(directory: Path) -> dict[str, Dataset]:
    """The paper's datasets by name, to be found below ``directory``."""
    return {
        name: PaperDataset(
            name, title, group, directory, tuple(place.format(name) for place in layouts), origin
        )
        for name, (title, group, layouts, origin) in TABLE.items()
    }


def mri(directory: Path) -> list[Dataset]:
    """Every volume under ``MRI/``."""
    return [
        FileDataset(f"mri/{path.stem}", path, "", path.stem, OTHER)
        for path in sorted((directory / "MRI").glob("*"))
        if path.name.lower().endswith(tuple(formats.suffixes()))
    ]
