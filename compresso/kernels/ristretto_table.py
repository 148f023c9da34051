"""The label table of ``ristretto``: all labels in ascending order, and each slab's own order."""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.ristretto_coder import decide_size, load, save

U64 = np.uint64
GAPS, MEMBERS, ORDER = 0, 128, 256
COUNTERS = 384


@kernel
def code_labels(encoding, labels, counters, data, state):
    """Code ascending labels above 0.

    Parameters
    ----------
    encoding : bool
    labels : (n,) uint64
        Read, or written while decoding.
    counters : (COUNTERS,) uint32
    data, state
        Of the coder.

    Returns
    -------
    int
        0, or -1 where a label would pass 2**64 - 1.
    """
    coder = load(encoding, state, data, counters)
    before, fine = U64(0), True
    for n in range(labels.size):
        gap, coder = decide_size(encoding, labels[n] - before - U64(1), GAPS, coder)
        label = before + gap + U64(1)
        if label <= before:
            fine = False
            break
        labels[n] = before = label
    save(coder, state)
    return 0 if fine else -1


@kernel
def code_members(encoding, members, n_labels, counters, data, state):
    """Code which of ``n_labels`` labels a slab has: their ascending ranks from 0, (n,) int64.

    Returns 0, or -1 where a rank is out of range.
    """
    coder = load(encoding, state, data, counters)
    before, fine = np.int64(-1), True
    for n in range(members.size):
        gap, coder = decide_size(encoding, members[n] - before - 1, MEMBERS, coder)
        if gap >= U64(n_labels - 1 - before):
            fine = False
            break
        members[n] = before = before + 1 + np.int64(gap)
    save(coder, state)
    return 0 if fine else -1


@kernel
def code_order(encoding, order, counters, data, state):
    """Code a permutation of 0..n-1, (n,) int64: of each the number of smaller ones after it.

    Returns 0, or -1 where it is no permutation.
    """
    coder = load(encoding, state, data, counters)
    # left[i]: how many of the i & -i before the i-th are still to come, a Fenwick tree.
    left = np.empty(order.size + 1, np.int64)
    for n in range(left.size):
        left[n] = n & -n
    top = np.int64(1)
    while 2 * top <= order.size:
        top *= 2
    fine = True
    for n in range(order.size):
        smaller = np.int64(0)
        i = np.int64(order[n] if encoding else 0)
        while i > 0:
            smaller += left[i]
            i &= i - 1
        later, coder = decide_size(encoding, smaller, ORDER, coder)
        if later >= U64(order.size - n):
            fine = False
            break
        step, remaining = top, np.int64(later)
        while step > 0:
            if i + step <= order.size and left[i + step] <= remaining:
                i += step
                remaining -= left[i]
            step //= 2
        order[n] = i
        i += 1
        while i <= order.size:
            left[i] -= 1
            i += i & -i
    save(coder, state)
    return 0 if fine else -1
