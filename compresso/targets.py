"""Files that are written whole or not at all, and what else one may read from and write to."""

import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from compresso.errors import FileError

#: The standard input or output.
STANDARD = Path("-")
#: What tells files from later ones of their names: of each its bytes, and when they were written,
#: in ns.
Stamp = tuple[int, ...]

_unfinished: set[Path] = set()


class Head(NamedTuple):
    """How many of the first bytes of a stream are checked, and what raises an error for them."""

    size: int
    check: Callable[[bytes], object]


ANY = Head(0, bool)


def file_or_standard(text: str) -> Path:
    """The path that a user wrote: ``-`` is STANDARD, and ``./-`` a file of that name."""
    path = Path(text)
    return path.absolute() if path == STANDARD and text != str(STANDARD) else path


def remove_unfinished() -> None:
    """Remove every temporary file there is now, before the process ends at once."""
    for path in list(_unfinished):
        remove(path)


@contextmanager
def replacing(
    target: Path, force: bool = False, sources: Iterable[Path] = (), ending: str = ""
) -> Iterator[Path]:
    """Give a temporary name; what is there at the end becomes the target.

    A file takes its place at once: whatever happens, it is the old one or the whole new one. It
    keeps its mode and its owner, and where ``target`` is a link, it stays one. Without ``force`` a
    file that came there meanwhile is kept too. Into the standard output, a FIFO or a device what
    was written is copied at the end.

    Parameters
    ----------
    target : Path
        ``-`` is the standard output.
    force : bool
        Replace a file that is there.
    sources : iterable of Path
        What must not be the target.
    ending : str
        That the temporary name has; by default the target's name.

    Raises
    ------
    FileError
        Where the target is there and ``force`` is not given, or is the source, or cannot be
        written.
    """
    ending = ending or target.name[-50:]
    try:
        if target == STANDARD or is_stream(target):
            with _pouring(target, ending) as unfinished:
                yield unfinished
        else:
            _check(target, force, sources)
            publish = os.replace if force else _link
            with _replacing(Path(os.path.realpath(target)), ending, publish) as unfinished:
                yield unfinished
    except FileExistsError:
        raise _exists(target) from None
    except OSError as error:
        raise FileError(f"{target}: cannot be written ({error.strerror or error})") from None


@contextmanager
def seekable(source: Path, ending: str = "", head: Head = ANY) -> Iterator[Path]:
    """Give a file that can seek: the source, or a temporary copy of what can only be read once.

    Parameters
    ----------
    source : Path
        ``-`` is the standard input.
    ending : str
        The name of the copy; by default that of the source.
    head : Head, optional
        What the first bytes are checked with, before anything is copied.

    Raises
    ------
    FileError
        If the source cannot be read or copied, and what the check raises.
    """
    if source != STANDARD and not is_stream(source):
        yield source
        return
    with temporary_folder() as folder:
        copy = folder / (ending or source.name[-50:])
        with _filling(f"{source}: cannot be copied", folder), copy.open("wb") as kept:
            kept.writelines(_parts(source, head))
        try:
            yield copy
        except FileError as error:
            told = str(error)
            if source == STANDARD:  # "-:/labels" in a hint would be taken for an option
                told = re.sub(rf"{re.escape(str(copy))}:(?=\S)", "/dev/stdin:", told)
            raise FileError(told.replace(str(copy), str(source))) from error


def _parts(source: Path, head: Head) -> Iterator[bytes]:
    """Yield the bytes of a stream once its first ones are checked; raises FileError."""
    try:
        number = os.dup(0) if source == STANDARD else os.open(source, os.O_RDONLY)
        with open(number, "rb") as file:
            part = file.read(head.size)
            head.check(part)
            yield part
            while part := file.read(1 << 20):
                yield part
    except OSError as error:
        raise FileError(f"{source}: cannot be read ({error.strerror or error})") from None


def stamp(sources: Iterable[Path]) -> Stamp | None:
    """What files are now; None where one is no regular file, or is not there."""
    stamps: Stamp = ()
    for source in sources:
        try:
            found = os.stat(source)
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        stamps += (found.st_size, found.st_mtime_ns)
    return stamps


def check_unchanged(sources: Sequence[Path], before: Stamp | None, advice: str) -> None:
    """Raise FileError of the first, with an advice, where files are not what they were before."""
    if stamp(sources) != before:
        raise FileError(f"{sources[0]}: changed while it was read; {advice}")


def is_stream(path: Path) -> bool:
    """Whether a path is a FIFO or a device that takes or gives bytes one after the other."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def _check(target: Path, force: bool, sources: Iterable[Path]) -> None:
    """Raise FileError for what must not be replaced."""
    if os.path.islink(os.path.realpath(target)):
        raise FileError(f"{target}: is a link that leads nowhere; choose another name")
    if target.exists():
        if any(source.exists() and target.samefile(source) for source in sources):
            raise FileError(f"{target}: is the source itself; choose another name")
        if not target.is_file():
            kind = "a folder" if target.is_dir() else "no file"
            raise FileError(f"{target}: is {kind}, and is not overwritten; choose another name")
        if not force:
            raise _exists(target)


def _exists(target: Path) -> FileError:
    return FileError(f"{target}: exists; choose another name, or overwrite it with --force")


def _link(unfinished: Path, target: Path) -> None:
    """Give a file a name that nothing has; raises FileExistsError, and other OSErrors."""
    try:
        os.link(unfinished, target)
    except OSError:
        # Systems without hard links refuse them by many numbers, and there is no better way there:
        # what comes in between is lost. A server that is asked twice refuses what it has done.
        if not os.path.lexists(target):
            os.replace(unfinished, target)
        elif not os.path.samestat(os.lstat(unfinished), os.lstat(target)):
            raise FileExistsError from None


@contextmanager
def _replacing(target: Path, ending: str, publish: Callable[[Path, Path], None]) -> Iterator[Path]:
    """Make or replace a file that is no link; raises OSError."""
    with _temporary(target.with_name(_temporary_name(f".{ending}"))) as unfinished:
        yield unfinished
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            old = target.stat()
            with suppress(OSError):  # not allowed, or an owner that this container does not know
                os.chown(unfinished, old.st_uid, old.st_gid)
            os.chmod(unfinished, stat.S_IMODE(old.st_mode))
        publish(unfinished, target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """Make a folder that is removed at the end, in the system's temporary folder by default."""
    try:
        path = (parent or Path(tempfile.gettempdir())) / _temporary_name()
        path.mkdir(0o700)
    except OSError as error:
        where = parent or os.environ.get("TMPDIR", "the temporary folder")
        reason = error.strerror or error
        raise FileError(
            f"{where}: a folder cannot be made there ({reason})"
            + ("" if parent else ". Set TMPDIR to another folder.")
        ) from None
    with _temporary(path):
        yield path


def remove(path: Path) -> None:
    """Remove a file, or a folder and its contents; a missing one is not an error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _filling(what: str, folder: Path) -> Iterator[None]:
    """Raise FileError that names the temporary folder if it cannot be written to."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise FileError(
            f"{what} to the temporary folder {folder.parent} ({reason}). Set TMPDIR to a folder "
            "with more room."
        ) from None


def _temporary_name(ending: str = "") -> str:
    return f".compresso-{secrets.token_hex(4)}{ending}"


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Remove a file or a folder at the end, whatever happens."""
    _unfinished.add(path)
    try:
        yield path
    finally:
        remove(path)
        _unfinished.discard(path)


@contextmanager
def _pouring(target: Path, ending: str) -> Iterator[Path]:
    """Copy what was written into a stream; raises OSError."""
    with _opened(target) as file, temporary_folder() as folder:
        unfinished = folder / ending
        with _filling(f"{target}: cannot be written", folder):
            yield unfinished
        with unfinished.open("rb") as whole:
            while part := whole.read(1 << 20):
                while part:
                    part = part[os.write(file, part) :]


@contextmanager
def _opened(target: Path) -> Iterator[int]:
    """Open a stream to write to it; raises FileError for a FIFO that nobody reads, and OSError."""
    if target == STANDARD:
        if sys.stdout.isatty():
            raise FileError("-: is a terminal; send it to a file or to another program")
        number = os.dup(1)
    else:
        try:
            number = os.open(target, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            if stat.S_ISFIFO(target.stat().st_mode) and not isinstance(error, PermissionError):
                raise FileError(f"{target}: nobody reads from it; start who does first") from None
            raise
        os.set_blocking(number, True)
    try:
        yield number
    finally:
        os.close(number)
