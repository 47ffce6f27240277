"""The columns that expressions may name: where each comes from and when its values are known.

``stock`` columns are ``[days, codes]`` and come from raw_dataset's panel (adjusted bars) and its slow table;
``market`` columns are ``[days, 1]`` and come from its market table. Prices that are not positive count as missing.
A slow or market column that the source does not have is missing throughout.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

ColumnScope = Literal["stock", "market"]
Table = Literal["panel", "slow", "market"]

BARS = "from the close of the day"
STATEMENTS = "from the first close after publication of the statement"
MARGIN = "from the first close after publication of the margin balances"
SHORT = "from the close of the trading day after the short-selling figures' date"
FLOW = "from the close of the trading day after publication of the weekly investor flows"


@dataclass(frozen=True)
class ColumnSpec:
    """One column: its name in the language, the table and column it is read from, and when it is known."""

    name: str
    table: Table
    source: str
    availability: str
    positive: bool = False
    """Whether values at or below 0 count as missing (prices)."""
    adjusted_shares: bool = False
    """Whether it counts shares, adjusted for splits as volumes are: comparable across splits, and money if multiplied
    by an adjusted price."""

    @property
    def scope(self) -> ColumnScope:
        """Whether there is one value a name or one a day."""
        return "market" if self.table == "market" else "stock"


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _specs() -> tuple[ColumnSpec, ...]:
    prices = tuple(
        ColumnSpec(name.lower(), "panel", f"Adj{name}", BARS, positive=True)
        for name in ("Open", "High", "Low", "Close")
    )
    amounts = (
        ColumnSpec("volume", "panel", "AdjVolume", BARS, adjusted_shares=True),
        ColumnSpec("turnover", "panel", "TurnoverValue", BARS),
        ColumnSpec("raw_close", "panel", "Close", BARS, positive=True),
    )
    slow = {
        STATEMENTS: (
            "Sales OperatingProfit Profit Assets Equity SharesOutstanding ForecastSales ForecastOperatingProfit "
            "ForecastProfit SalesYearAgo OperatingProfitYearAgo ProfitYearAgo ForecastProfitBefore Quarter "
            "DaysSinceStatement"
        ),
        MARGIN: "MarginLong MarginShort MarginLongBefore MarginShortBefore DaysSinceMargin",
        SHORT: "SectorShortRatio",
    }
    shares = {"SharesOutstanding", "MarginLong", "MarginShort", "MarginLongBefore", "MarginShortBefore"}
    slower = tuple(
        ColumnSpec(_snake(name), "slow", name, known, adjusted_shares=name in shares)
        for known, names in slow.items()
        for name in names.split()
    )
    index = tuple(
        ColumnSpec(_snake(name), "market", name, BARS, positive=True)
        for name in ("IndexOpen", "IndexHigh", "IndexLow", "IndexClose")
    )
    flow = tuple(
        ColumnSpec(_snake(name), "market", name, FLOW)
        for name in ("ForeignNet", "IndividualNet", "FlowTotal", "FlowWeeks")
    )
    return (*prices, *amounts, *slower, *index, *flow)


COLUMNS: Mapping[str, ColumnSpec] = MappingProxyType({spec.name: spec for spec in _specs()})
"""Every column by its name in the language."""

MARKET_RETURN, MARKET_MOVE = "market_return", "market_move"
MARKET_SERIES: Mapping[str, int] = MappingProxyType({MARKET_RETURN: 2, MARKET_MOVE: 3})
"""Names for what the market did, and the trading days that each reads. ``market_return`` is the 1-day return: the
index's where the settings name one, else the members' mean. ``market_move`` is the same, but on the day after one
without any price (the outage of 2020-10-01) it is the return since the day before: its sums leave nothing out."""

MEMBER = "InUniverse"
SECTOR = "Sector"
"""Columns of the panel that the operators across names read beside their arguments."""
