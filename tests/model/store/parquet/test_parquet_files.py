"""Tables as Parquet files: what other readers find in them, and files with some columns replaced."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.store.parquet import columns
from model.store.parquet.files import write, write_mended


def _by_duckdb(path: Path) -> pl.DataFrame:
    import duckdb

    with duckdb.connect() as connection:
        table: pl.DataFrame = connection.read_parquet(str(path)).pl()
        return table


READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    "polars": pl.read_parquet,
    "pyarrow": lambda path: pl.DataFrame(pl.from_arrow(pyarrow.parquet.read_table(path))),
    "duckdb": _by_duckdb,
}
SPECIAL = [0.0, -0.0, float("nan"), float("inf"), float("-inf"), 1e-45, 3.4e38, None]


def _table(rows: int, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(rows)
    some = rng.random(rows) < 0.3
    return pl.DataFrame(
        {
            "Date": [date(2020, 1, 1) + timedelta(days=i // 3) for i in range(rows)],
            "Code": [f"{i % 3:04d}ü" for i in range(rows)],
            "full": pl.Series(values, dtype=pl.Float32),
            "gaps": pl.Series([None if gap else x for x, gap in zip(values, some, strict=True)], dtype=pl.Float32),
            "nothing": pl.Series([None] * rows, dtype=pl.Float32),
            "wide": pl.Series([None if gap else x for x, gap in zip(values, ~some, strict=True)], dtype=pl.Float64),
            "flag": pl.Series(values > 0, dtype=pl.Boolean),
            "some_flag": pl.Series(
                [None if gap else x > 0 for x, gap in zip(values, some, strict=True)], dtype=pl.Boolean
            ),
            "count": pl.Series([None if gap else i for i, gap in enumerate(some)], dtype=pl.Int32),
            "resolved": [None if gap else date(2021, 1, 1) for gap in some],
        },
        schema_overrides={"resolved": pl.Date, "Date": pl.Date, "Code": pl.String},
    )


def _same_bits(left: pl.DataFrame, right: pl.DataFrame) -> bool:
    """Whether two tables agree in every bit: the sign of a zero and the payload of a NaN included."""
    assert left.schema == right.schema
    floats = [name for name, dtype in left.schema.items() if dtype.is_float()]
    return left.equals(right) and all(_bits(left[name]) == _bits(right[name]) for name in floats)


def _bits(column: pl.Series) -> bytes:
    return column.fill_null(0.0).to_numpy().tobytes()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("rows", [1, 7, 8, 9, 64, 1000])
def test_every_reader_finds_the_table(tmp_path: Path, reader: str, rows: int) -> None:
    table = _table(rows)
    write(tmp_path / "table.parquet", table)
    found = READERS[reader](tmp_path / "table.parquet")
    assert found.columns == table.columns
    assert _same_bits(found.cast(table.schema), table)


@pytest.mark.parametrize("reader", READERS)
def test_a_column_of_several_pages_is_read_as_one(tmp_path: Path, reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_ROWS_OF_A_PAGE", 30)
    table = _table(100)
    write(tmp_path / "table.parquet", table)
    assert _same_bits(READERS[reader](tmp_path / "table.parquet").cast(table.schema), table)


@settings(deadline=None, max_examples=100)
@given(
    values=st.lists(st.sampled_from(SPECIAL) | st.floats(width=32) | st.none(), min_size=1, max_size=50),
    first=st.integers(0, 20),
)
def test_any_float_comes_back_bit_for_bit_from_a_slice(
    tmp_path_factory: pytest.TempPathFactory, values: list[float | None], first: int
) -> None:
    """The buffers of a slice are those of the whole column."""
    column = pl.Series("x", values * 2, dtype=pl.Float32, strict=False)
    table = pl.DataFrame([column.slice(min(first, len(values)))])
    path = tmp_path_factory.mktemp("floats") / "table.parquet"
    write(path, table)
    assert _same_bits(pl.read_parquet(path), table)


def test_a_table_in_pieces_is_written_as_in_one(tmp_path: Path) -> None:
    table = _table(100)
    pieces = pl.concat([table.slice(0, 37), table.slice(37)], rechunk=False)
    write(tmp_path / "pieces.parquet", pieces)
    write(tmp_path / "one.parquet", table)
    assert (tmp_path / "pieces.parquet").read_bytes() == (tmp_path / "one.parquet").read_bytes()


def test_what_stands_where_a_value_is_missing_does_not_show(tmp_path: Path) -> None:
    """Equal tables give equal files, however they came about."""
    table = _table(100)
    hidden = table.with_columns(pl.when(pl.col("gaps").is_null()).then(None).otherwise("gaps").alias("gaps"))
    for name, each in (("one", table), ("other", hidden)):
        write(tmp_path / name, each)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_table_without_rows_or_of_keys_alone_is_written(tmp_path: Path) -> None:
    for name, table in (("empty", _table(5).clear()), ("keys", _table(5).select("Date", "Code"))):
        write(tmp_path / name, table)
        assert pl.read_parquet(tmp_path / name).equals(table)
        assert pl.read_parquet(tmp_path / name).schema == table.schema


def test_readers_can_skip_a_file_by_its_days(tmp_path: Path) -> None:
    write(tmp_path / "table.parquet", _table(30))
    statistics = pyarrow.parquet.read_metadata(tmp_path / "table.parquet").row_group(0).column(0).statistics
    assert (statistics.min, statistics.max) == (date(2020, 1, 1), date(2020, 1, 10))


@pytest.mark.parametrize(
    "names", [["full"], ["gaps", "flag"], ["some_flag", "Date", "count"], ["resolved"], list(_table(1).columns)]
)
def test_a_mended_file_is_byte_for_byte_the_whole_table_written_anew(tmp_path: Path, names: list[str]) -> None:
    before, other = _table(100), _table(100, seed=1)
    write(tmp_path / "before", before)
    now = before.with_columns(other.select(names))
    write_mended(tmp_path / "mended", tmp_path / "before", other.select(names))
    write(tmp_path / "whole", now)
    assert (tmp_path / "mended").read_bytes() == (tmp_path / "whole").read_bytes()
    assert pl.read_parquet(tmp_path / "before").equals(before), "the file that it was made from is another"


def test_a_file_is_mended_again_and_again(tmp_path: Path) -> None:
    table = _table(50)
    write(tmp_path / "0", table)
    for number, name in enumerate(("full", "flag", "full", "wide")):
        change = _table(50, seed=number + 2).select(name)
        table = table.with_columns(change)
        write_mended(tmp_path / str(number + 1), tmp_path / str(number), change)
    assert pl.read_parquet(tmp_path / "4").equals(table)


def test_columns_of_other_rows_or_names_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "table", _table(10))
    for columns_ in (_table(9).select("full"), _table(10).select(other="full")):
        with pytest.raises(ValueError, match="has 10 rows of Date, Code"):
            write_mended(tmp_path / "mended", tmp_path / "table", columns_)
    assert not (tmp_path / "mended").exists()


def test_columns_of_another_type_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "table", _table(10))
    with pytest.raises(ValueError, match="has full as another type"):
        write_mended(tmp_path / "mended", tmp_path / "table", _table(10).select(pl.col("full").cast(pl.Float64)))


def test_a_file_is_never_written_over_another(tmp_path: Path) -> None:
    """In a staging folder it may be another name of one that is published."""
    write(tmp_path / "table", _table(10))
    with pytest.raises(FileExistsError):
        write_mended(tmp_path / "table", tmp_path / "table", _table(10).select("full"))
    assert pl.read_parquet(tmp_path / "table").equals(_table(10))


@pytest.mark.parametrize(
    "column",
    [
        *(pl.Series("x", [1, None], dtype=dtype) for dtype in (pl.Int8, pl.Int16, pl.Int64, pl.UInt8, pl.UInt64)),
        pl.Series("x", [b"a", None], dtype=pl.Binary),
        *(pl.Series("x", [1, None]).cast(pl.Datetime(unit, "UTC")) for unit in ("ms", "us", "ns")),
        *(pl.Series("x", [1, None]).cast(pl.Datetime("us", zone)) for zone in (None, "Asia/Tokyo")),
        pl.Series("x", [1, None]).cast(pl.Duration("us")),
        pl.Series("x", [1, None]).cast(pl.Time),
        pl.Series("x", ["1.25", None]).cast(pl.Decimal(10, 2)),
        pl.Series("x", ["a", None], dtype=pl.Enum(["a", "b"])),
        pl.Series("x", ["a", None], dtype=pl.Categorical),
        pl.Series("x", [None, None], dtype=pl.Null),
        pl.Series("x", [[1], None], dtype=pl.List(pl.Int64)),
    ],
    ids=lambda column: str(column.dtype),
)
def test_every_type_comes_back(tmp_path: Path, column: pl.Series) -> None:
    table = pl.DataFrame([pl.Series("beside", [0.5, None]), column])
    write(tmp_path / "table", table)
    assert pl.read_parquet(tmp_path / "table").schema == table.schema
    assert pl.read_parquet(tmp_path / "table").equals(table)


@pytest.mark.parametrize("damage", ["nothing", "short", "zeros", "footer", "end", "begin"])
def test_what_is_no_parquet_file_is_refused(tmp_path: Path, damage: str) -> None:
    write(tmp_path / "table", _table(10))
    whole = (tmp_path / "table").read_bytes()
    content = {
        "nothing": b"",
        "short": whole[:4],
        "zeros": bytes(len(whole)),
        "footer": whole[:20] + bytes(len(whole) - 24) + whole[-4:],
        "end": whole[:-4] + b"XXXX",
        "begin": b"XXXX" + whole[4:],
    }[damage]
    with pytest.raises(ValueError, match=r"\d+ bytes that|has no end"):
        columns.found_in(memoryview(content))


def test_a_file_of_several_row_groups_is_refused(tmp_path: Path) -> None:
    _table(10).write_parquet(tmp_path / "table", row_group_size=5)
    with pytest.raises(ValueError, match="2 row groups"):
        write_mended(tmp_path / "mended", tmp_path / "table", _table(10).select("full"))
