"""Windows of the panel: whatever was asked for before, by however many codes, they hold what the files hold."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import StoreError
from model.quality_features.rows_panel import SLOW_COLUMNS, Panel
from model.store.store import Store
from tests.model.quality_features.stage_support import KEY, write_raw

PanelMaker = Callable[..., pl.DataFrame]
COLUMNS = ("AdjClose", "AdjOpen", "Sector", "InUniverse", SLOW_COLUMNS[0], SLOW_COLUMNS[1])
ABSENT = (SLOW_COLUMNS[2], "SharesHeld")
"""Neither table has these."""


@pytest.fixture(scope="module")
def whole(make_panel: PanelMaker) -> pl.DataFrame:
    panel = make_panel(90, 70, seed=3)
    return panel.with_columns(
        (pl.col("AdjClose") * (2.0 + place)).alias(name) for place, name in enumerate(SLOW_COLUMNS[:2])
    )


@pytest.fixture(scope="module")
def home(whole: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("panel")
    slow = whole.select(*KEY, *SLOW_COLUMNS[:2])
    write_raw(path, panel=whole.drop(SLOW_COLUMNS[:2]), slow=slow)
    return path


def expected(whole: pl.DataFrame, first: date, last: date, columns: list[str], codes: list[str] | None) -> pl.DataFrame:
    """The rows of the codes and the first of each day; columns that the source does not have are absent."""
    columns = [name for name in columns if name not in ABSENT]
    rows = whole.filter(pl.col("Date").is_between(first, last)).select(*KEY, *columns)
    return rows if codes is None else rows.filter(pl.col("Code").is_in(codes) | pl.col("Date").is_first_distinct())


@given(seed=st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_windows_hold_what_the_files_hold_in_whatever_order_several_threads_ask_for_them(
    whole: pl.DataFrame, home: Path, seed: int
) -> None:
    draw = random.Random(seed)
    source = Panel(Store(home))
    days, names = whole["Date"].unique().sort().to_list(), whole["Code"].unique().sort().to_list()
    groups = [None, names[:1], names[3:5], names[:66]]
    source.expect(draw.sample(source.months, 2))
    asked = [
        (*sorted(draw.sample(days, 2)), draw.sample(named, draw.randint(1, len(named))), draw.choice(groups))
        for named in (ABSENT, COLUMNS, (*COLUMNS, *ABSENT), (*COLUMNS, *ABSENT), ABSENT, COLUMNS)
    ]
    with ThreadPoolExecutor(max_workers=3) as pool:
        windows = pool.map(
            lambda each: source.window(each[0], each[1], dict.fromkeys(each[2], each[0]), each[3]), asked
        )
    for (first, last, columns, codes), found in zip(asked, windows, strict=True):
        assert found.select(*KEY, *(name for name in columns if name not in ABSENT)).equals(
            expected(whole, first, last, columns, codes)
        )
        assert not set(found.columns) & set(ABSENT)


def test_a_damaged_month_that_was_expected_is_refused_where_it_is_read(whole: pl.DataFrame, tmp_path: Path) -> None:
    write_raw(tmp_path, panel=whole.drop(SLOW_COLUMNS[:2]))
    store = Store(tmp_path)
    source = Panel(store)
    file = store.directory("raw_dataset") / f"panel/{source.months[1]}.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    source.expect(source.months)
    source.month(source.months[0], ["AdjClose"])
    with pytest.raises(StoreError, match=source.months[1]):
        source.month(source.months[1], ["AdjClose"])
