"""Files that are written whole or not at all, pipes, and the standard streams."""

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

from compresso.errors import FileError

#: The standard input or output.
STANDARD = Path("-")
#: Identifies versions of files: the size of each, and when it was written, in ns.
Stamp = tuple[int, ...]
#: Bytes of a stream that are checked before it is copied.
CHECKED_BYTES = 1 << 20

_unfinished: set[Path] = set()


def file_or_standard(text: str) -> Path:
    """Return the path that a user wrote: ``-`` is STANDARD, and ``./-`` a file of that name."""
    path = Path(text)
    return path.absolute() if path == STANDARD and text != str(STANDARD) else path


def is_stream(path: Path) -> bool:
    """Whether a path is a FIFO or a device, which cannot seek."""
    with suppress(OSError):
        mode = path.stat().st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)
    return False


@contextmanager
def replacing(
    target: Path, force: bool = False, sources: Iterable[Path] = (), name: str = ""
) -> Iterator[Path]:
    """Give the path of a temporary file, which becomes the target at the end.

    The target is always the old file or the whole new one. A replaced file keeps its
    mode and owner, and a link stays a link. For the standard output, a FIFO or a device, the
    temporary file is copied into it at the end. It ends with ``name``, by default the target's.
    Raises FileError if the target cannot be written, is one of the ``sources``, or exists without
    ``force``, even if it was created in the meantime.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt") as unfinished:
    ...         _ = unfinished.write_text("whole")
    ...     os.listdir(folder)
    ['a.txt']
    """
    name = name or target.name
    try:
        if target == STANDARD or is_stream(target):
            with _copied_into(target, name) as unfinished:
                yield unfinished
        else:
            _check(target, force, sources)
            with _renamed_to(Path(os.path.realpath(target)), force, name) as unfinished:
                yield unfinished
    except FileExistsError:
        raise FileError(
            f"{target}: exists. Choose another target, or overwrite it with --force."
        ) from None
    except OSError as error:
        raise FileError(f"{target}: cannot be written ({error.strerror or error})") from None


def _check(target: Path, force: bool, sources: Iterable[Path]) -> None:
    """Raise FileError or FileExistsError if the target must not be replaced."""
    problem = ""
    if os.path.islink(os.path.realpath(target)):
        problem = "broken symbolic link"
    elif target.is_dir():
        problem = "a folder, which is not overwritten"
    elif target.exists() and not target.is_file():
        problem = "not a file, which is not overwritten"
    elif target.exists() and any(s.exists() and target.samefile(s) for s in sources):
        problem = "target is the source itself"
    elif any(s.is_dir() and s.resolve() in Path(os.path.realpath(target)).parents for s in sources):
        problem = "target is inside the source folder"
    if problem:
        raise FileError(f"{target}: {problem}. Choose another target.")
    if target.exists() and not force:
        raise FileExistsError


@contextmanager
def _renamed_to(target: Path, force: bool, name: str) -> Iterator[Path]:
    """Make or replace a file that is not a link; raises OSError."""
    short = name[-50:]  # a longer one may be too long for the file system with the prefix
    with _temporary(target.parent / _temporary_name(f".{short}")) as unfinished:
        yield unfinished
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            old = target.stat()
            with suppress(OSError):  # not allowed, or an owner that is unknown in this container
                os.chown(unfinished, old.st_uid, old.st_gid)
            os.chmod(unfinished, stat.S_IMODE(old.st_mode))
        try:
            (os.replace if force else os.link)(unfinished, target)
        except OSError:
            if force:
                raise
            if os.path.lexists(target):
                raise FileExistsError from None
            os.replace(unfinished, target)  # the file system has no hard links
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _copied_into(target: Path, name: str) -> Iterator[Path]:
    """Copy a temporary file into a stream; raises OSError."""
    number = _opened(target)
    with open(number, "wb", 0) as file, temporary_folder() as folder:
        unfinished = folder / name
        with _naming_folder(f"{target}: cannot be written", folder):
            yield unfinished
        with unfinished.open("rb") as whole:
            while part := whole.read(1 << 20):
                while part:
                    part = part[file.write(part) :]


def _opened(target: Path) -> int:
    """Open a stream to write to it; raises FileError for a FIFO without a reader, and OSError."""
    if target == STANDARD:
        if sys.stdout.isatty():
            raise FileError(
                "-: standard output is a terminal. Redirect it to a file or to another program."
            )
        return os.dup(1)
    try:
        number = os.open(target, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if stat.S_ISFIFO(target.stat().st_mode) and not isinstance(error, PermissionError):
            raise FileError(
                f"{target}: no process is reading from this pipe. Start the reader first."
            ) from None
        raise
    os.set_blocking(number, True)
    return number


@contextmanager
def seekable(
    source: Path, name: str = "", check: Callable[[bytes], object] | None = None
) -> Iterator[Path]:
    """Give a file that can seek: the source, or a temporary copy of a stream.

    The copy has the given ``name``, or that of the source. ``check`` gets the first MiB of a
    stream before it is copied, and may raise an error. Raises FileError.
    """
    if source != STANDARD and not is_stream(source):
        yield source
        return
    with temporary_folder() as folder:
        copy = folder / (name or source.name)
        with _naming_folder(f"{source}: cannot be copied", folder), copy.open("wb") as file:
            file.writelines(_parts(source, check))
        try:
            yield copy
        except FileError as error:
            text = str(error)
            if source == STANDARD:  # "-:/labels" in a hint would be taken for an option
                text = re.sub(rf"{re.escape(str(copy))}:(?=\S)", "/dev/stdin:", text)
            raise FileError(text.replace(str(copy), str(source))) from error


def _parts(source: Path, check: Callable[[bytes], object] | None) -> Iterator[bytes]:
    """Yield the bytes of a stream once its first ones are checked; raises FileError."""
    try:
        number = os.dup(0) if source == STANDARD else os.open(source, os.O_RDONLY)
        with open(number, "rb") as file:
            part = file.read(CHECKED_BYTES)
            if check:
                check(part)
            while part:
                yield part
                part = file.read(CHECKED_BYTES)
    except OSError as error:
        raise FileError(f"{source}: cannot be read ({error.strerror or error})") from None


def stamp(sources: Iterable[Path]) -> Stamp | None:
    """Return the stamp of files; None without files, or if one is not a regular file."""
    try:
        found = [os.stat(source) for source in sources]
    except (OSError, ValueError):
        return None
    if not all(stat.S_ISREG(one.st_mode) for one in found):
        return None
    return tuple(number for one in found for number in (one.st_size, one.st_mtime_ns)) or None


def check_unchanged(sources: Sequence[Path], before: Stamp | None, advice: str) -> None:
    """Raise FileError if the stamp of files is not what it was; ``advice`` ends its text."""
    if stamp(sources) != before:
        raise FileError(f"{sources[0]}: changed while it was read; {advice}")


@contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """Make a folder that is removed at the end, in the system's temporary folder by default."""
    try:
        path = (parent or Path(tempfile.gettempdir())) / _temporary_name()
        path.mkdir(0o700)
    except OSError as error:
        where = parent or os.environ.get("TMPDIR", "the temporary folder")
        advice = "" if parent else ". Set TMPDIR to another folder."
        reason = error.strerror or error
        raise FileError(f"{where}: cannot make a folder there ({reason}){advice}") from None
    with _temporary(path):
        yield path


@contextmanager
def _naming_folder(what: str, folder: Path) -> Iterator[None]:
    """Raise FileError that names the temporary folder if it cannot be written to."""
    try:
        yield
    except OSError as error:
        raise FileError(
            f"{what} to the temporary folder {folder.parent} ({error.strerror or error}). Set "
            "TMPDIR to a folder with more room."
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
        _remove(path)
        _unfinished.discard(path)


def remove_unfinished() -> None:
    """Remove all temporary files of this process, before a signal ends it."""
    for path in list(_unfinished):
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
