"""The measured numbers, looked up by dataset and scheme."""

import pandas as pd

from experiments.paper.schemes import ALONE, FIRST_STAGES, SECOND_STAGES
from experiments.records.intervals import intervals
from experiments.records.results import derive
from experiments.records.rows import METHOD
from experiments.text import display_name

UNMEASURED = "not measured"


def in_table(text: str) -> str:
    """Text for a table of Markdown, whose columns a ``|`` ends; the names of stores have some."""
    return text.replace("|", r"\|")


class Measured:
    """The rows of one report.

    Parameters
    ----------
    table : DataFrame
        Rows of results, those that failed too.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        told = {name: table[name].map(in_table) for name in ("dataset", "status")}
        self._table = table.assign(**told)
        self.rows = derive(self._table)

    def datasets(self, group: str | None = None) -> list[str]:
        """The datasets that any scheme succeeded on, of one group or of all."""
        rows = self.rows if group is None else self.rows[self.rows["group"] == group]
        return list(rows["dataset"].unique())

    def of(self, name: str) -> pd.DataFrame:
        """The rows of a dataset."""
        return self.rows[self.rows["dataset"] == name]

    def schemes(self, name: str) -> "pd.Series[float]":
        """Mean ratio of each of the paper's schemes on a dataset, by (encoding, compression)."""
        rows = self.of(name)
        known = rows["encoding"].isin((*FIRST_STAGES, *ALONE))
        known &= rows["compression"].isin(SECOND_STAGES)
        return rows[known].groupby(["encoding", "compression"])["ratio"].mean()

    def cell(self, name: str, encoding: str, compression: str = "lzma") -> "pd.Series | None":
        """Medians of a cell's runs and the intervals of its speeds; None where none succeeded."""
        chosen = self._runs(name, encoding, compression)
        return intervals(chosen).iloc[0] if len(chosen) else None

    def _runs(self, name: str, encoding: str, compression: str) -> pd.DataFrame:
        rows = self.of(name)
        return rows[(rows["encoding"] == encoding) & (rows["compression"] == compression)]

    def statuses(self) -> "pd.Series[str]":
        """What became last of each cell that was tried, by dataset, encoding and compression."""
        status = self._table[self._table["shape"] != ""].set_index(METHOD)["status"]
        return status[~status.index.duplicated(keep="last")]

    def ratio(self, name: str, encoding: str) -> str:
        """The ratio of an encoding with LZMA behind it, as text, or nothing."""
        ratios = self._runs(name, encoding, "lzma")["ratio"]
        return f"{ratios.median():,.1f}" if len(ratios) else ""

    def title(self, name: str) -> str:
        """What a dataset is called; the synthetic ones say so."""
        return display_name(name, str(self.of(name)["group"].iloc[-1]))

    def part(self, name: str) -> str:
        """Which part of a dataset was measured, empty for the whole."""
        parts = self.of(name)["part"]
        return str(parts.iloc[0]) if len(parts) else ""

    def untested(self, name: str) -> str:
        """Why there is no number of Compresso + LZMA on a dataset."""
        rows = self._table[(self._table["dataset"] == name) & (self._table["shape"] != "")]
        rows = rows[(rows["encoding"] == "compresso") & (rows["compression"] == "lzma")]
        return f"not tested: {rows['status'].iloc[-1]}" if len(rows) else UNMEASURED
