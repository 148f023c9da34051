"""The project's text is plain English (tests/project/words.py)."""

from collections import Counter

import pytest

from tests.helpers.paths import ROOT
from tests.project.words import files, findings, statistics

#: How many findings there may be, by file or folder; lower a number when you rewrite a part.
ALLOWED = {
    "compresso/compressors": 3,
    "compresso/encodings": 15,
    "compresso/kernels": 49,
    "compresso/volumes": 2,
    "docs/formats.md": 1,
    "experiments/bench": 6,
    "experiments/checks": 2,
    "experiments/commands": 8,
    "experiments/datasets": 16,
    "experiments/figures": 2,
    "experiments/measure": 1,
    "experiments/page": 2,
    "experiments/paper": 2,
    "experiments/recommend": 4,
    "experiments/records": 1,
}
#: Pages that are for people who use the software, and not yet to be measured.
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
REFERENCE = {
    "formats.md",
    "example.md",
    "zarr-codec.md",
    "cli.md",
    "api.md",
    "glossary.md",
    "index.md",
}


def area(path):
    """The entry of ALLOWED that a file belongs to: the longest that its path begins with."""
    name = str(path.relative_to(ROOT))
    return max((key for key in ALLOWED if name.startswith(key)), key=len, default=name)


def test_the_words_are_plain():
    found = [finding for path in files() for finding in findings(path)]
    counts = Counter(area(finding.path) for finding in found)
    above = {key for key, count in counts.items() if count > ALLOWED.get(key, 0)}
    lines = [
        f"{f.path.relative_to(ROOT)}:{f.line}: {f.text!r}: write {f.advice}"
        for f in found
        if area(f.path) in above
    ]
    assert not above, "\n".join([str({key: counts[key] for key in above}), *lines])


@pytest.mark.parametrize(
    "page",
    [page for page in GUIDES if page.name not in REFERENCE],
    ids=lambda path: path.name,
)
def test_sentences_are_short(page):
    found = statistics(page.read_text())
    assert found.mean < 20
    assert found.long <= 0.15
    assert found.semicolons <= 1 + found.words // 500
