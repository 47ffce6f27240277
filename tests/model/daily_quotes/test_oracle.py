"""The reachable oracle: right about tomorrow, blind to it until then."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from model.daily_quotes.settings import CalendarSettings, SimulatedSource
from model.daily_quotes.sources.simulated.market import simulate
from model.daily_quotes.sources.simulated.oracle import REFIT_DAYS, oracle
from model.daily_quotes.sources.simulated.source import SimulatedMarket
from model.daily_quotes.sources.simulated.statements import surprise_signal
from model.daily_quotes.sources.simulated.structure import structure
from model.errors import DataError

STRENGTHS = ("tabular_strength", "lead_lag_strength", "regime_strength")


def panel(values: SimulatedSource, days: int) -> pl.DataFrame:
    """The columns of raw_dataset that the oracle reads, on consecutive dates."""
    fixed, bars = simulate(values, days)
    day, stock = np.nonzero(bars.row)
    cumulative = np.cumprod(bars.factor, axis=0)
    frame = pl.DataFrame(
        {
            "Date": pl.Series(day.astype(np.int32)).cast(pl.Date),
            "Code": np.array(fixed.codes)[stock],
            "AdjClose": pl.Series((bars.close / cumulative)[day, stock], nan_to_null=True),
            "AdjVolume": (bars.volume * cumulative)[day, stock],
        }
    )
    return frame.with_columns(Tradable=pl.col("AdjClose").is_not_null() & (pl.col("AdjVolume") > 0))


def mean_ic(bars: pl.DataFrame, prediction: pl.DataFrame, horizon: int) -> float:
    """Mean daily rank IC by an independent library; a constant prediction counts as 0."""
    later = bars.select(pl.col("Date").cast(pl.Int32) - horizon, "Code", future="AdjClose")
    joined = (
        bars.with_columns(prediction[f"oracle_{horizon}"].alias("prediction"))
        .with_columns(pl.col("Date").cast(pl.Int32))
        .join(later, on=["Date", "Code"])
        .with_columns(label=pl.col("future") / pl.col("AdjClose") - 1)
        .drop_nulls(["label", "prediction"])
    )
    ics = []
    for _, day in joined.sort("Date").group_by("Date", maintain_order=True):
        if day["prediction"].n_unique() > 1 and day.height >= 20:
            ics.append(spearmanr(day["prediction"], day["label"]).statistic)
    return float(np.mean(ics)) if ics else 0.0


BASE = SimulatedSource(seed=21, stocks=100)


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return panel(BASE, 500)


def only(*kept: str) -> SimulatedSource:
    return BASE.model_copy(update={name: 0.0 for name in STRENGTHS if name not in kept})


def test_the_reachable_ic_is_clear_and_above_that_of_each_part(bars: pl.DataFrame) -> None:
    total = mean_ic(bars, oracle(bars, BASE, [1]), 1)
    parts = [mean_ic(bars, oracle(bars, only(name), [1]), 1) for name in STRENGTHS]
    assert 0.09 < total < 0.18
    assert all(0.025 < part < total for part in parts)


def test_longer_horizons_are_reachable_too(bars: pl.DataFrame) -> None:
    prediction = oracle(bars, BASE, [5, 10, 20])
    assert all(mean_ic(bars, prediction, horizon) > 0.06 for horizon in (5, 10, 20))


def test_without_planted_signals_there_is_nothing_to_reach() -> None:
    flat = only()
    empty = panel(flat, 400)
    assert oracle(empty, flat, [1])["oracle_1"].drop_nulls().unique().to_list() == [0.0]
    assert abs(mean_ic(empty, oracle(empty, BASE, [1]), 1)) < 0.02


@pytest.mark.parametrize("name", STRENGTHS)
def test_each_part_can_be_planted_alone(name: str) -> None:
    values = only(name)
    alone = panel(values, 300)
    assert mean_ic(alone, oracle(alone, values, [1]), 1) > 0.025


@settings(max_examples=6, deadline=None)
@given(cut=st.integers(REFIT_DAYS, 290), factor=st.floats(0.2, 5.0), drop=st.integers(2, 5))
def test_the_future_never_changes_what_the_oracle_said(cut: int, factor: float, drop: int) -> None:
    values = SimulatedSource(seed=2, stocks=30)
    full = panel(values, 300)
    day = pl.col("Date").cast(pl.Int32)
    changed = full.with_columns(
        AdjClose=pl.when(day > cut).then(pl.col("AdjClose") * factor * (1 + day % 3)).otherwise(pl.col("AdjClose")),
        AdjVolume=pl.when(day > cut).then(pl.col("AdjVolume") + 100).otherwise(pl.col("AdjVolume")),
    ).filter((day <= cut) | (pl.col("Code").rank("dense") % drop != 0))
    truncated = full.filter(day <= cut)
    said = oracle(full, values, [1, 5, 20]).filter(day <= cut)
    assert oracle(changed, values, [1, 5, 20]).filter(day <= cut).equals(said)
    assert oracle(truncated, values, [1, 5, 20]).equals(said)


def test_the_table_has_a_row_for_each_row_of_the_panel_and_null_without_a_close(bars: pl.DataFrame) -> None:
    said = oracle(bars, BASE, [1, 10])
    assert said.columns == ["Date", "Code", "oracle_1", "oracle_10"]
    assert said.select("Date", "Code").equals(bars.select("Date", "Code"))
    assert (said["oracle_1"].is_null() == bars["AdjClose"].is_null()).all()
    assert said["oracle_10"].drop_nulls().is_finite().all()


def test_a_panel_of_another_market_is_refused(bars: pl.DataFrame) -> None:
    with pytest.raises(DataError, match="does not have"):
        oracle(bars.with_columns(Code=pl.lit("AAPL")), BASE, [1])


def statement_market(strength: float, **keys: object) -> tuple[SimulatedSource, pl.DataFrame]:
    """A market that follows its statements alone, and its panel on the exchange's own dates."""
    values = {"seed": 21, "stocks": 100, "end": "2019-12-30", **dict.fromkeys(STRENGTHS, 0.0), **keys}
    source = SimulatedSource.model_validate({**values, "statement_strength": strength})
    market = SimulatedMarket(settings=source, calendar=CalendarSettings())
    cumulative = pl.col("AdjustmentFactor").cum_prod().over("Code")
    quotes = market.read(market.days()).quotes
    return source, quotes.select(
        "Date",
        "Code",
        AdjClose=pl.col("Close") / cumulative,
        AdjVolume=pl.col("Volume") * cumulative,
        Tradable=pl.col("Close").is_not_null() & (pl.col("Volume") > 0),
    )


def test_prices_drift_after_surprising_statements_and_the_oracle_knows_by_how_much() -> None:
    source, rows = statement_market(0.15)
    said = oracle(rows, source, [1, 5])
    later = pl.col("AdjClose").shift(-1).over("Code") / pl.col("AdjClose") - 1
    both = rows.with_columns(label=later, said=said["oracle_1"]).drop_nulls(["label", "said"])
    ics = [
        spearmanr(day["said"], day["label"]).statistic
        for _, day in both.sort("Date").group_by("Date", maintain_order=True)
        if day["said"].n_unique() > 10
    ]
    assert len(ics) > 200 and 0.06 < float(np.mean(ics)) < 0.2
    assert np.polyfit(both["said"], both["label"], 1)[0] == pytest.approx(1.0, abs=0.3)
    assert said["oracle_5"].drop_nulls().std() > said["oracle_1"].drop_nulls().std()


def test_the_oracle_of_statements_knows_nothing_of_later_days_either() -> None:
    source, rows = statement_market(0.15, stocks=30)
    cut = rows["Date"].unique().sort()[300]
    said = oracle(rows, source, [1, 5]).filter(pl.col("Date") <= cut)
    assert oracle(rows.filter(pl.col("Date") <= cut), source, [1, 5]).equals(said)


def test_a_surprise_counts_from_the_day_after_its_publication() -> None:
    source, rows = statement_market(0.15, stocks=60)
    days = rows["Date"].unique().sort()
    market = SimulatedMarket(settings=source, calendar=CalendarSettings())
    published = market.read(market.days()).beside["statements"].drop_nulls("Profit")
    signal = surprise_signal(source, structure(source), days.to_numpy())
    codes = list(structure(source).codes)
    first = published.unique("Code", keep="first", maintain_order=True).filter(pl.col("ForecastProfit").is_not_null())
    for day, code in first.filter(pl.col("Date") < date(2018, 12, 1)).select("Date", "Code").iter_rows():
        place, stock = days.index_of(day), codes.index(code)
        assert place is not None
        moved = np.flatnonzero(np.diff(signal[:, stock], prepend=0.0))
        assert place + 1 in moved and place not in moved
