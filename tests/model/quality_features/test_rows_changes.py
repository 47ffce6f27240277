"""Row fingerprints and what they tell: exactly the rows, days and market-wide values that differ."""

import shutil
import struct
from collections.abc import Callable
from datetime import date, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.quality_features.rows import row_hashes
from model.quality_features.rows_changes import Changes, find_changes
from model.quality_features.rows_panel import Panel
from model.store.store import Store
from tests.model.quality_features.stage_support import KEY, build, write_raw

PanelMaker = Callable[..., pl.DataFrame]
CELL = st.tuples(
    st.one_of(st.none(), st.floats(allow_nan=True, width=64)),
    st.one_of(st.none(), st.text(max_size=5)),
    st.one_of(st.none(), st.booleans()),
    st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
    st.one_of(st.none(), st.dates()),
)
SCHEMA = {"f": pl.Float64, "s": pl.String, "b": pl.Boolean, "i": pl.Int64, "d": pl.Date}


def table(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row as the fingerprint sees it: NaN is null, -0.0 is 0.0."""
    number = row[0]
    return (None if number is None or np.isnan(number) else number + 0.0, *row[1:])


@given(rows=st.lists(CELL, min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_rows_have_the_same_fingerprint_exactly_where_they_say_the_same(rows: list[tuple[Any, ...]]) -> None:
    hashes = row_hashes(table(rows), list(SCHEMA)).tolist()
    for one, first in zip(rows, hashes, strict=True):
        for other, second in zip(rows, hashes, strict=True):
            assert (plain(one) == plain(other)) == (first == second)


@given(rows=st.lists(CELL, min_size=2, max_size=12), cut=st.integers(1, 11))
@settings(max_examples=15, deadline=None)
def test_a_fingerprint_does_not_depend_on_the_rows_around(rows: list[tuple[Any, ...]], cut: int) -> None:
    whole = row_hashes(table(rows), list(SCHEMA))
    parts = [row_hashes(part, list(SCHEMA)) for part in (table(rows)[:cut], table(rows)[cut:])]
    assert whole.tolist() == np.concatenate(parts).tolist()


def reference(row: tuple[Any, ...]) -> int:
    """The fingerprint in plain integers, after the paper (SplitMix64) and the standard's bit patterns."""
    number, text, flag, whole, day = plain(row)
    words = [
        None if number is None else struct.unpack("<Q", struct.pack("<d", number))[0],
        None if text is None else int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little"),
        None if flag is None else int(flag),
        None if whole is None else whole % 2**64,
        None if day is None else (day - date(1970, 1, 1)).days % 2**64,
    ]
    state = 0
    for word in words:
        state = ((state ^ (0x7FF8DEAD00000001 if word is None else word)) + 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
        state ^= state >> 31
    return state


@given(rows=st.lists(CELL, min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_fingerprints_are_those_of_the_definition_on_every_machine(rows: list[tuple[Any, ...]]) -> None:
    assert row_hashes(table(rows), list(SCHEMA)).tolist() == [reference(row) for row in rows]


def test_a_million_like_rows_have_a_million_fingerprints() -> None:
    number = np.arange(1_000_000)
    frame = pl.DataFrame({"a": (number // 1000).astype(np.float64), "b": (number % 1000).astype(np.float64)})
    assert len(np.unique(row_hashes(frame, ["a", "b"]))) == 1_000_000


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
    read: list[str] = []
    found = find_changes(Store(tmp_path / "home"), "1", 2, lambda month, rows, made_from: read.append(month))
    return found, sorted(read)


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
