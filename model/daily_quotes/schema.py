"""The canonical table of daily bars, which every source delivers.

One row a code and day, prices as traded on that day, sorted by Date and Code and unique on them. Codes are always
strings (``0013``, ``130A0``, ``TRUE`` and ``NA`` are all codes). Missing is null, never 0.
"""

from collections.abc import Sequence

import polars as pl

from model.errors import SourceError

ASSET = "daily_quotes"
QUOTES = "quotes.parquet"
"""A day's canonical rows."""
RECEIVED = "received.parquet"
"""The same rows as the source gave them."""

KEY = ("Date", "Code")
PRICES = ("Open", "High", "Low", "Close")

CANONICAL = pl.Schema(
    {
        "Date": pl.Date(),
        "Code": pl.String(),
        "Open": pl.Float64(),
        "High": pl.Float64(),
        "Low": pl.Float64(),
        "Close": pl.Float64(),
        "Volume": pl.Int64(),
        "TurnoverValue": pl.Float64(),
        "AdjustmentFactor": pl.Float64(),
        "UpperLimit": pl.Boolean(),
        "LowerLimit": pl.Boolean(),
        "Sector": pl.String(),
        "Market": pl.String(),
        "KnownAt": pl.Datetime("us", "UTC"),
    }
)
"""Column name to dtype, in order. Prices in currency units, Volume in shares, TurnoverValue in currency units."""

REQUIRED = ("Date", "Code", "Open", "High", "Low", "Close", "Volume")
OPTIONAL = ("TurnoverValue", "AdjustmentFactor", "UpperLimit", "LowerLimit", "Sector", "Market")
NEVER_NULL = ("Date", "Code", "AdjustmentFactor", "UpperLimit", "LowerLimit", "KnownAt")


def validate_canonical(frame: pl.DataFrame) -> pl.DataFrame:
    """Return ``frame`` unchanged if it is a canonical table.

    Raises:
        SourceError: columns, dtypes, nulls, numbers, order or uniqueness are not canonical.
    """
    if frame.schema != CANONICAL:
        found = {name: str(dtype) for name, dtype in frame.schema.items()}
        wrong = [f"{name} should be {dtype}" for name, dtype in CANONICAL.items() if found.get(name) != str(dtype)]
        extra = [name for name in found if name not in CANONICAL]
        raise SourceError(
            f"The table of {frame.height} rows is not canonical: {'; '.join(wrong) or 'columns are out of order'}"
            f"{'; unknown columns ' + ', '.join(extra) if extra else ''}. The columns are {', '.join(CANONICAL)}, "
            "in this order."
        )
    nulls = {name: frame[name].null_count() for name in NEVER_NULL}
    if any(nulls.values()):
        found_nulls = ", ".join(f"{name} in {count} rows" for name, count in nulls.items() if count)
        raise SourceError(f"The canonical table of {frame.height} rows has nulls where none may be: {found_nulls}.")
    _require_finite(frame)
    broken = frame.select((~rising()).slice(1).sum()).item() if frame.height > 1 else 0
    if broken:
        raise SourceError(
            f"The canonical table of {frame.height} rows is not sorted by Date and Code, or repeats them, "
            f"at {broken} rows."
        )
    return frame


def _require_finite(frame: pl.DataFrame) -> None:
    floats = [name for name, dtype in CANONICAL.items() if dtype == pl.Float64]
    counts = frame.select((~pl.col(floats).is_finite()).sum()).row(0, named=True)
    found = {name: count for name, count in counts.items() if count}
    if found:
        name = next(iter(found))
        first = frame.filter(~pl.col(name).is_finite()).row(0, named=True)
        raise SourceError(
            f"The canonical table of {frame.height} rows has numbers that are not finite: "
            f"{', '.join(f'{name} in {count} rows' for name, count in found.items())}, the first being code "
            f"{first['Code']} on {first['Date']}. Correct the source; a missing number is null, never NaN."
        )


def rising() -> pl.Expr:
    """True where a row's (Date, Code) is greater than that of the row before it."""
    return rising_by(KEY)


def rising_by(key: Sequence[str]) -> pl.Expr:
    """True where a row's key is greater than that of the row before it; a null orders with nothing but its like."""
    rising, equal = pl.lit(False), pl.lit(True)
    for column in key:
        now, before = pl.col(column), pl.col(column).shift(1)
        rising = rising | (equal & (now > before))
        equal = equal & (now == before)
    return rising.fill_null(False)
