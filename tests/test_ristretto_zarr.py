"""``ristretto`` in Zarr: what the trained start is worth in chunks of 64 x 64 x 64."""

import numpy as np
import pytest
from conftest import shared

from compresso.volumes import open_file

PLACES = {
    "spl-knee": ("data/spl-knee.nrrd", (slice(32, 96), slice(128, 384), slice(128, 384))),
    "pinky40": ("data/pinky40-z000-255.h5:main", (slice(64, 128), slice(256), slice(256))),
}


@pytest.mark.parametrize("name", PLACES)
def test_chunks_with_the_start_are_smaller(name, tmp_path):
    """By 7% or more, everything in the chunks counted; they come back bit for bit."""
    zarr = pytest.importorskip("zarr")
    from compresso.adapters.zarr import CompressoCodec

    zarr.registry.register_codec("compresso", CompressoCodec)
    path, part = PLACES[name]
    file, _, inner = path.partition(":")
    with open_file(shared(file), inner or None) as reader:
        labels = np.ascontiguousarray(reader.read(part[0].start, part[0].stop)[:, *part[1:]])
    sizes = []
    for start in (0, 1):
        configuration = {"encoding": f"ristretto:start={start}", "compression": "none"}
        array = zarr.create_array(
            str(tmp_path / f"{start}.zarr"),
            shape=labels.shape,
            dtype=labels.dtype,
            chunks=(64, 64, 64),
            serializer={"name": "compresso", "configuration": configuration},
            compressors=None,
        )
        array[:] = labels
        assert np.array_equal(zarr.open_array(str(tmp_path / f"{start}.zarr"))[:], labels)
        chunks = (tmp_path / f"{start}.zarr/c").rglob("*")
        sizes.append(sum(chunk.stat().st_size for chunk in chunks if chunk.is_file()))
    assert sizes[1] <= 0.93 * sizes[0], sizes
