"""Files as people really have them: what is read, and one readable paragraph for what is not."""

import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from model.daily_quotes.settings import FilesSource
from model.daily_quotes.sources.files import FilesOfBars
from tests.model.daily_quotes.test_files_source import DAYS, bars, message, source, write

SYMBOLS = ["0013", "130A0", "1E5", "NA", "ON", "TRUE", "nan", "null", "00", "1.0", "-", "Inf"]
"""Codes that a careless reader takes for numbers, truth values or nothing."""
HEADER = "Date,Code,Open,High,Low,Close,Volume"
ROW = "2020-01-06,NA,1,2,1,2,300"


def text(path: Path, content: str | bytes) -> FilesOfBars:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return source(path)


def codes(files: FilesOfBars) -> list[str]:
    return files.read(list(files.index().days)).quotes["Code"].unique().sort().to_list()


def quoted(path: Path, frame: pl.DataFrame) -> None:
    frame.write_csv(path, quote_style="always")


def packed(path: Path, frame: pl.DataFrame) -> None:
    path.write_bytes(gzip.compress(frame.write_csv().encode()))


def categories(path: Path, frame: pl.DataFrame) -> None:
    frame.with_columns(pl.col("Code").cast(pl.Categorical)).write_parquet(path)


WRITERS: dict[str, Callable[[Path, pl.DataFrame], object]] = {
    "bars.csv": lambda path, frame: frame.write_csv(path),
    "quoted.csv": quoted,
    "bars.csv.gz": packed,
    "packed.csv": packed,
    "bars.parquet": lambda path, frame: frame.write_parquet(path),
    "categories.parquet": categories,
}


@pytest.mark.parametrize("name", WRITERS)
def test_symbols_stay_strings_in_every_format(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, bars(codes=SYMBOLS))
    assert codes(source(tmp_path / name)) == sorted(SYMBOLS)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_symbols_stay_strings_in_partitioned_folders(tmp_path: Path, ending: str) -> None:
    for code in SYMBOLS:
        folder = tmp_path / "bars" / f"Code={code}" / "year=2020"
        folder.mkdir(parents=True)
        write(folder / f"part-0.{ending}", bars(codes=[code]).drop("Code"))
    (tmp_path / "bars" / "_SUCCESS.csv").write_text("not bars")
    (tmp_path / "bars" / ".part-0.parquet").write_text("not bars")
    files = source(tmp_path / "bars")
    assert codes(files) == sorted(SYMBOLS)
    received = files.read(DAYS).received
    assert received is not None and received["year"].unique().to_list() == ["2020"]


def test_days_named_by_folders_are_read_and_a_folder_that_was_renamed_is_noticed(tmp_path: Path) -> None:
    for day in DAYS:
        (tmp_path / f"Date={day}").mkdir()
        write(tmp_path / f"Date={day}" / "bars.csv", bars(days=[day]).drop("Date"))
    before = source(tmp_path).index()
    assert list(before.days) == DAYS
    (tmp_path / "Date=2020-01-10").rename(tmp_path / "Date=2020-01-14")
    assert source(tmp_path).fingerprint() != before.fingerprint
    assert list(source(tmp_path / "Date=2020-01-0*" / "*.csv").index().days) == DAYS[:4]


def test_an_empty_partition_value_is_no_code(tmp_path: Path) -> None:
    folder = tmp_path / "bars" / "Code=__HIVE_DEFAULT_PARTITION__"
    folder.mkdir(parents=True)
    write(folder / "a.csv", bars(codes=["x"]).drop("Code"))
    assert "'Code'" in message(source(tmp_path / "bars"))


READ = {
    "byte_order_mark": "\ufeff" + f"{HEADER}\n{ROW}\n",
    "windows_line_ends": f"{HEADER}\r\n{ROW}\r\n",
    "blank_lines": f"{HEADER}\n\n{ROW}\n\n\n",
    "no_last_line_end": f"{HEADER}\n{ROW}",
    "spaces_around": f"{HEADER}\n2020-01-06 , NA , 1 , 2 , 1 , 2 , 300 \n",
    "trailing_commas": f"{HEADER},,\n{ROW},,\n",
    "scientific_numbers": f"{HEADER}\n2020-01-06,NA,1e0,2.0E+00,1,2,3e2\n",
}


@pytest.mark.parametrize("name", READ)
def test_harmless_oddities_of_csv_are_read(tmp_path: Path, name: str) -> None:
    quotes = text(tmp_path / "bars.csv", READ[name]).read(DAYS[:1]).quotes
    assert quotes.select("Code", "Open", "Close", "Volume").rows() == [("NA", 1.0, 2.0, 300)]


REFUSED: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    "semicolons": ((HEADER + "\n" + ROW).replace(",", ";"), ("source.separator", "';'")),
    "semicolons_and_decimal_commas": (
        f"{HEADER}\n2020-01-06,NA,1,2,1,2,300".replace(",", ";").replace(";1;2", ";1,5;2,5"),
        ("source.separator",),
    ),
    "tabs": ((HEADER + "\n" + ROW).replace(",", "\t"), ("source.separator", r"\t")),
    "thousands": (
        f'{HEADER}\n2020-01-06,NA,"1,000","1,200",900,"1,100.5","3,000"\n',
        ("'Open'", "1 of 1 rows", "thousands separators", "1,000"),
    ),
    "decimal_commas": (f'{HEADER}\n2020-01-06,NA,"1,5",2,1,2,300\n', ("decimal point", "1,5")),
    "two_closes": (f"{HEADER},Close\n{ROW},3\n", ("'Close'", "more than once", "1 rows")),
    "a_line_cut_off": (f"{HEADER}\n{ROW}\n2020-01-07,NA,1,2", ("fewer cells", "Expected 7 columns, got 4")),
    "a_line_too_long": (f"{HEADER}\n{ROW},9,9\n", ("cannot be read as UTF-8 CSV",)),
    "mixed_dates": (
        f"{HEADER}\n{ROW}\n07/01/2020,NA,1,2,1,2,300\n",
        ("no date in the format %Y-%m-%d in 1 of 2 rows", "row 2", "07/01/2020"),
    ),
    "dates_with_times": (
        f"{HEADER}\n2020-01-06 00:00,NA,1,2,1,2,300\n",
        ("1 of 1 rows", "dates with times", "%Y-%m-%d %H:%M"),
    ),
    "no_header": (f"{ROW}\n{ROW}\n", ("no column 'Date'", "into the first line")),
    "utf_16": (f"{HEADER}\n{ROW}\n".encode("utf-16"), ("UTF-16", "Save it as UTF-8")),
    "classic_mac": (f"{HEADER}\r{ROW}\r", ("carriage returns",)),
    "a_mark_and_nothing": (b"\xef\xbb\xbf", ("cannot be read as UTF-8 CSV",)),
    "cut_gzip": (gzip.compress(f"{HEADER}\n{ROW}\n".encode())[:-12], ("bars.csv",)),
    "an_invisible_character_in_a_code": (f"{HEADER}\n2020-01-06,AA\u200b,1,2,1,2,300\n", ("'Code'", "invisible")),
    "line_ends_in_a_code": (f'{HEADER}\n2020-01-06,"N\nA",1,2,1,2,300\n', ("'Code'", "control characters")),
    "a_huge_volume": (f"{HEADER}\n2020-01-06,NA,1,2,1,2,1e30\n", ("'Volume'", "larger than any volume")),
    "a_huge_price": (f"{HEADER}\n2020-01-06,NA,1,1e999,1,2,3\n", ("'High'", "is infinite")),
    "hexadecimal": (f"{HEADER}\n2020-01-06,NA,0x1,2,1,2,3\n", ("'Open'", "is not a number", "0x1")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_understood_is_refused_with_a_hint(tmp_path: Path, name: str) -> None:
    content, said = REFUSED[name]
    shown = message(text(tmp_path / "bars.csv", content))
    assert str(tmp_path / "bars.csv") in shown
    for each in said:
        assert each in shown, (each, shown)


def test_empty_cells_at_the_end_of_lines_are_not_cut_lines(tmp_path: Path) -> None:
    lines = f'{HEADER},Note\n{ROW},\n2020-01-07,NA,1,2,1,,,"two\nlines"\n2020-01-08,NA,,,,,,\n'
    quotes = text(tmp_path / "bars.csv", lines).read(DAYS[:3]).quotes
    assert quotes["Close"].to_list() == [2.0, None, None]


def test_a_folder_of_mixed_schemas_is_read_file_by_file(tmp_path: Path) -> None:
    folder = tmp_path / "bars"
    folder.mkdir()
    write(folder / "a.parquet", bars(codes=["A"]).with_columns(pl.col("Close").cast(pl.Float32), Note=pl.lit(1)))
    write(folder / "b.parquet", bars(codes=["B"]).with_columns(pl.col("Close").cast(pl.Int16), Note=pl.lit("x")))
    write(folder / "c.csv", bars(codes=["C"]).select("Code", "Date", "Close", "Open", "High", "Low", "Volume"))
    batch = source(folder).read(DAYS)
    assert batch.quotes["Code"].unique().sort().to_list() == ["A", "B", "C"]
    assert batch.received is not None and batch.received.schema["Note"] == pl.String
    assert batch.received.filter(pl.col("Code") == "A")["Note"].unique().to_list() == ["1"]
    write(folder / "d.parquet", bars(codes=["1"]).with_columns(pl.col("Code").cast(pl.Int64)))
    assert "d.parquet" in message(source(folder))
    write(folder / "d.parquet", bars(codes=["D"]).drop("Low"))
    assert "'Low' for Low" in message(source(folder))


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("Close", pl.lit(date(2020, 1, 1)), ("'Close'", "has type Date", "source.columns.Close")),
        ("Code", pl.lit(1.5), ("'Code'", "has type Float64", "no code")),
        ("Date", pl.lit(True), ("'Date'", "has type Boolean", "no date")),
        ("Volume", pl.lit("many"), ("'Volume'", "is not a number", "25 of 25 rows")),
    ],
)
def test_a_column_of_the_wrong_type_is_named(
    tmp_path: Path, column: str, values: pl.Expr, said: tuple[str, ...]
) -> None:
    shown = message(source(write(tmp_path / "bars.parquet", bars().with_columns(values.alias(column)))))
    assert "25 rows" in shown and all(each in shown for each in said)


def stamped(hour: int, zone: str | None) -> pl.DataFrame:
    info = None if zone is None else ZoneInfo(zone)
    moment = {day: datetime(day.year, day.month, day.day, hour, tzinfo=info) for day in DAYS}
    stamps = pl.Series([moment[day] for day in bars()["Date"]], dtype=pl.Datetime("us", zone))
    return bars().with_columns(Date=stamps)


@pytest.mark.parametrize(("hour", "zone"), [(0, None), (16, None), (0, "UTC"), (15, "Asia/Tokyo"), (0, "Asia/Tokyo")])
def test_time_stamps_give_the_date_as_written(tmp_path: Path, hour: int, zone: str | None) -> None:
    assert list(source(write(tmp_path / "bars.parquet", stamped(hour, zone))).index().days) == DAYS


def test_midnight_of_tokyo_written_in_utc_is_not_taken_for_the_day_before(tmp_path: Path) -> None:
    frame = stamped(0, "Asia/Tokyo").with_columns(pl.col("Date").dt.convert_time_zone("UTC"))
    shown = message(source(write(tmp_path / "bars.parquet", frame)))
    assert "another date in Asia/Tokyo in 25 of 25 rows" in shown and "2020-01-05 15:00" in shown


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d 00:00:00", "%Y-%m-%dT00:00:00.000", "%Y-%m-%d 00:00:00-05:00", "%Y-%m-%dT15:30:00+0900"]
)
def test_of_a_time_stamp_as_text_the_date_counts(tmp_path: Path, form: str) -> None:
    frame = bars().with_columns(Date=pl.col("Date").dt.strftime(form))
    assert list(source(write(tmp_path / "bars.csv", frame)).index().days) == DAYS


def test_a_time_stamp_as_text_that_lies_on_another_date_at_the_exchange_is_refused(tmp_path: Path) -> None:
    frame = bars().with_columns(Date=pl.col("Date").dt.strftime("%Y-%m-%dT15:00:00Z"))
    shown = message(source(write(tmp_path / "bars.csv", frame)))
    assert "another date in Asia/Tokyo in 25 of 25 rows" in shown and "T15:00:00Z" in shown


def test_text_dates_with_times_are_read_when_the_format_says_so(tmp_path: Path) -> None:
    frame = bars().with_columns(Date=pl.col("Date").dt.strftime("%d.%m.%Y 00:00"))
    path = write(tmp_path / "bars.csv", frame)
    assert list(source(path, date_format="%d.%m.%Y %H:%M").index().days) == DAYS


def test_other_separators_are_read_when_the_settings_say_so(tmp_path: Path) -> None:
    for name, separator in (("bars.csv", ";"), ("bars.tsv", "\t"), ("bars.txt", "|")):
        bars().write_csv(tmp_path / name, separator=separator)
        assert list(source(tmp_path / name, separator=separator).index().days) == DAYS


def test_files_that_are_canonical_already_have_no_other_form(tmp_path: Path) -> None:
    own = source(write(tmp_path / "bars.csv", bars())).read(DAYS)
    assert own.received is not None
    again = source(write(tmp_path / "canonical.parquet", own.quotes.drop("KnownAt"))).read(DAYS)
    assert again.received is None and again.quotes.equals(own.quotes)


def known(frame: pl.DataFrame, moment: datetime | str) -> pl.DataFrame:
    return frame.with_columns(KnownAt=pl.lit(moment))


EVENING = datetime(2020, 1, 20, 9, tzinfo=UTC)


@pytest.mark.parametrize("name", ["bars.csv", "bars.parquet"])
def test_rows_in_several_versions_give_the_newest_and_the_revisions(tmp_path: Path, name: str) -> None:
    first = bars().with_columns(KnownAt=pl.lit(None, dtype=pl.Datetime("us", "UTC")))
    mended = known(bars().filter((pl.col("Code") == "NA") & (pl.col("Date") <= DAYS[1])), EVENING)
    mended = mended.with_columns(Close=pl.lit(10.25))
    again = known(mended.head(1), datetime(2020, 1, 21, 9, tzinfo=UTC)).with_columns(Close=pl.lit(10.5))
    frame = pl.concat([first, mended, again]).sort("Code", "Date")
    path = tmp_path / name
    if path.suffix == ".csv":
        frame = frame.with_columns(pl.col("KnownAt").dt.strftime("%Y-%m-%d %H:%M:%S+00:00"))
    batch = source(write(path, frame)).read(DAYS)
    one = batch.quotes.filter(pl.col("Code") == "NA")
    assert one["Close"].to_list() == [10.5, 10.25, 14.0, 14.0, 14.0]
    assert one["KnownAt"].dt.day().to_list() == [21, 20, 8, 9, 10] and one["KnownAt"].dt.hour().to_list()[2:] == [7] * 3
    older = batch.beside["revisions"]
    assert older.select("Date", "Close").rows() == [(DAYS[0], 14.0), (DAYS[0], 10.25), (DAYS[1], 14.0)]
    assert older["SupersededAt"].dt.day().to_list() == [20, 21, 20]
    assert batch.received is not None and batch.received.height == batch.quotes.height


def test_a_version_without_a_zone_is_local_time_and_impossible_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    local = source(write(path, known(bars(), "2020-01-10T17:00:00"))).read(DAYS)
    assert local.quotes["KnownAt"].unique().to_list() == [datetime(2020, 1, 10, 8, tzinfo=UTC)]
    assert local.beside["revisions"].is_empty()
    assert "before the day itself in 20 of 25 rows" in message(
        source(write(path, known(bars(), "2020-01-06 17:00:00")))
    )
    assert "in the future in 25 of 25 rows" in message(source(write(path, known(bars(), "2021-01-06T17:00:00"))))
    assert "is no time stamp in 25 of 25 rows" in message(source(write(path, known(bars(), "yesterday"))))
    twice = known(pl.concat([bars(), bars().tail(1)]), "2020-01-10T17:00:00Z")
    assert "known at 2020-01-10" in message(source(write(path, twice)))


def test_a_mapped_known_at_must_be_there(tmp_path: Path) -> None:
    path = write(tmp_path / "bars.csv", bars())
    assert "'seen' for KnownAt" in message(source(path, columns={"KnownAt": "seen"}))
    assert FilesSource(columns={"KnownAt": "seen"}).columns == {"KnownAt": "seen"}


@pytest.mark.parametrize("dtype", [pl.Int64, pl.UInt64])
def test_whole_volumes_keep_every_digit(tmp_path: Path, dtype: type[pl.DataType]) -> None:
    most = 2**53 + 1  # the first whole number that a float64 has not
    bars().with_columns(Volume=pl.lit(most, dtype)).write_parquet(tmp_path / "bars.parquet")
    files = source(tmp_path / "bars.parquet")
    assert files.read(list(files.index().days)).quotes["Volume"].unique().to_list() == [most]


def test_an_unsigned_volume_beyond_any_market_is_refused(tmp_path: Path) -> None:
    bars().with_columns(Volume=pl.lit(2**63 + 5, pl.UInt64)).write_parquet(tmp_path / "bars.parquet")
    assert "larger than any volume" in message(source(tmp_path / "bars.parquet"))
