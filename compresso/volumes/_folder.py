"""A folder of a store that is written to, wherever TensorStore can write."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from compresso.errors import FileError, SpecError
from compresso.volumes._client import Client, telling
from compresso.volumes._location import Selection, locate


@dataclass(frozen=True)
class Folder:
    """Objects by their names below an address; each is written whole, or not at all.

    Parameters
    ----------
    text : str
        As the user wrote it, for messages.
    spec : dict
        How TensorStore opens it.
    tensorstore, store : Any
        The library, and its KvStore of the folder.
    """

    text: str
    spec: dict[str, Any]
    tensorstore: Any
    store: Any

    @property
    def path(self) -> str:
        """Where it is on this machine; empty where it is not."""
        return os.path.normpath(self.spec["path"]) if self.spec["driver"] == "file" else ""

    def read(self, names: Iterable[str]) -> list[bytes | None]:
        """The objects of these names, None for those that are not there; raises FileError."""
        with telling(self.text):
            waiting = [self.store.read(name) for name in names]
            found = [reading.result() for reading in waiting]
        return [bytes(one.value) if one.state == "value" else None for one in found]

    def write(self, objects: dict[str, bytes]) -> None:
        """Write objects: each takes the place of an older one at once; raises FileError."""
        with telling(self.text):
            for writing in [self.store.write(name, data) for name, data in objects.items()]:
                writing.result()

    def remove(self, name: str) -> None:
        """Remove an object, or all below a name that ends with a slash; raises FileError."""
        with telling(self.text):
            if name.endswith("/"):
                below = self.tensorstore.KvStore.KeyRange(name, name[:-1] + chr(ord("/") + 1))
                self.store.delete_range(below).result()
            else:
                self.store.write(name, None).result()

    def names(self) -> list[str]:
        """What is directly in a local folder; elsewhere nothing, for it may be a lot."""
        return sorted(os.listdir(self.path)) if self.path and os.path.isdir(self.path) else []


def folder(text: str) -> Folder:
    """The folder that an address means, which need not be there yet.

    Raises
    ------
    SpecError, FileError
        For an address that makes no sense.
    MissingPackageError
    """
    client = Client.make(text)
    location = locate(text, client.tensorstore)
    spec = location.kvstore
    if spec["driver"] == "file":  # what a link leads to need not be there yet
        spec = spec | {"path": os.path.join(os.path.realpath(spec["path"]), "")}
    if location.kinds and "zarr3" not in location.kinds:
        raise FileError(f"{text}: only Zarr v3 is written")
    if location.selection != Selection():
        raise SpecError(f"{text}: a target has no selection; leave out what follows its address")
    with telling(text):
        opening = client.tensorstore.KvStore.open(spec, context=client.context)
        return Folder(text, spec, client.tensorstore, opening.result())
