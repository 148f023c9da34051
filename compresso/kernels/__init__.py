"""Compiled kernels: plain functions over arrays that know nothing of codecs or files.

A *slice* is one z of a volume ``[z, y, x]``. A boundary map is held as one bit a voxel,
``bits[z, y, word]`` (uint64, voxel x at bit ``x % 64`` of word ``x // 64``, the bits past the
row's end are 0), so that everything after the first comparison works on 64 voxels at a time.

Set ``COMPRESSO_PORTABLE=1`` to run without the LLVM intrinsics of :mod:`compresso.kernels.words`.
"""

import hashlib
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import caching

PORTABLE = bool(int(os.environ.get("COMPRESSO_PORTABLE", "0"))) or bool(
    numba.config.DISABLE_JIT  # type: ignore[attr-defined]
)


def kernel(function: Any) -> Any:
    """Compile a function when it is first called, and keep the machine code for the next process.

    Where nothing can be written or the kept code is damaged, it is compiled without a word.
    """
    compiled: Any = numba.njit(nogil=True)(function)
    # Kept machine code does not remember which of the two it was built from: only one is kept.
    if not PORTABLE:
        with suppress(RuntimeError, OSError):  # no folder can be written
            compiled._cache = _Cache(function)
    return compiled


class _Cache(caching.FunctionCache):
    """numba's own cache, which looks at one source file and raises what the disk raises."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        # numba stamps the file of a kernel only, not those of the kernels that it calls.
        stamp = self._impl.locator.get_source_stamp(), _sources()
        self._cache_file = caching.IndexDataCacheFile(
            self._cache_path, self._impl.filename_base, stamp
        )

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The kept code, or None."""
        try:
            return super().load_overload(signature, target_context)
        except Exception:  # a cut file makes pickle raise almost anything
            with suppress(OSError):
                self._cache_file.flush()
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Keep compiled code, where there is room for it."""
        with suppress(OSError):
            super().save_overload(signature, data)


@cache
def _sources() -> str:
    """A hash of the sources of all kernels."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
