"""Flow, margin, short selling and statements by hand."""

import math
from collections.abc import Callable
from datetime import date

import polars as pl
import pytest

from model.quality_features.engine import compute_features
from model.quality_features.selection import ALWAYS
from model.quality_features.settings import SLOW_GROUPS, FeatureSettings

PanelMaker = Callable[..., pl.DataFrame]
MarketMaker = Callable[[list[date], int], pl.DataFrame]
SETTINGS = FeatureSettings(groups=SLOW_GROUPS)

STATEMENT = {
    "Sales": 600.0,
    "OperatingProfit": 60.0,
    "Profit": 30.0,
    "Assets": 2000.0,
    "Equity": 800.0,
    "SharesOutstanding": 40.0,
    "ForecastSales": 1000.0,
    "ForecastOperatingProfit": 150.0,
    "ForecastProfit": 90.0,
    "SalesYearAgo": 500.0,
    "OperatingProfitYearAgo": -20.0,
    "ProfitYearAgo": 40.0,
    "ForecastProfitBefore": 60.0,
    "Quarter": 2.0,
    "DaysSinceStatement": 7.0,
    "MarginLong": 300.0,
    "MarginShort": 100.0,
    "MarginLongBefore": 200.0,
    "MarginShortBefore": 125.0,
    "DaysSinceMargin": 2.0,
}


def row_of(make_panel: PanelMaker, market: pl.DataFrame | None = None, **changes: float | None) -> dict[str, float]:
    """The features of the newest day of one name of which 10 shares are traded a day, and whose close is 50."""
    panel = make_panel(70, 1, missing=0.0).with_columns(
        pl.lit(value, pl.Float64).alias(name) for name, value in {**STATEMENT, **changes}.items()
    )
    panel = panel.with_columns(
        AdjClose=pl.lit(50.0),
        AdjVolume=pl.lit(10.0),
        SectorShortRatio=pl.int_range(pl.len()).cast(pl.Float64) / 100,
    )
    last = panel["Date"][-1]
    return compute_features(panel, SETTINGS, last, last, threads=1, market=market).row(0, named=True)


def test_growth_is_against_the_same_quarter_a_year_before(make_panel: PanelMaker) -> None:
    row = row_of(make_panel)
    assert row["sales_yoy"] == pytest.approx(0.2)
    assert row["operating_profit_yoy"] == pytest.approx(4.0)  # out of a loss of 20 into 60
    assert row["profit_yoy"] == pytest.approx(-0.25)
    assert row_of(make_panel, SalesYearAgo=None)["sales_yoy"] is None
    assert row_of(make_panel, SalesYearAgo=0.0)["sales_yoy"] is None


def test_margins_and_returns_on_capital(make_panel: PanelMaker) -> None:
    row = row_of(make_panel)
    assert row["operating_margin"] == pytest.approx(0.1)
    assert row["net_margin"] == pytest.approx(0.05)
    assert row["roe"] == pytest.approx(2 * 30 / 800)  # half a year's profit, a year
    assert row["roa"] == pytest.approx(2 * 30 / 2000)
    assert row["equity_ratio"] == pytest.approx(0.4)
    assert row_of(make_panel, Equity=-5.0)["roe"] is None
    assert row_of(make_panel, Sales=0.0)["net_margin"] is None


def test_progress_and_revision_of_the_forecast(make_panel: PanelMaker) -> None:
    row = row_of(make_panel)
    assert row["sales_progress"] == pytest.approx(0.6)
    assert row["operating_profit_progress"] == pytest.approx(0.4)
    assert row["profit_progress"] == pytest.approx(1 / 3)
    assert row["forecast_revision"] == pytest.approx(0.5)
    assert row["days_since_statement"] == 7.0
    year_end = row_of(make_panel, Quarter=4.0)
    assert year_end["sales_progress"] is None and year_end["roe"] == pytest.approx(30 / 800)
    assert row_of(make_panel, ForecastProfit=-10.0)["profit_progress"] is None


def test_value_in_the_market(make_panel: PanelMaker) -> None:
    row = row_of(make_panel)
    assert row["log_market_value"] == pytest.approx(math.log(2000))
    assert row["book_to_price"] == pytest.approx(0.4)
    assert row["forecast_earnings_yield"] == pytest.approx(0.045)
    assert row["turnover_rate_20d"] == pytest.approx(0.25)
    assert row_of(make_panel, SharesOutstanding=None)["turnover_rate_20d"] is None


def test_margin_balances(make_panel: PanelMaker) -> None:
    row = row_of(make_panel)
    assert row["margin_credit_ratio"] == pytest.approx(math.log(3))
    assert row["margin_imbalance"] == pytest.approx(0.5)
    assert row["margin_long_change"] == pytest.approx(0.5)
    assert row["margin_short_change"] == pytest.approx(-0.2)
    assert row["margin_long_days"] == pytest.approx(300 / 10)
    assert row["margin_short_days"] == pytest.approx(100 / 10)
    assert row["days_since_margin"] == 2.0
    none_short = row_of(make_panel, MarginShort=0.0)
    assert none_short["margin_credit_ratio"] is None and none_short["margin_imbalance"] == 1.0


def test_short_selling_of_the_sector(make_panel: PanelMaker) -> None:
    row = row_of(make_panel)  # 0.00, 0.01, ... 0.69
    assert row["short_ratio"] == pytest.approx(0.69)
    assert row["short_ratio_change_5d"] == pytest.approx(0.05)
    spread = math.sqrt(60 * 61 / 12)  # of 60 consecutive whole numbers, n - 1
    assert row["short_ratio_z_60d"] == pytest.approx(29.5 / spread, rel=1e-5)


def test_flows_are_shares_of_the_traded_value_and_z_scores_of_a_year(
    make_panel: PanelMaker, make_market: MarketMaker
) -> None:
    panel = make_panel(300, 2, missing=0.0).with_columns(Close=pl.col("AdjClose"))
    days = panel["Date"].unique().sort().to_list()
    market = make_market(days, 3)
    row = compute_features(panel, SETTINGS, days[-1], days[-1], threads=1, market=market).row(0, named=True)
    year = market.tail(252)
    scores = {}
    for who in ("Foreign", "Individual"):
        ratio = year[f"{who}Net"] / year["FlowTotal"]
        assert row[f"flow_{who.lower()}_ratio"] == pytest.approx(ratio[-1], rel=1e-5)
        scores[who] = (ratio[-1] - ratio.mean()) / ratio.std()  # type: ignore[operator]
        assert row[f"flow_{who.lower()}_z_52w"] == pytest.approx(scores[who], rel=1e-5)
    assert row["flow_smart_money"] == pytest.approx(scores["Foreign"] - scores["Individual"], rel=1e-5)


def test_a_source_without_slow_data_leaves_the_groups_null(make_panel: PanelMaker) -> None:
    panel = make_panel(30, 2, missing=0.0).with_columns(Close=pl.col("AdjClose"))
    last = panel["Date"][-1]
    table = compute_features(panel, SETTINGS, last, last, threads=1)
    slow = table.select(pl.selectors.float().exclude(ALWAYS))
    assert slow.null_count().row(0) == (table.height,) * slow.width
