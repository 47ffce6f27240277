"""Tables beside the bars from files."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from model.daily_quotes.beside import TABLES
from model.daily_quotes.settings import FilesSource
from model.daily_quotes.sources.files import FilesOfBars
from model.errors import SettingsError
from model.settings import presets
from tests.model.daily_quotes.test_files_source import DAYS, bars, message, source, write

NUMBERS = [name for name, dtype in TABLES["statements"].schema.items() if dtype == pl.Float64]


def statements(**columns: Any) -> pl.DataFrame:
    """Two statements and a correction of the first."""
    rows = {
        "Code": ["0013", "NA", "0013"],
        "PublishedAt": ["2020-01-06T15:00:00+09:00", "2020-01-07 23:30:00", "2020-01-08T06:00:00Z"],
        "FiscalYearEnd": ["2020-03-31"] * 3,
        "Quarter": [3, 3, 3],
        **{name: ["1", "-", "2.5"] for name in NUMBERS},
    }
    return pl.DataFrame(rows | columns)


def with_tables(folder: Path, frame: pl.DataFrame, name: str = "statements.csv", **keys: Any) -> FilesOfBars:
    write(folder / "bars.csv", bars())
    write(folder / name, frame)
    return source(folder / "bars.csv", tables={"statements": name}, **keys)


@pytest.mark.parametrize("name", ["statements.csv", "statements.parquet"])
def test_rows_are_canonical_sorted_and_under_their_day(tmp_path: Path, name: str) -> None:
    table = with_tables(tmp_path, statements().reverse(), name).read(DAYS).beside["statements"]
    assert table.schema == TABLES["statements"].schema
    assert table.select("Date", "Code", "Sales").rows() == [
        (DAYS[0], "0013", 1.0),
        (DAYS[1], "NA", None),
        (DAYS[2], "0013", 2.5),
    ]
    assert table["PublishedAt"].to_list() == [
        datetime(2020, 1, day, hour, minute, tzinfo=UTC) for day, hour, minute in ((6, 6, 0), (7, 14, 30), (8, 6, 0))
    ]


def test_typed_columns_are_read_as_they_are(tmp_path: Path) -> None:
    plain = with_tables(tmp_path, statements()).read(DAYS).beside["statements"]
    typed = with_tables(tmp_path, plain, "typed.parquet").read(DAYS).beside["statements"]
    assert typed.equals(plain)


def test_a_folder_and_a_pattern_hold_tables_too(tmp_path: Path) -> None:
    plain = with_tables(tmp_path, statements()).read(DAYS).beside["statements"]
    (tmp_path / "parts").mkdir()
    write(tmp_path / "parts" / "a.csv", statements().head(1))
    write(tmp_path / "parts" / "b.parquet", statements().tail(2))
    for path in ("parts", "parts/*", str(tmp_path / "parts")):
        files = source(tmp_path / "bars.csv", tables={"statements": path})
        assert files.read(DAYS).beside["statements"].equals(plain), path


def test_publications_on_weekends_and_before_the_bars_wait_for_the_first_day_and_later_ones_for_their_own(
    tmp_path: Path,
) -> None:
    late = statements(PublishedAt=["2019-12-30 12:00:00", "2020-01-05 09:00:00", "2020-01-11 09:00:00"])
    assert with_tables(tmp_path, late).read(DAYS).beside["statements"]["Date"].to_list() == [DAYS[0], DAYS[0]]
    longer = [*DAYS, date(2020, 1, 14)]
    write(tmp_path / "bars.csv", bars(days=longer))
    files = source(tmp_path / "bars.csv", tables={"statements": "statements.csv"})
    assert files.read(longer).beside["statements"]["Date"].to_list() == [DAYS[0], DAYS[0], longer[-1]]
    cut = source(tmp_path / "bars.csv", tables={"statements": "statements.csv"}, start=DAYS[1], end=DAYS[2])
    assert list(cut.index().days) == DAYS[1:3]


def test_a_changed_table_changes_its_day_alone(tmp_path: Path) -> None:
    before = with_tables(tmp_path, statements()).index()
    sales = statements().with_columns(Sales=pl.Series(["1", "-", "2.75"]))
    after = with_tables(tmp_path, sales).index()
    assert before.fingerprint != after.fingerprint
    assert [day for day in DAYS if before.days[day] != after.days[day]] == [DAYS[2]]


REFUSED: dict[str, tuple[pl.DataFrame, tuple[str, ...]]] = {
    "missing_column": (statements().drop("Sales"), ("no column Sales", "3 rows", "source.tables.statements")),
    "text": (statements(Sales=["1", "2", "lots"]), ("'Sales'", "1 of 3 rows", "Sales=lots")),
    "quarter": (statements(Quarter=[1, 5, 2]), ("'Quarter'", "none of 1, 2, 3 and 4", "1 of 3 rows")),
    "no_publication": (statements(PublishedAt=["", "2020-01-06 09:00:00", "-"]), ("'PublishedAt'", "2 of 3 rows")),
    "no_date": (statements(FiscalYearEnd=["2020-03-31", "March", "2020-03-31"]), ("'FiscalYearEnd'", "March")),
    "year_end": (
        statements(FiscalYearEnd=["2020-03-31", "2202-03-31", "2020-03-31"]),
        ("'FiscalYearEnd'", "18 months after PublishedAt", "1 of 3 rows", "row 2 (FiscalYearEnd=2202-03-31, Code=NA)"),
    ),
    "negative_shares": (
        statements(SharesOutstanding=["1", "-", "-5"]),
        ("a negative SharesOutstanding", "1 of 3 rows", "SharesOutstanding=-5"),
    ),
    "future": (
        statements(PublishedAt=["2020-01-06 09:00:00", "2099-01-07T10:00:00", "2020-01-08T06:00:00Z"]),
        ("'PublishedAt'", "in the future (today is", "1 of 3 rows", "PublishedAt=2099-01-07T10:00:00", "date_format"),
    ),
    "early_publication": (
        statements(PublishedAt=["2020-01-06 09:00:00", "0020-01-07T10:00:00", "2020-01-08T06:00:00Z"]),
        ("'PublishedAt'", "before the year 1900", "1 of 3 rows", "PublishedAt=0020-01-07T10:00:00"),
    ),
    "early_year_end": (
        statements(FiscalYearEnd=["20-03-31", "20-03-31", "2020-03-31"]),
        ("'FiscalYearEnd'", "before the year 1900", "2 of 3 rows", "FiscalYearEnd=20-03-31", "source.date_format"),
    ),
    "future_day": (
        statements(Date=["2020-01-06", "2099-01-07", "2020-01-08"]),
        ("'Date'", "in the future", "1 of 3 rows", "Date=2099-01-07"),
    ),
    "repeated": (pl.concat([statements(), statements().head(1)]), ("2 of 4 rows", "Code=0013", "Remove the repeats")),
    "closed_day": (
        statements(Date=["2020-01-06", "2020-01-04", "2020-01-08"]),
        ("1 of 3 rows", "2020-01-04", "derived from PublishedAt"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_table_cannot_say_is_refused(tmp_path: Path, name: str) -> None:
    frame, said = REFUSED[name]
    shown = message(with_tables(tmp_path, frame))
    for each in said:
        assert each in shown, (each, shown)
    assert "statements" in shown


def test_numbers_as_codes_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    whole = statements(Code=[13, 14, 13])
    assert "'Code'" in message(with_tables(tmp_path, whole, "whole.parquet"))
    files = source(write(tmp_path / "bars.csv", bars()), tables={"margin": "gone.csv"})
    shown = message(files)
    assert "source.tables.margin" in shown and str(tmp_path / "gone.csv") in shown


def test_other_tables_keep_their_nulls_and_keys(tmp_path: Path) -> None:
    write(tmp_path / "bars.csv", bars())
    (tmp_path / "margin.csv").write_text(
        "Date,Code,Kind,RecordDate,PublishedAt,MarginLong,MarginShort\n"
        "2020-01-07,NA,weekly,2020-01-06,,100,-\n2020-01-08,NA,daily,2020-01-07,2020-01-08T16:30:00,*,0\n"
    )
    (tmp_path / "indices.csv").write_text(
        "IndexCode,Open,High,Low,Close,PublishedAt\nTOPIX,1,2,1,2,2020-01-06 16:30:00\n"
    )
    files = source(tmp_path / "bars.csv", tables={"margin": "margin.csv", "indices": "indices.csv"})
    batch = files.read(DAYS)
    assert batch.beside["margin"].select("Kind", "MarginLong", "MarginShort").rows() == [
        ("weekly", 100.0, None),
        ("daily", None, 0.0),
    ]
    assert batch.beside["indices"].select("Date", "IndexCode", "Close").rows() == [(DAYS[0], "TOPIX", 2.0)]
    days = {day.day: day.beside for day in batch.split()}
    assert days[DAYS[4]]["margin"].height == 0 and set(days[DAYS[4]]) == {"margin", "indices"}


def test_a_version_that_does_not_say_when_it_was_published_is_refused_beside_one_that_does(tmp_path: Path) -> None:
    write(tmp_path / "bars.csv", bars())
    lines = [
        "Date,Code,Kind,RecordDate,PublishedAt,MarginLong,MarginShort",
        "2020-01-07,0013,weekly,2020-01-06,,1,2",  # alone, and so are all but the last two
        "2020-01-08,0013,weekly,2020-01-06,,1,2",
        "2020-01-08,NA,daily,2020-01-06,,1,2",
        "2020-01-08,NA,weekly,2020-01-06,2020-01-08 16:00:00,3,4",
        "2020-01-08,NA,weekly,2020-01-06,,1,2",
    ]
    files = source(tmp_path / "bars.csv", tables={"margin": "margin.csv"})
    (tmp_path / "margin.csv").write_text("\n".join(lines))
    shown = message(files)
    assert str(tmp_path / "margin.csv") in shown and "an empty PublishedAt" in shown and "1 of 5 rows" in shown
    assert "Date=2020-01-08, Code=NA, Kind=weekly, RecordDate=2020-01-06" in shown and "not sorted" not in shown
    (tmp_path / "margin.csv").write_text("\n".join(lines[:-1]))
    assert files.read(DAYS).beside["margin"].height == 4


def test_an_unknown_table_is_no_setting() -> None:
    with pytest.raises(SettingsError, match=r"tables.*statements"):
        presets.load("us_equities", ["source.path=a.csv", "source.tables={news: news.csv}"])
    loaded = presets.load("us_equities", ["source.path=a.csv", "source.tables.margin=margin.csv"]).source
    assert isinstance(loaded, FilesSource) and loaded.tables == {"margin": "margin.csv"}
