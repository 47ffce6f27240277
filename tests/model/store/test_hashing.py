"""Content hashes speak of values and of nothing else."""

import hashlib
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from model.store.hashing import array_hash, checksum, file_hash, json_hash, merkle_root, table_hash, verifies

ROWS = st.lists(
    st.tuples(
        st.none() | st.floats(width=32),
        st.none() | st.text(max_size=4),
        st.none() | st.booleans(),
        st.none() | st.dates(),
    ),
    max_size=12,
)
SCHEMA = {"x": pl.Float64, "code": pl.String, "flag": pl.Boolean, "day": pl.Date}


def frame(rows: list[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@settings(max_examples=25, deadline=None)
@given(ROWS, st.integers(0, 12))
def test_a_table_hashes_alike_however_it_is_chunked(rows: list[tuple[object, ...]], cut: int) -> None:
    whole = frame(rows)
    pieces = pl.concat([whole.slice(0, cut), whole.slice(cut)], rechunk=False)
    assert table_hash(pieces) == table_hash(whole)


@settings(max_examples=25, deadline=None)
@given(ROWS, st.integers(0, 12), st.integers(0, 12))
def test_a_slice_hashes_like_a_table_of_its_own(rows: list[tuple[object, ...]], start: int, length: int) -> None:
    types = {"day": pl.Datetime("us"), "flag": pl.UInt8}
    for table in (frame(rows), frame(rows).cast({"x": pl.Float32}), frame(rows).cast(types)):  # type: ignore[arg-type]
        part = table.slice(start, length)
        assert table_hash(part) == table_hash(pl.DataFrame(part.rows(), schema=part.schema, orient="row"))


@settings(max_examples=25, deadline=None)
@given(ROWS, ROWS)
def test_different_values_hash_differently(one: list[tuple[object, ...]], other: list[tuple[object, ...]]) -> None:
    same = frame(one).equals(frame(other), null_equal=True)
    if not same:
        nan_blind = frame(one).with_columns(pl.col("x").fill_nan(None) + 0.0)
        if not nan_blind.equals(frame(other).with_columns(pl.col("x").fill_nan(None) + 0.0)):
            assert table_hash(frame(one)) != table_hash(frame(other))


def test_null_nan_and_zero_are_three_values_and_minus_zero_is_zero() -> None:
    hashes = {table_hash(pl.DataFrame({"x": [value]}, schema={"x": pl.Float64})) for value in (None, float("nan"), 0.0)}
    assert len(hashes) == 3
    assert table_hash(pl.DataFrame({"x": [-0.0]})) == table_hash(pl.DataFrame({"x": [0.0]}))


def test_strings_that_join_alike_hash_differently() -> None:
    assert table_hash(pl.DataFrame({"c": ["ab", "c"]})) != table_hash(pl.DataFrame({"c": ["a", "bc"]}))


def test_the_hash_survives_a_round_trip_through_parquet(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "t.parquet"
    table = pl.DataFrame(
        {"Date": [date(2020, 1, 1)] * 3, "Code": ["NA", "130A0", None], "x": [1.5, None, float("nan")]}
    )
    table.write_parquet(path)
    assert table_hash(pl.read_parquet(path)) == table_hash(table)


def test_a_dtype_without_canonical_form_is_refused() -> None:
    with pytest.raises(TypeError, match="column 'x'"):
        table_hash(pl.DataFrame({"x": [[1, 2]]}))


def test_arrays_with_the_same_bytes_and_other_shapes_differ() -> None:
    flat = np.arange(6, dtype=np.float32)
    assert array_hash(flat) != array_hash(flat.reshape(2, 3))
    assert array_hash(flat) == array_hash(np.asfortranarray(flat))


def test_names_and_order_do_not_change_a_root_or_a_document() -> None:
    assert merkle_root({"a": "1", "b": "2"}) == merkle_root({"b": "2", "a": "1"})
    assert merkle_root({"a": "1", "b": "2"}) != merkle_root({"a": "2", "b": "1"})
    assert json_hash({"a": 1, "b": [1.5, None]}) == json_hash({"b": [1.5, None], "a": 1})


@pytest.mark.parametrize("size", [0, 7, (1 << 18) - 1, 1 << 18, (1 << 19) + 5])
def test_a_file_is_hashed_whole_whatever_its_size(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    data = np.random.default_rng(size).bytes(size)
    path.write_bytes(data)
    assert file_hash(path) == hashlib.sha256(data).hexdigest()
    assert checksum(path) == f"xxh3:{xxhash.xxh3_128_hexdigest(data)}"
    before = file_hash(path), checksum(path)
    assert all(verifies(path, each) for each in before)
    path.write_bytes(data + b"x")
    assert not any(verifies(path, each) for each in before)
