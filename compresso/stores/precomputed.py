"""Neuroglancer's precomputed volumes: x, y, z, channel; raw, compressed or in shards."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from compresso.errors import FileError
from compresso.stores._client import Client, child
from compresso.stores._kind import Found, Kind, check_mip
from compresso.stores._location import Location

#: The encodings that TensorStore reads.
READ = ("raw", "compressed_segmentation", "jpeg", "png")
#: What CloudVolume puts behind the names of packed chunks in a local folder.
PACKED = (".gz", ".br", ".zst", ".zstd", ".xz", ".bz2", ".lzma")


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
        if encoding not in READ:
            raise FileError(
                f"{text}: scale {mip} is stored with encoding {encoding}, which TensorStore does "
                f"not read; it reads {', '.join(READ)}"
            )
        folder = child(text, location.kvstore, key)
        if folder["driver"] == "file":
            _check_names(text, Path(folder["path"]))
        return Found(
            {
                "driver": "neuroglancer_precomputed",
                "kvstore": location.kvstore,
                "scale_index": mip,
            },
            "xyzc",
        )


def _check_names(text: str, folder: Path) -> None:
    """Raise FileError for packed chunks: TensorStore would not find them, and read zeros."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.suffix in PACKED:
                hint = f"; unpack them: gunzip -r {folder}" if path.suffix == ".gz" else ""
                raise FileError(
                    f"{text}: its chunks are {path.suffix} files, as CloudVolume writes them to "
                    f"local folders, and TensorStore does not find them{hint}"
                )
