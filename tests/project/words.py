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


def lines_of(first: int, text: str, code: str = r"``[^`]*``") -> Iterator[tuple[int, str]]:
    """Yield the lines of a text with their numbers, without code."""
    for number, line in enumerate(text.splitlines(), first):
        yield number, re.sub(code, "code", line.strip())


def prose(page: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a page, without code."""
    page = re.sub(
        r"^ *```.*?^ *```", lambda block: "\n" * block[0].count("\n"), page, flags=re.M | re.S
    )
    yield from lines_of(1, re.sub("^    .*", "", page, flags=re.M), r"`[^`]*`")


def python(source: str) -> Iterator[tuple[int, str]]:
    """Yield the comments of a file, and its strings of more than one word."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("#: ")
    nodes = list(ast.walk(ast.parse(source)))
    formatted = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    inside = {id(part) for node in formatted for part in node.values}
    for node in nodes:
        text = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "x" for part in node.values]
            text = "".join(map(str, parts))
        if isinstance(text, str) and " " in text and id(node) not in inside:
            yield from lines_of(node.lineno, text)


def html(template: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a template, without its styles, scripts, tags and code."""
    hidden = r"<(style|script)\b.*?</\1>|<[^>]*>|{[{%#].*?[}%#]}"
    shown = re.sub(hidden, lambda part: "\n" * part[0].count("\n"), template, flags=re.DOTALL)
    yield from lines_of(1, shown)


def other(source: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file of another kind: what follows ``#``, and quoted text."""
    for number, line in enumerate(source.splitlines(), 1):
        for text in re.findall(r"(?:^|\s)#\s*(.*)|\"([^\"]* [^\"]*)\"", line):
            yield number, "".join(text)


#: How a file is read, by its ending.
READERS = {".md": prose, ".py": python, ".j2": html}


def findings(path: Path) -> list[str]:
    """Search one file; return a line per finding."""
    read = READERS.get(path.suffix, other)
    return [
        f"{path.relative_to(ROOT)}:{line}: {found[0].strip()!r}: write {advice}"
        for line, text in read(path.read_text())
        if ANY.search(text)
        for pattern, advice in RULES.items()
        for found in re.finditer(pattern, text, re.IGNORECASE)
    ]


class Statistics(NamedTuple):
    """Words of a page, the mean length of sentences, the share above 30 words, and semicolons."""

    words: int
    mean: float
    long: float
    semicolons: int


def statistics(page: str) -> Statistics:
    """Measure the prose of a page: without code, tables, headings and pictures."""
    text = "\n".join(line for _, line in prose(page))
    text = re.sub(r"^(\||#|!\[).*|^([-*]|\d+\.) ", "\n", text, flags=re.M)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    found = re.split(r"\n\n+|(?<=[.!?:])\s+(?=[A-Z0-9`\"*\[])", text)
    found = [sentence for sentence in found if len(sentence.split()) > 1]
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
    return sorted([*found, *(ROOT / name for name in OTHERS)])


def main() -> None:
    """Print findings, and the statistics of pages."""
    paths = [Path(name).resolve() for name in sys.argv[1:]] or files()
    for path in paths:
        print("".join(f"{finding}\n" for finding in findings(path)), end="")
    for path in paths:
        if path.suffix == ".md":
            print(f"{path.relative_to(ROOT)}: {statistics(path.read_text())}")


if __name__ == "__main__":
    main()
