"""Promise 1: change anything dated after t, and nothing dated t or earlier changes, through the whole graph."""

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from model.lineage.graph import FOLD_STAGES
from model.normalization_stats.load import read_daily
from model.normalization_stats.statistics import STATISTICS
from model.quality_features.read import feature_columns, read_features
from model.settings.root import Settings
from model.store.hashing import table_hash
from model.store.store import Store
from model.walk_forward_folds.fold import Fold
from tests.pipeline.support import Build, write_files

CUT = date(2019, 1, 31)
PAST_FOLD = "wf_2018q4"
PRICES = ("Open", "High", "Low", "Close")


@pytest.fixture(scope="module")
def homes(
    built: Path,
    tmp_path_factory: pytest.TempPathFactory,
    bars: pl.DataFrame,
    tables: dict[str, pl.DataFrame],
    build: Build,
) -> tuple[Store, Store, Settings]:
    """The same market twice: as it was, and with everything after the cut changed."""
    folder, other = tmp_path_factory.mktemp("other_future"), other_future(bars)
    settings = write_files(folder, other, {name: other_publications(rows, other) for name, rows in tables.items()})
    build(folder / "home", settings, frozenset({"portfolio_report"}))  # which sees all days, and is not compared
    return Store(built / "home"), Store(folder / "home"), settings


def other_publications(rows: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Every figure published after the cut drawn anew, a tenth of them never published."""
    rng = np.random.default_rng(6)
    past, future = rows.filter(pl.col("Date") <= CUT), rows.filter(pl.col("Date") > CUT)
    days = bars["Date"].unique()
    future = future.filter(pl.Series(rng.random(future.height) < 0.9) & pl.col("Date").is_in(days.implode()))
    figures = [name for name, dtype in future.schema.items() if dtype == pl.Float64]
    drawn = [pl.col(name) * pl.Series(rng.uniform(0.2, 3.0, future.height)) for name in figures]
    return pl.concat([past, future.with_columns(drawn)])


def other_future(bars: pl.DataFrame) -> pl.DataFrame:
    """Every price, volume and split after the cut drawn anew, names gone, names new, days gone."""
    rng = np.random.default_rng(5)
    past, future = bars.filter(pl.col("Date") <= CUT), bars.filter(pl.col("Date") > CUT)
    days = future["Date"].unique().sort()
    future = future.filter(~pl.col("Date").is_in(days.gather_every(17).to_list()))
    codes = future["Code"].unique().sort()
    future = future.filter(~pl.col("Code").is_in(codes.gather_every(6).to_list()))
    factor = pl.Series(rng.lognormal(0.0, 0.2, future.height))
    future = future.with_columns(
        *((pl.col(name) * factor) for name in PRICES),
        Volume=(pl.col("Volume") * pl.Series(rng.uniform(0.1, 9.0, future.height))).cast(pl.Int64),
        TurnoverValue=pl.col("TurnoverValue") * pl.Series(rng.uniform(0.1, 9.0, future.height)),
        AdjustmentFactor=pl.Series(np.where(rng.random(future.height) < 0.01, 0.5, 1.0)),
        UpperLimit=pl.Series(rng.random(future.height) < 0.05),
    )
    newcomers = future.filter(pl.col("Code").is_in(codes.gather_every(9).to_list())).with_columns(
        Code=pl.lit("0") + pl.col("Code").str.slice(1), Volume=pl.col("Volume") * 1000
    )
    return pl.concat([past, future, newcomers]).unique(["Date", "Code"], keep="first").sort("Date", "Code")


def same(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    return one.height > 0 and one.columns == other.columns and table_hash(one) == table_hash(other)


def test_the_future_was_really_changed(homes: tuple[Store, Store, Settings]) -> None:
    one, other, _ = homes
    assert one.require("raw_dataset").content_hash != other.require("raw_dataset").content_hash
    columns = feature_columns(one)
    late = [read_features(store, start=date(2019, 3, 1), columns=columns) for store in (one, other)]
    assert not same(*late)
    for table in ("slow", "market"):
        late = [store.read_chunks("raw_dataset", table, start=date(2019, 3, 1)) for store in (one, other)]
        assert not same(*late), table


@pytest.mark.parametrize("table", ["panel", "slow", "market"])
def test_every_row_of_the_raw_dataset_dated_up_to_the_cut_is_bit_identical(
    homes: tuple[Store, Store, Settings], table: str
) -> None:
    one, other, _ = homes
    assert same(one.read_chunks("raw_dataset", table, end=CUT), other.read_chunks("raw_dataset", table, end=CUT))


def test_every_feature_dated_up_to_the_cut_is_bit_identical(homes: tuple[Store, Store, Settings]) -> None:
    one, other, _ = homes
    columns = feature_columns(one)
    assert columns == feature_columns(other) and len(columns) > 150
    past, same_past = (read_features(store, end=CUT, columns=columns) for store in (one, other))
    differing = [name for name in columns if not past[name].equals(same_past[name])]
    assert same(past, same_past), differing
    known = {name for name in columns if past[name].null_count() < past.height}
    assert {"log_market_value", "margin_long_days", "short_ratio", "flow_foreign_ratio", "net_margin"} <= known


def test_every_label_resolved_up_to_the_cut_is_bit_identical(homes: tuple[Store, Store, Settings]) -> None:
    one, other, settings = homes
    for horizon in settings.labels.horizons:
        keep = ["Date", "Code", f"target_{horizon}", f"resolved_{horizon}"]
        resolved = [
            store.read_chunks("quality_features", "labels", end=CUT)
            .filter(pl.col(f"resolved_{horizon}") <= CUT)
            .select(keep)
            for store in (one, other)
        ]
        assert same(*resolved)


def test_universe_choices_and_quarantined_rows_up_to_the_cut_are_identical(
    homes: tuple[Store, Store, Settings],
) -> None:
    one, other, _ = homes
    chosen = [
        store.read_table("raw_dataset", "universe.parquet").filter(pl.col("EffectiveDate") <= CUT)
        for store in (one, other)
    ]
    assert same(*chosen)


def test_the_past_fold_ends_before_the_cut(homes: tuple[Store, Store, Settings]) -> None:
    one, _, _ = homes
    assert Fold.load(one, PAST_FOLD).window_end < CUT


@pytest.mark.parametrize("asset", FOLD_STAGES)
def test_every_artefact_of_a_fold_that_ends_before_the_cut_is_bit_identical(
    homes: tuple[Store, Store, Settings], asset: str
) -> None:
    one, other, _ = homes
    ours, theirs = one.require(asset, PAST_FOLD), other.require(asset, PAST_FOLD)
    differing = [name for name in ours.files if ours.files[name].content_hash != theirs.files[name].content_hash]
    assert ours.content_hash == theirs.content_hash, f"these files differ: {differing}"


def test_statistics_dated_up_to_the_cut_are_identical_in_the_fold_that_spans_it(
    homes: tuple[Store, Store, Settings],
) -> None:
    one, other, _ = homes
    fold = "wf_2019q2"
    # Days that are gone later move the start of the window; what both windows hold must be the same.
    start = max(Fold.load(store, fold).window_start for store in (one, other))
    daily = [
        read_daily(store, fold, ["n", *STATISTICS]).filter(pl.col("Date").is_between(start, CUT))
        for store in (one, other)
    ]
    assert same(*daily)


def test_graphs_dated_up_to_the_cut_are_identical_where_both_folds_estimate_one(
    homes: tuple[Store, Store, Settings],
) -> None:
    one, other, _ = homes
    fold = "wf_2019q2"
    edges = [store.read_table("correlation_graph", "edges.parquet", fold) for store in (one, other)]
    dates = [set(table.filter(pl.col("rebalance") <= CUT)["rebalance"].to_list()) for table in edges]
    shared = sorted(dates[0] & dates[1])
    if shared:  # the first train day anchors the rebalances, and days that are gone later may move it
        assert same(*(table.filter(pl.col("rebalance").is_in(shared)) for table in edges))
