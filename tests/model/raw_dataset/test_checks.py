"""The checks of the panel: each sees its own kind of damage, says where, and gives figures."""

from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest

from model.daily_quotes.beside import TABLES
from model.daily_quotes.schema import ASSET as QUOTES_ASSET
from model.daily_quotes.schema import KEY, QUOTES
from model.quality_features.settings import FeatureSettings
from model.raw_dataset.checks import CHECKS
from model.store.checks import CheckOutcome
from model.store.manifest import Identity

PRICES = ("Open", "High", "Low", "Close")


def run(installation: Any) -> dict[str, CheckOutcome]:
    installation.build()
    return {check.name: check.run(installation.store, installation.settings, None) for check in CHECKS}


def failed(outcomes: Mapping[str, CheckOutcome]) -> set[str]:
    return {name for name, outcome in outcomes.items() if not outcome.passed}


def calm_code(installation: Any) -> str:
    """A code with a close on every day and no split."""
    days = [
        installation.store.read_table(QUOTES_ASSET, QUOTES, day) for day in installation.store.partitions(QUOTES_ASSET)
    ]
    codes = pl.concat(days).group_by("Code").agg(pl.col("Close").count(), pl.col("AdjustmentFactor").min())
    whole = codes.filter((pl.col("Close") == len(days)) & (pl.col("AdjustmentFactor") == 1.0))
    return str(whole["Code"].sort()[0])


def change_from(installation: Any, code: str, first: str, last: str, **values: pl.Expr) -> None:
    for day in installation.store.partitions(QUOTES_ASSET):
        if first <= day <= last:
            installation.change(
                day,
                lambda rows: rows.with_columns(
                    pl.when(pl.col("Code") == code)
                    .then(value)
                    .otherwise(pl.col(name))
                    .cast(rows.schema[name])
                    .alias(name)
                    for name, value in values.items()
                ),
            )


def with_margin(installation: Any, day: str, rows: int = 1) -> None:
    """Publish a day again with a margin table beside it."""
    table = TABLES["margin"]
    quotes = installation.store.read_table(QUOTES_ASSET, QUOTES, day)
    known = {"Date": quotes["Date"][0], "Code": "0001", "Kind": "weekly", "RecordDate": quotes["Date"][0]}
    margin = pl.DataFrame([{**known, "MarginLong": 1.0, "MarginShort": 1.0}] * rows, schema=table.schema)
    with installation.store.writer(QUOTES_ASSET, day, Identity({}, "code", "settings")) as writer:
        writer.table(QUOTES, quotes, key=KEY)
        writer.table(table.file, margin, key=table.key)


def test_a_clean_market_passes_everything_and_every_check_gives_figures(installation: Any) -> None:
    outcomes = run(installation)
    assert failed(outcomes) == set()
    for name, outcome in outcomes.items():
        assert any(isinstance(value, (int, float)) for value in outcome.metadata.values()), name
        assert outcome.summary.endswith("."), name
    assert outcomes["coverage"].metadata["newest_day"] == "2020-07-31"


def test_half_a_file_is_a_thin_day(installation: Any) -> None:
    installation.change("2020-06-10", lambda rows: rows.head(15))
    found = run(installation)["coverage"]
    assert not found.passed and found.severity == "warn"
    assert found.metadata["thin_days"] == 1 and found.metadata["where"][0].startswith("2020-06-10")


def test_a_column_that_is_often_null_is_named_and_one_that_is_never_there_is_absent(installation: Any) -> None:
    thinned = pl.when(pl.int_range(pl.len()) % 4 > 0).then("Open")
    for day in installation.store.partitions(QUOTES_ASSET):
        installation.change(day, lambda rows: rows.with_columns(Open=thinned, Sector=pl.lit(None, pl.String)))
    found = run(installation)["panel_null_shares"]
    assert not found.passed and "(Open 26." in found.summary
    assert found.metadata["absent"] == ["Sector"]
    assert found.metadata["null_share_Open"] == pytest.approx(0.25, abs=0.03)


def test_a_table_that_features_need_and_the_source_lacks_is_recorded(installation: Any) -> None:
    installation.settings.features = FeatureSettings(groups=("returns", "margin", "sector"))
    found = run(installation)["tables_needed"]
    assert not found.passed and found.severity == "warn"
    assert "margin is not in this source" in found.summary
    assert any(entry.startswith("margin (") for entry in found.metadata["absent"])
    assert found.metadata["features_without_input"] >= 1


def test_a_table_that_stopped_is_stale_by_its_days_behind_the_bars(installation: Any) -> None:
    with_margin(installation, "2020-07-01")
    installation.settings.features = FeatureSettings(groups=("returns", "margin"))
    found = run(installation)["tables_needed"]
    assert not found.passed and found.metadata["absent"] == []
    days = [day for day in installation.store.partitions(QUOTES_ASSET) if day > "2020-07-01"]
    assert found.metadata["days_behind_margin"] == len(days) > 15
    assert f"margin is {len(days)} trading days behind the bars" in found.summary


def test_a_table_that_runs_with_the_bars_passes(installation: Any) -> None:
    with_margin(installation, "2020-07-31")
    installation.settings.features = FeatureSettings(groups=("returns", "margin"))
    found = run(installation)["tables_needed"]
    assert found.passed and found.metadata["rows_margin"] == 1 and found.metadata["days_behind_margin"] == 0


def test_a_table_without_a_row_is_said_to_be_empty(installation: Any) -> None:
    with_margin(installation, "2020-07-31", rows=0)
    found = run(installation)["tables_needed"]
    assert not found.passed and found.metadata["empty"] == ["margin"]


def test_prices_in_the_wrong_unit_are_outliers_and_suspected(installation: Any) -> None:
    code = calm_code(installation)
    tenfold = {name: pl.col(name) * 10 for name in PRICES}
    change_from(installation, code, "2020-06-10", "2020-06-10", **tenfold, Volume=pl.col("Volume") // 10)
    outcomes = run(installation)
    assert outcomes["suspected_units"].metadata["unit_error"] == 1
    assert f"2020-06-10 {code} x10" in outcomes["suspected_units"].metadata["where"][0]
    assert outcomes["outliers"].metadata["outliers"] >= 2 and outcomes["outliers"].metadata["reversed"] == 1


def test_a_split_without_a_factor_is_suspected_on_its_day(installation: Any) -> None:
    code = calm_code(installation)
    fifth = {name: pl.col(name) / 5 for name in PRICES}
    change_from(installation, code, "2020-05-11", "2020-12-31", **fifth, Volume=pl.col("Volume") * 5)
    outcomes = run(installation)
    assert failed(outcomes) == {"suspected_splits"}
    assert outcomes["suspected_splits"].metadata["where"][0].startswith(f"2020-05-11 {code} x0.")


def test_a_factor_on_the_wrong_day_is_suspected(installation: Any) -> None:
    code = calm_code(installation)
    change_from(installation, code, "2020-05-11", "2020-05-11", AdjustmentFactor=pl.lit(0.2))
    outcomes = run(installation)
    assert outcomes["suspected_adjustments"].metadata["factor_without_jump"] == 1
    assert outcomes["continuity_at_splits"].metadata["jumps"] == 1


def test_prices_that_stand_still_in_many_names_fail(installation: Any) -> None:
    first = installation.store.read_table(QUOTES_ASSET, QUOTES, "2020-06-01")
    frozen = first.select("Code", *[pl.col(name).alias(f"frozen_{name}") for name in PRICES])

    def freeze(rows: pl.DataFrame) -> pl.DataFrame:
        joined = rows.join(frozen, on="Code", how="left", maintain_order="left")
        return joined.with_columns(pl.coalesce(f"frozen_{name}", name).alias(name) for name in PRICES).select(
            rows.columns
        )

    for day in installation.store.partitions(QUOTES_ASSET):
        if "2020-06-01" < day <= "2020-06-30":
            installation.change(day, freeze)
    found = run(installation)["stale_prices"]
    assert not found.passed and found.metadata["longest_stale_days"] >= 22
    assert "until 2020-06-30: 22 days stale" in " ".join(found.metadata["where"])
