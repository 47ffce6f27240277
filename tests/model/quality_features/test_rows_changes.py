"""What changed in the panel: exactly the rows, days and market-wide values that differ."""

import math
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.quality_features.rows_changes import Changes, find_changes
from model.quality_features.rows_panel import Panel
from model.store.store import Store
from tests.model.quality_features.stage_support import KEY, build, write_raw

PanelMaker = Callable[..., pl.DataFrame]
VALUES = {
    "AdjClose": st.sampled_from([None, math.nan, 0.0, -0.0, 1.0]),
    "Sector": st.sampled_from([None, "", "a", "b"]),
    "InUniverse": st.booleans(),
}


@pytest.fixture(scope="module")
def panel(make_panel: PanelMaker) -> pl.DataFrame:
    return make_panel(70, 5, seed=8)


@pytest.fixture(scope="module")
def built(panel: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("rows")
    build(home, panel)
    return home


def changes(built: Path, tmp_path: Path, **raw: pl.DataFrame) -> tuple[Changes, list[str]]:
    shutil.copytree(built, tmp_path / "home")
    write_raw(tmp_path / "home", **raw)
    store = Store(tmp_path / "home")
    found = find_changes(store, Panel(store), "1", 2)
    return found, sorted(found.read)


@given(edits=st.lists(st.tuples(st.integers(0, 69), *VALUES.values()), max_size=6))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_differ_where_a_value_does_and_a_missing_one_is_missing_however_it_is_written(
    panel: pl.DataFrame, built: Path, tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[Any, ...]]
) -> None:
    rows = panel[:70].to_dicts()
    for number, *values in edits:
        rows[number] |= dict(zip(VALUES, values, strict=True))
    now = pl.concat([pl.DataFrame(rows, schema=panel.schema), panel[70:]])
    found, _ = changes(built, tmp_path_factory.mktemp("edited"), panel=now)
    plain = {key: {name: said(value) for name, value in row.items()} for key, row in keyed(panel).items()}
    expected = [key for key, row in keyed(now).items() if {n: said(v) for n, v in row.items()} != plain[key]]
    assert found.rows.select(KEY).rows() == expected
    assert found.rows["features"].all() and not found.rows["slow"].any()


def keyed(table: pl.DataFrame) -> dict[tuple[date, str], dict[str, Any]]:
    return {(row["Date"], row["Code"]): row for row in table.iter_rows(named=True)}


def said(value: Any) -> Any:
    """NaN is null, and -0.0 is 0.0 as it is in Python."""
    return None if isinstance(value, float) and math.isnan(value) else value


def test_a_table_that_comes_or_goes_differs_in_every_row_of_its_own_kind(
    built: Path, panel: pl.DataFrame, tmp_path: Path
) -> None:
    days = panel.select("Date").unique().sort("Date")
    slow = panel.select(*KEY, pl.lit(1.0).alias("MarginLong"))
    market = days.with_columns(pl.lit(2.0).alias("IndexClose"))
    found, _ = changes(built, tmp_path, panel=panel, slow=slow, market=market)
    assert found.rows.select(KEY).equals(panel.select(KEY))
    assert found.rows["slow"].all() and not found.rows["features"].any() and not found.rows["labels"].any()
    assert found.market_days == tuple(days["Date"].to_list()) and not found.breaks


def test_days_are_counted_anew_by_other_code(built: Path, panel: pl.DataFrame) -> None:
    store = Store(built)
    same, other = (find_changes(store, Panel(store), code, 1) for code in ("1", "2"))
    counts = panel.group_by("Date", maintain_order=True).agg(pl.len().cast(pl.Int64))["len"].to_list()
    assert same.day_table["rows"].to_list() == other.day_table["rows"].to_list() == counts
    assert not same.any and not other.any


def test_changed_inserted_and_deleted_rows_are_found_and_no_others(
    built: Path, panel: pl.DataFrame, tmp_path: Path
) -> None:
    mended, flag, gone = (panel.row(number, named=True) for number in (20, 21, 22))
    new = {**panel.row(23, named=True), "Code": "9999A"}
    now = pl.concat([panel.filter(~same_row(gone)), pl.DataFrame([new], schema=panel.schema)]).sort(KEY)
    now = now.with_columns(
        AdjClose=pl.when(same_row(mended)).then(1.0).otherwise("AdjClose"), LimitUp=pl.col("LimitUp") ^ same_row(flag)
    )
    found, read = changes(built, tmp_path, panel=now)
    rows = {(row["Date"], row["Code"]): row for row in found.rows.iter_rows(named=True)}
    assert {key: (row["features"], row["labels"]) for key, row in rows.items()} == {
        (mended["Date"], mended["Code"]): (True, True),
        (flag["Date"], flag["Code"]): (False, True),
        (gone["Date"], gone["Code"]): (True, True),
        (new["Date"], new["Code"]): (True, True),
    }
    assert read == sorted({f"{day:%Y-%m}" for day, _ in rows})
    assert not found.breaks and not found.market_days


def test_the_same_panel_in_other_chunks_of_memory_has_no_changes_and_nothing_is_read(
    built: Path, panel: pl.DataFrame, tmp_path: Path
) -> None:
    found, read = changes(built, tmp_path, panel=pl.concat([panel[:30], panel[30:]], rechunk=False))
    assert not found.any and not read
    assert found.days == tuple(panel["Date"].unique().sort())


def test_days_that_come_and_go_are_breaks_where_windows_hold_other_days(
    built: Path, panel: pl.DataFrame, tmp_path: Path
) -> None:
    days = panel["Date"].unique().sort().to_list()
    saturday = next(day for day in days[30:] if day.weekday() == 4) + timedelta(days=1)
    inserted = panel.filter(pl.col("Date") == saturday - timedelta(days=1)).with_columns(Date=pl.lit(saturday))
    now = pl.concat([panel.filter(~pl.col("Date").is_in([days[10], days[-1]])), inserted]).sort(KEY)
    found, _ = changes(built, tmp_path, panel=now)
    assert found.breaks == (days[11], saturday, date.max)


def same_row(row: dict[str, Any]) -> pl.Expr:
    return (pl.col("Date") == row["Date"]) & (pl.col("Code") == row["Code"])


def test_a_window_holds_every_trading_day_also_where_its_codes_have_no_row(built: Path, panel: pl.DataFrame) -> None:
    code = panel["Code"].unique().sort()[0]
    days = panel["Date"].unique().sort()
    kept = panel.filter((pl.col("Code") != code) | (pl.col("Date") > days[40]))
    write_raw(built.parent / "other", panel=kept)
    source = Panel(Store(built.parent / "other"))
    window = source.window(days[5], days[60], {"AdjClose": days[5], "AdjOpen": days[50]}, [code])
    assert window["Date"].unique().sort().to_list() == days[5:61].to_list()
    expected = kept.filter(pl.col("Code") == code, pl.col("Date") <= days[60]).select(*KEY, "AdjClose")
    assert window.filter(pl.col("Code") == code).select(*KEY, "AdjClose").equals(expected)
    early = window.filter(pl.col("Date") < days[50].replace(day=1))
    assert early["AdjOpen"].null_count() == early.height
