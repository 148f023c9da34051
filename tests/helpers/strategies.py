"""Label volumes that hypothesis draws."""

import numpy as np
from hypothesis import strategies as st

UNSIGNED = (np.uint8, np.uint16, np.uint32, np.uint64)
#: The largest label that the 2017 stream can hold in every place.
LARGEST = 2**64 - 7


@st.composite
def volumes(draw, dtypes=UNSIGNED, largest=LARGEST, max_side=20):
    """Label volumes: any shape down to empty, few or many labels, extreme ones, any layout."""
    shape = draw(st.tuples(*[st.integers(0, max_side)] * 3))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    info = np.iinfo(dtype)
    top = min(info.max, largest)
    extreme = st.sampled_from([info.min, info.min + 1, top - 1, top, 0, 1])
    palette = draw(st.lists(extreme | st.integers(info.min, top), min_size=1, max_size=8))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):  # regions of equal labels, as segmentations have them
        block = draw(st.tuples(*[st.integers(1, 9)] * 3))
        coarse = [-(-n // b) for n, b in zip(shape, block, strict=True)]
        picks = random.integers(len(palette), size=coarse)
        for axis, repeat in enumerate(block):
            picks = picks.repeat(repeat, axis)
        picks = picks[: shape[0], : shape[1], : shape[2]]
    else:
        picks = random.integers(len(palette), size=shape)
    labels = np.array(palette, dtype)[picks]
    layout = draw(st.sampled_from(["C", "F", "reversed", "strided", "swapped", "readonly"]))
    if layout == "F":
        labels = np.asfortranarray(labels)
    elif layout == "reversed":
        labels = labels[::-1, :, ::-1]
    elif layout == "strided":
        labels = np.repeat(labels, 2, axis=2)[:, :, ::2]
    elif layout == "swapped":
        labels = labels.astype(dtype.newbyteorder())
    elif layout == "readonly":
        labels.flags.writeable = False
    return labels
