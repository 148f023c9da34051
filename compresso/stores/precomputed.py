"""Neuroglancer's precomputed volumes: x, y, z, channel; raw, compressed or in shards."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from compresso.errors import FileError
from compresso.stores._chunks import DECODED, PACKED, open_chunks
from compresso.stores._client import Client, child
from compresso.stores._kind import Found, Kind, check_mip
from compresso.stores._location import Location

#: The encodings that TensorStore reads.
READ = ("raw", "compressed_segmentation", "jpeg", "png")
#: What CloudVolume puts behind the names of packed chunks in a local folder.
SUFFIXES = (".gz", ".br", ".zst", ".zstd", ".xz", ".bz2", ".lzma")


class Precomputed(Kind):
    """A folder with ``info``, which lists the scales."""

    name = "precomputed"

    def find(self, client: Client, location: Location, document: dict[str, Any]) -> Found:
        """The scale ``mip``."""
        text, mip = location.text, location.selection.mip
        try:
            scales = [
                (str(s["key"]), str(s.get("encoding")), s.get("size")) for s in document["scales"]
            ]
        except (KeyError, TypeError, AttributeError):
            kind = document.get("@type", "no kind")
            raise FileError(
                f"{text}: its info lists no scales of a volume; it is of {kind}"
            ) from None
        check_mip(
            text, mip, [" x ".join(map(str, s)) if isinstance(s, list) else k for k, _, s in scales]
        )
        key, encoding, _ = scales[mip]
        folder = child(text, location.kvstore, key)
        loose = folder["driver"] == "file" and not document["scales"][mip].get("sharding")
        suffix = _suffix(Path(folder["path"])) if loose else ""
        found = Found(
            {
                "driver": "neuroglancer_precomputed",
                "kvstore": location.kvstore,
                "scale_index": mip,
            },
            "xyzc",
        )
        if encoding in READ and not suffix:
            return found
        if encoding not in DECODED or suffix not in PACKED:
            packed = suffix and f" in {suffix} files"
            raise FileError(
                f"{text}: scale {mip} is stored as {encoding}{packed}, which is not read; "
                f"{', '.join(READ)} and compresso are"
            )
        array = open_chunks(client, location.kvstore, document, mip, suffix)
        return replace(found, array=array)


def _suffix(folder: Path) -> str:
    """What stands behind the names of chunks; TensorStore would not find these, and read zeros."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.suffix in SUFFIXES:
                return path.suffix
    return ""
