"""Download published datasets, check them, and convert them once to ``<name>.h5``."""

import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import h5py
import numpy as np
import xxhash
from tqdm import tqdm

import compresso
from compresso import volumes
from compresso.arrays import Labels
from compresso.atomic import replacing, temporary_folder
from compresso.errors import DecodeError, FileError, SpecError, did_you_mean
from compresso.text import file_size
from compresso.volumes import Volume
from experiments import DatasetError
from experiments.datasets import CATALOGUE
from experiments.datasets.dataset import Origin, open_volume

#: How the address of a store begins.
STORE = "precomputed://"
#: Slices of a part of a store that is downloaded.
DEPTH = 16
TIMEOUT_S = 60
Announce = Callable[[str], None]


def check(names: Iterable[str]) -> None:
    """Raise SpecError for a name that is not in the catalogue."""
    for name in names:
        if name not in CATALOGUE:
            similar = did_you_mean(name, CATALOGUE) or f" Choose from: {', '.join(CATALOGUE)}."
            raise SpecError(f"no dataset {name!r} to download.{similar}")


def fetch(
    name: str,
    directory: Path,
    mirror: str | None = None,
    announce: Announce = print,
    progress: bool = True,
) -> Path:
    """Download a dataset, unless its file is in ``directory`` already, and convert it.

    Parameters
    ----------
    name : str
        A name of the catalogue.
    directory : Path
    mirror : str, optional
        An address to take the file from, or the store, under its published name.
    announce : callable
        Called with lines about the size of the download and its checksum.
    progress : bool
        Show a progress bar, if this is a terminal.

    Returns
    -------
    Path
        ``<directory>/<name>.h5``: dataset ``main``, one chunk per slice, with the origin as
        attributes.

    Raises
    ------
    SpecError
        For an unknown name.
    DatasetError
        For a failed download, a wrong checksum, or a file that is not such an archive. A file gets
        its name only after it was checked.
    """
    check([name])
    origin = CATALOGUE[name].origin
    assert origin is not None  # every dataset of the catalogue has one
    target = directory / f"{name}.h5"
    if target.exists():
        announce(f"already in {target}")
        return target
    file = origin.url.rsplit("/", 1)[1]
    store = origin.url.startswith(STORE)
    url = f"{STORE * store}{mirror.rstrip('/')}/{file}" if mirror else origin.url
    shown = progress and sys.stderr.isatty()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if store:
            announce(f"downloading slices from {url}")
            _copy_store(url, target, shown)
        else:
            _fetch_file(url, origin, directory / file, target, announce, shown)
    except (OSError, ValueError, FileError) as error:
        cause = error.reason if type(error) is URLError else error
        reason = " ".join(str(cause).split()).removeprefix(f"{url}: ")
        advice = "try again, finished slices are kept" if store else f"put {file} into {directory}"
        raise DatasetError(
            f"{name}: cannot get {url} ({reason}). Use --mirror with another host, or {advice}"
        ) from None
    return target


def _fetch_file(
    url: str, origin: Origin, archive: Path, target: Path, announce: Announce, progress: bool
) -> None:
    """Download a file, unless it is there, check it, and convert it."""
    with temporary_folder(archive.parent) as folder:
        found = archive
        if not (archive.exists() and _is_intact(archive, origin)):
            found = folder / archive.name
            _download(url, found, origin.download, announce, progress)
            digest = _check(found, origin.checksum)
            announce(f"{digest} ({'as published' if origin.checksum else 'none is published'})")
        convert(found, origin.inner, target, url)
        if found != archive:
            os.replace(found, archive)


def _download(url: str, target: Path, expected: int, announce: Announce, progress: bool) -> None:
    with urlopen(Request(url, headers={"User-Agent": "compresso"}), timeout=TIMEOUT_S) as response:
        length = int(response.headers.get("Content-Length") or expected)
        announce(f"downloading {file_size(length) if length else 'a file'} from {url}")
        with (
            open(target, "wb") as file,
            tqdm.wrapattr(response, "read", total=length or None, disable=not progress) as stream,
        ):
            shutil.copyfileobj(stream, file)
    received = target.stat().st_size
    if length and received != length:
        raise OSError(f"received {received} of {length} bytes")


def _check(path: Path, checksum: str) -> str:
    """Return the digest of a file, by the algorithm of its checksum; raises ValueError."""
    algorithm, _, expected = (checksum or "sha256:").partition(":")
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, algorithm).hexdigest()
    if expected and digest != expected:
        raise ValueError(f"its {algorithm.upper()} is {digest}, not {expected}")
    return f"{algorithm.upper()} {digest}"


def _is_intact(archive: Path, origin: Origin) -> bool:
    """Whether an existing file is the published one."""
    try:
        if origin.checksum:
            return bool(_check(archive, origin.checksum))
        with open_volume(_text(archive, origin.inner)):
            return True
    except (ValueError, FileError):
        return False


def _text(path: Path, inner: str) -> str:
    return f"{path}:{inner}" if inner else str(path)


def convert(path: Path, inner: str, target: Path, url: str) -> None:
    """Write a volume as dataset ``main``, with its metadata and origin."""
    with open_volume(_text(path, inner)) as volume:
        labels = np.ascontiguousarray(volume.read(0, volume.shape[0]))
    origin = {"url": url, "file": path.name, "inner": inner, "sha256": _check(path, "").split()[1]}
    _write(target, volume, [labels], origin)


def _write(target: Path, volume: Volume, parts: Iterable[Labels], origin: dict[str, str]) -> None:
    """Write labels as an HDF5 file with attributes, among them a hash of the labels."""
    digest = hashlib.sha256()

    def hashed() -> Iterator[Labels]:
        for part in parts:
            digest.update(np.ascontiguousarray(part).data)
            yield part

    with replacing(target, force=True) as unfinished:
        volumes.write(unfinished, volume, hashed(), target)
        with h5py.File(unfinished, "r+") as file:
            file["main"].attrs.update(origin | {"labels_sha256": digest.hexdigest()})


def _copy_store(url: str, target: Path, progress: bool) -> None:
    """Download a volume from a store, some slices at a time.

    If it is stopped, it continues at the next call: each part is a compressed file in a folder next
    to ``target``, checked by its hashes, until all are there.
    """
    with volumes.open(url) as volume:
        key = xxhash.xxh3_64_hexdigest(f"{url} {volume.shape} {volume.dtype.str}".encode())
        folder = target.with_name(f".fetching-{target.stem}-{key}")
        folder.mkdir(exist_ok=True)
        depth = volume.shape[0]
        with tqdm(total=depth, unit="slice", disable=not progress) as bar:
            for start in range(0, depth, DEPTH):
                if _load_part(folder, start) is None:
                    _save_part(folder, start, volume.read(start, start + DEPTH))
                bar.update(min(DEPTH, depth - start))
        _write(target, volume, _parts(folder, depth), {"url": url})
    shutil.rmtree(folder, ignore_errors=True)


def _save_part(folder: Path, start: int, labels: Labels) -> None:
    with replacing(folder / f"{start}.cps", force=True) as unfinished:
        unfinished.write_bytes(compresso.dumps(labels, "none", "zstd"))


def _load_part(folder: Path, start: int) -> Any:
    """The labels of a part, or None if it is missing or damaged."""
    try:
        return compresso.loads((folder / f"{start}.cps").read_bytes())
    except (FileNotFoundError, DecodeError):
        return None


def _parts(folder: Path, depth: int) -> Iterator[Labels]:
    for start in range(0, depth, DEPTH):
        labels = _load_part(folder, start)
        if labels is None:
            raise OSError(f"slices from {start} on were damaged after the download")
        yield labels
