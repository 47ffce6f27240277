"""The canonical table accepts itself and nothing else."""

import math

import polars as pl
import pytest
from pydantic import ValidationError

from model.daily_quotes.schema import CANONICAL, validate_canonical
from model.daily_quotes.settings import CalendarSettings, FilesSource, SimulatedSource
from model.daily_quotes.sources.simulated.source import SimulatedMarket
from model.errors import SourceError


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    settings = SimulatedSource.model_validate({"stocks": 5, "start": "2020-01-06", "end": "2020-01-10"})
    source = SimulatedMarket(settings=settings, calendar=CalendarSettings())
    return source.read(list(source.index().days)).quotes


def test_a_canonical_table_passes_unchanged(rows: pl.DataFrame) -> None:
    assert validate_canonical(rows) is rows
    assert validate_canonical(pl.DataFrame(schema=CANONICAL)).schema == CANONICAL


def test_wrong_types_columns_nulls_and_order_are_refused(rows: pl.DataFrame) -> None:
    with pytest.raises(SourceError, match="Code should be String"):
        validate_canonical(rows.with_columns(pl.lit(1).alias("Code")))
    with pytest.raises(SourceError, match="unknown columns extra"):
        validate_canonical(rows.with_columns(extra=1))
    with pytest.raises(SourceError, match="nulls"):
        validate_canonical(rows.with_columns(Code=pl.lit(None, dtype=pl.String)))
    with pytest.raises(SourceError, match="not sorted"):
        validate_canonical(rows.reverse())
    with pytest.raises(SourceError, match="not sorted"):
        validate_canonical(pl.concat([rows.head(1), rows.head(1)]))


@pytest.mark.parametrize("name", ["Open", "Close", "TurnoverValue", "AdjustmentFactor"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(rows: pl.DataFrame, name: str, value: float) -> None:
    code = rows["Code"][1]
    wrong = rows.with_columns(pl.when(pl.col("Code") == code).then(value).otherwise(pl.col(name)).alias(name))
    with pytest.raises(SourceError, match=rf"not finite: {name} in 5 rows.*code {code} on 2020-01-06"):
        validate_canonical(wrong)


def test_settings_refuse_what_makes_no_sense() -> None:
    for wrong in ({"columns": {"Closing": "c"}}, {"start": "2020-01-02", "end": "2020-01-01"}, {"unknown": 1}):
        with pytest.raises(ValidationError):
            FilesSource.model_validate(wrong)
    for wrong in ({"start": "2020-01-02", "end": "2020-01-01"}, {"market_share": 0.5, "cluster_share": 0.5}):
        with pytest.raises(ValidationError):
            SimulatedSource.model_validate(wrong)
    with pytest.raises(ValidationError):
        CalendarSettings(timezone="Mars/Olympus")


def test_where_a_file_lies_and_when_a_market_ends_change_no_hash() -> None:
    assert FilesSource(path="a.csv").hashed() == FilesSource(path="b.csv", date_format="%Y%m%d").hashed()
    one, other = ({"end": "2020-12-30"}, {"end": "2021-12-30"})
    assert SimulatedSource.model_validate(one).hashed() == SimulatedSource.model_validate(other).hashed()
    assert SimulatedSource(seed=1).hashed() != SimulatedSource(seed=2).hashed()
