"""Download published datasets, check them, and convert them once to ``<name>.h5``."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
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
from experiments.datasets import CATALOGUE, Dataset
from experiments.datasets.archives import open_volume, split_source

#: How the address of a store begins.
STORE = "precomputed://"
#: Slices of a part of a store that is downloaded.
PART_SLICES = 16
TIMEOUT_S = 60
Announce = Callable[[str], None]


def check_names(names: Iterable[str]) -> None:
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
    """Download a dataset to ``name.h5`` in ``directory``; returns that path, or an existing file's.

    The file has a dataset ``main`` with one chunk per slice, and the origin as attributes. With a
    ``mirror``, the published file or store is taken from that address. ``announce`` is called with
    lines about the size of the download and its checksum.

    Raises DatasetError for a failed download, a wrong checksum, or a file that is not such an
    archive. A file gets its name only after it was checked.
    """
    dataset = CATALOGUE[name]
    target, file = directory / f"{name}.h5", dataset.url.rsplit("/", 1)[1]
    present = target if target.exists() else split_source(dataset.found(directory).text or file)[0]
    if present.name != file:  # a download is checked, and converted
        announce(f"already in {present}")
        return present
    store = dataset.url.startswith(STORE)
    url = f"{STORE * store}{mirror.rstrip('/')}/{file}" if mirror else dataset.url
    hidden = None if progress else True  # None shows it on a terminal
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if store:
            announce(f"downloading slices from {url}")
            _copy_store(url, target, hidden)
        else:
            _fetch_file(url, dataset, directory / file, target, announce, hidden)
    except (OSError, ValueError, FileError, DecodeError) as error:
        cause = error.reason if type(error) is URLError else error
        reason = " ".join(str(cause).split()).removeprefix(f"{url}: ")
        accepted = [layout.partition(":")[0] for layout in dataset.layouts if "/" not in layout]
        again = "Try again (finished slices are kept), use" if store else "Use"
        raise DatasetError(
            f"{name}: cannot get {url} ({reason}). {again} --mirror with another host, or put "
            f"{' or '.join(accepted)} into {directory}"
        ) from None
    return target


def _fetch_file(
    url: str, dataset: Dataset, file: Path, target: Path, announce: Announce, hidden: bool | None
) -> None:
    """Download a file, unless it is there and intact, check it, and convert it."""
    if file.exists():
        with suppress(ValueError, FileError):
            _convert(url, dataset, file, target)
            return
    with temporary_folder(file.parent) as folder:
        found = folder / file.name
        _download(url, found, dataset.download, announce, hidden)
        announce(_convert(url, dataset, found, target))
        os.replace(found, file)


def _download(
    url: str, target: Path, expected: int, announce: Announce, hidden: bool | None
) -> None:
    with urlopen(Request(url, headers={"User-Agent": "compresso"}), timeout=TIMEOUT_S) as response:
        length = int(response.headers.get("Content-Length") or expected)
        announce(f"downloading {file_size(length) if length else 'a file'} from {url}")
        with (
            open(target, "wb") as file,
            tqdm.wrapattr(response, "read", total=length or None, disable=hidden) as stream,
        ):
            shutil.copyfileobj(stream, file)
    received = target.stat().st_size
    if length and received != length:
        raise OSError(f"received {received} of {length} bytes")


def _convert(url: str, dataset: Dataset, file: Path, target: Path) -> str:
    """Check a file and write its volume with metadata and origin; returns a line about its digest.

    Raises ValueError for another digest than the published one.
    """
    algorithm, _, expected = (dataset.checksum or "sha256:").partition(":")
    digest = _digest(file, algorithm)
    if expected and digest != expected:
        raise ValueError(f"its {algorithm.upper()} is {digest}, not {expected}")
    inner = dataset.inner
    with open_volume(f"{file}:{inner}" if inner else str(file)) as volume:
        labels = np.ascontiguousarray(volume.read(0, volume.shape[0]))
    origin = {"url": url, "file": file.name, "inner": inner, "sha256": _digest(file, "sha256")}
    _write(target, volume, [labels], origin)
    return f"{algorithm.upper()} {digest} ({'as published' if expected else 'none is published'})"


def _digest(path: Path, algorithm: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _write(target: Path, volume: Volume, parts: Iterable[Labels], origin: dict[str, str]) -> None:
    """Write labels as an HDF5 file with attributes, among them a hash of the labels."""
    digest = hashlib.sha256()

    def hashed() -> Iterator[Labels]:
        for part in parts:
            digest.update(np.ascontiguousarray(part).data)
            yield part

    with replacing(target, force=True) as unfinished:
        volumes.write(unfinished, volume, hashed())
        with h5py.File(unfinished, "r+") as file:
            file["main"].attrs.update(origin | {"labels_sha256": digest.hexdigest()})


def _copy_store(url: str, target: Path, hidden: bool | None) -> None:
    """Download a volume from a store; if it is stopped, the next call continues.

    Some slices at a time become a compressed file in a folder next to ``target``.
    """
    with volumes.open(url) as volume:
        key = xxhash.xxh3_64_hexdigest(f"{url} {volume.shape} {volume.dtype.str}".encode())
        folder = target.with_name(f".fetching-{target.stem}-{key}")
        folder.mkdir(exist_ok=True)
        starts = range(0, volume.shape[0], PART_SLICES)
        for start in tqdm(starts, unit=f" x {PART_SLICES} slices", disable=hidden):
            try:
                _load_part(folder, start)
            except (FileNotFoundError, DecodeError):
                part = compresso.dumps(volume.read(start, start + PART_SLICES), "none", "zstd")
                with replacing(folder / f"{start}.cps", force=True) as unfinished:
                    unfinished.write_bytes(part)
        _write(target, volume, (_load_part(folder, start) for start in starts), {"url": url})
    shutil.rmtree(folder, ignore_errors=True)


def _load_part(folder: Path, start: int) -> Labels:
    return compresso.loads((folder / f"{start}.cps").read_bytes())
