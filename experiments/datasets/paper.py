"""The paper's datasets (its Table 1), and where their files are looked for."""

from pathlib import Path

from compresso import formats
from experiments import files
from experiments.datasets.base import EM, OTHER, Dataset, FileDataset, PaperDataset

_ORIGINAL = ("{0}/rhoana/{0}_rhoana.h5", "{0}/gold/{0}_gold.h5", "{0}.h5")
_MRI = ("{0}.h5", "MRI/{0}.h5", "{0}.nrrd", "MRI/{0}.nrrd")
_FETCH = "run.py fetch {0}"
_CREMI = "run.py fetch {{0}}, or https://cremi.org/static/data/{0} in the data folder"
_ATLAS = "run.py fetch {{0}}, or https://www.openanatomy.org/atlases/nac/{0}.zip in the data folder"


Entry = tuple[str, str, tuple[str, ...], str]


def _cremi(letter: str) -> Entry:
    file = f"sample_{letter}_20160501.hdf"
    inner = "volumes/labels/neuron_ids"
    layouts = (f"{file}:{inner}", f"sample_{letter}.hdf:{inner}", f"{{0}}.hdf:{inner}", *_ORIGINAL)
    return f"CREMI {letter}", EM, layouts, _CREMI.format(file)


def _atlas(title: str, archive: str, *inside: str) -> Entry:
    layouts = (*_MRI, *(f"{archive}/{name}" for name in inside), f"{archive}.zip")
    return title, OTHER, layouts, _ATLAS.format(archive)


#: Title, group, layouts ("{0}" is the name), origin.
TABLE = {
    "ac3": ("AC3", EM, (*_ORIGINAL, "AC3AC4Package.zip:AC3"), _FETCH),
    "ac4": ("AC4", EM, (*_ORIGINAL, "snemi.zip", "AC3AC4Package.zip:AC4"), _FETCH),
    "cyl": (
        "L. Cylinder",
        EM,
        _ORIGINAL,
        "run.py fetch cyl tells how to get it",
    ),
    "cremi-a": _cremi("A"),
    "cremi-b": _cremi("B"),
    "cremi-c": _cremi("C"),
    "spl-brain": _atlas("SPL Brain Atlas", "brain-2017-01", "hncma-atlas.nrrd"),
    "spl-knee": _atlas("SPL Knee Atlas", "knee-2016-09", "Data/seg.nrrd"),
    "spl-abdominal": _atlas("SPL Abdominal Atlas", "abdomen-2016-09", "Data/seg.nrrd"),
    "bsd500": (
        "BSD500",
        OTHER,
        ("{0}.h5", "BSR_bsds500.tgz", "BSR_bsds500_groundtruth.tgz"),
        _FETCH,
    ),
    "voc2012": ("PASCAL VOC 2012", OTHER, ("{0}.h5", "VOCtrainval_11-May-2012.tar"), _FETCH),
}


def datasets(directory: Path) -> dict[str, Dataset]:
    """The paper's datasets by name, to be found below ``directory``."""
    return {
        name: PaperDataset(
            name,
            title,
            group,
            directory,
            tuple(place.format(name) for place in layouts),
            origin.format(name),
        )
        for name, (title, group, layouts, origin) in TABLE.items()
    }


def mri(directory: Path) -> list[Dataset]:
    """Every volume under ``MRI/``; files that differ only in their endings keep these."""
    suffixes = tuple(formats.suffixes())
    paths = [p for p in sorted((directory / "MRI").glob("*")) if p.name.lower().endswith(suffixes)]
    stems = [path.stem for path in paths]
    names = [path.stem if stems.count(path.stem) == 1 else path.name for path in paths]
    return [
        FileDataset(f"mri/{files.printable(name)}", path, "", name, OTHER)
        for name, path in zip(names, paths, strict=True)
    ]
