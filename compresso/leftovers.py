"""Temporary names that tell which process made them: a later one removes what a killed one left.

A process that is killed cannot clean up; the next one that makes the like in the same folder does.
Whether a process is gone can only be asked of its own kernel, and in its own namespace: a number
may be another process elsewhere, or after a boot. So a name holds both, and what has other ones,
from another machine that shares the folder or from another container, is left alone.
"""

import errno
import os
import re
import secrets
import shutil
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

from xxhash import xxh3_64_hexdigest


def own_name(ending: str) -> str:
    """A new temporary name of this process: hidden, and with this ending."""
    return f".compresso-{_processes()}-{os.getpid()}-{secrets.token_hex(4)}{ending}"


def remove_leftovers(folder: Path, ending: str) -> None:
    """Remove what processes that are gone have left in a folder, of names that end so.

    What comes there after this process has first looked is left to a later one.
    """
    for found in _temporary_names(os.path.abspath(folder)):
        if found["ending"] == ending and _is_gone(int(found["process"])):
            with suppress(OSError):
                remove(folder / found[0])


@cache
def _temporary_names(folder: str) -> list[re.Match[str]]:
    """The temporary names in a folder; it is listed once, for it may have very many files."""
    if not _processes():
        return []
    mine = re.compile(
        rf"\.compresso-{_processes()}-(?P<process>\d{{1,9}})-[0-9a-f]{{8}}(?P<ending>.*)", re.DOTALL
    )
    with suppress(OSError):  # it will be told by who writes there
        return [found for name in os.listdir(folder) if (found := mine.fullmatch(name))]
    return []


def remove(path: Path) -> None:
    """Remove a file, or a folder and what is in it; what is not there is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@cache
def _processes() -> str:
    """Which processes can be asked about; empty where that is not known, as outside of Linux."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
    return xxh3_64_hexdigest(f"{socket.gethostname()} {boot} {namespace}".encode())


def _is_gone(process: int) -> bool:
    """Whether there is no such process; also another one may have its number by now."""
    try:
        os.kill(process, 0)
    except OSError as error:
        return error.errno == errno.ESRCH
    return False
