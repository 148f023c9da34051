"""What went wrong with a store, in one line."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from compresso.errors import CompressoError, FileError

STATUS = re.compile(r"^([A-Z_]{4,}): ")
#: TensorStore's own notes, ``[name='...']``, of which the HTTP status alone says something.
NOTES = re.compile(r"\s\[(?!HTTP code)\w+='.*", re.DOTALL)
HTTP = re.compile(r"\[HTTP code (\d+)\]")
#: The same among the notes, where the clients of clouds have it.
ANSWER = re.compile(r"\[http_response_code='(\d+)'")
#: Where TensorStore makes folders a NUL ends each of them in the path that it tells; it writes that
#: as an escape, and so each hexadecimal digit behind it, which would else belong to the escape.
ESCAPED = re.compile(r"\\x(00|3[0-9]|[46][1-6])")
#: A long path in quotes, and its end.
LONG = re.compile(r'"[^"]{30,}([^"]{50})"')
PRIVATE = ("PERMISSION_DENIED", "UNAUTHENTICATED")
#: What a file system says of what this user may not do there.
FORBIDDEN = tuple(map(os.strerror, (errno.EACCES, errno.EPERM, errno.EROFS)))
#: What it says where there is no room for what is written.
FULL = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT)))
#: What TensorStore says where it cannot write, for whatever reason.
UNWRITTEN = re.compile("Failed (writing|to write)")
UNREACHABLE = ("ABORTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "UNKNOWN")


@contextmanager
def telling(text: str, part: str = "") -> Iterator[None]:
    """Tell whatever TensorStore raises as a FileError that says what is wrong, and with what."""
    try:
        yield
    except CompressoError:
        raise
    except MemoryError as error:
        raise FileError(f"{text}: {part or 'it'} does not fit the memory") from error
    except Exception as error:
        raise FileError(f"{text}: {part + ': ' if part else ''}{explain(error)}") from error


def is_private(error: BaseException | None) -> bool:
    """Whether this is a refusal."""
    return status(error) in PRIVATE


def status(error: BaseException | None) -> str:
    """TensorStore's status, or an empty text."""
    found = STATUS.match(str(error))
    return found[1] if found else ""


def explain(error: Exception) -> str:
    """The end of the sentence that begins with the store's address."""
    code = status(error)
    line = NOTES.sub("", STATUS.sub("", str(error)))
    line = re.sub(r'^Error opening "\w+" driver: ', "", line)
    line = ESCAPED.sub(lambda found: chr(int(found[1], 16)), line).replace("\0", "/")
    line = _short(" ".join(line.split()))
    answer = ANSWER.search(str(error))
    if answer and not HTTP.search(line):
        line += f" [HTTP code {answer[1]}]"
    http = HTTP.search(line)
    if isinstance(error, TimeoutError) or code == "DEADLINE_EXCEEDED":
        return "cannot be reached: no answer in time"
    if not http and any(reason in line for reason in FORBIDDEN):
        return f"not allowed on this machine ({line})"
    if code in PRIVATE:
        return f"private, or asks for a login ({line})"
    if code == "NOT_FOUND":
        return f"absent ({line})"
    if code in UNREACHABLE and http:
        return f"cannot be read: its server fails ({line})"
    if code in UNREACHABLE:
        return f"cannot be reached ({line})"
    if any(reason in line for reason in FULL):
        return f"cannot be written: the disk is full ({line})"
    if UNWRITTEN.search(line):
        return f"cannot be written ({line})"
    if code == "RESOURCE_EXHAUSTED":
        return f"does not fit the memory ({line})"
    if code or isinstance(error, ValueError | NotImplementedError):
        return f"damaged, or not of a kind that TensorStore reads ({line})"
    return f"not readable ({type(error).__name__}: {line})"


def _short(line: str) -> str:
    """A line that is not too long, and has the ends of long paths: the names of chunks."""
    line = LONG.sub(r'"...\1"', line)
    return line if len(line) <= 240 else f"{line[:118]} ... {line[-117:]}"
