"""Other people's label codecs as pairs of functions, one list for whoever measures or attacks them.

It is imported in the environment where the peers are installed (PyPI's ``compresso`` bears the
name of this project's package, so the two cannot share one), and imports nothing of this project.
"""

import importlib.metadata
from functools import partial

import numpy as np


def find(package, shape, dtype):
    """The codecs of a package: ``{variant: (encode, decode)}``, its default one first.

    Parameters
    ----------
    package : str
        By the name that is imported: one of ``PACKAGES``.
    shape, dtype
        Of the labels, which are Fortran ordered [x, y, z] arrays for all of them.

    Returns
    -------
    dict
        Empty where the package cannot hold labels of this dtype.
    """
    return PACKAGES[package][1](tuple(shape), np.dtype(dtype))


def version(package):
    """The version that is installed, or None."""
    try:
        return importlib.metadata.version(PACKAGES[package][0])
    except importlib.metadata.PackageNotFoundError:
        return None


def _compresso(shape, dtype):
    import compresso

    def variant(steps, index):
        return partial(compresso.compress, steps=steps, random_access_z_index=index)

    return {
        "4x4x1, index": (variant((4, 4, 1), True), compresso.decompress),
        "4x4x1": (variant((4, 4, 1), False), compresso.decompress),
        "8x8x1": (variant((8, 8, 1), False), compresso.decompress),
    }


def _crackle(shape, dtype):
    import crackle

    return {"": (partial(crackle.compress, parallel=1), partial(crackle.decompress, parallel=1))}


def _compressed_segmentation(shape, dtype):
    import compressed_segmentation as package

    if dtype not in (np.uint32, np.uint64):
        return {}
    encode = partial(package.compress, order="F")
    return {"": (encode, partial(package.decompress, volume_size=shape, dtype=dtype, order="F"))}


#: By the name that is imported: the name that pip knows, and the codecs.
PACKAGES = {
    "compresso": ("compresso", _compresso),
    "crackle": ("crackle-codec", _crackle),
    "compressed_segmentation": ("compressed-segmentation", _compressed_segmentation),
}
#: What they are called in tables.
TITLES = {
    "compresso": "PyPI compresso",
    "crackle": "Crackle",
    "compressed_segmentation": "compressed-segmentation",
}
