"""What the values in the tables beside the bars can be: one list of rules for files, J-Quants and simulated markets.

A row that breaks one is refused in files, whose owner can correct them, and as a last resort everywhere. What
J-Quants serves nobody here can correct, so its mapping leaves such a row out, or its figure null, before it comes here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

KINDS = ("weekly", "daily")
"""Kinds of margin balances."""
_MONTHS_AHEAD = 18
"""No fiscal year is longer; statements and forecasts speak of the present year or the next."""
_YEARS_BACK = 10
"""Statements of older years are corrected after so many years at most."""
_PERCENT = 2.0
"""Ratios above it are percentages; one that is a little above 1 is an estimate, and no reason to refuse a file."""


@dataclass(frozen=True)
class ValueRule:
    """A rule on one column: which rows break it, what is wrong with them, and what to do."""

    column: str
    wrong: pl.Expr
    what: str
    remedy: str

    def broken(self, frame: pl.DataFrame) -> pl.Series:
        """Whether each row breaks the rule; a missing value breaks none."""
        return frame.select(self.wrong.fill_null(False).alias(self.column)).to_series()


def impossible_year_end(year_end: str, published: pl.Expr) -> pl.Expr:
    """Whether a column of fiscal year ends holds none that a statement of the day ``published`` can speak of.

    A year end far ahead must never come in: the latest period counts as the current one, so that a mistyped year
    would silence its company until then.
    """
    ahead = pl.col(year_end) > published.dt.offset_by(f"{_MONTHS_AHEAD}mo")
    return ahead | (pl.col(year_end) < published.dt.offset_by(f"-{_YEARS_BACK}y"))


def no_share(ratio: pl.Expr) -> pl.Expr:
    """Whether a share of a whole is none."""
    return ~ratio.is_between(0.0, 1.0)


def _not_negative(column: str) -> ValueRule:
    return ValueRule(column, pl.col(column) < 0, f"a negative {column}", "Correct it, or leave it empty")


def _recorded(column: str) -> ValueRule:
    what = f"a {column} after the Date under which it lies"
    return ValueRule(column, pl.col(column) > pl.col("Date"), what, "Date is the day of publication")


RULES: Mapping[str, tuple[ValueRule, ...]] = {
    "statements": (
        ValueRule(
            "Quarter", ~pl.col("Quarter").is_between(1, 4), "a Quarter other than 1, 2, 3 or 4", "4 is the full year"
        ),
        ValueRule(
            "FiscalYearEnd",
            impossible_year_end("FiscalYearEnd", pl.col("PublishedAt").dt.date()),
            f"a FiscalYearEnd more than {_MONTHS_AHEAD} months after PublishedAt, or {_YEARS_BACK} years before it,",
            "Correct the year, or leave the row out",
        ),
        _not_negative("SharesOutstanding"),
    ),
    "margin": (
        ValueRule("Kind", ~pl.col("Kind").is_in(KINDS), f"a Kind other than {' and '.join(KINDS)}", "Name the kind"),
        _recorded("RecordDate"),
        _not_negative("MarginLong"),
        _not_negative("MarginShort"),
    ),
    "short_selling": (
        _recorded("RecordDate"),
        ValueRule(
            "ShortRatio",
            ~pl.col("ShortRatio").is_between(0.0, _PERCENT),
            f"a ShortRatio below 0 or above {_PERCENT:g}",
            "Write 0.4 for 40 percent",
        ),
    ),
    "investor_flow": (_recorded("PeriodEnd"), _not_negative("Total")),
    "revisions": (
        ValueRule(
            "SupersededAt",
            pl.col("SupersededAt") <= pl.col("KnownAt"),
            "a SupersededAt that is not after KnownAt",
            "A version ends after it began",
        ),
    ),
}
"""By table; the others have none."""
