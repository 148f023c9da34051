"""TensorStore: how it is asked, and the small documents that a store keeps beside its chunks."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from compresso.errors import FileError
from compresso.plugins import require
from compresso.stores._errors import is_private, telling

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
