"""Download the paper's datasets, check them, and convert them once to ``<name>.h5``."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from compresso.errors import FileError
from compresso.targets import replacing
from experiments import files
from experiments.errors import DatasetError


@dataclass(frozen=True)
class Source:
    """Where a dataset is published.

    Parameters
    ----------
    url : str
    checksum : str, optional
        ``sha256:...`` or ``md5:...`` of the file, as other projects publish it.
    inner : str
        Which of the file's volumes.
    """

    url: str
    checksum: str | None = None
    inner: str = ""


_CREMI = "https://cremi.org/static/data/sample_{}_20160501.hdf"
_ATLAS = "https://www.openanatomy.org/atlases/nac/{}.zip"
_NEURON_IDS = "volumes/labels/neuron_ids"
SOURCES = {
    "ac3": Source("https://lichtman.rc.fas.harvard.edu/vast/AC3AC4Package.zip", inner="AC3"),
    "ac4": Source(
        "https://zenodo.org/records/7142003/files/snemi.zip",
        "md5:3d25a7025f66698f33c7850ace885939",
    ),
    "cremi-a": Source(
        _CREMI.format("A"),
        "sha256:4c563d1b78acb2bcfb3ea958b6fe1533422f7f4a19f3e05b600bfa11430b510d",
        _NEURON_IDS,
    ),
    "cremi-b": Source(
        _CREMI.format("B"),
        "sha256:887e85521e00deead18c94a21ad71f278d88a5214c7edeed943130a1f4bb48b8",
        _NEURON_IDS,
    ),
    "cremi-c": Source(
        _CREMI.format("C"),
        "sha256:2874496f224d222ebc29d0e4753e8c458093e1d37bc53acd1b69b19ed1ae7052",
        _NEURON_IDS,
    ),
    "spl-brain": Source(_ATLAS.format("brain-2017-01")),
    "spl-knee": Source(_ATLAS.format("knee-2016-09")),
    "spl-abdominal": Source(
        _ATLAS.format("abdomen-2016-09"),
        "sha256:1cf85dbc820767b7c3095790ff38ae150a085af713061a2f0e950e355e4dc7c8",
    ),
    "bsd500": Source(
        "https://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz"
    ),
    "voc2012": Source(
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        "md5:6cd6e144f989b92b3379bac3b3de84fd",
    ),
}
CYLINDER = (
    "cyl is published only in Neuroglancer's precomputed format, at "
    "gs://neuroglancer-public-data/kasthuri2011/ground_truth; get it so: pip install cloud-volume, "
    "then CloudVolume(that address)[:, :, :] as an array [z, y, x], saved as dataset main of "
    "cyl.h5 in the data folder"
)


def fetch(name: str, directory: Path, mirror: str | None = None) -> Path:
    """Download one dataset, unless its file is in ``directory`` already, and convert it.

    Parameters
    ----------
    name : str
        A key of ``SOURCES``.
    directory : Path
    mirror : str, optional
        An address to take the file from, by its published name.

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
    if name == "cyl":
        raise DatasetError(CYLINDER)
    if name not in SOURCES:
        raise DatasetError(f"cannot fetch {name!r}; choose from {', '.join(SOURCES)}")
    target = directory / f"{name}.h5"
    if target.exists():
        return target
    source = SOURCES[name]
    archive = directory / source.url.rsplit("/", 1)[1]
    url = f"{mirror.rstrip('/')}/{archive.name}" if mirror else source.url
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if archive.exists() and _is_sound(archive, source):
            convert(archive, source.inner, target, url)
            return target
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=directory) as folder:
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


def _is_sound(archive: Path, source: Source) -> bool:
    """Whether a file that is there already is what was published."""
    if source.checksum:
        kind, _, digest = source.checksum.partition(":")
        with open(archive, "rb") as file:
            return hashlib.file_digest(file, kind).hexdigest() == digest
    try:
        with files.open_volume(archive, source.inner):
            return True
    except FileError:
        return False


def _retrieve(url: str, checksum: str | None, name: str, folder: str, bar: bool) -> str:
    import pooch

    # A file without checksum is checked by what it is, so its digest is no news to the user.
    pooch.get_logger().setLevel("WARNING")
    path: str = pooch.retrieve(url, checksum, fname=name, path=folder, progressbar=bar)
    return path


def convert(path: Path, inner: str, target: Path, url: str) -> None:
    """Write a volume as dataset ``main``, a gzip-compressed chunk a slice, with its origin."""
    with files.open_volume(path, inner) as reader:
        labels = np.ascontiguousarray(reader.read(0, reader.shape[0]))
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with replacing(target, force=True) as unfinished, h5py.File(unfinished, "w") as out:
        dataset = out.create_dataset(
            "main", data=labels, chunks=(1, *labels.shape[1:]), compression="gzip"
        )
        dataset.attrs.update({"url": url, "file": path.name, "inner": inner, "sha256": digest})
        dataset.attrs["labels_sha256"] = hashlib.sha256(labels.data).hexdigest()
