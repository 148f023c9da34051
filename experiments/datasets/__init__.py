"""Datasets: the paper's, the user's own files, and the synthetic ones."""

import dataclasses
import importlib
import os
from pathlib import Path

from compresso.errors import SpecError
from compresso.plugins import build, split, split_list
from experiments import files
from experiments.datasets import paper
from experiments.datasets.base import EM, OTHER, SYNTHETIC, Dataset, FileDataset, Volume, shown
from experiments.errors import DatasetError

__all__ = ["EM", "OTHER", "SYNTHETIC", "Dataset", "Volume", "choose", "known", "names", "parse"]
__all__ += ["shown"]

#: Modules of synthetic datasets, each with a class of its name; numba is imported only for them.
SYNTHETICS = ("phantom", "pattern")


def names() -> list[str]:
    """Every name that :func:`parse` knows, but for files."""
    return [*paper.TABLE, "mri", *SYNTHETICS]


def known(directory: Path) -> list[Dataset]:
    """Every dataset that has a name: the paper's, those under ``MRI/``, the synthetic ones."""
    found: list[Dataset] = list(paper.datasets(directory).values())
    return [*found, *paper.mri(directory), *(_synthetic(name)() for name in SYNTHETICS)]


def choose(text: str, directory: Path, group: str = EM) -> list[Dataset]:
    """Find the datasets of a comma-separated list of specs, each once, under names that differ.

    Raises as :func:`parse` does, and SpecError where the list is empty.
    """
    specs = _split_list(text)
    if not specs:
        raise SpecError("DATASET names nothing; give a name, a file, or all")
    found = list(dict.fromkeys(d for spec in specs for d in parse(spec, directory, group)))
    given = [d for d in found if isinstance(d, FileDataset)]
    clashing = [d for d in given if sum(other.name == d.name for other in given) > 1]
    names = files.told_apart(d.source for d in clashing)
    return [dataclasses.replace(d, name=names[d.source]) if d in clashing else d for d in found]


def _split_list(text: str) -> list[str]:
    """Split a list of specs; a comma may also be part of an existing file's name."""
    specs: list[str] = []
    rest: list[str] = []
    parts = text.split(",")
    while parts:
        for size in range(len(parts), 1, -1):
            spec = ",".join(parts[:size]).strip()
            path, inner = files.split(spec)
            if os.path.exists(path) and "," not in inner:
                specs += [*split_list(",".join(rest)), spec]
                rest, parts = [], parts[size:]
                break
        else:
            rest.append(parts.pop(0))
    return specs + split_list(",".join(rest))


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
    if os.path.exists(path):  # a name that no file can have is none
        name = files.printable(path.name + (f":{inner}" if inner else ""))
        return [FileDataset(name, path, inner, path.stem, group)]
    if path.suffix or "/" in spec:
        raise DatasetError(f"{path}: no such file")
    raise DatasetError(
        f"unknown dataset {spec!r}; choose from {', '.join(names())}, or give a file"
    )


def _synthetic(name: str) -> type[Dataset]:
    found: type[Dataset] = getattr(importlib.import_module(f"{__name__}.{name}"), name.capitalize())
    return found
