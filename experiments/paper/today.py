"""The methods of today beside the paper's best: a table of its own, which no verdict looks at."""

from collections.abc import Iterator

import pandas as pd

from compresso import compressors, encodings
from experiments.measure import Method, combine
from experiments.paper.measured import Measured
from experiments.records.intervals import describe_fastest, format_speed, intervals, ranks
from experiments.records.results import BOTH, MARK, NOTE

#: Encodings since the paper, and what may stand behind those that are no schemes of their own.
ENCODINGS = (
    *("ristretto", "ristretto:effort=2", "crackle", "crackle:markov=5"),
    *("cpso", "compressed_segmentation"),
)
SECOND_STAGES = ("none", "zstd", "lzma")
#: The paper's, for comparison.
REFERENCES = (("compresso", "lzma"), ("compresso", "zstd"), ("neuroglancer", "zstd"))
NAMES = {"cpso": "cpso (the stream of PyPI's compresso)"}


def cells() -> list[Method]:
    """The methods of today whose packages are installed."""
    found = [encodings.parse(spec) for spec in ENCODINGS]
    here = [encoding for encoding in found if not encoding.missing()]
    return combine(here, [compressors.parse(second) for second in SECOND_STAGES])


def section(measured: Measured) -> list[str]:
    """Lines of the report, none where no method of today was measured."""
    names = [name for name in measured.datasets() if _methods(measured, name) is not None]
    if not names:
        return []
    lines = [
        "## Methods of today",
        "",
        "Not in the paper, and in none of its claims. MB/s are of both stages on the paper's",
        "basis: medians, in brackets their 95% intervals where there are three runs or more.",
        "*Place* ranks the lines of a dataset by speed. Where it is a range, intervals overlap,",
        "and the runs show no difference.",
        "",
        "| dataset | method | ratio | compress MB/s | place | decompress MB/s | place |",
        "|---|---|---:|---:|:---:|---:|:---:|",
    ]
    fast: list[str] = []
    trained = False
    for name in names:
        methods = _methods(measured, name)
        assert methods is not None
        title = measured.title(name)
        lines += _lines(title, methods)
        fast += _fastest(title, methods)
        trained |= methods["trained"].any()
    note = [f"{NOTE}.", ""] if trained else []
    return [*lines, "", *note, *fast, *_missing(measured), ""]


def _methods(measured: Measured, name: str) -> pd.DataFrame | None:
    """A line a method, the best ratio first; None where there is none of today."""
    rows = measured.of(name)
    today = rows["encoding"].isin(ENCODINGS) & rows["compression"].isin(SECOND_STAGES)
    if not today.any():
        return None
    pair = pd.Series(zip(rows["encoding"], rows["compression"], strict=True), index=rows.index)
    found = intervals(rows[today | pair.isin(REFERENCES)])
    return found.sort_values("ratio", ascending=False, kind="stable", ignore_index=True)


def _lines(title: str, methods: pd.DataFrame) -> Iterator[str]:
    ranked = [ranks(methods, speed) for speed in BOTH]
    for index, method in methods.iterrows():
        mark = MARK if method["trained"] else ""
        columns = [title, f"{_called(method)}{mark}", f"{method['ratio']:,.1f}"]
        for speed, place in zip(BOTH, ranked, strict=True):
            columns += [format_speed(method, speed), place[index]]
        yield f"| {' | '.join(columns)} |"


def _fastest(title: str, methods: pd.DataFrame) -> Iterator[str]:
    for speed, verb in BOTH.items():
        if told := describe_fastest(methods, speed, _called):
            yield f"- {title}, fastest to {verb}: {told}"


def _called(method: "pd.Series[float]") -> str:
    first, second = str(method["encoding"]), str(method["compression"])
    return NAMES.get(first, first) + ("" if second == "none" else f" + {second}")


def _missing(measured: Measured) -> list[str]:
    """What no dataset has a result of."""
    found = set(measured.rows["encoding"])
    return [f"- {spec}: not measured" for spec in ENCODINGS if spec not in found]
