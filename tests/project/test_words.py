"""The project's text is plain English (tests/project/words.py)."""

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
REFERENCE = {"formats", "example", "zarr-codec", "cli", "api", "glossary", "index"}


def test_the_words_are_plain():
    found = {str(path.relative_to(ROOT)): findings(path) for path in files()}
    above = [
        line for name, lines in found.items() if len(lines) > ALLOWED.get(name, 0) for line in lines
    ]
    assert not above, "\n".join(above)


@pytest.mark.parametrize(
    "page", [p for p in GUIDES if p.stem not in REFERENCE], ids=lambda path: path.stem
)
def test_sentences_are_short(page):
    found = statistics(page.read_text())
    assert found.mean < 20
    assert found.long <= 0.15
    assert found.semicolons <= 1 + found.words // 500
