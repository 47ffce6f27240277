"""Sector, rank and market features against polars' group_by over a day's universe members."""

from collections.abc import Callable

import polars as pl
import pytest

from model.quality_features.engine import compute_features
from model.quality_features.settings import FeatureSettings

PanelMaker = Callable[..., pl.DataFrame]
LEAST = 3


@pytest.fixture(scope="module")
def panel(make_panel: PanelMaker) -> pl.DataFrame:
    return make_panel(90, 26, seed=5, sectors=4)


@pytest.fixture(scope="module")
def table(panel: pl.DataFrame) -> pl.DataFrame:
    """Features of every row, with the sector beside."""
    settings = FeatureSettings(minimum_sector_names=LEAST)
    days = panel["Date"].unique().sort()
    features = compute_features(panel, settings, days[0], days[-1], threads=1)
    return features.with_columns(panel["Sector"]).with_columns(pl.selectors.float().cast(pl.Float64))


def assert_equal(table: pl.DataFrame, name: str, expected: pl.Expr, tolerance: float = 2e-6) -> None:
    """A column is what an expression over the table says, nulls included."""
    compared = table.select(found=name, expected=expected)
    assert compared["found"].is_null().equals(compared["expected"].is_null()), name
    assert compared["found"].count() > 200, name
    difference = compared.select((pl.col("found") - pl.col("expected")).abs().max()).item()
    assert difference <= tolerance, (name, difference)


def of_sector(name: str, how: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    """A statistic over the members of each row's sector that have a value; null with too few of them."""
    value = pl.when(pl.col("InUniverse")).then(pl.col(name))
    enough = value.count().over("Date", "Sector") >= LEAST
    return pl.when(enough).then(how(value).over("Date", "Sector"))


@pytest.mark.parametrize("days", [1, 5, 20])
def test_sector_statistics_are_those_of_its_members(table: pl.DataFrame, days: int) -> None:
    own = f"ret_{days}d"
    mean = of_sector(own, pl.Expr.mean)
    assert_equal(table, f"sector_ret_{days}d", mean)
    assert_equal(table, f"sector_median_ret_{days}d", of_sector(own, pl.Expr.median))
    assert_equal(table, f"ret_{days}d_vs_sector", pl.col(own) - mean)
    spread = of_sector(own, pl.Expr.std)
    assert_equal(table, f"ret_{days}d_sector_z", (pl.col(own) - mean) / spread, tolerance=1e-4)


def test_the_sector_as_a_whole_is_followed_through_time(table: pl.DataFrame) -> None:
    members = of_sector("ret_1d", pl.Expr.count)
    present = table.with_columns(members.alias("members")).filter(pl.col("members").is_not_null())
    assert present["sector_members"].cast(pl.Int64).equals(present["members"].cast(pl.Int64), check_names=False)
    assert_equal(table, "sector_momentum_60d", of_sector("ret_60d", pl.Expr.mean))
    assert_equal(table, "sector_vs_market_20d", of_sector("ret_20d", pl.Expr.mean) - pl.col("mkt_ret_20d"))
    one = table.filter(Code="1001A", Sector="S1").select("Date", "sector_ret_1d", "sector_vol_20d")
    full = table.select(pl.col("Date").unique().sort()).join(one, on="Date", how="left").sort("Date")
    rolled = full["sector_ret_1d"].rolling_std(20, min_samples=16) * 252**0.5
    both = pl.DataFrame({"found": full["sector_vol_20d"], "expected": rolled}).drop_nulls()
    assert both.height > 40
    assert both.select((pl.col("found") - pl.col("expected")).abs().max()).item() < 1e-5


def test_ranks_are_positions_among_the_members_of_the_day(table: pl.DataFrame) -> None:
    members = table.filter("InUniverse")
    for name in ("ret_1d", "ret_5d", "ret_20d", "log_turnover_20d"):
        assert_equal(members, f"xs_rank_{name}", position(name, "Date"))
    assert_equal(members, "xs_quantile_vol_20d", position("vol_20d", "Date"))
    in_sector = pl.col("ret_20d").count().over("Date", "Sector") >= LEAST
    assert_equal(members, "ret_20d_sector_rank", pl.when(in_sector).then(position("ret_20d", "Date", "Sector")))


def position(name: str, *within: str) -> pl.Expr:
    """(average rank - 1/2) / members."""
    return (pl.col(name).rank("average").over(within) - 0.5) / pl.col(name).count().over(within)


def test_volatility_flags_mark_the_quantiles_of_the_settings(table: pl.DataFrame) -> None:
    place = pl.col("xs_quantile_vol_20d")
    on_the_edge = ((place - 0.2).abs() < 1e-6) | ((place - 0.8).abs() < 1e-6)  # stored in float32, compared in float64
    known = table.filter(~on_the_edge)
    assert_equal(known, "flag_high_vol", (place >= 0.8).cast(pl.Float64))
    assert_equal(known, "flag_low_vol", (place <= 0.2).cast(pl.Float64))
    assert table["flag_high_vol"].null_count() == table["xs_quantile_vol_20d"].null_count()


def test_the_market_is_the_mean_of_the_members(table: pl.DataFrame) -> None:
    members = pl.when(pl.col("InUniverse")).then(pl.col("ret_1d"))
    assert_equal(table, "mkt_ret_1d", members.mean().over("Date"))
    assert_equal(table, "mkt_advancers_1d", (members > 0).mean().over("Date"))
    days = table.group_by("Date").agg(pl.col("mkt_ret_1d", "mkt_ret_5d", "mkt_vol_20d").first()).sort("Date")
    level = (1 + days["mkt_ret_1d"].fill_null(0.0)).cum_prod()
    week = pl.DataFrame({"found": days["mkt_ret_5d"], "expected": level / level.shift(5) - 1}).slice(6)
    assert week.select((pl.col("found") - pl.col("expected")).abs().max()).item() < 1e-5
    month = days["mkt_ret_1d"].rolling_std(20) * 252**0.5
    spread = pl.DataFrame({"found": days["mkt_vol_20d"], "expected": month}).drop_nulls()
    assert spread.select((pl.col("found") - pl.col("expected")).abs().max()).item() < 1e-5


def test_without_sectors_the_sector_features_are_null_and_the_rest_is_there(make_panel: PanelMaker) -> None:
    panel = make_panel(90, 6, missing=0.0, sectors=0)
    last = panel["Date"].max()
    row = compute_features(panel, FeatureSettings(), last, last, threads=1).row(0, named=True)  # type: ignore[arg-type]
    assert row["sector_ret_5d"] is None and row["ret_5d_vs_sector"] is None and row["ret_5d_sector_z"] is None
    assert row["beta_60d"] is not None and row["obv_20d"] is not None
