"""Whose a target is, from when a conversion begins to when it has ended.

A target is *free*: it has no metadata. Or it is *begun*: they are in ``UNFINISHED``, and no array
opens. Or it is *whole*: they are in ``HEAD``; what else is in ``UNFINISHED`` then is of no account.
Metadata name the conversion, so it knows its own target in either state, and goes on there.
"""

import json

from compresso.convert.target import HEAD, OURS, same
from compresso.errors import FileError
from compresso.volumes import UNFINISHED, Folder

#: Where a target keeps which of its parts are done.
MARKS = ".compresso/"


def claim(folder: Folder, head: bytes, force: bool) -> bool:
    """Begin a target; whether it is this conversion's already. Raises FileError.

    What is another's is refused, or with ``force`` removed.
    """
    whole, begun = folder.read([HEAD, UNFINISHED])
    old = begun if whole is None else whole
    if old is not None and same(old, head):
        return True
    if old is not None:
        if whole is not None and not _is_array(whole):
            raise FileError(
                f"{folder.text}: is a group, or damaged, and is not removed; choose another name"
            )
        if not force:
            raise FileError(
                f"{folder.text}: exists, and is another array{_difference(old, head)}; choose "
                "another name, or remove it with --force"
            )
        folder.write({UNFINISHED: old})  # until nothing of the old array is left, that is its name
        for name in (HEAD, "c/", MARKS):
            folder.remove(name)
    elif any(not name.endswith(".__lock") for name in folder.names()):
        raise FileError(f"{folder.text}: is a folder with other things in it; choose another name")
    folder.write({UNFINISHED: head})
    return False


def check(folder: Folder, head: bytes) -> tuple[bytes | None, bytes | None]:
    """The metadata of a target, whole and begun; raises FileError where it is another's by now.

    Asked before anything is written there, it keeps two conversions from mixing their chunks.
    """
    whole, begun = folder.read([HEAD, UNFINISHED])
    current = begun if whole is None else whole
    if current is None:
        raise FileError(f"{folder.text}: was removed while it was written; run it again")
    if not same(current, head):
        raise FileError(f"{folder.text}: another conversion took its place; run one at a time")
    return whole, begun


def finish(folder: Folder, head: bytes) -> None:
    """Make a target whole; raises FileError where it is another's by now."""
    whole, begun = check(folder, head)
    if whole is None:
        folder.write({HEAD: head})
    if begun is not None:
        folder.remove(UNFINISHED)


def _is_array(head: bytes) -> bool:
    try:
        return bool(json.loads(head)["node_type"] == "array")
    except (ValueError, KeyError, TypeError):
        return False


def _difference(old: bytes, new: bytes) -> str:
    """What two metadata differ in, in brackets; nothing where that cannot be told."""
    try:
        a, b = _parts(old), _parts(new)
    except (ValueError, AttributeError):
        return ""
    names = [name for name in b if a.get(name) != b[name]]
    return f" (its {', '.join(names)} differ)" if names else ""


def _parts(head: bytes) -> dict[str, object]:
    """What an array's metadata say, and of what it was made."""
    parts = dict(json.loads(head))
    attributes = parts.pop("attributes", {})
    origin = dict(attributes.pop(OURS, {}))
    if "stamp" in origin:
        origin["source's size or time"] = origin.pop("stamp")
    return {**parts, **attributes, **origin}
