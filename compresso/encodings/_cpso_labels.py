"""The labels of a ``cpso`` stream, listed and renamed without decoding it."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from compresso.encodings._cpso import Sections, Unsigned

SPELLED, CODES = 6, 7  # of locations: the next entry is the label; labels are shifted by 7


def unique(sections: Sections) -> Unsigned:
    """The distinct labels, ascending."""
    labels, _, _ = _located(sections.locations)
    return np.unique(np.concatenate([sections.ids, labels]))


def renamed(sections: Sections, old: Unsigned, new: Unsigned) -> Sections:
    """Give every label another one.

    Parameters
    ----------
    sections : Sections
    old : (n,) of the stream's label type
        Every label of the stream, ascending.
    new : (n,) of the stream's label type
        What each becomes.

    Returns
    -------
    Sections
        Each entry is written as it was: a label that has been spelled out still is. Only where a
        new label is too large to be shifted, it is spelled out too.
    """
    labels, shifted, spelled = _located(sections.locations)
    labels = new[np.searchsorted(old, labels)]
    locations = sections.locations.copy()
    where = np.flatnonzero(shifted | spelled)
    shift = shifted[where]
    too_large = shift & (labels > np.iinfo(labels.dtype).max - CODES)
    locations[where] = labels
    locations[where[shift & ~too_large]] += labels.dtype.type(CODES)
    added = where[too_large]
    if added.size:
        locations = np.insert(locations, added, labels.dtype.type(SPELLED))
    index = sections.index
    if index is not None and added.size:
        slices = np.searchsorted(np.cumsum(index[1].astype(np.int64)), added, side="right") - 1
        more = np.bincount(slices, minlength=index.shape[1])[:-1]
        index = index.copy()
        index[1, 1:] += more.astype(index.dtype)
    header = dataclasses.replace(sections.header, n_locations=locations.size)
    ids = new[np.searchsorted(old, sections.ids)]
    return dataclasses.replace(sections, header=header, ids=ids, locations=locations, index=index)


def _located(locations: Unsigned) -> tuple[Unsigned, NDArray[np.bool_], NDArray[np.bool_]]:
    """The labels among the locations, and which entries have them: shifted, and spelled out."""
    from compresso.kernels import cpso

    shifted, spelled = np.empty(locations.size, np.bool_), np.empty(locations.size, np.bool_)
    cpso.label_entries(locations, shifted, spelled)
    labels = locations.copy()
    labels[shifted] -= labels.dtype.type(CODES)
    return labels[shifted | spelled], shifted, spelled
