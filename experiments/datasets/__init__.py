"""Datasets: the paper's, the user's own files, and the synthetic ones."""

import importlib
from pathlib import Path

from compresso.spec import build, split
from experiments import files
from experiments.datasets import paper
from experiments.datasets.base import EM, OTHER, SYNTHETIC, Dataset, FileDataset, Volume
from experiments.errors import DatasetError

__all__ = ["EM", "OTHER", "SYNTHETIC", "Dataset", "Volume", "known", "names", "parse"]

#: Modules of synthetic datasets, each with a class of its name; numba is imported only for them.
SYNTHETICS = ("phantom", "pattern")


def names() -> list[str]:
    """Every name that :func:`parse` knows, but for files."""
    return [*paper.TABLE, "mri", *SYNTHETICS]


def known(directory: Path) -> list[Dataset]:
    """Every dataset that has a name: the paper's, those under ``MRI/``, the synthetic ones."""
    found: list[Dataset] = list(paper.datasets(directory).values())
    return [*found, *paper.mri(directory), *(_synthetic(name)() for name in SYNTHETICS)]


def parse(spec: str, directory: Path, group: str = EM) -> list[Dataset]:
    """Find the datasets that a spec string names; nothing is read yet.

    Parameters
    ----------
    spec : str
        A name, ``all`` (the paper's datasets that are here), ``phantom[:size=XxYxZ]``,
        ``pattern[:kind=noise]``, or a file, ``my.h5:/volumes/labels``.
    directory : Path
        Where the named datasets are.
    group : str
        Of datasets given as files, ``em`` or ``other``.

    Raises
    ------
    DatasetError, SpecError
        For an unknown name, listing the known ones, and for a file that does not exist.
    """
    named = paper.datasets(directory)
    name = spec.lower()
    if name in named:
        return [named[name]]
    if name == "mri":
        found = paper.mri(directory)
        if not found:
            raise DatasetError(f"mri: no volume under {directory / 'MRI'}")
        return found
    if name == "all":
        present = [d for d in named.values() if not d.status().startswith("missing")]
        if not present:
            raise DatasetError(
                f"all: none of the paper's datasets is in {directory}; see: run.py datasets"
            )
        return present
    if split(spec)[0] in SYNTHETICS:
        return [build(_synthetic(split(spec)[0]), spec)]
    path, inner = files.split(spec)
    if path.exists():
        return [FileDataset(spec if inner else path.name, path, inner, path.stem, group)]
    if path.suffix or "/" in spec:
        raise DatasetError(f"{path}: no such file")
    raise DatasetError(
        f"unknown dataset {spec!r}; choose from {', '.join(names())}, or give a file"
    )


def _synthetic(name: str) -> type[Dataset]:
    found: type[Dataset] = getattr(importlib.import_module(f"{__name__}.{name}"), name.capitalize())
    return found
