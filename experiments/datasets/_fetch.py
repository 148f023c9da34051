"""Download the paper's datasets, check them, and convert them once to ``<name>.h5``."""

import hashlib
import os
from pathlib import Path

import h5py
import numpy as np

from compresso import volumes
from compresso.atomic import replacing, temporary_folder
from compresso.errors import FileError
from experiments.datasets import published, sources
from experiments.datasets._files import open_volume
from experiments.datasets._parts import download
from experiments.datasets._published import PublishedSource
from experiments.errors import DatasetError

#: How the address of a store begins.
STORE = "precomputed://"


def fetchable() -> list[str]:
    """The names of the sources that can be downloaded, in the paper's order."""
    found = {name: sources.classes[name] for name in published()}
    return [name for name, source in found.items() if issubclass(source, PublishedSource)]


def fetch(name: str, directory: Path, mirror: str | None = None) -> Path:
    """Download one dataset, unless its file is in ``directory`` already, and convert it.

    Parameters
    ----------
    name : str
        Of a source of the paper.
    directory : Path
    mirror : str, optional
        An address to take the file from, or the store, by its published name.

    Returns
    -------
    Path
        ``<directory>/<name>.h5``: dataset ``main``, a chunk a slice, with the origin as attributes.

    Raises
    ------
    DatasetError
        For an unknown name, a failed download, a wrong checksum and, where none is published, a
        file that is no such archive. A file has its name only once it was found sound.
    """
    source = sources.classes.get(name)
    if source is None or not issubclass(source, PublishedSource):
        raise DatasetError(f"cannot fetch {name!r}; choose from {', '.join(fetchable())}")
    target = directory / f"{name}.h5"
    if target.exists():
        return target
    if source.url.startswith(STORE):
        _download(name, source.url, target, mirror)
        return target
    archive = directory / source.url.rsplit("/", 1)[1]
    url = f"{mirror.rstrip('/')}/{archive.name}" if mirror else source.url
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if archive.exists() and _is_sound(archive, source):
            convert(archive, source.inner, target, url)
            return target
        with temporary_folder(directory) as folder:
            found = Path(_retrieve(url, source.checksum, archive.name, folder, mirror is None))
            convert(found, source.inner, target, url)
            os.replace(found, archive)
    except (OSError, ValueError, FileError) as error:
        reason = " ".join(str(error).split())
        raise DatasetError(
            f"{name}: cannot get {url} ({reason}); try again, name another host with --mirror, "
            f"or put {archive.name} into {directory} by hand"
        ) from None
    return target


def _download(name: str, url: str, target: Path, mirror: str | None) -> None:
    if mirror:
        url = f"{STORE}{mirror.rstrip('/')}/{url.rsplit('/', 1)[1]}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        download(url, target)
    except (OSError, FileError) as error:
        reason = str(error).removeprefix(f"{url}: ")
        raise DatasetError(
            f"{name}: cannot get {url} ({reason}); try again, what is there of it is kept; or name "
            "another place with --mirror"
        ) from None


def _is_sound(archive: Path, source: type[PublishedSource]) -> bool:
    """Whether a file that is there already is what was published."""
    if source.checksum:
        kind, _, digest = source.checksum.partition(":")
        with open(archive, "rb") as file:
            return hashlib.file_digest(file, kind).hexdigest() == digest
    try:
        with open_volume(archive, source.inner):
            return True
    except FileError:
        return False


def _retrieve(url: str, checksum: str | None, name: str, folder: Path, bar: bool) -> str:
    import pooch

    # A file without checksum is checked by what it is, so its digest is no news to the user.
    pooch.get_logger().setLevel("WARNING")
    path: str = pooch.retrieve(url, checksum, fname=name, path=folder, progressbar=bar)
    return path


def convert(path: Path, inner: str, target: Path, url: str) -> None:
    """Write a volume as dataset ``main``, with its resolution, and where it is from."""
    with open_volume(path, inner) as reader:
        labels = np.ascontiguousarray(reader.read(0, reader.shape[0]))
        metadata = reader.metadata
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    origin = {"url": url, "file": path.name, "inner": inner, "sha256": digest}
    origin["labels_sha256"] = hashlib.sha256(labels.data).hexdigest()
    with replacing(target, force=True) as unfinished:
        volumes.writer(target)(unfinished, labels.shape, labels.dtype, [labels], metadata)
        with h5py.File(unfinished, "r+") as out:
            out["main"].attrs.update(origin)
