"""N5: axes x, y, z, the fastest first."""

import re
from dataclasses import replace
from typing import Any

from compresso.errors import FileError
from compresso.volumes._client import Node
from compresso.volumes._stores import Kind, Selection, StoredArray, check_mip
from compresso.volumes._zarr_n5 import Keys, check_keys, fields_of, numbers, only_volume, place_of

#: The folder of a scale.
SCALE = re.compile(r"s\d+")
#: Attributes that say how labels are stored, and at which scales.
KNOWN = {"n5", "dimensions", "blockSize", "dataType", "compression", "axes"}
KNOWN |= {"downsamplingFactors", "multiScale"}


class N5(Kind):
    """A folder with ``attributes.json``: an array, or a group whose scales are ``s0``, ``s1``."""

    name = "n5"
    markers = ("attributes.json", "s0/attributes.json")
    schemes = ("n5",)
    suffixes = (".n5",)
    driver = "n5"

    def find(self, node: Node, selection: Selection, document: dict[str, Any]) -> StoredArray:
        """Find the array itself, the scale ``mip`` of a group, or its only volume."""
        if "dimensions" in document:
            check_mip(node, selection.mip, ["the only one"])
            if document.get("isLabelMultiset"):
                raise FileError(
                    f"{node.text}: label multisets, but a volume has one label per voxel. "
                    "Convert it to labels with Paintera"
                )
            return self._open(node, document)
        scale = node.child(f"s{selection.mip}")
        inside = scale.optional("attributes.json")
        if "dimensions" not in inside:
            scale = node.child(only_volume(node))
            inside = scale.optional("attributes.json")
        return self.find(scale, replace(selection, mip=0), inside)

    def _open(self, node: Node, document: dict[str, Any]) -> StoredArray:
        """Open an array and read its attributes; a scale has those of its group, too.

        ``resolution`` and ``offset`` of a scale are those of ``s0``, whose voxels are smaller by
        its ``downsamplingFactors``. Positions are those of voxel centres, as in Paintera and
        n5-viewer.
        """
        # TensorStore would refuse some forms of the resolution, and JSON with NaN.
        array = self.open(node, {name: v for name, v in document.items() if name in KNOWN})
        chunk = array.chunk_layout.write_chunk.shape
        box_of = check_keys(node, Keys("", "/"), array.shape, chunk)
        parent, _, last = node.kvstore.get("path", "").rstrip("/").rpartition("/")
        attributes = document
        if SCALE.fullmatch(last):
            above = replace(node, kvstore=node.kvstore | {"path": f"{parent}/" if parent else ""})
            group = above.optional("attributes.json")
            attributes = (group if "dimensions" not in group else {}) | document
        spacing, shift, names = place_of(attributes, array.rank)
        # The size of the scale's voxels in voxels of s0.
        if factors := numbers(document.get("downsamplingFactors"), len(spacing)):
            shift = shift if len(shift) == len(spacing) else [0.0] * len(spacing)
            parts = list(zip(spacing, factors, shift, strict=True))
            spacing = [(n and n * by, unit) for (n, unit), by, _ in parts]
            shift = [at + (n or 0.0) * (by - 1) / 2 for (n, _), by, at in parts]
        elif last != "s0" and attributes != document:
            spacing, shift, _ = place_of(document, array.rank)  # unknown factors
        fields, lost = fields_of(attributes, {*KNOWN, *names})
        metadata = {"n5": fields} if fields else {}
        return StoredArray(
            array, "xyzct", (), spacing, shift, metadata, lost, path=node.path, box_of=box_of
        )
