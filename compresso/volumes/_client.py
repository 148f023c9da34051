"""TensorStore: settings, the JSON documents of a store, and errors in one line."""

import errno
import json
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from compresso.codec import require
from compresso.errors import FileError, MissingPackageError
from compresso.text import shortened

#: How requests are repeated after a temporary failure.
RETRIES = {"max_retries": 3, "initial_delay": "250ms", "max_delay": "2s"}
#: Seconds in which a store must have opened.
TIMEOUT = 60
#: Bytes for the indexes of shards, at least.
INDEXES = 64 << 20
#: A request fails after 15 seconds without a byte; TensorStore itself waits for ever.
STALLED = {
    "TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS": "15",
    "TENSORSTORE_CURL_LOW_SPEED_LIMIT_BYTES": "1",
}
#: Threads that decode chunks which TensorStore cannot.
DECODERS = 32


@dataclass(frozen=True)
class Node:
    """A folder of a store, read by TensorStore."""

    text: str  # the store as the user wrote it
    kvstore: dict[str, Any]  # TensorStore's specification of the folder
    context: Any
    strict: bool = False  # refuse missing chunks, which otherwise have the fill value
    #: Threads that decode chunks. They must end before Zarr does, which ends with the program.
    pool: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, DECODERS))

    @classmethod
    def make(
        cls, text: str, kvstore: dict[str, Any], strict: bool = False, cache: int = 0
    ) -> "Node":
        """Return a folder with a cache of ``cache`` bytes for decoded chunks.

        With it, slices of deeper chunks can be read one after another. Raises MissingPackageError.
        """
        requests = ("http_request_retries", "gcs_request_retries", "s3_request_retries")
        settings: dict[str, Any] = dict.fromkeys(requests, RETRIES)
        settings["cache_pool"] = {"total_bytes_limit": max(cache, INDEXES)}
        return cls(text, kvstore, tensorstore().Context(settings), strict)

    def open(self, driver: str, **spec: Any) -> Any:
        """Open the folder's array; raises FileError."""
        if self.strict:
            spec["fill_missing_data_reads"] = False
        spec |= {"driver": driver, "kvstore": self.kvstore}
        with as_file_error(self.text), _quiet(self.kvstore):
            opening = tensorstore().open(spec, read=True, context=self.context)
            return opening.result(timeout=TIMEOUT)

    def store(self) -> Any:
        """Open the folder."""
        opening = tensorstore().KvStore.open(self.kvstore, context=self.context)
        return opening.result(timeout=TIMEOUT)

    def document(self, name: str) -> dict[str, Any] | None:
        """Return a JSON document, None if it does not exist; raises FileError."""
        with as_file_error(self.text), _quiet(self.kvstore):
            found = self.store().read(name).result(timeout=TIMEOUT)
        if found.state != "value":
            return None
        try:
            value = json.loads(found.value)
        except (ValueError, RecursionError) as error:
            raise FileError(f"{self.text}: its {name} is damaged: not JSON ({error})") from None
        if not isinstance(value, dict):
            raise FileError(f"{self.text}: its {name} is damaged: not a JSON object")
        return value

    def optional(self, name: str) -> dict[str, Any]:
        """Return a document that may be missing or refused, which is empty then.

        A bucket that does not allow listing refuses objects that do not exist.
        """
        with suppress(PrivateError):
            return self.document(name) or {}
        return {}

    def first(self, names: Iterable[str]) -> tuple[str, Any]:
        """Return the name and the content of the first document that exists; ("", None) without.

        Raises FileError, for a refusal only if none of them exists.
        """
        refused = None
        for name in names:
            try:
                if (value := self.document(name)) is not None:
                    return name, value
            except PrivateError as error:
                refused = error
        if refused:
            raise refused
        return "", None

    def existing(self, names: Collection[str]) -> set[str]:
        """Return the names that exist; unreadable objects are left out."""
        if self.path is not None:
            return {name for name in names if os.path.isfile(self.path / name)}
        found = set()
        with as_file_error(self.text), _quiet(self.kvstore):
            store = self.store()
            for name, reading in [(name, store.read(name)) for name in names]:
                with suppress(Exception):
                    if reading.result(timeout=TIMEOUT).state == "value":
                        found.add(name)
        return found

    @property
    def path(self) -> Path | None:
        """The local folder."""
        return Path(self.kvstore["path"]) if self.kvstore["driver"] == "file" else None

    def child(self, path: str) -> "Node":
        """Return a folder inside this one; raises FileError for a path that leaves it."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise FileError(f"{self.text}: {path!r} leads out of the store and is not followed")
        inside = "".join((self.kvstore["path"], *(f"{part}/" for part in parts)))
        return replace(self, kvstore=self.kvstore | {"path": inside})

    def replaced(self, name: str, document: dict[str, Any]) -> "Node":
        """Return the folder with another document."""
        path = f"{self.kvstore.get('path', '')}{name}"
        memory = replace(self, kvstore={"driver": "memory"})
        memory.store().write(path, json.dumps(document).encode()).result()
        changed = {"exact": name, "base": memory.kvstore | {"path": path}}
        layers = [{"base": self.kvstore}, changed]
        return replace(self, kvstore={"driver": "kvstack", "layers": layers})


def decoded(
    node: Node, domain: Any, dtype: Any, chunk: Sequence[int], units: Any, read: Any
) -> Any:
    """Return a TensorStore whose chunks are decoded in Python.

    ``read`` returns the labels between two corners, or None for the value 0.
    """

    def fill(part: Any, labels: Any, _: Any) -> None:
        found = node.pool.submit(read, part.inclusive_min, part.exclusive_max).result()
        labels[...] = 0 if found is None else found

    # Threads of its own: those of the client's context must be free for what read waits for.
    limit = {"data_copy_concurrency": {"limit": DECODERS}}
    ts = tensorstore()
    return ts.virtual_chunked(
        fill,
        dtype=dtype,
        domain=domain,
        chunk_layout=ts.ChunkLayout(read_chunk_shape=chunk, grid_origin=domain.inclusive_min),
        dimension_units=units,
        context=ts.Context(limit, node.context),
    )


@cache
def tensorstore() -> Any:
    """Import TensorStore; raises MissingPackageError."""
    for name, value in STALLED.items():
        os.environ.setdefault(name, value)
    return require("tensorstore", "tensorstore", "a chunked store")


@contextmanager
def _quiet(kvstore: dict[str, Any]) -> Iterator[None]:
    """Discard warnings about credentials, which public data in a cloud does not need."""
    layers = [kvstore, *(layer["base"] for layer in kvstore.get("layers", ()))]
    if not {"gcs", "s3"} & {layer["driver"] for layer in layers}:
        yield
        return
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


STATUS = re.compile(r"^([A-Z_]{4,}): ")
#: TensorStore's notes, ``[name='...']``; only the HTTP status is useful.
NOTES = re.compile(r"\s\[(HTTP code \d|\w+=').*", re.DOTALL)
HTTP = re.compile(r"\[(?:HTTP code |http_response_code=')(\d+)")
#: When TensorStore makes folders, a NUL ends each of them in its messages. It is escaped there, and
#: so is a hexadecimal digit after it, which would otherwise belong to the escape.
ESCAPED = re.compile(r"\\x(00|3[0-9]|[46][1-6])")
#: A long path in quotes, and its end.
LONG = re.compile(r'"[^"]{30,}([^"]{50})"')
PRIVATE = ("PERMISSION_DENIED", "UNAUTHENTICATED")
UNREACHABLE = ("ABORTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "UNKNOWN")
#: The system's messages for a refusal, and for a full disk.
FORBIDDEN = tuple(map(os.strerror, (errno.EACCES, errno.EPERM, errno.EROFS)))
FULL = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT)))
UNWRITTEN = re.compile("Failed (writing|to write)")


@contextmanager
def as_file_error(text: str, part: str = "") -> Iterator[None]:
    """Raise any error of TensorStore as a FileError that names the store and the part of it."""
    try:
        yield
    except (FileError, MissingPackageError):
        raise
    except Exception as error:
        kind = PrivateError if _status(error) in PRIVATE else FileError
        raise kind(f"{text}: {part + ': ' if part else ''}{explain(error)}") from error


class PrivateError(FileError):
    """The store refuses a request, maybe for an object that does not exist."""


def _status(error: Exception) -> str:
    """Return TensorStore's status; empty for other errors."""
    found = STATUS.match(str(error))
    return found[1] if found else ""


def explain(error: Exception) -> str:
    """Return the end of the sentence that begins with the store's address (docs/stores.md)."""
    code, http = _status(error), HTTP.search(str(error))
    line = NOTES.sub("", STATUS.sub("", str(error)))
    line = re.sub(r'^Error opening "\w+" driver: ', "", line)
    line = ESCAPED.sub(lambda found: chr(int(found[1], 16)), line).replace("\0", "/")
    line = shortened(LONG.sub(r'"...\1"', " ".join(line.split())), 240)
    line = f"{line} [HTTP code {http[1]}]" if http else line
    late = isinstance(error, TimeoutError) or code == "DEADLINE_EXCEEDED"
    forbidden = not http and any(reason in line for reason in FORBIDDEN)
    large = isinstance(error, MemoryError) or code == "RESOURCE_EXHAUSTED"
    known = bool(code) or isinstance(error, ValueError | NotImplementedError)
    reasons = [
        (late, "cannot be reached: no answer in time"),
        (forbidden, "not allowed on this machine"),
        (code in PRIVATE, "private, or asks for a login"),
        (code == "NOT_FOUND", "absent"),
        (code in UNREACHABLE and http, "cannot be read: its server fails"),
        (code in UNREACHABLE, "cannot be reached"),
        (any(reason in line for reason in FULL), "cannot be written: the disk is full"),
        (UNWRITTEN.search(line), "cannot be written"),
        (large, "does not fit the memory"),
        (known, "damaged, or not of a kind that TensorStore reads"),
        (True, f"not readable: {type(error).__name__}"),
    ]
    reason = next(reason for holds, reason in reasons if holds)
    return f"{reason} ({line})" if line else reason
