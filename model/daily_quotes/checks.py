"""Checks of one day of ``daily_quotes``: the day in itself, and against the stored day before it."""

from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import polars as pl

from model.daily_quotes.beside import TABLES
from model.daily_quotes.schema import ASSET, CANONICAL, KEY, NEVER_NULL, PRICES, QUOTES
from model.store.checks import Check, CheckOutcome
from model.store.manifest import Manifest
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings

_FEWER_NAMES_SHARE = 0.5
"""A day with less than this share of ``quality.min_names`` names cannot be a whole market."""
_FEWER_THAN_BEFORE = 0.7
"""A day with less than this share of the rows of the day before looks like half a file."""
_CALENDAR_DAYS_BACK = 14
"""How far back the day before may lie (the Golden Week of 2019 closed the exchange for ten days)."""
_FILLED, _EMPTY = 0.5, 0.99
"""A column is filled, or empty, with up to, or from, this share of nulls."""


def check_schema(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Columns, dtypes and nulls are canonical, and every row is of the day."""
    frame = _quotes(store, partition)
    columns_right = frame.schema == CANONICAL
    nulls = {name: frame[name].null_count() for name in NEVER_NULL if name in frame.columns}
    other_days = frame.filter(pl.col("Date").cast(pl.String) != partition).height
    return CheckOutcome(
        passed=columns_right and not any(nulls.values()) and other_days == 0,
        summary=f"{frame.height} rows, {sum(nulls.values())} nulls where none may be, {other_days} rows of other days.",
        metadata={"rows": frame.height, "rows_of_other_days": other_days, "columns_canonical": columns_right},
    )


def check_duplicates(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Each code has one row."""
    frame = _quotes(store, partition)
    repeated = frame.height - frame.n_unique(list(KEY))
    return CheckOutcome(
        passed=repeated == 0,
        summary=f"{repeated} of {frame.height} rows repeat another row's code.",
        metadata={"repeated": repeated},
    )


def check_price_sanity(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """No negative price, and no more closes of zero than the gate accepts."""
    frame = _quotes(store, partition)
    negative = sum(frame.select((pl.col(name) < 0).sum() for name in PRICES).row(0))
    priced = frame["Close"].count()
    bad = frame.select((pl.col("Close") <= 0).sum()).item()
    share = bad / frame.height if frame.height else 0.0
    # One odd quote among few names must not stop a day; the gate judges the share over all days as well.
    allowed = max(1, round(10 * settings.quality.max_bad_close_share * frame.height))
    return CheckOutcome(
        passed=negative == 0 and bad <= allowed,
        summary=f"{negative} negative prices, {bad} closes of zero ({share:.2%}), {priced} closes in all.",
        metadata={"negative_prices": negative, "closes_of_zero": bad, "closes": priced},
    )


def check_names(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """The day has enough names to be a cross-section, or nothing traded at all (an outage of the exchange)."""
    frame = _quotes(store, partition)
    priced = frame["Close"].count()
    needed = round(_FEWER_NAMES_SHARE * settings.quality.min_names)
    return CheckOutcome(
        passed=priced >= needed or (priced == 0 and frame.height >= needed),
        summary=f"{priced} names have a close; {needed} are needed (half of quality.min_names).",
        metadata={"names": priced, "needed": needed},
    )


def check_against_day_before(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Not far fewer rows than on the stored day before."""
    rows = store.require(ASSET, partition).files[QUOTES].rows or 0
    before = _day_before(store, partition)
    usual = 0 if before is None else before.files[QUOTES].rows or 0
    against = "no day before it is stored" if before is None else f"{usual} on {before.partition}"
    return CheckOutcome(
        passed=rows >= _FEWER_THAN_BEFORE * usual,
        severity="warn",
        summary=f"{rows} rows; {against}.",
        metadata={"rows": rows, "rows_day_before": usual, "share_of_day_before": rows / usual if usual else None},
    )


def check_null_shares(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """No column is suddenly empty that was filled on the day before (unless nothing traded)."""
    shares = _null_shares(_quotes(store, partition))
    before = _day_before(store, partition)
    earlier = {} if before is None else _null_shares(_quotes(store, before.partition))
    outage = shares["Close"] == 1.0
    emptied = [
        name for name, share in shares.items() if share >= _EMPTY and earlier.get(name, 1.0) <= _FILLED and not outage
    ]
    return CheckOutcome(
        passed=not emptied,
        severity="warn",
        summary=f"Close is null in {shares['Close']:.1%} of the rows; suddenly empty: {', '.join(emptied) or 'none'}.",
        metadata={"emptied": emptied, **{f"null_share_{name}": share for name, share in shares.items() if share}},
    )


def check_tables_beside(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """The tables beside the bars, with their rows of the day; none is gone that the day before had."""
    rows = _rows_beside(store.require(ASSET, partition))
    before = _day_before(store, partition)
    gone = sorted(set() if before is None else _rows_beside(before).keys() - rows.keys())
    held = ", ".join(f"{name} {count}" for name, count in rows.items()) or "none"
    return CheckOutcome(
        passed=not gone,
        severity="warn",
        summary=f"Rows beside the bars: {held}; gone since the day before: {', '.join(gone) or 'none'}.",
        metadata={"tables": len(rows), "gone": gone, **{f"rows_{name}": count for name, count in rows.items()}},
    )


def _rows_beside(manifest: Manifest) -> dict[str, int]:
    return {
        name: manifest.files[table.file].rows or 0 for name, table in TABLES.items() if table.file in manifest.files
    }


def _null_shares(frame: pl.DataFrame) -> dict[str, float]:
    return {name: frame[name].null_count() / max(frame.height, 1) for name in frame.columns}


def _day_before(store: Store, partition: str | None) -> Manifest | None:
    """The nearest stored day before; None where the fortnight before holds none."""
    day = date.fromisoformat(str(partition))
    earlier = (day - timedelta(days=back) for back in range(1, _CALENDAR_DAYS_BACK + 1))
    found = (store.manifest(ASSET, other.isoformat()) for other in earlier)
    return next((manifest for manifest in found if manifest is not None), None)


def _quotes(store: Store, partition: str | None) -> pl.DataFrame:
    """Read once for all checks of a day and those of the day after it; a day that was mended is read anew."""
    return _read(store, partition, store.require(ASSET, partition).content_hash)


@lru_cache(maxsize=2)
def _read(store: Store, partition: str | None, content_hash: str) -> pl.DataFrame:
    return store.read_table(ASSET, QUOTES, partition)


CHECKS: tuple[Check, ...] = (
    Check("schema", "Columns, dtypes and nulls are canonical, and every row is of the day.", check_schema),
    Check("duplicates", "Each code has one row.", check_duplicates),
    Check("price_sanity", "No negative price, and hardly any close of zero.", check_price_sanity),
    Check("number_of_names", "Enough names have a close.", check_names),
    Check("names_against_day_before", "Not far fewer rows than before.", check_against_day_before, blocking=False),
    Check("null_shares", "No column is suddenly empty.", check_null_shares, blocking=False),
    Check("tables_beside", "No table beside the bars is gone.", check_tables_beside, blocking=False),
)
