"""Writes or reads volumes of ``encoding: compresso`` with CloudVolume, in a Python of its own.

    peer_cloudvolume.py write FOLDER LABELS.npy     as FOLDER/plain and FOLDER/sharded
    peer_cloudvolume.py read FOLDER LABELS.npy      compares them with the labels
    peer_cloudvolume.py store FOLDER LABELS.npy     writes one of each encoding and packing
    peer_cloudvolume.py compare FOLDER LABELS.npy   compares the volume in FOLDER with the labels

Labels are [x, y, z]. The package that is imported as ``compresso`` is printed.
"""

import sys

import numpy as np
from cloudvolume import Bbox, CloudVolume

import compresso

OFFSET = (10, 20, 30)
CHUNK = (64, 64, 16)
#: What is written of each encoding; CloudVolume's ``raw`` in files is packed by gzip.
ENCODINGS = ("compresso", "compressed_segmentation", "raw")


def create(place, labels, encoding, sharded):
    info = CloudVolume.create_new_info(
        num_channels=1,
        layer_type="segmentation",
        data_type=labels.dtype.name,
        encoding=encoding,
        resolution=(4, 4, 40),
        voxel_offset=OFFSET,
        chunk_size=CHUNK,
        volume_size=labels.shape,
    )
    volume = CloudVolume(f"file://{place}", info=info, progress=False)
    if sharded:
        volume.image.to_sharded()
    volume.commit_info()
    volume[:] = labels[..., np.newaxis]


def store(folder, labels):
    for encoding in ENCODINGS:
        if encoding != "compressed_segmentation" or labels.dtype.itemsize > 2:
            create(f"{folder}/{encoding}-files", labels, encoding, False)
            create(f"{folder}/{encoding}-shards", labels, encoding, True)


def compare(folder, labels):
    assert equal(CloudVolume(f"file://{folder}", progress=False)[:][..., 0], labels)


def write(folder, labels):
    create(f"{folder}/plain", labels, "compresso", False)
    create(f"{folder}/sharded", labels, "compresso", True)
    options = {"non_aligned_writes": True, "fill_missing": True, "progress": False}
    volume = CloudVolume(f"file://{folder}/plain", **options)
    volume[15:80, 25:50, 33:50] = labels[5:70, 5:30, 3:20, np.newaxis]  # a part again


def read(folder, labels):
    x, y, z = OFFSET
    for name in ("plain", "sharded"):
        volume = CloudVolume(f"file://{folder}/{name}", progress=False)
        assert ("sharding" in volume.scale) == (name == "sharded")
        assert volume.encoding == "compresso"
        assert equal(volume[:][..., 0], labels)
        part = volume[x + 3 : x + 70, y + 50 : y + 90, z + 7 : z + 9]
        assert equal(part[..., 0], labels[3:70, 50:90, 7:9])
        at = (x + 65, y + 7, z + 17)
        assert volume.download_point(at, size=1).item() == labels[65, 7, 17]
        box = Bbox((x, y, z), np.add(OFFSET, labels.shape))
        assert volume.unique(box) == set(np.unique(labels).tolist())
        masked = volume.download(box, label=labels[0, 0, 0].item())[..., 0]
        assert equal(masked.astype(bool), labels == labels[0, 0, 0])


def equal(found, expected):
    return found.dtype == expected.dtype and np.array_equal(found, expected)


if __name__ == "__main__":
    task, folder, path = sys.argv[1:]
    globals()[task](folder, np.load(path))
    print(compresso.__file__)
