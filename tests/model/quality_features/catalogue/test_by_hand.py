"""Features of a handful of bars, worked out by hand."""

import math
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from model.quality_features.engine import compute_features
from model.quality_features.settings import FeatureSettings

SETTINGS = FeatureSettings(minimum_sector_names=1)


def panel_of(bars: dict[str, list[tuple[float, float, float, float, float]]], sector: str | None = "S") -> pl.DataFrame:
    """Codes with (open, high, low, close, volume) a day; every row is a universe member."""
    rows = [
        (date(2020, 1, 1) + timedelta(days=day), code, *bar, bar[3] * bar[4], sector, True)
        for code, days in bars.items()
        for day, bar in enumerate(days)
    ]
    names = [
        "Date",
        "Code",
        "AdjOpen",
        "AdjHigh",
        "AdjLow",
        "AdjClose",
        "AdjVolume",
        "TurnoverValue",
        "Sector",
        "InUniverse",
    ]
    return pl.DataFrame(rows, schema_overrides={"Sector": pl.String}, schema=names, orient="row").sort("Date", "Code")


def last_row(panel: pl.DataFrame, code: str, settings: FeatureSettings = SETTINGS) -> dict[str, float]:
    day = panel["Date"].max()
    assert isinstance(day, date)
    return compute_features(panel, settings, day, day, threads=1).filter(pl.col("Code") == code).row(0, named=True)


def test_returns_ranges_and_volume_by_hand() -> None:
    bars = [(10.0, 12.0, 8.0, 10.0, 100.0)] * 4 + [(10.0, 12.0, 8.0, 10.0, 300.0), (11.0, 14.0, 10.0, 13.0, 500.0)]
    row = last_row(panel_of({"A": bars}), "A")
    assert row["ret_1d"] == row["ret_5d"] == pytest.approx(0.3)
    assert row["logret_1d"] == pytest.approx(math.log(1.3))
    assert row["ret_overnight"] == pytest.approx(0.1)
    assert row["ret_intraday"] == pytest.approx(2 / 11)
    assert row["range_1d"] == pytest.approx(0.4)
    assert row["close_from_high"] == pytest.approx(0.25)
    assert row["volume_ratio_5d"] == pytest.approx(500 / ((3 * 100 + 300 + 500) / 5))
    assert row["sma_ratio_5d"] == pytest.approx(13 / ((4 * 10 + 13) / 5) - 1)
    assert row["vol_5d"] == pytest.approx(np.std([0, 0, 0, 0, 0.3], ddof=1) * math.sqrt(252))
    assert row["ret_20d"] is None and row["sma_ratio_20d"] is None
    assert row["valid_5d"] and not row["valid_20d"]


def test_market_sector_and_ranks_by_hand() -> None:
    def close(*prices: float) -> list[tuple[float, float, float, float, float]]:
        return [(p, p, p, p, 10.0) for p in prices]

    panel = panel_of({"A": close(100, 110), "B": close(100, 90), "C": close(100, 106)})
    panel = panel.with_columns(Sector=pl.when(pl.col("Code") == "C").then(pl.lit("T")).otherwise(pl.lit("S")))
    row = last_row(panel, "A")
    assert row["mkt_ret_1d"] == pytest.approx(0.02)
    assert row["excess_ret_1d"] == pytest.approx(0.08)
    assert row["sector_ret_1d"] == pytest.approx(0.0, abs=1e-7)
    assert row["ret_1d_vs_sector"] == pytest.approx(0.1)
    assert row["xs_rank_ret_1d"] == pytest.approx(5 / 6)
    thin = last_row(panel, "C", FeatureSettings(minimum_sector_names=2))
    assert thin["sector_ret_1d"] is None


def test_range_volatilities_of_identical_days_by_hand() -> None:
    row = last_row(panel_of({"A": [(100.0, 110.0, 95.0, 105.0, 1000.0)] * 30}), "A")
    annual = math.sqrt(252)
    assert row["parkinson_20d"] == pytest.approx(annual * math.log(110 / 95) / math.sqrt(4 * math.log(2)))
    term = math.log(110 / 105) * math.log(110 / 100) + math.log(95 / 105) * math.log(95 / 100)
    assert row["rogers_satchell_20d"] == pytest.approx(annual * math.sqrt(term))
    k = 0.34 / (1.34 + 21 / 19)
    assert row["yang_zhang_20d"] == pytest.approx(annual * math.sqrt((1 - k) * term), rel=1e-5)
    assert row["vol_20d"] == 0.0
    assert row["rsi_14"] == 50.0
    assert row["amihud_20d"] is None
    assert row["bollinger_b_20d"] is None
    assert row["low_freq_ret_64d"] is None
