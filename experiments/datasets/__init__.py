"""Datasets: the paper's, the user's own files, and synthetic ones. One file a source.

A new source is one new file with a class derived from ``Source``; see ``_base.py``.
"""

import dataclasses
import os
import re
from pathlib import Path

from compresso import volumes
from compresso.errors import SpecError
from compresso.plugins import Registry, split, split_list
from experiments.datasets import _files
from experiments.datasets._base import Dataset, LoadedVolume, Published, Source
from experiments.datasets._files import FileDataset
from experiments.datasets._published import PublishedDataset
from experiments.datasets._stores import StoreDataset
from experiments.errors import DatasetError
from experiments.text import EM, OTHER, SYNTHETIC, distinct, printable

__all__ = [
    "EM",
    "OTHER",
    "SYNTHETIC",
    "Dataset",
    "LoadedVolume",
    "choose",
    "known",
    "names",
    "parse",
]
__all__ += ["Published", "checked", "parse", "published", "sources"]

#: A spec in double quotes.
QUOTED = re.compile(r'(?:^|(?<=,))\s*"([^"]*)"\s*(?=,|$)')

sources = Registry(__name__, Source, "dataset")  # type: ignore[type-abstract]


def names() -> list[str]:
    """Every name that :func:`parse` knows, but for files; the paper's first, in its order."""
    last = len(sources.classes)

    def order(name: str) -> tuple[int, str]:
        line = sources.classes[name].published
        return (line.line if line else last, name)

    return sorted(sources.classes, key=order)


def published() -> dict[str, Published]:
    """The paper's Table 1, by the names of its datasets."""
    lines = {name: sources.classes[name].published for name in names()}
    return {name: line for name, line in lines.items() if line}


def known(directory: Path) -> list[Dataset]:
    """Every dataset that has a name."""
    return [d for name in names() for d in sources.parse(name).datasets(directory)]


def choose(text: str, directory: Path, group: str = EM) -> list[Dataset]:
    """Find the datasets of a comma-separated list of specs, each once, under names that differ.

    A spec with a comma in it, such as ``"my.h5:/labels,old"``, is put in double quotes.
    Raises as :func:`parse` does, and SpecError where the list is empty.
    """
    specs = _split_list(text)
    if not specs:
        raise SpecError("DATASET names nothing; give a name, a file, or all")
    found = list(dict.fromkeys(d for spec in specs for d in parse(spec, directory, group)))
    given: dict[str, list[str]] = {}
    for dataset in found:
        if isinstance(dataset, FileDataset | StoreDataset):
            given.setdefault(dataset.name, []).append(dataset.source)
    clashing = {name: distinct(name, paths) for name, paths in given.items() if len(paths) > 1}
    return [
        dataclasses.replace(d, name=clashing[d.name][d.source])
        if isinstance(d, FileDataset | StoreDataset) and d.name in clashing
        else d
        for d in found
    ]


def choose_one(text: str, directory: Path, who: str) -> Dataset:
    """The dataset that a spec means; raises DatasetError where there are several.

    ``who`` is named by the error. Raises as :func:`choose` does, too.
    """
    one, *more = choose(text, directory)
    if more:
        raise DatasetError(f"{who} takes one dataset, and {text} is {len(more) + 1}")
    return one


def checked(chosen: list[Dataset], slices: int | None) -> list[str]:
    """Return the notes of all datasets, which the user should see first.

    Raises DatasetError for a dataset that is not here or does not fit the memory, before anything
    is read or measured: what cannot be right is better told now than after hours.
    """
    for dataset in chosen:
        dataset.check(slices)
    return [line for dataset in chosen for line in dataset.notes()]


def _split_list(text: str) -> list[str]:
    """Split a list of specs; those in double quotes may have commas in them."""
    specs, end = [], 0
    for quoted in QUOTED.finditer(text):
        specs += [*_split_unquoted(text[end : quoted.start()]), quoted[1].strip()]
        end = quoted.end()
    return list(filter(None, specs + _split_unquoted(text[end:])))


def _split_unquoted(text: str) -> list[str]:
    """Split a list of specs; a comma may also be part of an existing file's name."""
    specs: list[str] = []
    rest: list[str] = []
    parts = text.split(",")
    while parts:
        for size in range(len(parts), 1, -1):
            spec = ",".join(parts[:size]).strip()
            path, inner = _files.split(spec)
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
        ``pattern[:kind=noise]``, a file, ``my.h5:/volumes/labels``, or a store,
        ``gs://bucket/seg|zarr3:``, of which no labels are read yet.
    directory : Path
        Where the named datasets are.
    group : str
        Of datasets given as files, ``em`` or ``other``.

    Raises
    ------
    DatasetError, SpecError
        For an unknown name, listing the known ones, and for a file that does not exist.
    """
    if split(spec)[0] in sources.classes:
        found = sources.parse(spec).datasets(directory)
        if not found:
            raise DatasetError(f"{spec}: no volume under {directory / spec.upper()}")
        return found
    if spec.lower() == "all":
        present = [d for d in known(directory) if isinstance(d, PublishedDataset) and d.find()]
        if not present:
            raise DatasetError(
                f"all: none of the paper's datasets is in {directory}; see: run.py datasets"
            )
        return list(present)
    if volumes.names_store(spec):
        return [StoreDataset.find(spec, group)]
    path, inner = _files.split(spec)
    if os.path.exists(path):
        name = printable(path.name + (f":{inner}" if inner else ""))
        return [FileDataset(name, path, inner, path.stem, group)]
    if path.suffix or "/" in spec:
        raise DatasetError(f"{path}: no such file")
    raise DatasetError(
        f"unknown dataset {spec!r}; choose from {', '.join(names())}, or give a file"
    )
