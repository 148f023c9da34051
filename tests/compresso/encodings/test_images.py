"""PNG, JPEG 2000 and X.264: lossless for every label, in every shape."""

import numpy as np
import pytest

import compresso as C
from compresso import encodings

NAMES = ["png", "jpeg2000", "x264"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 300), (3, 200, 1), (2, 33, 70)])
@pytest.mark.parametrize("top", [2**8 - 1, 2**16 - 1, 2**24, 2**48, 2**64 - 1])
def test_labels_that_the_published_program_lost(name, shape, top):
    labels = np.random.default_rng(0).integers(top, size=shape, dtype=np.uint64)
    labels.flat[-1] = top
    codec = encodings.parse(name)
    assert np.array_equal(codec.decode(codec.encode(labels)), labels)


@pytest.mark.parametrize("name", NAMES)
def test_damage_is_refused(name, phantom):
    codec = encodings.parse(name)
    stream = codec.encode(phantom[:2, :20, :20])
    for size in [*range(0, 60), len(stream) // 2, len(stream) - 1]:
        with pytest.raises(C.DecodeError, match=name):
            codec.decode(stream[:size])
    with pytest.raises(C.DecodeError, match=name):
        codec.decode(stream + b"12345678901")
