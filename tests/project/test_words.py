"""The project's text is plain English (tests/project/words.py)."""

from collections import Counter

import pytest

from tests.helpers.paths import ROOT
from tests.project.words import files, findings, statistics

#: Findings that are right: frames of Zstandard and NRRD, and names in Ristretto's tables.
ALLOWED = {
    "compresso/compressors/zstd.py": 2,
    "compresso/volumes/nrrd.py": 2,
    "docs/formats.md": 1,
    "experiments/commands/bench.py": 1,
}
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
