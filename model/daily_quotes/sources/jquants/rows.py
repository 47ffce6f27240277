"""From the JSON rows of an answer to a table: columns and numbers checked, repeated rows merged, sorted by key."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from model.daily_quotes.sources.jquants.tables import Endpoint, Table
from model.errors import SourceError

MISSING = frozenset({"", "-", "*", "－", "＊", "―", "None", "nan", "null"})
"""What stands for a missing number."""
_LARGEST = 9.0e18
"""No figure is larger, and volumes become 64-bit whole numbers."""

_Records = Sequence[Mapping[str, Any]]


def to_frame(endpoint: Endpoint, records: _Records, unit: str) -> pl.DataFrame:
    """The kept columns of an answer, one row a key, sorted by key.

    Raises:
        SourceError: a column is missing, a number is none, not finite or too large, a row speaks of another day than
            the one asked for, or two rows of one key contradict each other.
    """
    where = f"J-Quants {endpoint.path} for {unit}"
    if not records:
        return pl.DataFrame(schema=endpoint.schema)
    columns = [pl.Series(name, _texts(endpoint, name, records, where), dtype=pl.String) for name in endpoint.texts]
    columns += [_numbers(name, records, where) for name in endpoint.numbers]
    frame = pl.DataFrame(columns)
    _require_key(endpoint, frame, where)
    if endpoint.dated:
        _require_day(endpoint, frame, unit, where)
    return _merge(endpoint, frame, where)


def join(table: Table, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows of the first endpoint with what the others say of them; rows that only the others have are left out."""
    whole = parts[0]
    for part in parts[1:]:
        more = [name for name in part.columns if name not in whole.columns or name in table.key]
        whole = whole.join(part.select(more), on=list(table.key), how="left", maintain_order="left")
    return whole.select(table.columns)


def _texts(endpoint: Endpoint, name: str, records: _Records, where: str) -> list[str | None]:
    gone = sum(name not in record for record in records)
    if gone and name not in endpoint.newer:
        raise _no_column(name, gone, records, where)
    values = [record.get(name) for record in records]
    return [None if value is None or value == "" else str(value) for value in values]


def _numbers(name: str, records: _Records, where: str) -> pl.Series:
    values: list[float | None] = []
    for record in records:
        if name not in record:
            raise _no_column(name, sum(name not in each for each in records), records, where)
        value = record[name]
        if value is None or (isinstance(value, str) and value.strip() in MISSING):
            values.append(None)
            continue
        try:
            values.append(float(value.replace(",", "") if isinstance(value, str) else value))
        except OverflowError:
            values.append(math.inf)
        except (TypeError, ValueError):
            raise SourceError(
                f"{where}: the column {name!r} holds {str(value)[:40]!r}, which is neither a number nor a sign for a "
                f"missing one, in at least one of {len(records)} rows (code {record.get('Code', '?')}). The interface "
                "may have changed; look for a newer version of this program."
            ) from None
    numbers = pl.Series(name, values, dtype=pl.Float64)
    _require_usable(numbers, records, where)
    return numbers


def _require_usable(numbers: pl.Series, records: _Records, where: str) -> None:
    """NaN and infinity, which JSON does not have and Python reads, would spread from a factor to every later day."""
    wrong = ~(numbers.abs() <= _LARGEST)  # polars orders NaN after all numbers
    count = int(wrong.sum())
    if not count:
        return
    first = wrong.arg_max()
    assert first is not None
    record = records[first]
    raise SourceError(
        f"{where}: the column {numbers.name!r} holds {str(record[numbers.name])[:40]!r}, which is not finite or larger "
        f"than any figure, in {count} of {len(records)} rows (first: code {record.get('Code', '?')}). Nothing of the "
        "answer was kept: run the command again later, and report it to J-Quants if it stays so."
    )


def _no_column(name: str, gone: int, records: _Records, where: str) -> SourceError:
    return SourceError(
        f"{where} has no column {name!r} in {gone} of {len(records)} rows; it has {', '.join(list(records[0])[:20])}. "
        "The interface may have changed: look for a newer version of this program, or check source.base_url."
    )


def _require_key(endpoint: Endpoint, frame: pl.DataFrame, where: str) -> None:
    for name in endpoint.key:
        empty = frame[name].null_count()
        if empty:
            raise SourceError(
                f"{where}: {name} is empty in {empty} of {frame.height} rows. Run the command again later; if it "
                "stays so, report it to J-Quants."
            )


def _require_day(endpoint: Endpoint, frame: pl.DataFrame, unit: str, where: str) -> None:
    other = frame.filter(pl.col(endpoint.dated).ne_missing(pl.lit(unit)))
    if other.height:
        raise SourceError(
            f"{where}: {other.height} of {frame.height} rows have the {endpoint.dated} {other[endpoint.dated][0]}, "
            "which was not asked for. If that day is a trading day, run the command again later; else correct the "
            "holidays (calendar.holidays)."
        )


def _merge(endpoint: Endpoint, frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """Rows that came twice (a page sent again) count once; two that differ are refused."""
    key = list(endpoint.key)
    whole = frame.unique(maintain_order=True).sort(key, maintain_order=True)
    twice = whole.filter(pl.struct(key).is_duplicated())
    if twice.height:
        first = twice.row(0, named=True)
        raise SourceError(
            f"{where} contradicts itself: {twice.select(key).unique().height} of {whole.height} keys come with "
            f"different values, the first being {', '.join(f'{name}={first[name]}' for name in key)}. The source "
            "cannot know which is right: run the command again later."
        )
    return whole
