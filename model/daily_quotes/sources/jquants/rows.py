"""From the JSON rows of an answer to a table: columns and numbers checked, repeated rows merged, sorted by key.

Bars and master are refused as a whole where anything is wrong with them. What is wrong with a row of another table
nobody here can correct, and waiting for its correction would stop everything for ever: such a row is left out and
such a figure is missing, as long as they are few. Many of them mean that the interface has changed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from model.daily_quotes.sources.jquants.tables import Endpoint, Table
from model.errors import SourceError

MISSING = frozenset({"", "-", "*", "－", "＊", "―", "None", "nan", "null"})
"""What stands for a missing number."""
_LARGEST = 9.0e18
"""No figure is larger, and volumes become 64-bit whole numbers."""
_FEW = 5
"""So many odd rows, or half of the rows if those are more, are bad luck."""
_UNLISTED_SHARE = 0.03
"""Of the codes with bars so many, or ``_FEW``, may be without a row of the master (a new or a reused code)."""
_DAY = "%Y-%m-%d"
_SPOILT = "_Spoilt"
"""Marks a row of which a figure was none."""

_Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Answer:
    """The rows that can be used, and how many were left out or have a figure less."""

    frame: pl.DataFrame
    odd: int = 0


def to_frame(endpoint: Endpoint, records: _Records, unit: str) -> Answer:
    """The kept columns of an answer, one row a key, sorted by key.

    Raises:
        SourceError: a column is missing, or a figure has a sign that it cannot have. Also where a number is none, not
            finite or too large, a row lacks its key, holds no date, speaks of another day than the one asked for, or
            contradicts another of its key: in any row of a strict endpoint, in more than a few of another.
    """
    where = f"J-Quants {endpoint.path} for {unit}"
    if not records:
        return Answer(pl.DataFrame(schema=endpoint.schema))
    for name in endpoint.schema:
        _require_column(endpoint, name, records, where)
    texts = [pl.Series(name, [_text(record.get(name)) for record in records], pl.String) for name in endpoint.texts]
    numbers = [
        pl.Series(name, [_number(record.get(name)) for record in records], pl.Float64) for name in endpoint.numbers
    ]
    spoilt = pl.repeat(False, len(records), dtype=pl.Boolean, eager=True).alias(_SPOILT)
    for place, column in enumerate(numbers):
        wrong = (~(column.abs() <= _LARGEST)).fill_null(False)  # polars orders NaN after all numbers
        if wrong.any():
            _require_few_figures(endpoint, wrong, records, where)
            numbers[place], spoilt = column.set(wrong, None), spoilt | wrong
        _require_possible(endpoint, column, records, where)
    frame = pl.DataFrame([*texts, *numbers, spoilt]).unique(list(endpoint.schema), maintain_order=True)
    odd = _odd(endpoint, frame, unit, where)
    kept = _merge(endpoint, frame.filter(~odd), where)
    return Answer(kept.drop(_SPOILT), frame.height - kept.filter(~pl.col(_SPOILT)).height)


def join(table: Table, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows of the first endpoint with what the others say of them; rows that only the others have are left out.

    Raises:
        SourceError: an endpoint says nothing of many of the rows: its answer was cut.
    """
    whole, key = parts[0], list(table.key)
    for endpoint, part in zip(table.endpoints[1:], parts[1:], strict=True):
        _require_most(endpoint, whole, whole.join(part, on=key, how="anti"))
        more = [name for name in part.columns if name not in whole.columns or name in table.key]
        whole = whole.join(part.select(more), on=key, how="left", maintain_order="left")
    return whole.select(table.columns)


def is_unfinished(bars: pl.DataFrame, master: pl.DataFrame) -> bool:
    """Whether most of the listed codes have no bar: a day that is just being published. Codes that were not traded
    have a bar too, without prices."""
    return _many(master.join(bars, on="Code", how="anti").height, master.height)


def _require_most(endpoint: Endpoint, whole: pl.DataFrame, without: pl.DataFrame) -> None:
    if without.height <= max(_FEW, _UNLISTED_SHARE * whole.height):
        return
    first = without.row(0, named=True)
    raise SourceError(
        f"J-Quants {endpoint.path} for {first['Date']}: the master has no row for {without.height} of the "
        f"{whole.height} codes with bars, the first being {first['Code']}: the answer was cut, and their sectors and "
        "markets would be lost. Nothing of the day was kept: run the command again later. If it stays so, report it to "
        "J-Quants, and do without the day meanwhile by naming it in source.empty_days."
    )


def _text(value: object) -> str | None:
    return None if value is None or value == "" or isinstance(value, list | dict) else str(value)


def _number(value: object) -> float | None:
    """A figure; not a number where it is none."""
    if value is None or (isinstance(value, str) and value.strip() in MISSING):
        return None
    try:
        return float(value.replace(",", "") if isinstance(value, str) else value)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return math.nan


def _many(odd: int, rows: int) -> bool:
    return odd > max(_FEW, rows // 2)


def _require_column(endpoint: Endpoint, name: str, records: _Records, where: str) -> None:
    gone = sum(name not in record for record in records)
    if not gone or name in endpoint.newer or (not endpoint.strict and gone < len(records)):
        return
    raise SourceError(
        f"{where} has no column {name!r} in {gone} of {len(records)} rows; it has {', '.join(list(records[0])[:20])}. "
        "The interface may have changed: look for a newer version of this program, or check source.base_url."
    )


def _require_few_figures(endpoint: Endpoint, wrong: pl.Series, records: _Records, where: str) -> None:
    """NaN and infinity, which JSON does not have and Python reads, would spread from a factor to every later day."""
    count, first = int(wrong.sum()), wrong.arg_max()
    if not endpoint.strict and not _many(count, len(records)):
        return
    assert first is not None
    value = records[first][wrong.name]
    shown = type(value).__name__ if isinstance(value, list | dict) else str(value)[:40]
    raise SourceError(
        f"{where}: the column {wrong.name!r} holds {shown!r}, which is neither a number of the size of a figure nor a "
        f"sign for a missing one, in {count} of {len(records)} rows (first: code {records[first].get('Code', '?')}). "
        "Nothing of the answer was kept: run the command again later; if it stays so, report it to J-Quants, and look "
        "for a newer version of this program."
    )


def _require_possible(endpoint: Endpoint, column: pl.Series, records: _Records, where: str) -> None:
    """Such a row must not be kept: an old day is seldom asked for again, and would be wrong until then."""
    if column.name in endpoint.positive:
        wrong, what = column <= 0, "is not positive"
    elif column.name in endpoint.not_negative:
        wrong, what = column < 0, "is negative"
    else:
        return
    if not wrong.any():
        return
    first = wrong.fill_null(False).arg_max()
    assert first is not None
    raise SourceError(
        f"{where}: {column.name} {what} in {wrong.sum()} of {len(records)} rows (first: code "
        f"{records[first].get('Code', '?')}). No share has that. Nothing of the day was kept: run the command again "
        "later. If it stays so, report it to J-Quants, and do without the day meanwhile by naming it in "
        "source.empty_days."
    )


def _odd(endpoint: Endpoint, frame: pl.DataFrame, unit: str, where: str) -> pl.Series:
    """Which rows have no place: without what tells them apart, under no date, or of another day.

    Raises:
        SourceError: they are many, or the endpoint is strict.
    """
    wrongs = {f"{name} is empty": frame[name].is_null() for name in endpoint.key if name not in endpoint.spare}
    for name in endpoint.days:
        wrongs[f"{name} is no date"] = frame[name].is_not_null() & frame[name].str.to_date(_DAY, strict=False).is_null()
    if endpoint.ordered:
        early, late = endpoint.ordered
        wrongs[f"{late} is before {early}"] = (frame[late] < frame[early]).fill_null(False)
    odd = pl.repeat(False, frame.height, dtype=pl.Boolean, eager=True)
    for what, wrong in wrongs.items():
        count = int(wrong.sum())
        if count and (endpoint.strict or _many(count, frame.height)):
            raise SourceError(
                f"{where}: {what} in {count} of {frame.height} rows. Run the command again later; if it stays so, "
                "report it to J-Quants."
            )
        odd |= wrong
    return odd | _of_another_day(endpoint, frame, unit, where) if endpoint.dated else odd


def _of_another_day(endpoint: Endpoint, frame: pl.DataFrame, unit: str, where: str) -> pl.Series:
    other = frame.select(pl.col(endpoint.dated).ne_missing(pl.lit(unit))).to_series()
    count = int(other.sum())
    if count and (endpoint.strict or _many(count, frame.height)):
        raise SourceError(
            f"{where}: {count} of {frame.height} rows have the {endpoint.dated} "
            f"{frame.filter(other)[endpoint.dated][0]}, which was not asked for. If that day is a trading day, run the "
            "command again later; else correct the holidays (calendar.holidays)."
        )
    return other


def _merge(endpoint: Endpoint, frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """Rows sorted by key, of which none comes twice: of rows that differ under one key none is kept.

    Raises:
        SourceError: they are many, or the endpoint is strict.
    """
    key, lacks = list(endpoint.key), pl.any_horizontal(pl.col(endpoint.key) == "")
    whole = frame.with_columns(pl.col(key).fill_null("")).sort(key, maintain_order=True)
    twice = pl.struct(key).is_duplicated()
    clash = whole.filter(twice & ~lacks)
    if clash.height and (endpoint.strict or _many(clash.height, whole.height)):
        first = clash.row(0, named=True)
        raise SourceError(
            f"{where} contradicts itself: {clash.select(key).unique().height} of {whole.height} keys come with "
            f"different values, the first being {', '.join(f'{name}={first[name]}' for name in key)}. The source "
            "cannot know which is right: run the command again later."
        )
    return whole.filter(~twice)
