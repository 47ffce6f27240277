"""Bars of one name and of a whole ordinary market, and the catalogue's features of them."""

from collections.abc import Callable
from datetime import date

import numpy as np
import polars as pl
import pytest

from model.quality_features.engine import compute_features
from model.quality_features.settings import GROUP_NAMES, FeatureSettings

PanelMaker = Callable[..., pl.DataFrame]
Bars = dict[str, np.ndarray]
Series = dict[str, np.ndarray]

DAYS = 1150
COMPARED = 200
"""The newest days on which series are compared: by then the longest memory is full."""


def random_bars(days: int, seed: int) -> Bars:
    rng = np.random.Generator(np.random.PCG64(seed))
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, days)))
    opening = close * np.exp(rng.normal(0, 0.01, days))
    high = np.maximum(opening, close) * np.exp(np.abs(rng.normal(0, 0.01, days)))
    low = np.minimum(opening, close) * np.exp(-np.abs(rng.normal(0, 0.01, days)))
    volume = np.floor(rng.lognormal(10, 1, days))
    return {"open": opening, "high": high, "low": low, "close": close, "volume": volume, "turnover": close * volume}


@pytest.fixture(scope="session")
def bars() -> Bars:
    return random_bars(DAYS, 11)


@pytest.fixture(scope="session")
def series(bars: Bars, make_panel: PanelMaker) -> Series:
    """Every feature of one name alone in its market, on the newest days, as float64."""
    frame = make_panel(DAYS, 1, missing=0.0, members=1.0).with_columns(
        AdjOpen=bars["open"],
        AdjHigh=bars["high"],
        AdjLow=bars["low"],
        AdjClose=bars["close"],
        AdjVolume=bars["volume"],
        TurnoverValue=bars["turnover"],
    )
    days = frame["Date"].to_list()
    settings = FeatureSettings(minimum_sector_names=1)
    table = compute_features(frame, settings, days[-COMPARED], days[-1], threads=1)
    floats = table.select(pl.selectors.float())
    return {name: floats[name].cast(pl.Float64).to_numpy() for name in floats.columns}


@pytest.fixture(scope="session")
def everything() -> FeatureSettings:
    return FeatureSettings(groups=GROUP_NAMES, minimum_sector_names=2)


def with_slow_data(panel: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Statements, margin balances and short selling that change now and then."""
    rng = np.random.Generator(np.random.PCG64(seed))
    rows = panel.height

    def amount(low: float, high: float) -> pl.Series:
        return pl.Series(rng.uniform(low, high, rows))

    names = ("Sales", "OperatingProfit", "Profit", "Assets", "Equity", "SharesOutstanding")
    names += ("ForecastSales", "ForecastOperatingProfit", "ForecastProfit", "SalesYearAgo", "OperatingProfitYearAgo")
    names += ("ProfitYearAgo", "ForecastProfitBefore", "MarginLong", "MarginShort", "MarginLongBefore")
    names += ("MarginShortBefore",)
    return panel.with_columns(
        *(amount(1e6, 1e8).alias(name) for name in names),
        Close=pl.col("AdjClose") * 2,
        Quarter=pl.Series(rng.integers(1, 5, rows)).cast(pl.Float64),
        DaysSinceStatement=pl.Series(rng.integers(0, 60, rows)).cast(pl.Float64),
        DaysSinceMargin=pl.Series(rng.integers(0, 5, rows)).cast(pl.Float64),
        SectorShortRatio=amount(0.2, 0.6),
    )


def market_table(days: list[date], seed: int) -> pl.DataFrame:
    """Weekly flows and an index, a row a day."""
    rng = np.random.Generator(np.random.PCG64(seed))
    weeks = np.arange(len(days)) // 5
    flow = {name: rng.normal(0, 1e9, weeks[-1] + 1)[weeks] for name in ("ForeignNet", "IndividualNet")}
    index = 1000 * np.exp(np.cumsum(rng.normal(0, 0.01, len(days))))
    return pl.DataFrame(
        {
            "Date": days,
            **flow,
            "FlowTotal": rng.uniform(1e11, 2e11, weeks[-1] + 1)[weeks],
            "FlowWeeks": weeks.astype(np.float64),
            **{f"Index{name}": index for name in ("Open", "High", "Low", "Close")},
        }
    )


SlowData = Callable[[pl.DataFrame, int], pl.DataFrame]
MarketMaker = Callable[[list[date], int], pl.DataFrame]


@pytest.fixture(scope="session")
def slow_data() -> SlowData:
    return with_slow_data


@pytest.fixture(scope="session")
def make_market() -> MarketMaker:
    return market_table
