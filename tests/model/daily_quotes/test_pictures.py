"""The picture of the newest days, drawn from manifests alone."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl

from model.daily_quotes.beside import TABLES, empty_beside
from model.daily_quotes.pictures import PICTURES, rows_per_day
from model.daily_quotes.schema import ASSET, CANONICAL, KEY, QUOTES
from model.store.manifest import Identity
from model.store.store import Store


def store_of(home: Path, days: int, beside: tuple[str, ...] = ()) -> Store:
    store = Store(home)
    for day in range(days):
        label = (date(2020, 1, 1) + timedelta(days=day)).isoformat()
        with store.writer(ASSET, label, Identity({}, "code", "settings")) as writer:
            writer.table(QUOTES, pl.DataFrame(schema=CANONICAL), key=KEY)
            for name in beside:
                writer.table(TABLES[name].file, empty_beside(name), key=TABLES[name].key)
    return store


def test_the_days_up_to_the_partition_are_counted_and_no_table_is_opened(tmp_path: Path) -> None:
    store = store_of(tmp_path, 70, ("margin",))
    for file in tmp_path.rglob("*.parquet"):
        file.unlink()
    rows = rows_per_day(store, "2020-03-05")
    assert rows["Date"].max() == date(2020, 3, 5) and rows["Date"].n_unique() == 60
    assert rows["table"].unique().sort().to_list() == ["daily bars", "margin"]


def test_it_is_a_picture_with_tables_beside_the_bars_and_without(tmp_path: Path) -> None:
    [picture] = PICTURES
    for place, beside in enumerate(((), ("margin", "statements"))):
        store = store_of(tmp_path / str(place), 5, beside)
        drawn = picture.draw(store, None, "2020-01-05")  # type: ignore[arg-type]
        assert drawn.startswith(b"\x89PNG") and len(drawn) < 100_000
        assert drawn == picture.draw(store, None, "2020-01-05")  # type: ignore[arg-type]


def test_no_stored_day_is_said_in_words(tmp_path: Path) -> None:
    [picture] = PICTURES
    assert picture.draw(Store(tmp_path), None, None).startswith(b"\x89PNG")  # type: ignore[arg-type]
    assert rows_per_day(Store(tmp_path), None).schema["Date"] == pl.Date()
