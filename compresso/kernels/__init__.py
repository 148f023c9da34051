"""Compiled kernels: plain functions over arrays that know nothing of codecs or files.

A *slice* is one z of a volume ``[z, y, x]``. A boundary map is held as one bit a voxel,
``bits[z, y, word]`` (uint64, voxel x at bit ``x % 64`` of word ``x // 64``, the bits past the
row's end are 0), so that everything after the first comparison works on 64 voxels at a time.

Set ``COMPRESSO_PORTABLE=1`` to run without the LLVM intrinsics of :mod:`compresso.kernels.words`.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import numba

PORTABLE = bool(int(os.environ.get("COMPRESSO_PORTABLE", "0"))) or bool(
    numba.config.DISABLE_JIT  # type: ignore[attr-defined]
)

# Cached machine code does not remember which of the two it was built from, so only one is cached.
kernel = numba.njit(nogil=True, cache=not PORTABLE)


def _forget_stale_code() -> None:
    """Drop cached machine code that other sources made.

    numba looks at the file of a kernel only, not at those of the kernels that it calls.
    """
    folder = Path(__file__).parent
    sources = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
    digest = hashlib.sha256(sources).hexdigest()
    stamp = folder / "__pycache__" / "kernels.sha256"
    with suppress(OSError):  # a folder that cannot be written has no cache of ours
        if stamp.exists() and stamp.read_text() == digest:
            return
        stamp.parent.mkdir(exist_ok=True)
        for path in stamp.parent.glob("*.nb[ic]"):
            path.unlink(missing_ok=True)
        stamp.write_text(digest)


_forget_stale_code()
