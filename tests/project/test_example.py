"""The stream that docs/example.md works out byte by byte."""

import re

import numpy as np

from compresso import encodings
from tests.helpers.paths import ROOT

PAGE = (ROOT / "docs" / "example.md").read_text()
#: The page draws the rows of both slices next to each other.
DRAWN = [re.findall(r"\d", line) for line in PAGE.split("```")[1].splitlines()[2:5]]
LABELS = np.array(DRAWN, np.uint64).reshape(3, 2, 4).swapaxes(0, 1)


def test_the_page_has_the_stream():
    rows = re.findall(r"^\| (\d+) \| `([0-9a-f ]+)` \|", PAGE, re.M)
    stream = b"".join(bytes.fromhex(row[1]) for row in rows)
    lengths = [len(bytes.fromhex(row[1])) for row in rows]
    assert [int(row[0]) for row in rows] == np.cumsum([0, *lengths[:-1]]).tolist()
    codec = encodings.parse("compresso:window=4x4x1")
    assert codec.encode(LABELS) == stream
    assert np.array_equal(codec.decode(stream), LABELS)
