"""Suspected errors are found where they are planted, and hardly anywhere else."""

from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from model.raw_dataset.anomalies import ANOMALIES, KINDS, find, nearest_fraction
from model.raw_dataset.anomaly_evidence import gather
from tests.model.raw_dataset.bars import DAYS, Market, clean
from tests.model.raw_dataset.nasdaq import shared_file


def search(market: Market) -> pl.DataFrame:
    return find(market.bars(), market.days, market.market())


def found(market: Market, code: int) -> list[tuple[date, str]]:
    rows = search(market).filter(pl.col("Code") == f"{code:04d}").sort("Date")
    return [(day, kind) for day, kind in rows.select("Date", "kind").iter_rows()]


def calm(seed: int, *codes: int) -> Market:
    """A clean market in which some codes have no large moves of their own."""
    market = clean(seed)
    random = np.random.default_rng(seed)
    for code in codes:
        market.close[code] = 50 * np.exp(np.cumsum(0.015 * random.standard_normal(DAYS)))
        market.open[code] = market.close[code] * np.exp(0.003 * random.standard_normal(DAYS))
        market.volume[code] = 1e5 * np.exp(0.4 * random.standard_normal(DAYS))
    return market


@pytest.mark.parametrize("seed", range(4))
def test_a_clean_market_with_crashes_and_takeovers_raises_at_most_one_false_alarm(seed: int) -> None:
    table = search(clean(seed, codes=200))
    assert table.schema == ANOMALIES
    assert table.height <= 1, table


@pytest.mark.parametrize(
    ("multiple", "share"), [(1.5, 0.6), (2.0, 0.8), (3.0, 0.9), (4.0, 0.95), (5.0, 0.95), (10.0, 1.0), (50.0, 1.0)]
)
def test_a_split_that_nobody_adjusted_for_is_found_on_its_day(multiple: float, share: float) -> None:
    """A small one may drown in its day's own move, or in the volumes around it."""
    many, one = ("3", "2") if multiple == 1.5 else (f"{multiple:.0f}", "1")
    hits = 0
    for seed, up in [(seed, up) for seed in range(10) for up in (True, False)]:
        day = 60 + 17 * seed
        market = calm(seed, 7)
        ratio = multiple if up else 1 / multiple
        market.scale(7, day, ratio, 1 / ratio)
        rows = search(market).filter(pl.col("Code") == "0007").rows(named=True)
        hits += len(rows)
        for row in rows:
            assert (row["Date"], row["kind"]) == (market.days[day], "unadjusted_split")
            assert multiple > 5 or row["fraction"] == (f"{one}:{many}" if up else f"{many}:{one}")
            assert row["ratio"] == pytest.approx(ratio, rel=0.2) and 0.5 < row["score"] <= 1.0
    assert share * 20 <= hits <= 20


def test_a_split_that_was_adjusted_for_raises_no_suspicion() -> None:
    market = calm(1, 7)
    market.scale(7, 120, 0.5, 2.0)
    market.factor[7, 120] = 0.5
    assert found(market, 7) == []


def test_a_crash_with_a_burst_of_trading_is_no_split() -> None:
    market = calm(2, 7)
    market.scale(7, 120, 0.5, 1.0)
    market.volume[7, 120:] *= 1 + 30 * np.exp(-np.arange(DAYS - 120) / 5)
    assert found(market, 7) == []


def test_a_fall_during_the_day_is_no_split() -> None:
    market = calm(2, 7)
    market.scale(7, 120, 0.5, 2.0)
    market.open[7, 120] = market.close[7, 119]
    assert found(market, 7) == []


def test_a_step_that_the_whole_market_takes_is_no_split() -> None:
    market = calm(3, 7)
    for code in range(len(market.close)):
        market.scale(code, 120, 0.5, 2.0)
    assert search(market).filter(pl.col("Date") == market.days[120]).is_empty()


@pytest.mark.filterwarnings("ignore:All-NaN slice encountered")
def test_a_split_on_the_first_day_after_an_outage_of_the_exchange_is_found() -> None:
    market = calm(3, 7)
    market.scale(7, 120, 0.5, 2.0)
    for code in range(len(market.close)):
        market.remove(code, 119, 120)
    assert found(market, 7) == [(market.days[120], "unadjusted_split")]


def test_a_factor_on_a_day_without_a_jump_is_found() -> None:
    market = calm(4, 7)
    market.factor[7, 120] = 0.5
    assert found(market, 7) == [(market.days[120], "factor_without_jump")]


@pytest.mark.parametrize("factor", [2.0, 4.0, 0.2])
def test_an_inverted_factor_is_found(factor: float) -> None:
    market = calm(5, 7)
    market.scale(7, 120, 1 / factor, factor)
    market.factor[7, 120] = factor
    assert found(market, 7) == [(market.days[120], "factor_against_jump")]


def test_a_code_that_comes_back_as_another_security_is_found() -> None:
    market = calm(6, 7)
    market.scale(7, 160, 0.12, 30.0)
    market.remove(7, 80, 160)
    assert found(market, 7) == [(market.days[160], "ticker_reuse")]


def test_a_code_that_comes_back_as_it_was_raises_no_suspicion() -> None:
    market = calm(6, 7)
    market.remove(7, 80, 160)
    assert found(market, 7) == []


def test_another_level_after_a_shorter_absence_is_found() -> None:
    market = calm(7, 7)
    market.scale(7, 160, 5.5, 1.0)
    market.remove(7, 130, 160)
    assert found(market, 7) == [(market.days[160], "level_break_after_gap")]


@pytest.mark.parametrize("factor", [0.001, 0.01, 0.1, 10.0, 100.0, 1000.0])
@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("trading", [1.0, 0.1])
def test_a_price_in_the_wrong_unit_is_found_once(factor: float, length: int, trading: float) -> None:
    market = calm(8, 7)
    market.scale(7, 100, factor, trading, last=100 + length)
    assert found(market, 7) == [(market.days[100], "unit_error")]


@pytest.mark.parametrize("factor", [0.2, 1 / 3, 0.5, 2.0, 3.0, 5.0])
@pytest.mark.parametrize("length", [1, 2])
def test_a_price_on_another_basis_for_a_day_or_two_is_a_flip(factor: float, length: int) -> None:
    market = calm(9, 7)
    market.scale(7, 100, factor, 1.0, last=100 + length)
    assert found(market, 7) == [(market.days[100], "price_flip")]


@pytest.mark.parametrize("factor", [0.1, 0.5, 2.0, 10.0])
def test_a_spike_with_a_burst_of_trading_is_no_error(factor: float) -> None:
    market = calm(9, 7)
    market.scale(7, 100, factor, 30.0, last=101)
    assert found(market, 7) == []


def test_two_series_under_one_code_give_one_row_and_hide_nothing_else() -> None:
    market = calm(10, 7, 3)
    for day in range(100, 160, 5):
        market.scale(7, day, 4.0, 0.1, last=day + 2)
    market.scale(3, 200, 0.2, 5.0)
    assert found(market, 7) == [(market.days[100], "two_series")]
    assert found(market, 3) == [(market.days[200], "unadjusted_split")]


def test_what_happens_to_one_code_changes_no_row_of_another() -> None:
    market = calm(11, 7)
    market.scale(7, 120, 0.5, 2.0)
    before = search(market)
    market.remove(20, 50, 140)
    market.scale(20, 140, 30.0, 9.0)
    after = search(market)
    assert after.filter(pl.col("Code") != "0020").equals(before.filter(pl.col("Code") != "0020"))


def test_no_bars_give_an_empty_table() -> None:
    market = clean(0)
    table = find(market.bars().clear(), market.days, market.market())
    assert table.is_empty() and table.schema == ANOMALIES


def test_evidence_is_what_a_plain_loop_measures() -> None:
    market = calm(12, 7)
    market.scale(7, 120, 0.25, 4.0)
    market.remove(7, 90, 93)
    bars = market.bars()
    evidence = gather(bars, market.days, market.market())
    [place] = np.flatnonzero((evidence.code == "0007") & (evidence.day == np.datetime64(market.days[120])))
    own = bars.filter(pl.col("Code") == "0007")
    close, volume = own["AdjClose"].to_list(), own["AdjVolume"].to_list()
    row = own["Date"].to_list().index(market.days[120])
    moves = [abs(np.log(b / a)) for a, b in pairwise(close[:row])][-60:]
    assert evidence.jump[place] == pytest.approx(np.log(close[row] / close[row - 1]))
    assert evidence.noise[place] == pytest.approx(1.4826 * np.median(moves))
    level = np.log(np.median(close[row : row + 10]) / np.median(close[row - 10 : row]))
    assert evidence.level_shift[place] == pytest.approx(level)
    traded = np.log(np.median(volume[row : row + 20]) / np.median(volume[row - 20 : row]))
    assert evidence.volume_shift[place] == pytest.approx(traded)
    assert (evidence.gap[place], evidence.closes_before[place]) == (1, row)


def test_the_nearest_fraction_says_new_shares_for_old() -> None:
    logs, names = nearest_fraction(np.log(np.array([0.5, 1 / 3, 2 / 3, 1.52, 10.2, 0.019])))
    assert names.tolist() == ["2:1", "3:1", "3:2", "2:3", "1:10", "53:1"]
    assert logs[:3] == pytest.approx(np.log([1 / 2, 1 / 3, 2 / 3]))


REAL_SPLITS = {
    ("CPRT", date(2017, 4, 10), "1:2"),
    ("MIDD", date(2014, 6, 26), "1:3"),
    ("WSFS", date(2015, 5, 18), "1:3"),
    ("SMBC", date(2015, 1, 30), "1:2"),
    ("EXPO", date(2015, 6, 4), "1:2"),
    ("PATK", date(2015, 5, 29), "2:3"),
    ("NWFL", date(2017, 9, 18), "3:2"),
    ("GNTX", date(2014, 12, 31), "1:2"),
    ("TZOO", date(2013, 11, 7), "1:25"),
    ("SBLK", date(2016, 6, 20), "1:5"),
    ("ATEC", date(2016, 8, 25), "1:12"),
}
"""Splits of companies' own announcements that the file's prices were not adjusted for, or twice."""

REAL_MOVES = {
    ("CLDX", date(2016, 3, 7)),
    ("AAOI", date(2017, 8, 4)),
    ("CLSN", date(2013, 1, 31)),
    ("CTIC", date(2016, 2, 8)),
    ("BCRX", date(2016, 2, 8)),
    ("FOLD", date(2012, 12, 20)),
    ("EXAS", date(2015, 10, 6)),
    ("MVIS", date(2014, 2, 20)),
}
"""Failed trials, lost customers and other news: genuine moves."""


@pytest.mark.shared
def test_real_splits_and_reused_codes_of_the_nasdaq_bars_are_found_and_real_crashes_are_not() -> None:
    bars = pl.scan_parquet(shared_file()).select(
        "Date",
        "Code",
        *(pl.col(name).cast(pl.Float64).alias(f"Adj{name}") for name in ("Open", "Close", "Volume")),
        AdjustmentCumulative=pl.lit(1.0),
    )
    bars = bars.filter(pl.col("AdjClose") > 0).sort("Code", "Date").collect()
    move = (pl.col("AdjClose") / pl.col("AdjClose").shift(1).over("Code")).log()
    market = bars.with_columns(move=move).group_by("Date").agg(market_return=pl.col("move").median())
    table = find(bars, bars["Date"].unique().sort(), market)
    splits = table.filter(pl.col("kind") == "unadjusted_split")
    assert set(splits.select("Code", "Date", "fraction").iter_rows()) >= REAL_SPLITS
    assert not set(table.select("Code", "Date").iter_rows()) & REAL_MOVES
    counts = dict(table["kind"].value_counts().iter_rows())
    assert 100 <= counts["unadjusted_split"] <= 125
    assert 10 <= counts["ticker_reuse"] <= 15 and 5 <= counts["level_break_after_gap"] <= 9
    reused = table.filter(pl.col("kind") == "ticker_reuse")["Code"].to_list()
    assert {"AEMD", "STAF", "VTGN", "AKTS", "CTRV"} <= set(reused)
    two = table.filter(pl.col("kind") == "two_series")
    assert two["Code"].to_list() == ["BBH"] and two["jumps"][0] > 100
    flips = table.filter(pl.col("kind") == "price_flip").select("Code", "Date").rows()
    assert {("FBIZ", date(2015, 8, 28)), ("TRIL", date(2014, 11, 20)), ("NVLN", date(2016, 12, 19))} <= set(flips)
    assert counts["price_flip"] <= 12 and counts["unit_error"] <= 3
    assert table["kind"].unique().is_in(list(KINDS)).all()
