"""Finds words and phrases that this project avoids, and measures sentences.

    python tests/project/words.py [FILE ...]

It reads the text of Markdown pages, the docstrings, comments and messages of Python files, the text
of the HTML template, and the comments and messages of other files. Upper and lower case are the
same. Without arguments it reads everything and ends with the statistics of the pages.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
GENERATED = {"cli.md", "api.md"}
THINGS = "voxel|label|slice|row|chunk|block|group|file|dataset|panel|thread|task|method|run|object"
OTHERS = (
    "experiments/page/page.html.j2",
    "experiments/datasets/catalogue.toml",
    ".ci/run",
    "Makefile",
)
#: Patterns to avoid, and what to write instead.
RULES = {
    r"\b(told|tells?|telling)\b": "print, report, show, describe or distinguish",
    r"(?<!there )\b(is|are|was|were) no (?!longer|more|larger|smaller|less)\w+": "is not a ...",
    r"\b(so many|as many as there are)\b": "N, or the number",
    r"(^|[.;:!?] )(?-i:Of) (?!course|\d)\w": "start with the subject",
    r"\bspell(s|ed)\b": "written as, format",
    r"\b(behind|beside)\b": "after, next to, compared with",
    r"\bframes?\b": "compressed file (a picture of a film: image)",
    r"\b(bare|naked) (stream|array)s?\b": "stream without a container",
    r"\bwhat (is|was|are|were) (?!wrong|expected)": "a noun",
    r"^(?-i:What(ever)?|All that)\b(?!.*\?)": "a noun",
    r"\b(nobody|somebody|whoever)\b": "name the person or the program",
    r"(?<!-)\b(rungs?|peers?|cells?|seams?)\b(?!/)": "stage, other codec, method, chunk boundary",
    r"\bspecs?\b": "codec string",
    r"\bnew memory\b": "freshly allocated memory",
    r"\b(that|which) (is|are) (there|here)\b|\bat hand\b": "existing, available, downloaded",
    rf"\b(bytes?|bits?|ns|labels?|one|\d+) an? ({THINGS})\b": "per",
    r"\b(is|are|was|were|not) sound\b": "OK, intact",
    r"\bwhere (there (is|are)|it (is|has)|they (are|have)|nothing|none)\b": "if",
    r"\b(\w+Error|None|False|empty|NaN) where\b": "if",
    r"\b(honest|amiss|mended|witness(es)?)\b": "plain words",
    r"\b(all|nothing|none) but\b|\bbut for\b": "except, only",
}


#: Any of the rules: most lines match none.
ANY = re.compile("|".join(f"(?:{pattern})" for pattern in RULES), re.IGNORECASE)


class Text(NamedTuple):
    """A piece of text, and the line on which it begins."""

    line: int
    text: str


class Finding(NamedTuple):
    """An avoided phrase, and what to write instead."""

    path: Path
    line: int
    text: str
    advice: str


def markdown(page: str) -> Iterator[Text]:
    """Yield the lines of a page, without code."""
    fenced = False
    for number, line in enumerate(page.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            yield Text(number, re.sub(r"`[^`]*`", "code", line))


def python(source: str) -> Iterator[Text]:
    """Yield the comments of a file, and its strings of more than one word."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(token.start[0], token.string.lstrip("#: "))
    inside = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            inside.update(map(id, node.values))
            parts = [part.value if isinstance(part, ast.Constant) else "x" for part in node.values]
            yield from _lines(node.lineno, "".join(map(str, parts)))
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inside
        ):
            yield from _lines(node.lineno, node.value)


def html(template: str) -> Iterator[Text]:
    """Yield the lines of a template, without its styles, scripts, tags and code."""

    def blank(found: re.Match[str]) -> str:
        return "\n" * found[0].count("\n")

    hidden = r"<(style|script)\b.*?</\1>|<[^>]*>|{[{%#].*?[}%#]}"
    yield from _lines(1, re.sub(hidden, blank, template, flags=re.DOTALL))


def other(source: str) -> Iterator[Text]:
    """Yield the lines of a file of another kind: what follows ``#``, and quoted text."""
    for number, line in enumerate(source.splitlines(), 1):
        for text in re.findall(r"(?:^|\s)#\s*(.*)|\"([^\"]* [^\"]*)\"", line):
            yield Text(number, "".join(text))


def _lines(first: int, text: str) -> Iterator[Text]:
    if " " in text:
        for number, line in enumerate(text.splitlines(), first):
            yield Text(number, re.sub(r"``[^`]*``", "code", line.strip()))


#: How a file is read, by its ending.
READERS = {".md": markdown, ".py": python, ".j2": html}


def findings(path: Path) -> list[Finding]:
    """Search one file."""
    source = path.read_text()
    texts = READERS.get(path.suffix, other)(source)
    return [
        Finding(path, line, found[0].strip(), advice)
        for line, text in texts
        if ANY.search(text)
        for pattern, advice in RULES.items()
        for found in re.finditer(pattern, text, re.IGNORECASE)
    ]


def sentences(page: str) -> list[str]:
    """Split the prose of a page into sentences: without code, tables, headings and pictures."""
    blocks = [""]
    for _, line in markdown(page):
        if re.match(r"\s*(\||#|!\[)", line) or not line.strip():
            blocks.append("")
        elif re.match(r"\s*([-*]|\d+\.) ", line):
            blocks.append(re.sub(r"^\s*([-*]|\d+\.) ", "", line))
        else:
            blocks[-1] += " " + line.strip()
    found = []
    for block in blocks:
        plain = re.sub(r"\]\([^)]*\)", "]", block)
        found += re.split(r"(?<=[.!?:])\s+(?=[A-Z0-9`\"*\[])", plain.strip())
    return [sentence for sentence in found if len(sentence.split()) > 1]


class Statistics(NamedTuple):
    """Words and sentences of a page."""

    words: int
    mean: float
    long: float
    semicolons: int


def statistics(page: str) -> Statistics:
    """Count words, the mean length of sentences, the share above 30 words, and semicolons."""
    found = sentences(page)
    lengths = [len(sentence.split()) for sentence in found] or [0]
    return Statistics(
        sum(lengths),
        sum(lengths) / len(lengths),
        sum(length > 30 for length in lengths) / len(lengths),
        sum(sentence.count(";") for sentence in found),
    )


def files() -> list[Path]:
    """Return pages that people write, and the sources of the programs."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "run.py"]
    found = [path for path in found if path.name not in GENERATED]
    for folder in ("compresso", "experiments"):
        found += (ROOT / folder).rglob("*.py")
    found += [ROOT / name for name in OTHERS]
    return sorted(found)


def main() -> None:
    """Print findings, and the statistics of pages."""
    paths = [Path(name).resolve() for name in sys.argv[1:]] or files()
    for path in paths:
        for found in findings(path):
            print(f"{path.relative_to(ROOT)}:{found.line}: {found.text!r}: write {found.advice}")
    for path in paths:
        if path.suffix == ".md":
            print(f"{path.relative_to(ROOT)}: {statistics(path.read_text())}")


if __name__ == "__main__":
    main()
