"""Checks of one day of ``daily_quotes``."""

from typing import TYPE_CHECKING

import polars as pl

from model.daily_quotes.schema import ASSET, CANONICAL, KEY, NEVER_NULL, PRICES, QUOTES
from model.store.checks import Check, CheckOutcome
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings

_FEWER_NAMES_SHARE = 0.5
"""A day with less than this share of ``quality.min_names`` names cannot be a whole market."""


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


def _quotes(store: Store, partition: str | None) -> pl.DataFrame:
    return store.read_table(ASSET, QUOTES, partition)


CHECKS: tuple[Check, ...] = (
    Check("schema", "Columns, dtypes and nulls are canonical, and every row is of the day.", check_schema),
    Check("duplicates", "Each code has one row.", check_duplicates),
    Check("price_sanity", "No negative price, and hardly any close of zero.", check_price_sanity),
    Check("number_of_names", "Enough names have a close.", check_names),
)
