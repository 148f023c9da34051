"""The names of the chunks of Zarr and N5, and whether all of them are where the metadata say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compresso.errors import FileError
from compresso.stores._client import Client

Shape = Sequence[int]


@dataclass(frozen=True)
class Keys:
    """How chunks are named, for example ``c/0/1/2`` or ``0.1.2``.

    Parameters
    ----------
    prefix : str
        ``c`` or nothing.
    separator : str
        A slash or a point.
    """

    prefix: str
    separator: str

    @classmethod
    def of(cls, document: dict[str, Any]) -> "Keys":
        """Read a ``.zarray`` or a ``zarr.json``; TensorStore says what is wrong with them."""
        encoding = document.get("chunk_key_encoding")
        if not isinstance(encoding, dict):
            return cls("", str(document.get("dimension_separator") or "."))
        said = encoding.get("configuration")
        separator = said.get("separator") if isinstance(said, dict) else None
        default = ("c", "/") if encoding.get("name") == "default" else ("", ".")
        return cls(default[0], str(separator or default[1]))

    def name(self, at: Sequence[object]) -> str:
        """Return the name of the chunk with these numbers."""
        return self.separator.join([*filter(None, [self.prefix]), *map(str, at)]) or "0"

    def numbers(self, name: str) -> list[int]:
        """Return the numbers in a chunk's name; none for another name."""
        parts = name.split(self.separator)[bool(self.prefix) :]
        return [int(part) for part in parts] if all(map(_is_number, parts)) else []


EVERY = [Keys(prefix, separator) for prefix in ("", "c") for separator in "./"]


def check_keys(
    client: Client,
    kvstore: dict[str, Any],
    document: dict[str, Any],
    keys: Keys,
    shape: object,
    chunk: object,
) -> None:
    """Raise FileError for a chunk that the metadata do not lead to: it would be read as empty.

    Parameters
    ----------
    client : Client
    kvstore, document : dict
        The array's folder and metadata.
    keys : Keys
        The names of its chunks, as the metadata say.
    shape, chunk : object
        Of the array and of its chunks, as the metadata say. Nothing is checked if they make no
        sense: TensorStore says what is wrong with them.
    """
    try:
        counts = [-(-int(n) // int(by)) for n, by in zip(shape, chunk, strict=True)]  # type: ignore
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return
    for other in EVERY:
        for at in _found(client, kvstore, other, counts) if other != keys else ():
            name, expected = other.name(at), keys.name(at)
            if not client.existing(kvstore, [expected]):
                raise FileError(
                    f"{client.text}: its metadata lead to {expected}, but that chunk is in {name}; "
                    f"{_fix(document, other)}"
                )


def _fix(document: dict[str, Any], keys: Keys) -> str:
    """How to make the metadata lead to chunks with these names."""
    separator = f'"separator": "{keys.separator}"'
    if "chunk_key_encoding" in document:
        name = "default" if keys.prefix else "v2"
        said = f'{{"name": "{name}", "configuration": {{{separator}}}}}'
        return f'set "chunk_key_encoding" to {said} in its zarr.json'
    if "zarr_format" in document and not keys.prefix:
        return f'set "dimension_{separator[1:]} in its .zarray'
    return "rename its chunks"


def _found(
    client: Client, kvstore: dict[str, Any], keys: Keys, counts: Shape
) -> Iterator[Sequence[int]]:
    """The numbers of chunks with such names; outside of local folders only two are tried."""
    if kvstore["driver"] != "file":  # there may be too many to list them
        tried = {keys.name(at): at for at in ([0] * len(counts), [n // 2 for n in counts])}
        yield from (tried[name] for name in client.existing(kvstore, tuple(tried)))
        return
    folder = Path(kvstore["path"])
    for path in folder.glob(keys.name(["[0-9]*"] * len(counts))):
        at = keys.numbers(path.relative_to(folder).as_posix())
        inside = len(at) == len(counts) and all(n < m for n, m in zip(at, counts, strict=True))
        if inside and path.is_file():
            yield at


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
