"""Datasets: published ones (``catalogue.toml``), files, stores, and synthetic ones."""

import os
import re
import tomllib
from dataclasses import replace
from pathlib import Path

from compresso import volumes
from compresso.codec import split_codec, split_list
from compresso.errors import SpecError, did_you_mean
from experiments import DatasetError
from experiments.datasets import synthetic
from experiments.datasets.archives import split_source
from experiments.datasets.dataset import Dataset, LoadedVolume, Published, of_text
from experiments.text import EM, OTHER, SYNTHETIC, distinct, printable

__all__ = [
    "CATALOGUE",
    "EM",
    "OTHER",
    "SYNTHETIC",
    "Dataset",
    "LoadedVolume",
    "Published",
    "choose",
    "choose_one",
    "known",
    "names",
    "parse",
    "published",
]

#: A name in double quotes, in a list.
QUOTED = re.compile(r'(?<![^,\s])"([^"]*)"(?![^,\s])')


def _catalogue() -> dict[str, Dataset]:
    found = {}
    rows = tomllib.loads(Path(__file__).with_name("catalogue.toml").read_text())
    for line, (name, row) in enumerate(rows.items(), start=1):
        row["layouts"] = tuple(layout.format(name) for layout in row["layouts"])
        if "published" in row:
            row["published"] = Published(line, **row["published"])
        found[name] = Dataset(name, **row)
    return found


#: Every published dataset by its name, without a file.
CATALOGUE = _catalogue()


def names() -> list[str]:
    """Return every name that :func:`parse` knows, without files and stores."""
    return [*CATALOGUE, "mri", *synthetic.KINDS]


def published() -> dict[str, Published]:
    """Return the paper's Table 1, by the names of its datasets."""
    return {name: line for name, d in CATALOGUE.items() if (line := d.published)}


def known(directory: Path) -> list[Dataset]:
    """Return every dataset that has a name."""
    found = [dataset.found(directory) for dataset in CATALOGUE.values()]
    return [*found, *_mri(directory), *map(_synthetic, synthetic.KINDS)]


def choose(text: str, directory: Path, group: str = EM) -> list[Dataset]:
    """Return the datasets of a comma-separated list, each once, under names that differ.

    A dataset with a comma in it, such as ``"my.h5:/labels,old"``, is put in double quotes.
    Raises as :func:`parse` does, and SpecError if the list is empty.
    """
    texts = _split_list(text)
    if not texts:
        raise SpecError("DATASET is empty. Give a name, a file, or all")
    found = list(dict.fromkeys(d for one in texts for d in parse(one, directory, group)))
    unique = distinct((d.name, d.source) for d in found)
    return [replace(d, name=unique[d.name, d.source]) for d in found]


def choose_one(text: str, directory: Path, command: str) -> Dataset:
    """Return the single dataset of a list; raises DatasetError if there are several."""
    one, *more = choose(text, directory)
    if more:
        raise DatasetError(f"{command} takes a single dataset; {text!r} names {len(more) + 1}")
    return one


def parse(text: str, directory: Path, group: str = EM) -> list[Dataset]:
    """Return the datasets of a name; nothing is read yet.

    ``text`` is a name, ``all`` (the published datasets that are downloaded), ``mri``,
    ``phantom[:size=XxYxZ]``, ``pattern[:kind=noise]``, a file, ``my.h5:/volumes/labels``, or a
    store, ``gs://bucket/seg|zarr3:``. Raises SpecError for an unknown name, and DatasetError for a
    file that does not exist, or if nothing is downloaded.
    """
    name = text.strip().lower()
    if split_codec(name)[0] in synthetic.KINDS:
        return [_synthetic(text)]
    if name in CATALOGUE:
        return [CATALOGUE[name].found(directory)]
    if name == "mri":
        if found := _mri(directory):
            return found
        raise DatasetError(f"mri: no volumes in {directory / 'MRI'}. Put your own files there")
    if name == "all":
        if found := [d for d in known(directory) if d.url and d.text]:
            return found
        raise DatasetError(
            f"all: no dataset is in {directory}. Run: python run.py fetch spl-knee spl-abdominal "
            "bsd500 (the paper's), or pinky40 fib25 (small)"
        )
    looks_like_file = volumes.names_store(text) or "/" in text or split_source(text)[0].suffix
    if looks_like_file or os.path.exists(text):
        return [of_text(text, group)]
    similar = did_you_mean(name, names()) or f" Choose from: {', '.join(names())}; or give a file."
    raise SpecError(f"no dataset {text!r}.{similar}")


def _synthetic(spec: str) -> Dataset:
    made = synthetic.parse(spec)
    return Dataset(made.spec, made.spec, made.title, SYNTHETIC)


def _mri(directory: Path) -> list[Dataset]:
    """Each volume in the folder MRI, as in the original program."""
    endings = tuple(volumes.suffixes())
    paths = [p for p in sorted((directory / "MRI").glob("*")) if p.name.lower().endswith(endings)]
    stems = [path.stem for path in paths]
    return [
        Dataset(f"mri/{printable(name)}", str(path), name, OTHER)
        for path in paths
        for name in [path.stem if stems.count(path.stem) == 1 else path.name]
    ]


def _split_list(text: str) -> list[str]:
    """Split a list of names; those in double quotes may have commas in them."""
    if os.path.exists(text):  # a file with commas in its name
        return [text]
    quoted = iter(QUOTED.findall(text))
    return [next(quoted) if one == "\0" else one for one in split_list(QUOTED.sub("\0", text))]
