"""The numbers that a picture of ``ristretto`` has seen, and how many below another it has not.

``seen`` is a pointer to uint64[SEEN]: a bit a number from WORDS on, and before them how many bits
of each block of 64 words are set, so that no question takes more than some 150 steps.
"""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.ristretto_coder import outline
from compresso.kernels.words import popcount, trailing_zeros

U64 = np.uint64
#: Numbers up to this one are looked for one by one.
MAX_SORTED = 1 << 16
BLOCKS = (MAX_SORTED >> 12) + 1
WORDS = 32
SEEN = WORDS + 64 * BLOCKS


@kernel
def forget(seen, most):
    """Begin a picture: of the numbers up to ``most``, at most MAX_SORTED, only 0 is seen."""
    blocks = (min(most, MAX_SORTED) >> 12) + 1
    for block in range(blocks):
        seen[U64(block)] = U64(0)
    for word in range(WORDS, WORDS + 64 * blocks):
        seen[U64(word)] = U64(0)
    seen[U64(0)], seen[U64(WORDS)] = U64(1), U64(1)


@kernel
def is_seen(seen, number):
    """Whether a number is seen."""
    return (seen[U64(WORDS + (number >> 6))] >> U64(number & 63)) & U64(1) == U64(1)


@kernel
def see(seen, number):
    """Make a number, which is not seen, a seen one."""
    seen[U64(WORDS + (number >> 6))] |= U64(1) << U64(number & 63)
    seen[U64(number >> 12)] += U64(1)


@outline
def unseen_below(seen, number):
    """How many numbers below this one are not seen."""
    found = np.int64(number)
    for block in range(number >> 12):
        found -= np.int64(seen[U64(block)])
    for word in range(number >> 12 << 6, number >> 6):
        found -= np.int64(popcount(seen[U64(WORDS + word)]))
    below = (U64(1) << U64(number & 63)) - U64(1)
    return found - np.int64(popcount(seen[U64(WORDS + (number >> 6))] & below))


@outline
def unseen_at(seen, rank, most):
    """The number that is not seen and has ``rank`` such below it, ``most`` where it is larger."""
    if rank >= unseen_below(seen, most):
        return most
    left, block = np.int64(rank), np.int64(0)
    while left >= 4096 - np.int64(seen[U64(block)]):
        left -= 4096 - np.int64(seen[U64(block)])
        block += 1
    word = block << 6
    while left >= 64 - np.int64(popcount(seen[U64(WORDS + word)])):
        left -= 64 - np.int64(popcount(seen[U64(WORDS + word)]))
        word += 1
    free = ~seen[U64(WORDS + word)]
    while left > 0:
        free &= free - U64(1)
        left -= 1
    return (word << 6) + np.int64(trailing_zeros(free))
