"""Machine code that is kept from one process to the next, in the user's cache folder.

One compiled function for one kind of arguments is one file, whose name is a hash of all that it was
compiled from: the sources of all kernels, the versions of Python and numba, the processor, the
types. So a file is never wrong, only missing; it is written under another name first and has a
checksum, so any number of processes may read and write at the same time. All files together are
kept below a limit; the ones that were not used for the longest time are removed.
"""

import hashlib
import logging
import os
import pickle
import secrets
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
import numpy as np
import platformdirs
from numba.core import caching, compiler
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps

LOGGER = logging.getLogger("compresso.kernels")
CHECK_BYTES = hashlib.sha256().digest_size
#: Bytes of all kept code, about 50 times what one version needs.
LIMIT = 1 << 28
#: Seconds after which the use of a file is recorded again.
DAY = 86400.0


class Cache(caching.NullCache):
    """The cache that numba asks for the code of a function, in place of its own.

    Numba's stamps a kernel's own file only, not those of the kernels that it calls; it may give two
    processes the same file name; and it must be able to write its folder.
    """

    def __init__(self, function: Any, variant: object) -> None:
        self._function, self._variant = function, variant

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kept code, or None."""
        # numba's own cache refreshes the context, which imports 0.6 s of code that only compiling
        # needs. Running needs no more than the memory management of arrays.
        rtsys.initialize(target_context)
        kept = folder()
        with suppress(Exception):  # damaged, or gone: it is compiled again
            if kept:
                path = kept / self._file(sig, target_context.codegen())
                data = path.read_bytes()
                if hashlib.sha256(data[CHECK_BYTES:]).digest() == data[:CHECK_BYTES]:
                    _touch(path)
                    parts = pickle.loads(data[CHECK_BYTES:])
                    return compiler.CompileResult._rebuild(target_context, *parts)
        LOGGER.info("compiling kernels (first run only) ...")
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep compiled code, if the folder can be written."""
        kept = folder()
        if kept is None or data.library.has_dynamic_globals:  # addresses of this process
            return
        payload = dumps(data._reduce())
        with suppress(OSError):
            path = kept / self._file(sig, data.codegen)
            _write(path, hashlib.sha256(payload).digest() + payload)
            _sweep(kept)

    def _file(self, sig: Any, codegen: Any) -> str:
        """The name of the file of one kind of arguments."""
        module = self._function.__module__.rpartition(".")[2]
        stem = f"{module}.{self._function.__name__}.{sys.implementation.cache_tag}.{_stamp()}"
        key = repr((sig, codegen.magic_tuple(), _identity(self._function), self._variant))
        return f"{stem}.{hashlib.sha256(key.encode()).hexdigest()[:16]}.nbc"


def _identity(value: Any) -> Any:
    """A key of a function, or of a value of its closure, that is the same in every process.

    Numba pickles closures, but its pickle of a compiled function is a new one in every process.
    """
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    function = getattr(value, "py_func", getattr(value, "_defn", value))  # compiled, intrinsic
    if not isinstance(function, FunctionType):
        return value
    cells = [_identity(cell.cell_contents) for cell in function.__closure__ or ()]
    return function.__module__, function.__qualname__, function.__code__.co_firstlineno, cells


def folder() -> Path | None:
    """The folder of kept code: the user's cache, or NUMBA_CACHE_DIR; None for a user without."""
    chosen: str = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    if chosen:
        return Path(chosen)
    with suppress(RuntimeError):  # a user without a home
        found = platformdirs.user_cache_path("compresso", appauthor=False) / "kernels"
        return found if found.is_absolute() else None
    return None


@cache
def _stamp() -> str:
    """A hash of the sources of all kernels, and of what compiles them."""
    config = numba.config
    options = [getattr(config, name, None) for name in ("BOUNDSCHECK", "OPT", "DEBUGINFO_DEFAULT")]
    digest = hashlib.sha256(repr((sys.version, numba.__version__, options)).encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _write(path: Path, data: bytes) -> None:
    """Write a file that appears at once and whole; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        raise


def _touch(path: Path) -> None:
    """Record that a file was used."""
    with suppress(OSError):  # a folder that can only be read
        if time.time() - path.stat().st_mtime > DAY:
            os.utime(path)


def _sweep(kept: Path) -> None:
    """Remove the files that were not used for the longest time, until the rest fits the limit.

    These include unfinished files of killed processes.
    """
    files = []
    for path in kept.glob("*.nbc*"):
        with suppress(OSError):  # another process has removed it
            found = path.stat()
            files.append((found.st_mtime, found.st_size, path))
    total = 0
    for _, size, path in sorted(files, reverse=True):
        total += size
        if total > LIMIT:
            with suppress(OSError):
                path.unlink()
