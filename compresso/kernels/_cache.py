"""Machine code that is kept from one process to the next.

One compiled function for one kind of arguments is one file, whose name is a hash of all that it was
compiled from: the sources of all kernels, the versions of Python and numba, the processor, the
types. So a file is never wrong, only missing; it is written under another name first and has a
checksum, so any number of processes may read and write at the same time.
"""

import hashlib
import os
import pickle
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import caching, compiler
from numba.core.serialize import dumps

CHECK_BYTES = hashlib.sha256().digest_size
#: Seconds after which code of other sources or versions is removed, when new code is kept.
OLD = 86400.0


class Cache(caching.FunctionCache):
    """What numba asks for the code of a function, in place of its own cache.

    Numba's stamps a kernel's own file only, not those of the kernels that it calls; it numbers its
    files, so that two processes may take the same number for two kinds of arguments; and it knows
    one folder, which it must be able to write.

    Parameters
    ----------
    function : callable
    variant : hashable
        What else the code depends on.
    """

    def __init__(self, function: Any, variant: object) -> None:
        self._py_func, self._name = function, repr(function)
        self._variant = variant
        module = function.__module__.rpartition(".")[2]
        self._line = function.__code__.co_firstlineno
        self._stem = f"{module}.{function.__name__}.{sys.implementation.cache_tag}"
        self.enable()

    @property
    def cache_path(self) -> str:
        """The folder that is looked at first."""
        return str(next(folders(), Path()))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kept code, or None."""
        target_context.refresh()
        name = self._file(sig, target_context.codegen())
        for folder in folders():
            with suppress(Exception):  # damaged, or gone: it is compiled again
                data = (folder / name).read_bytes()
                if hashlib.sha256(data[CHECK_BYTES:]).digest() == data[:CHECK_BYTES]:
                    parts = pickle.loads(data[CHECK_BYTES:])
                    return compiler.CompileResult._rebuild(target_context, *parts)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep compiled code in the first folder that can be written; none is no error."""
        if data.library.has_dynamic_globals:  # addresses of this process
            return
        payload = dumps(data._reduce())
        name = self._file(sig, data.codegen)
        for folder in folders():
            with suppress(OSError):
                _write(folder / name, hashlib.sha256(payload).digest() + payload)
                _sweep(folder, self._stem, _stamp())
                return

    def flush(self) -> None:
        """Forget nothing: what is kept is right."""

    def _file(self, sig: Any, codegen: Any) -> str:
        """The name of the file of one kind of arguments."""
        key = repr((self._index_key(sig, codegen), self._line, self._variant))
        return f"{self._stem}.{_stamp()}.{hashlib.sha256(key.encode()).hexdigest()[:16]}.nbc"


def folders() -> Iterator[Path]:
    """Where code may be kept: with the sources, as Python's own, else with the user."""
    if numba.config.CACHE_DIR:  # type: ignore[attr-defined]
        yield Path(numba.config.CACHE_DIR)  # type: ignore[attr-defined]
        return
    yield Path(__file__).parent / "__pycache__"
    with suppress(RuntimeError):  # a user without a home
        yield _users() / "compresso" / "kernels"


def _users() -> Path:
    """The folder of a user's caches."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return given if given.is_absolute() else Path.home() / ".cache"


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


def _sweep(folder: Path, stem: str, stamp: str) -> None:
    """Remove what is left of a function's other sources and versions, and of killed processes."""
    now = time.time()
    for path in folder.glob(f"{stem}.*"):
        stale = not path.name.startswith(f"{stem}.{stamp}.") or path.suffix == ".tmp"
        with suppress(OSError):
            if stale and now - path.stat().st_mtime > OLD:
                path.unlink()
