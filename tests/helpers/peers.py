"""Other people's packages, each in a Python of its own: PyPI's ``compresso`` bears our name."""

import fcntl
import os
import pickle
import subprocess
import venv
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.paths import ROOT

#: What the tests were written against.
VERSIONS = {"compresso": "3.3.3", "cloud-volume": "12.15.2"}
WORKER = Path(__file__).with_name("peer_worker.py")


def interpreter(cache: Path, *packages: str, ours: bool = False) -> Path:
    """A Python that has these packages, and with ``ours`` this checkout; skips if none can be had.

    It is the one that the environment variable COMPRESSO_PEERS names, or a virtual environment
    that is made once in the folder ``cache``.
    """
    if (named := os.environ.get("COMPRESSO_PEERS")) and not ours:
        lacking = [name for name in packages if not _has(named, name)]
        if lacking:
            pytest.skip(f"COMPRESSO_PEERS={named} lacks {', '.join(lacking)}")
        return Path(named)
    python = cache / "-".join([*["ours"] * ours, *packages]) / "bin/python"
    with (cache / "lock").open("w") as lock:  # tests run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(python.exists() and _has(python, name) for name in packages):
            venv.create(python.parents[1], with_pip=True, clear=True)
            pinned = [f"{n}=={VERSIONS[n]}" if n in VERSIONS else n for n in packages]
            install(python, *pinned, *[str(ROOT)] * ours)
        if ours:
            install(python, "--force-reinstall", "--no-deps", str(ROOT))  # what is in it today
    return python


def install(python: Path, *what: str) -> None:
    """Install packages with pip; skips the test where they cannot be had."""
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    command = [*pip, "--retries=1", "--timeout=10", *what]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["pip failed"]
        pytest.skip(f"cannot install {' '.join(what)}: {reason[0]}")


def _has(python: Path | str, package: str) -> bool:
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    try:
        done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True)
    except OSError:
        return False
    return done.stdout.strip() == VERSIONS.get(package, done.stdout.strip() or "none")


class Peer:
    """Evaluates Python in another interpreter, where ``compresso`` is the package from PyPI."""

    def __init__(self, python: Path) -> None:
        self._process = subprocess.Popen(
            [python, "-I", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __call__(self, source: str, **values):
        """The value of an expression, or the name of the exception that it raised."""
        pickle.dump((source, values), self._process.stdin)
        self._process.stdin.flush()
        return pickle.load(self._process.stdout)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def here(source: str, **values):
    """The same in this process, where ``compresso`` is our package."""
    import compresso

    try:
        return eval(source, {"compresso": compresso, "np": np, **values})  # noqa: S307
    except Exception as error:
        return type(error)


def same(mine, theirs) -> bool:
    """Whether two results are equal, in dtype and type too."""
    if isinstance(theirs, np.ndarray):
        same = type(mine) is type(theirs) and mine.dtype == theirs.dtype
        return same and np.array_equal(mine, theirs)
    return type(mine) is type(theirs) and mine == theirs
