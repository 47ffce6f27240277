"""Bars from files: what is accepted, and one readable paragraph for what is not."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.daily_quotes.settings import CalendarSettings, FilesSource
from model.daily_quotes.sources.files import FilesOfBars
from model.errors import SourceError

TODAY = date(2020, 12, 31)
DAYS = [date(2020, 1, day) for day in (6, 7, 8, 9, 10)]
CODES = ["0013", "130A0", "NA", "ON", "TRUE"]


def bars(days: list[date] = DAYS, codes: list[str] = CODES) -> pl.DataFrame:
    rows = [
        {
            "Date": day,
            "Code": code,
            "Open": 10.0 + n,
            "High": 12.0 + n,
            "Low": 9.0 + n,
            "Close": 11.0 + n,
            "Volume": 100 * n,
        }
        for n, code in enumerate(codes, start=1)
        for day in days
    ]
    return pl.DataFrame(rows)


def source(path: Path, today: date = TODAY, exchange: str = "jpx", **keys: Any) -> FilesOfBars:
    return FilesOfBars(
        settings=FilesSource.model_validate({"path": str(path), **keys}),
        calendar=CalendarSettings.model_validate({"exchange": exchange}),
        today=today,
    )


def message(files: FilesOfBars) -> str:
    with pytest.raises(SourceError) as caught:
        files.index()
    text = str(caught.value)
    assert "\n" not in text and 60 < len(text) < 900
    return text


def write(path: Path, frame: pl.DataFrame) -> Path:
    if path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path)
    return path


@pytest.mark.parametrize("name", ["bars.csv", "bars.parquet"])
def test_codes_that_look_like_something_else_stay_as_they_are(tmp_path: Path, name: str) -> None:
    batch = source(write(tmp_path / name, bars())).read(DAYS)
    assert batch.quotes["Code"].unique().sort().to_list() == CODES
    assert batch.quotes.height == 25
    assert batch.quotes.filter(pl.col("Code") == "NA")["Close"].to_list() == [14.0] * 5
    assert batch.quotes["AdjustmentFactor"].to_list() == [1.0] * 25


def test_csv_and_parquet_and_a_folder_of_both_say_the_same(tmp_path: Path) -> None:
    csv = source(write(tmp_path / "bars.csv", bars())).read(DAYS).quotes
    parquet = source(write(tmp_path / "bars.parquet", bars())).read(DAYS).quotes
    folder = tmp_path / "both"
    folder.mkdir()
    write(folder / "a.csv", bars(codes=CODES[:2]))
    write(folder / "b.parquet", bars(codes=CODES[2:]).with_columns(Volume=pl.col("Volume") + 200))
    both = source(folder).read(DAYS).quotes
    globbed = source(folder / "*.[cp]*").read(DAYS).quotes
    assert csv.equals(parquet) and csv.height == both.height and both.equals(globbed)
    assert csv["Code"].to_list() == both["Code"].to_list()


def test_dashes_stars_and_empty_cells_are_missing_numbers(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("Date,Code,Open,High,Low,Close,Volume\n2020-01-06,A,-,*,,10,100.0\n2020-01-07,A, 9.5 ,11,9,NaN,\n")
    quotes = source(path).read(DAYS[:2]).quotes
    assert quotes.select("Open", "High", "Low", "Close", "Volume").rows() == [
        (None, None, None, 10.0, 100),
        (9.5, 11.0, 9.0, None, None),
    ]


def test_columns_can_be_mapped_and_dates_written_in_another_way(tmp_path: Path) -> None:
    frame = bars().select(
        day=pl.col("Date").dt.strftime("%d/%m/%Y"),
        ticker="Code",
        o="Open",
        h="High",
        l="Low",
        c="Close",
        v="Volume",
        split=pl.lit(0.5),
        UpperLimit=pl.lit("1"),
        Sector=pl.lit("Banks"),
    )
    columns = {"Date": "day", "Code": "ticker", "Open": "o", "High": "h", "Low": "l", "Close": "c", "Volume": "v"}
    path = write(tmp_path / "bars.csv", frame)
    files = source(path, date_format="%d/%m/%Y", columns={**columns, "AdjustmentFactor": "split"})
    batch = files.read(DAYS)
    assert batch.days == tuple(DAYS)
    assert batch.quotes.row(0, named=True) | {"KnownAt": None} == {
        "Date": DAYS[0],
        "Code": "0013",
        "Open": 11.0,
        "High": 13.0,
        "Low": 10.0,
        "Close": 12.0,
        "Volume": 100,
        "TurnoverValue": None,
        "AdjustmentFactor": 0.5,
        "UpperLimit": True,
        "LowerLimit": False,
        "Sector": "Banks",
        "Market": None,
        "KnownAt": None,
    }
    assert batch.received is not None and batch.received.columns == frame.columns
    adjusted = source(path, date_format="%d/%m/%Y", columns={**columns, "AdjustmentFactor": "split"}, adjusted=True)
    assert adjusted.read(DAYS).quotes["AdjustmentFactor"].unique().to_list() == [1.0]


def test_the_received_rows_of_a_day_are_those_of_the_day(tmp_path: Path) -> None:
    path = write(tmp_path / "bars.parquet", bars().with_columns(Note=pl.col("Code") + "!"))
    for day in source(path).read(DAYS).split():
        assert day.received is not None
        assert day.received["Date"].unique().to_list() == [day.day]
        assert day.received["Note"].to_list() == [f"{code}!" for code in day.quotes["Code"]]


def test_whole_number_codes_and_time_stamps_are_read_when_asked_for(tmp_path: Path) -> None:
    frame = bars(codes=["1", "2"]).with_columns(
        pl.col("Code").cast(pl.Int64), pl.col("Date").cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")
    )
    path = write(tmp_path / "bars.parquet", frame)
    assert "source.code_type=integer" in message(source(path))
    quotes = source(path, code_type="integer", code_width=4).read(DAYS).quotes
    assert quotes["Code"].unique().sort().to_list() == ["0001", "0002"]
    assert quotes["Date"].unique().sort().to_list() == DAYS


def test_categories_and_decimals_are_read_and_nested_columns_refused(tmp_path: Path) -> None:
    frame = bars().with_columns(pl.col("Code").cast(pl.Categorical), pl.col("Close").cast(pl.Decimal(10, 2)))
    files = source(write(tmp_path / "bars.parquet", frame))
    plain = source(write(tmp_path / "plain.parquet", bars()))
    assert files.read(DAYS).quotes.equals(plain.read(DAYS).quotes)
    assert list(files.index().days) == DAYS
    nested = bars().with_columns(legs=pl.lit([1, 2]))
    assert "legs" in message(source(write(tmp_path / "nested.parquet", nested)))


def test_days_can_be_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "bars.csv", bars())
    assert list(source(path, start=DAYS[1], end=DAYS[3]).index().days) == DAYS[1:4]
    assert "source.start" in message(source(path, start=date(2020, 2, 3)))


def test_the_index_follows_the_content_of_each_day(tmp_path: Path) -> None:
    path = write(tmp_path / "bars.csv", bars())
    before = source(path).index()
    assert list(before.days) == DAYS and len(set(before.days.values())) == 5
    write(tmp_path / "bars.csv", bars().sort("Date", "Code"))
    assert source(path).index().days == before.days
    changed = bars().with_columns(
        Close=pl.when((pl.col("Date") == DAYS[2]) & (pl.col("Code") == "ON")).then(15.5).otherwise(pl.col("Close"))
    )
    write(tmp_path / "bars.csv", changed)
    after = source(path).index()
    assert [day for day in DAYS if after.days[day] != before.days[day]] == [DAYS[2]]
    assert after.fingerprint != before.fingerprint


def test_an_unchanged_file_is_not_parsed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "bars.csv", bars())
    cached = source(path).index()
    again = source(path)
    again.cached = type(cached).from_json(cached.to_json())
    monkeypatch.setattr(FilesOfBars, "load", lambda self: pytest.fail("the file was parsed"))
    assert again.index() == cached


def test_a_missing_file_an_empty_one_and_one_of_another_kind_are_named(tmp_path: Path) -> None:
    assert "no path" in message(FilesOfBars(settings=FilesSource(), today=TODAY))
    assert "does not exist" in message(source(tmp_path / "none.parquet"))
    assert "does not exist" in message(source(tmp_path / "*.parquet"))
    assert "holds no Parquet or CSV" in message(source(tmp_path))
    (tmp_path / "bars.xlsx").write_text("x")
    assert "neither Parquet nor CSV" in message(source(tmp_path / "bars.xlsx"))
    (tmp_path / "zero.csv").write_text("")
    assert "empty (0 bytes)" in message(source(tmp_path / "zero.csv"))
    write(tmp_path / "header.csv", bars().clear())
    assert "0 rows" in message(source(tmp_path / "header.csv"))
    write(tmp_path / "header.parquet", bars().clear())
    assert "0 rows" in message(source(tmp_path / "header.parquet"))
    (tmp_path / "text.parquet").write_text("Date,Code\n2020-01-06,A\n")
    assert "cannot be read as Parquet" in message(source(tmp_path / "text.parquet"))
    (tmp_path / "shift_jis.csv").write_bytes("Date,Code,銘柄\n2020-01-06,A,東京\n".encode("shift_jis"))
    assert "shift_jis.csv" in message(source(tmp_path / "shift_jis.csv"))


def test_a_missing_column_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    path = write(tmp_path / "bars.csv", bars().rename({"Close": "Adj Close", "Code": "Symbol", "Volume": "volume"}))
    text = message(source(path))
    assert "'Close' for Close (the nearest is 'Adj Close'" in text
    assert "--set source.columns.Code=Symbol" in text and "--set source.columns.Volume=volume" in text
    assert "25 rows" in text and str(path) in text
    mapped = message(source(write(tmp_path / "b.csv", bars()), columns={"Sector": "industry"}))
    assert "'industry' for Sector" in mapped


def test_text_in_a_price_is_counted_and_shown(tmp_path: Path) -> None:
    wrong = pl.when(pl.col("Code") == "ON").then(pl.lit("n/a")).otherwise(pl.col("Close").cast(pl.String))
    text = message(source(write(tmp_path / "bars.csv", bars().with_columns(Close=wrong))))
    assert "'Close'" in text and "5 of 25 rows" in text and "n/a" in text and "row 16" in text
    accepted = source(write(tmp_path / "bars.csv", bars().with_columns(Close=wrong)), missing=["n/a"])
    assert accepted.read(DAYS).quotes["Close"].null_count() == 5
    boolean = bars().with_columns(Close=pl.lit(True))
    assert "has type Boolean" in message(source(write(tmp_path / "bars.parquet", boolean)))


def test_impossible_values_are_refused_with_count_and_first_row(tmp_path: Path) -> None:
    at = (pl.col("Code") == "NA") & (pl.col("Date") > DAYS[2])
    negative = bars().with_columns(Low=pl.when(at).then(-1.0).otherwise(pl.col("Low")))
    text = message(source(write(tmp_path / "bars.parquet", negative)))
    assert "'Low'" in text and "is negative in 2 of 25 rows" in text and "Code=NA" in text and "-1.0" in text
    infinite = bars().with_columns(High=pl.lit(float("inf")))
    assert "is infinite in 25 of 25 rows" in message(source(write(tmp_path / "bars.parquet", infinite)))
    volume = bars().with_columns(Volume=-pl.col("Volume"))
    assert "'Volume'" in message(source(write(tmp_path / "bars.csv", volume)))
    factor = bars().with_columns(AdjustmentFactor=0.0)
    assert "source.adjusted=true" in message(source(write(tmp_path / "bars.csv", factor)))
    flags = bars().with_columns(UpperLimit=pl.lit("maybe"))
    assert "neither true nor false" in message(source(write(tmp_path / "bars.csv", flags)))
    codes = bars().with_columns(Code=pl.lit(" "))
    assert "'Code'" in message(source(write(tmp_path / "bars.csv", codes)))


def test_dates_that_are_none_or_lie_ahead_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "bars.csv", bars())
    text = message(source(path, date_format="%Y%m%d"))
    assert "no date in the format %Y%m%d in 25 of 25 rows" in text and "2020-01-06" in text
    text = message(source(path, today=DAYS[3]))
    assert "in the future in 5 of 25 rows" in text and "2020-01-10" in text and "0013" in text
    assert list(source(path, today=DAYS[4]).index().days) == DAYS
    numbers = bars().with_columns(Date=pl.lit(1.5))
    assert "has type Float64" in message(source(write(tmp_path / "bars.parquet", numbers)))


@pytest.mark.parametrize("exchange", ["jpx", "from_data"])
def test_years_of_two_digits_are_refused_and_read_with_their_format(tmp_path: Path, exchange: str) -> None:
    short = bars().with_columns(pl.col("Date").dt.strftime("%y-%m-%d"))
    path = write(tmp_path / "short.csv", short)
    shown = message(source(path, exchange=exchange))
    for each in ("'Date'", str(path), "before the year 1900", f"{short.height} of", "Date=20-01-06", "%y"):
        assert each in shown, (each, shown)
    assert list(source(path, exchange=exchange, date_format="%y-%m-%d").index().days) == DAYS


def test_repeated_rows_are_refused(tmp_path: Path) -> None:
    repeated = pl.concat([bars(), bars().filter(pl.col("Code") == "TRUE").tail(1)])
    text = message(source(write(tmp_path / "bars.csv", repeated)))
    assert "1 of 26 rows" in text and "code TRUE on 2020-01-10" in text


def test_unsorted_dates_are_refused_unless_sorting_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "bars.csv", bars().reverse())
    text = message(source(path))
    assert "go backwards" in text and "20 of 25 rows" in text and "source.sort=true" in text
    assert (
        source(path, sort=True)
        .read(DAYS)
        .quotes.equals(source(write(tmp_path / "sorted.csv", bars())).read(DAYS).quotes)
    )


def test_rows_on_days_when_the_exchange_is_closed_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "bars.csv", bars(days=[date(2020, 1, 10), date(2020, 1, 13), date(2020, 1, 14)]))
    text = message(source(path))
    assert "closed in 5 of 15 rows" in text and "2020-01-13" in text and "from_data" in text
    assert len(source(path, exchange="from_data").index().days) == 3


@settings(max_examples=20, deadline=None)
@given(
    codes=st.lists(
        st.text(alphabet="ABCNTRUE0123459.-", min_size=1, max_size=5).filter(lambda text: text.strip() == text),
        min_size=1,
        max_size=6,
        unique=True,
    ),
    order=st.sampled_from([("Date", "Code"), ("Code", "Date")]),
)
def test_any_code_survives_a_csv_in_either_order(
    tmp_path_factory: pytest.TempPathFactory, codes: list[str], order: tuple[str, str]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "bars.csv"
    write(path, bars(codes=codes).sort(order))
    quotes = source(path).read(DAYS).quotes
    assert quotes["Code"].unique().sort().to_list() == sorted(codes)
    assert datetime(2020, 1, 6, 7, 30) == quotes["KnownAt"].dt.replace_time_zone(None)[0]
