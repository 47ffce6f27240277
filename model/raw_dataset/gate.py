"""The quality gate: every row with a defect is written down, and no defect reaches a feature.

A defect nulls the fields that cannot be believed and keeps the row: dropping it would make the neighbouring
returns span two days, and would lose a split that the row carries. All rules but one look at the row alone;
``return_suspicious`` also looks at the code's last known close.
"""

from dataclasses import dataclass

import polars as pl

from model.daily_quotes.schema import PRICES
from model.errors import SourceError
from model.raw_dataset.settings import QualitySettings

FIELDS = (*PRICES, "Volume")
NOT_POSITIVE = {name: f"{name.lower()}_not_positive" for name in PRICES}
NOT_FINITE = {name: f"{name.lower()}_not_finite" for name in PRICES}
IMPLAUSIBLE = {name: f"{name.lower()}_implausible" for name in PRICES}
_OF_THE_RANGE = ("high_below_low", "close_outside_range", "open_outside_range")
NULLING = (*NOT_POSITIVE.values(), *NOT_FINITE.values(), *IMPLAUSIBLE.values(), *_OF_THE_RANGE)
"""Reasons that null a field."""
KEEPING = ("volume_not_positive", "volume_missing", "close_missing", "return_suspicious")
"""Reasons that change nothing but are written down; without trading volume a row is not Tradable."""
REASONS = (*NULLING, *KEEPING)
NO_TRADING = ("volume_not_positive", "volume_missing", "close_missing")
"""Reasons that say "not traded" rather than "wrong": such rows do not count as defective."""
SEPARATOR = ";"
SMALLEST_PRICE, LARGEST_PRICE = 1e-15, 1e18
"""Beyond them lies no price of anything, in any currency and after any splits: returns and values would overflow."""
_LARGEST_VALUE = 1e37
"""The largest price times the largest volume of 64 bits."""

QUARANTINE = pl.Schema(
    {
        "Date": pl.Date(),
        "Code": pl.String(),
        "reason": pl.String(),
        "treatment": pl.String(),
        **{name: pl.Float64() for name in PRICES},
        "Volume": pl.Int64(),
    }
)
"""One row for each quarantined row, reasons joined by ``;``, with its fields as received."""


@dataclass(frozen=True)
class Gated:
    """Rows after the gate, and those of them that have a defect, as received."""

    rows: pl.DataFrame
    quarantine: pl.DataFrame


def gate(quotes: pl.DataFrame, settings: QualitySettings) -> Gated:
    """Null what cannot be believed, and write down why.

    Args:
        quotes: canonical rows, sorted by Date and Code, with two more columns: ``cumulative`` (the adjustment
            factor of the row) and ``last_close`` (the adjusted close before the first row here of the code, null
            where there is none).
    """
    marked = _mark_rows(quotes, settings)
    usable = marked.with_columns(_believed())
    usable = usable.with_columns(return_suspicious=_suspicious(settings))
    reason = pl.concat_str(
        [pl.when(pl.col(name)).then(pl.lit(name)) for name in REASONS], separator=SEPARATOR, ignore_nulls=True
    )
    usable = usable.with_columns(reason=reason)
    defective = usable.filter(pl.col("reason") != "")
    treatment = pl.when(pl.any_horizontal(NULLING)).then(pl.lit("field_nulled")).otherwise(pl.lit("row_kept"))
    received = [pl.col(f"received_{name}").alias(name) for name in FIELDS]
    quarantine = defective.select("Date", "Code", "reason", treatment.alias("treatment"), *received)
    return Gated(usable.select(quotes.columns), quarantine)


def traded_value() -> pl.Expr:
    """Value traded in currency units: as reported, else close times volume; 0 where the volume says that nobody traded.

    Null where nothing can be said: without a volume or a close that is one, or where a value was reported of no
    volume. A reported value that is no finite number above zero, or larger than any can be, counts as none.
    """
    traded, nobody = plausible("Close") & (pl.col("Volume") > 0), pl.col("Volume") == 0
    value_traded = pl.col("TurnoverValue")
    reported = pl.when((value_traded > 0) & (value_traded <= _LARGEST_VALUE)).then(value_traded)
    value = pl.when(traded).then(pl.coalesce(reported, pl.col("Close") * pl.col("Volume")))
    return pl.when(nobody & reported.is_null()).then(0.0).otherwise(value)


def count_reasons(quarantine: pl.DataFrame) -> dict[str, int]:
    """Rows per reason (a row may have several); every reason is listed."""
    found = quarantine.select(pl.col("reason").str.split(SEPARATOR)).explode("reason")["reason"].value_counts()
    counts = dict(found.iter_rows())
    return {reason: int(counts.get(reason, 0)) for reason in REASONS}


def count_defective(quarantine: pl.DataFrame) -> int:
    """Rows with a defect, those that merely did not trade left out."""
    return quarantine.filter(_defective()).height


def _defective() -> pl.Expr:
    wrong = "|".join(reason for reason in REASONS if reason not in NO_TRADING)
    return pl.col("reason").str.contains(wrong)


def refuse_bad_data(rows: int, quarantine: pl.DataFrame, settings: QualitySettings) -> None:
    """Refuse data of which too much is wrong.

    Raises:
        SourceError: the share of closes of zero, or of rows with a defect, is above its limit.
    """
    bad_close = NOT_POSITIVE["Close"]
    closes = quarantine.filter(pl.col("reason").str.contains(bad_close, literal=True))
    _refuse_share(
        "a Close that is zero or negative", closes.height, rows, settings.max_bad_close_share, closes, "close"
    )
    wrong = quarantine.filter(_defective())
    _refuse_share("a defect", wrong.height, rows, settings.max_quarantined_share, wrong, "quarantined")


def _refuse_share(what: str, count: int, rows: int, limit: float, found: pl.DataFrame, key: str) -> None:
    if not rows or count / rows <= limit:
        return
    name = "max_bad_close_share" if key == "close" else "max_quarantined_share"
    first = found.row(0, named=True)
    raise SourceError(
        f"The source's rows have {what} in {count} of {rows} rows ({count / rows:.2%}, the limit is {limit:.2%}), the "
        f"first being code {first['Code']} on {first['Date']} ({first['reason']}). Correct the source, map the right "
        f"columns in source.columns, or raise quality.{name}."
    )


def plausible(name: str) -> pl.Expr:
    """Whether a price can be one; zero, NaN and infinity cannot."""
    return pl.col(name).is_between(SMALLEST_PRICE, LARGEST_PRICE)


def _mark_rows(quotes: pl.DataFrame, settings: QualitySettings) -> pl.DataFrame:
    """One Boolean column a reason that the row alone decides, and the fields as received."""
    low, high = (pl.when(plausible(name)).then(pl.col(name)) for name in ("Low", "High"))
    slack = settings.range_tolerance
    crossed = (high < low).fill_null(False)
    marks = {reason: pl.col(name) <= 0 for name, reason in NOT_POSITIVE.items()}
    marks |= {reason: ~pl.col(name).is_finite() for name, reason in NOT_FINITE.items()}
    for name, reason in IMPLAUSIBLE.items():
        marks[reason] = (pl.col(name) > 0) & pl.col(name).is_finite() & ~plausible(name)
    marks["high_below_low"] = crossed
    for name in ("Close", "Open"):
        above, below = pl.col(name) > high * (1.0 + slack), pl.col(name) < low * (1.0 - slack)
        outside = above.fill_null(False) | below.fill_null(False)
        marks[f"{name.lower()}_outside_range"] = ~crossed & plausible(name) & outside
    marks["volume_not_positive"] = pl.col("Volume") <= 0
    marks["volume_missing"] = pl.col("Volume").is_null() & pl.col("Close").is_not_null()
    marks["close_missing"] = pl.col("Close").is_null()
    return quotes.with_columns(
        *[mark.fill_null(False).alias(reason) for reason, mark in marks.items()],
        *[pl.col(name).alias(f"received_{name}") for name in FIELDS],
    )


def _believed() -> list[pl.Expr]:
    """The price fields with what cannot be believed nulled.

    The close outweighs the range around it, however far outside it lies: returns rest on it, and one that is wrong
    stands out against the closes before and after (``return_suspicious``, ``unit_error``), as a range does not.
    """
    range_wrong = pl.col("high_below_low") | pl.col("close_outside_range")
    around = {"Open": pl.col("open_outside_range"), "High": range_wrong, "Low": range_wrong, "Close": pl.lit(False)}
    no_price = {
        name: pl.any_horizontal(kind[name] for kind in (NOT_POSITIVE, NOT_FINITE, IMPLAUSIBLE)) for name in PRICES
    }
    return [pl.when(~(no_price[name] | mark)).then(pl.col(name)).alias(name) for name, mark in around.items()]


def _suspicious(settings: QualitySettings) -> pl.Expr:
    adjusted = pl.col("Close") / pl.col("cumulative")
    before = pl.coalesce(adjusted.forward_fill().shift(1).over("Code"), pl.col("last_close"))
    return ((adjusted / before - 1.0).abs() > settings.max_daily_return).fill_null(False)
