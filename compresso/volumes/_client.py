"""TensorStore: how it is asked, and the small documents that a store keeps beside its chunks."""

import errno
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from compresso.errors import CompressoError, FileError
from compresso.plugins import require

#: A request that fails for no fault of its own is repeated so often.
RETRIES = {"max_retries": 3, "initial_delay": "250ms", "max_delay": "2s"}
#: Seconds in which a store must have opened.
PATIENCE = 60
#: Bytes for the indexes of shards.
INDEXES = 64 << 20
#: Seconds without a byte after which a request has failed; TensorStore itself waits for ever.
STALLED = {
    "TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS": "15",
    "TENSORSTORE_CURL_LOW_SPEED_LIMIT_BYTES": "1",
}
#: Drivers that keep what they have read, and ask again whether it is still so, but for this.
CHUNKED = ("neuroglancer_precomputed", "zarr3", "zarr", "n5")
ONCE = {"recheck_cached_data": "open", "recheck_cached_metadata": "open"}
#: The clients of these clouds write lines about credentials that public data do not need.
LOUD = ("gcs", "s3")


@dataclass(frozen=True)
class Client:
    """Opens arrays and reads documents; the same for all of a store.

    Parameters
    ----------
    text : str
        The store as the user wrote it, for messages.
    tensorstore, context : Any
    strict : bool
        A chunk that the store lacks is an error, and not its fill value.
    """

    text: str
    tensorstore: Any
    context: Any
    strict: bool = False

    @classmethod
    def make(cls, text: str, strict: bool = False) -> "Client":
        """Import TensorStore; raises MissingPackageError."""
        tensorstore = _tensorstore()
        names = ("http_request_retries", "gcs_request_retries", "s3_request_retries")
        settings: dict[str, Any] = dict.fromkeys(names, RETRIES)
        settings["cache_pool"] = {"total_bytes_limit": INDEXES}
        return cls(text, tensorstore, tensorstore.Context(settings), strict)

    def open(self, spec: dict[str, Any]) -> Any:
        """Open an array for reading; raises FileError."""
        if spec["driver"] in CHUNKED:
            spec = spec | ONCE
        if self.strict:
            spec = spec | {"fill_missing_data_reads": False}
        with telling(self.text), _quiet(spec["kvstore"]):
            opening = self.tensorstore.open(spec, read=True, context=self.context)
            return opening.result(timeout=PATIENCE)

    def document(self, kvstore: dict[str, Any], name: str) -> dict[str, Any] | None:
        """A JSON document of a folder, or None where there is none; raises FileError."""
        with telling(self.text), _quiet(kvstore):
            opening = self.tensorstore.KvStore.open(kvstore, context=self.context)
            folder = opening.result(timeout=PATIENCE)
            found = folder.read(name).result(timeout=PATIENCE)
        if found.state != "value":
            return None
        try:
            value = json.loads(found.value)
        except (ValueError, RecursionError) as error:
            raise FileError(f"{self.text}: its {name} is damaged: no JSON ({error})") from None
        if not isinstance(value, dict):
            raise FileError(f"{self.text}: its {name} is damaged: no JSON object")
        return value

    def existing(self, kvstore: dict[str, Any], names: Sequence[str]) -> set[str]:
        """Return those of the names that a folder has; an unreadable object is not one of them."""
        if kvstore["driver"] == "file":
            return {name for name in names if os.path.isfile(kvstore["path"] + name)}
        with telling(self.text), _quiet(kvstore):
            opening = self.tensorstore.KvStore.open(kvstore, context=self.context)
            folder = opening.result(timeout=PATIENCE)
            found = set()
            for name, reading in [(name, folder.read(name)) for name in names]:
                with suppress(Exception):
                    if reading.result(timeout=PATIENCE).state == "value":
                        found.add(name)
            return found

    def replaced(
        self, kvstore: dict[str, Any], name: str, document: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the specification of the same folder with another document ``name`` in it."""
        path = f"{kvstore.get('path', '')}{name}"
        notes = {"driver": "memory", "path": path}
        memory = self.tensorstore.KvStore.open({"driver": "memory"}, context=self.context).result()
        memory.write(path, json.dumps(document).encode()).result()
        return {"driver": "kvstack", "layers": [{"base": kvstore}, {"exact": name, "base": notes}]}

    def optional(self, kvstore: dict[str, Any], name: str) -> dict[str, Any]:
        """A document that may be missing: empty then, and where it is refused; raises FileError.

        A bucket that may not be listed refuses what it does not have.
        """
        try:
            return self.document(kvstore, name) or {}
        except FileError as error:
            if not is_private(error.__cause__):
                raise
            return {}

    def first(self, kvstore: dict[str, Any], names: tuple[str, ...]) -> tuple[str, Any]:
        """The first of these documents that is there, and its name; empty where there is none.

        Raises FileError, for a refusal only where none of them is there.
        """
        refused = None
        for name in names:
            try:
                value = self.document(kvstore, name)
            except FileError as error:
                if not is_private(error.__cause__):
                    raise
                refused = error
            else:
                if value is not None:
                    return name, value
        if refused:
            raise refused
        return "", None


def child(text: str, kvstore: dict[str, Any], path: str) -> dict[str, Any]:
    """The folder ``path`` of a folder; raises FileError where that leads out of it."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise FileError(f"{text}: {path!r} leads out of the store, and is not followed")
    return kvstore | {"path": "".join((kvstore["path"], *(f"{part}/" for part in parts)))}


@cache
def _tensorstore() -> Any:
    for name, value in STALLED.items():
        os.environ.setdefault(name, value)
    return require("tensorstore", "tensorstore", "a store of chunks")


@contextmanager
def _quiet(kvstore: dict[str, Any]) -> Iterator[None]:
    """Keep what a cloud's client writes to the standard error to itself."""
    if kvstore.get("driver") not in LOUD:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


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
